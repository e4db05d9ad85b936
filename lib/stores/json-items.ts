const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
/** What some editors on Windows put in front of UTF-8. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Where the next item of an array begins and ends, in bytes. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Just behind the bracket of the array that is the member `name` of the outermost object; `undefined` where there is none.
 * Only counts brackets and skips strings: whether it is JSON is for a parser to decide.
 */
export function arrayOf(bytes: Uint8Array, name: string): number | undefined {
  let depth = 0;
  let last = '';
  const begin = isMarked(bytes) ? BYTE_ORDER_MARK.length : 0;
  if (bytes[skipSpace(bytes, begin)] !== OPEN_OBJECT) return undefined;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) {
      const end = stringEnd(bytes, i);
      if (depth === 1) last = String.fromCharCode(...bytes.subarray(i + 1, Math.min(end, i + 1 + name.length + 1)));
      i = end;
    } else if (isOpening(c)) {
      if (c === OPEN_ARRAY && depth === 1 && last === name) return i + 1;
      depth++;
    } else if (isClosing(c)) depth--;
  }
  return undefined;
}

/**
 * The item of an array that begins at or behind `from`; `undefined` at the array's bracket, or where it does not end. The end
 * of the bytes ends an item too: they may be a part of an array.
 */
export function itemAt(bytes: Uint8Array, from: number): Span | undefined {
  const start = skipSpace(bytes, from);
  let depth = 0;
  for (let i = start; i < bytes.length; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) i = stringEnd(bytes, i);
    else if (isOpening(c)) depth++;
    else if (depth === 0 && (c === COMMA || c === CLOSE_ARRAY)) {
      return c === CLOSE_ARRAY && i === start ? undefined : { start, end: trimSpace(bytes, start, i) };
    } else if (isClosing(c)) depth--;
  }
  return depth === 0 && start < bytes.length ? { start, end: trimSpace(bytes, start, bytes.length) } : undefined;
}

function isMarked(bytes: Uint8Array): boolean {
  return BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte);
}

export function skipSpace(bytes: Uint8Array, from: number): number {
  let i = from;
  while (isSpace(bytes[i])) i++;
  return i;
}

/** Where the white space begins that ends at `end`. */
export function trimSpace(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  while (i > start && isSpace(bytes[i - 1])) i--;
  return i;
}

/** Of the closing quote, or the end. */
function stringEnd(bytes: Uint8Array, quote: number): number {
  let i = quote + 1;
  for (; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
  return i;
}

/** `[` and `{`, `]` and `}` differ in one bit. */
function isOpening(c: number): boolean {
  return (c | 0x20) === 0x7b;
}

function isClosing(c: number): boolean {
  return (c | 0x20) === 0x7d;
}

function isSpace(c: number | undefined): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}
