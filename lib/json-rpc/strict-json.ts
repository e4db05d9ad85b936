/** A number whose digits JavaScript would not give back (`1700000000000000001`, `1.0`, `-0`): kept as it was written. */
export class ExactNumber {
  constructor(readonly digits: string) {}
}

export type JsonValue = null | boolean | number | string | ExactNumber | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

export interface JsonLimits {
  /** Containers that may be open at once. */
  readonly maxDepth: number;
  /** Values in all, containers included, member names not. */
  readonly maxValues: number;
}

/**
 * For text that is only looked into and passed on as it came: whatever is JSON will do, as `JSON.parse` reads it. Of an
 * array of objects their members are kept, and of what is deeper nothing, `null` standing in its place.
 */
export const ANY_JSON = 'any';

export type JsonResult =
  /** `spans` are where the items of the outermost array begin and end in the text, by turns. */
  | { readonly ok: true; readonly value: JsonValue; readonly spans: readonly number[] }
  /** Not JSON. `at` is where the text stops being JSON, counted in UTF-16 code units. */
  | { readonly ok: false; readonly broken: 'syntax'; readonly at: number }
  /** JSON that two readers could read differently, or that is too much. `size` counts the items of an outermost array. */
  | { readonly ok: false; readonly broken: 'rule'; readonly rule: string; readonly size: number };

type Container = JsonValue[] | Record<string, JsonValue>;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const UNLIMITED: JsonLimits = { maxDepth: Infinity, maxValues: Infinity };

/** Thrown within `parseJson` only; one for all, because its stack tells nothing. */
const NOT_JSON = new Error('not JSON');

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** What may stand in a string as it is. */
const PLAIN = /[^"\\\x00-\x1f]*/y;
/** Of a string that is longer than this the rest is scanned by an expression, which takes some time to begin. */
const SHORT_STRING = 64;
/** Integers of so many digits are themselves as doubles. */
const SAFE_DIGITS = 15;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/**
 * Parses one JSON value (RFC 8259) so that no other parser can read it in another way: no member name twice, none named
 * `__proto__`, no lone surrogate, no number beyond a double, numbers with their digits kept. It never recurses, and
 * past a broken rule or limit it only checks the syntax to the end, so that hostile text costs no memory and
 * "not JSON" is still told from "JSON that we refuse".
 */
export function parseJson(text: string, limits: JsonLimits | typeof ANY_JSON): JsonResult {
  const { maxDepth, maxValues } = limits === ANY_JSON ? UNLIMITED : limits;
  const keptDepth = limits === ANY_JSON ? 2 : Infinity;
  let i = 0;
  const isSound = text.isWellFormed(); // what came as bytes is
  let rule: string | undefined;
  let values = 0;
  let size = 0;
  const spans: number[] = [];

  // The innermost open container, its member name waiting for a value, and those around it. Once a rule is broken only
  // `closers`, the kinds of the open containers, goes on, `depth` of them.
  let container: Container | undefined;
  let name = '';
  const outer: Container[] = [];
  const outerNames: string[] = [];
  const closers: number[] = [];
  let depth = 0;

  function fail(): never {
    throw NOT_JSON;
  }

  /** Whether what is read now is only checked for its syntax. */
  let skips = false;

  function breakRule(broken: string): void {
    if (limits === ANY_JSON) return;
    rule ??= broken;
    skips = true;
  }

  function skipSpace(): number {
    let c = text.charCodeAt(i);
    if (c > 0x20) return c;
    while (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) c = text.charCodeAt(++i);
    return c;
  }

  function readString(): string {
    const start = i + 1;
    let end = start;
    let escaped = false;
    for (;;) {
      const c = text.charCodeAt(end);
      if (c === QUOTE) break;
      if (c !== BACKSLASH && c >= 0x20) {
        if (++end - start > SHORT_STRING) {
          PLAIN.lastIndex = end;
          PLAIN.test(text);
          end = PLAIN.lastIndex;
        }
      } else {
        ESCAPE.lastIndex = end;
        if (!ESCAPE.test(text)) {
          i = end; // a control character, a broken escape, or the end of the text
          fail();
        }
        escaped = true;
        end = ESCAPE.lastIndex;
      }
    }
    i = end + 1;
    if (skips) return '';
    const raw = text.slice(start, end);
    if (!escaped && isSound) return raw;
    const value = JSON.parse(`"${raw}"`) as string;
    if (!value.isWellFormed()) breakRule('a lone surrogate');
    return value;
  }

  function readNumber(): number | ExactNumber {
    const integer = readInteger();
    if (integer !== undefined) return integer;
    NUMBER.lastIndex = i;
    if (!NUMBER.test(text)) fail();
    const digits = text.slice(i, NUMBER.lastIndex);
    i = NUMBER.lastIndex;
    if (skips) return 0;
    const value = Number(digits);
    if (!Number.isFinite(value)) breakRule('a number beyond the range of a double');
    return String(value) === digits ? value : new ExactNumber(digits);
  }

  /** The usual number. `undefined` leaves it to the expression. */
  function readInteger(): number | undefined {
    let value = 0;
    let end = i;
    for (;;) {
      const c = text.charCodeAt(end);
      if (c >= 0x30 && c <= 0x39) value = value * 10 + c - 0x30;
      else if (c === COMMA || c === CLOSE_ARRAY || c === CLOSE_OBJECT) break;
      else return undefined;
      end++;
    }
    const digits = end - i;
    if (digits === 0 || digits > SAFE_DIGITS || (digits > 1 && text.charCodeAt(i) === 0x30)) return undefined;
    i = end;
    return value;
  }

  function readWord(word: string, value: null | boolean): JsonValue {
    if (!text.startsWith(word, i)) fail();
    i += word.length;
    return value;
  }

  function readName(): void {
    if (skipSpace() !== QUOTE) fail();
    const read = readString();
    if (skipSpace() !== COLON) fail();
    i++;
    if (skips) return;
    if (read === '__proto__') breakRule('a member named __proto__');
    else if (Object.hasOwn(container as object, read)) breakRule('a member name twice in one object');
    name = read;
  }

  function open(closer: number): void {
    i++;
    closers[depth++] = closer;
    skips ||= depth > keptDepth;
    if (skips) return;
    if (depth > maxDepth) {
      breakRule(`nesting deeper than ${String(maxDepth)}`);
      return;
    }
    if (container !== undefined) {
      outer.push(container);
      outerNames.push(name);
    }
    container = closer === CLOSE_ARRAY ? [] : {};
  }

  function close(): JsonValue {
    const skipped = skips;
    depth--;
    skips = rule !== undefined || depth > keptDepth;
    if (skipped || container === undefined) return null;
    const closed = container;
    container = outer.pop();
    name = outerNames.pop() ?? '';
    return closed;
  }

  function attach(value: JsonValue): void {
    if (container === undefined) return;
    if (Array.isArray(container)) container.push(value);
    else if (name !== '__proto__') container[name] = value;
  }

  function parse(): JsonResult {
    let c = skipSpace();
    for (;;) {
      // One value begins here, with c.
      if (++values > maxValues && !skips) breakRule(`more than ${String(maxValues)} values`);
      if (depth === 1 && closers[0] === CLOSE_ARRAY) {
        size++;
        if (rule === undefined) spans.push(i);
      }
      let value: JsonValue = null;
      let ended = true;
      if (c === QUOTE) value = readString();
      else if (c === OPEN_OBJECT) {
        open(CLOSE_OBJECT);
        ended = false;
        if (skipSpace() !== CLOSE_OBJECT) {
          readName();
          c = skipSpace();
          continue;
        }
      } else if (c === OPEN_ARRAY) {
        open(CLOSE_ARRAY);
        ended = false;
        c = skipSpace();
        if (c !== CLOSE_ARRAY) continue;
      } else if (c === 0x74) value = readWord('true', true);
      else if (c === 0x66) value = readWord('false', false);
      else if (c === 0x6e) value = readWord('null', null);
      else value = readNumber();

      // It ends here, unless it is an empty container yet to be closed, and with it perhaps the containers around it.
      for (;;) {
        const closer = depth === 0 ? undefined : closers[depth - 1];
        if (ended && !skips) {
          attach(value);
          if (depth === 1 && closer === CLOSE_ARRAY) spans.push(i);
        }
        const next = skipSpace();
        if (closer === undefined) {
          if (i < text.length) fail();
          return rule === undefined ? { ok: true, value, spans } : { ok: false, broken: 'rule', rule, size };
        }
        if (next === closer) {
          i++;
          value = close();
          ended = true;
        } else if (next === COMMA && ended) {
          i++;
          if (closer === CLOSE_OBJECT) readName();
          c = skipSpace();
          break;
        } else fail();
      }
    }
  }

  try {
    return parse();
  } catch (error) {
    if (error !== NOT_JSON) throw error;
    return { ok: false, broken: 'syntax', at: i };
  }
}

/** The JSON text of what `parseJson` read: no spaces, numbers with their digits. */
export function stringifyJson(value: JsonValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof ExactNumber) return value.digits;
  let text = '';
  if (isJsonArray(value)) {
    for (const item of value) text += text === '' ? stringifyJson(item) : `,${stringifyJson(item)}`;
    return `[${text}]`;
  }
  for (const name of Object.keys(value)) {
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${stringifyJson(value[name] as JsonValue)}`;
  }
  return `{${text}}`;
}

export function isJsonArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

/**
 * Whether `object` has a member that equals one of `names` only after case folding (`TO`, `addreſs` with U+017F, the
 * Kelvin sign for `k`). Go's encoding/json folds names and takes the last, so such a member would be read instead.
 */
export function hasFoldedTwin(object: JsonObject, names: readonly string[]): boolean {
  for (const member of Object.keys(object)) {
    for (const name of names) {
      if (member.length === name.length && member !== name && foldCase(member) === foldCase(name)) return true;
    }
  }
  return false;
}

function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase();
}
