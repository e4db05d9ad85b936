/** A number whose digits JavaScript would not give back (`1700000000000000001`, `1.0`, `-0`): kept as it was written. */
export class ExactNumber {
  constructor(readonly digits: string) {}
}

/** A long string without escapes, as the part of the body that it is: a copy of 256 KB takes longer than checking it. */
export class LongString {
  constructor(private readonly ascii: Buffer) {}

  startsWith(text: string): boolean {
    return this.ascii.toString('latin1', 0, text.length) === text;
  }

  includes(text: string): boolean {
    return this.ascii.includes(text);
  }

  toString(): string {
    return this.ascii.toString('latin1');
  }
}

export type JsonValue = null | boolean | number | string | ExactNumber | LongString | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

export interface JsonLimits {
  /** Containers that may be open at once. */
  readonly maxDepth: number;
  /** Values in all: containers count, member names do not. */
  readonly maxValues: number;
}

/**
 * For text that is only examined and passed on as it came: accepts any JSON that `JSON.parse` does. Keeps the members of
 * an array of objects; anything deeper is replaced by `null`.
 */
export const ANY_JSON = 'any';

export type JsonResult =
  /**
   * `spans` are the positions at which the items of the outermost array begin and end: begin, end, begin, end, …
   * `params` is the text of the member `params` of each of the items, or of the only value, as bytes if it is long;
   * `undefined` where it is no array, or `stringifyJson` would write it in another way. `isCanonical` if this goes for the
   * whole text, and each item, or the only value, has no members but `jsonrpc`, `id`, `method` and an array `params`, in
   * this order.
   */
  | {
      readonly ok: true;
      readonly value: JsonValue;
      readonly spans: readonly number[];
      readonly params: readonly (string | Buffer | undefined)[];
      readonly isCanonical: boolean;
    }
  /** Not JSON. `at` is where the text stops being JSON, counted in UTF-16 code units. */
  | { readonly ok: false; readonly broken: 'syntax'; readonly at: number }
  /**
   * JSON that two readers could read differently, or that is too much. `size` counts the items of an outermost array as
   * far as it was read.
   */
  | { readonly ok: false; readonly broken: 'rule'; readonly rule: string; readonly size: number };

type Container = JsonValue[] | Record<string, JsonValue>;

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const UNLIMITED: JsonLimits = { maxDepth: Infinity, maxValues: Infinity };

/** The most common names and their JSON text, by first character: these need not be cut out and looked up. */
const COMMON_NAMES: { readonly name: string; readonly written: Buffer }[][] = Array.from({ length: 128 }, () => []);
for (const name of 'jsonrpc id method params to from data input value gas address topics'.split(' ')) {
  COMMON_NAMES[name.charCodeAt(0)]!.push({ name, written: Buffer.from(`"${name}":`) });
}

/** The members of a call, in the order in which it is written. */
export const CALL_MEMBERS: readonly string[] = ['jsonrpc', 'id', 'method', 'params'];

/** From this length on, parts of bytes are passed on as bytes. */
const LONG_TEXT = 16 * 1024;
/** Strings whose ends are looked for in long bytes. Where there are more, it is quicker to make all bytes a text. */
const STRINGS_IN_BYTES = 16;

/** Characters whose syntax is checked past a broken rule. */
const CHECKED_PAST_RULE = 512 * 1024;

/** Thrown and caught within `parseJson`. One instance serves all, because its stack is never read. */
const NOT_JSON = new Error('not JSON');

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Characters that a string may hold unescaped. */
const PLAIN = /[^"\\\x00-\x1f]*/y;
/** ASCII characters that JSON needs no escape for. */
const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/;
/** Matches many at a time: text of nothing but escapes takes a tenth of the time. The bound keeps backtracking short. */
const ESCAPES = /(?:[^"\\\x00-\x1f]*\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){1,64}/y;

/**
 * Parses one JSON value (RFC 8259) so that no other parser can read it in another way: no member name twice, none named
 * `__proto__`, no lone surrogate, no number beyond a double, numbers with their digits kept. It never recurses, and
 * past a broken rule or limit it only checks the syntax of the next 512 Ki characters, so that hostile text costs
 * little and "not JSON" is still told from "JSON that we refuse" where people write it. Bytes must be ASCII: they are
 * read in half the time.
 */
export function parseJson(json: string | Buffer, limits: JsonLimits | typeof ANY_JSON): JsonResult {
  const parser = new Parser(json, limits);
  try {
    return parser.parse();
  } catch (error) {
    if (error !== NOT_JSON) throw error;
    return { ok: false, broken: 'syntax', at: parser.i };
  }
}

/** A class only for speed: closures over shared variables would be created for each text. */
class Parser {
  private readonly bytes: Buffer | undefined;
  private readonly length: number;
  /** Not made of long bytes that hold one call, as far as it can be done without. */
  private madeText: string | undefined;
  private readonly isAny: boolean;
  private readonly maxDepth: number;
  private readonly maxValues: number;
  private readonly keptDepth: number;
  private readonly isSound: boolean;
  /** Whether strings end at the next quote, because there are no control characters. */
  private readonly isPrintable: boolean;
  private stringsInBytes = 0;
  /** Where the next ones are, as far as they have been looked for: else text of nothing but escapes would take its square. */
  private quoteAt = -1;
  private backslashAt = -1;
  /** Where it reads. */
  i = 0;
  private rule: string | undefined = undefined;
  private checkedTo = Infinity;
  /** Whether only the syntax is checked from here on. */
  private skips = false;
  private values = 0;
  private size = 0;
  private readonly spans: number[] = [];
  private readonly params: (string | Buffer | undefined)[] = [];
  /** Where the array begins that is the member `params`. */
  private paramsAt = 0;
  /** Where it last read something that `stringifyJson` writes in another way: a space, an escape, a name that is sorted. */
  private rewrittenAt = -1;
  /** Whether each call so far has the members of a call alone, in order, and the first that may come next. */
  private isInOrder = true;
  private nextMember = 0;

  // The innermost open container, its member name waiting for a value, and those around it. Once a rule is broken only
  // `kinds` goes on, which of the `depth` open containers are arrays: a bit each, because there may be a million.
  private container: Container | undefined = undefined;
  private name = '';
  private readonly outer: Container[] = [];
  private readonly outerNames: string[] = [];
  private readonly kinds: number[] = [];
  private depth = 0;
  /** What ends the innermost open container; 0 where none is open. */
  private closer = 0;

  constructor(json: string | Buffer, limits: JsonLimits | typeof ANY_JSON) {
    const { maxDepth, maxValues } = limits === ANY_JSON ? UNLIMITED : limits;
    const isText = typeof json === 'string';
    this.length = json.length;
    this.bytes = isText ? undefined : json;
    this.isPrintable = !isText && !hasControls(json);
    const isReadInPlace = this.isPrintable && json.length > LONG_TEXT && json[0] === OPEN_OBJECT;
    this.madeText = isText ? json : isReadInPlace ? undefined : json.toString('latin1');
    this.isAny = limits === ANY_JSON;
    this.maxDepth = maxDepth;
    this.maxValues = maxValues;
    this.keptDepth = this.isAny ? 2 : Infinity;
    this.isSound = !isText || json.isWellFormed();
  }

  parse(): JsonResult {
    let c = this.skipSpace();
    for (;;) {
      // One value begins here, with c.
      if (this.i > this.checkedTo) return this.broken();
      if (++this.values > this.maxValues && !this.skips) {
        this.breakRule(`more than ${String(this.maxValues)} values`);
      }
      if (this.depth === 1 && this.closer === CLOSE_ARRAY) {
        this.size++;
        if (this.rule === undefined) this.spans.push(this.i);
      }
      let value: JsonValue = null;
      let ended = true;
      if (c === QUOTE) value = this.readString();
      else if (c === OPEN_OBJECT) {
        this.open(CLOSE_OBJECT);
        ended = false;
        if (this.skipSpace() !== CLOSE_OBJECT) {
          this.readName();
          c = this.skipSpace();
          continue;
        }
      } else if (c === OPEN_ARRAY) {
        if (this.name === 'params' && this.isInCall()) this.paramsAt = this.i;
        this.open(CLOSE_ARRAY);
        ended = false;
        c = this.skipSpace();
        if (c !== CLOSE_ARRAY) continue;
      } else if (c === 0x74) value = this.readWord('true', true);
      else if (c === 0x66) value = this.readWord('false', false);
      else if (c === 0x6e) value = this.readWord('null', null);
      else value = this.readNumber();

      // It ends here, unless it is an empty container yet to be closed, and with it perhaps the containers around it.
      for (;;) {
        const { closer } = this;
        if (ended && !this.skips) {
          this.attach(value);
          if (this.depth === 1 && closer === CLOSE_ARRAY) this.spans.push(this.i);
        }
        const next = this.skipSpace();
        if (closer === 0) {
          if (this.i < this.length) fail();
          return this.rule === undefined ? this.whole(value) : this.broken();
        }
        if (next === closer) {
          this.i++;
          value = this.close();
          ended = true;
        } else if (next === COMMA && ended) {
          this.i++;
          if (closer === CLOSE_OBJECT) this.readName();
          c = this.skipSpace();
          break;
        } else fail();
      }
    }
  }

  private breakRule(broken: string): void {
    if (this.isAny || this.rule !== undefined) return;
    this.rule = broken;
    this.skips = true;
    this.checkedTo = this.i + CHECKED_PAST_RULE;
  }

  private whole(value: JsonValue): JsonResult {
    const { spans, params, isInOrder, rewrittenAt } = this;
    return { ok: true, value, spans, params, isCanonical: isInOrder && rewrittenAt === -1 };
  }

  private broken(): JsonResult {
    return { ok: false, broken: 'rule', rule: this.rule!, size: this.size };
  }

  /** The character at a position; -1 at the end of the text. */
  private at(position: number): number {
    if (position >= this.length) return -1;
    return this.bytes === undefined ? this.madeText!.charCodeAt(position) : this.bytes[position]!;
  }

  private text(): string {
    return (this.madeText ??= this.bytes!.toString('latin1'));
  }

  private cut(start: number, end: number): string | Buffer {
    const { bytes, madeText } = this;
    if (end - start > LONG_TEXT && bytes !== undefined) return bytes.subarray(start, end);
    if (madeText !== undefined) return madeText.slice(start, end);
    return bytes!.toString('latin1', start, end);
  }

  private skipSpace(): number {
    let c = this.at(this.i);
    if (c > SPACE || c === -1) return c;
    this.rewrittenAt = this.i;
    while (c === SPACE || c === 0x0a || c === 0x0d || c === 0x09) c = this.at(++this.i);
    return c;
  }

  private readString(): string | LongString {
    const start = this.i + 1;
    const end = this.plainEnd(start);
    if (this.at(end) !== QUOTE || !this.isSound) return this.readEscapes(start, end);
    this.i = end + 1;
    if (this.skips) return '';
    const read = this.cut(start, end);
    return typeof read === 'string' ? read : new LongString(read);
  }

  private readEscapes(start: number, plainEnd: number): string {
    const text = this.text();
    let end = plainEnd;
    while (this.at(end) !== QUOTE) {
      ESCAPES.lastIndex = end;
      if (!ESCAPES.test(text)) {
        this.i = end; // a control character, a broken escape, or the end of the text
        fail();
      }
      PLAIN.lastIndex = ESCAPES.lastIndex;
      PLAIN.test(text);
      end = PLAIN.lastIndex;
    }
    this.i = end + 1;
    if (this.skips) return '';
    this.rewrittenAt = end;
    const value = JSON.parse(`"${text.slice(start, end)}"`) as string;
    if (!value.isWellFormed()) this.breakRule('a lone surrogate');
    return value;
  }

  /** Where the characters that a string may hold unescaped end. */
  private plainEnd(start: number): number {
    if (this.isPrintable) {
      if (this.quoteAt < start) this.quoteAt = this.find('"', start);
      if (this.backslashAt < start) this.backslashAt = this.find('\\', start);
      return Math.min(this.quoteAt, this.backslashAt);
    }
    PLAIN.lastIndex = start;
    PLAIN.test(this.text());
    return PLAIN.lastIndex;
  }

  /** The end of the text where there is none. */
  private find(character: string, from: number): number {
    const isInBytes = this.madeText === undefined && ++this.stringsInBytes <= STRINGS_IN_BYTES;
    const at = isInBytes ? this.bytes!.indexOf(character, from) : this.text().indexOf(character, from);
    return at === -1 ? this.length : at;
  }

  private readNumber(): number | ExactNumber {
    return this.readCount() ?? this.readAnyNumber();
  }

  /** Numbers of up to nine digits, as ids are: JavaScript gives these back as they are. */
  private readCount(): number | undefined {
    let end = this.i;
    let value = 0;
    let c = this.at(end);
    const isPadded = c === 0x30;
    for (; isDigit(c) && end - this.i < 10; c = this.at(++end)) value = 10 * value + c - 0x30;
    const digits = end - this.i;
    if (digits === 0 || digits > 9 || (isPadded && digits > 1) || c === 0x2e || (c | 0x20) === 0x65) return undefined;
    this.i = end;
    return value;
  }

  private readAnyNumber(): number | ExactNumber {
    NUMBER.lastIndex = this.i;
    const text = this.text();
    if (!NUMBER.test(text)) fail();
    const digits = text.slice(this.i, NUMBER.lastIndex);
    this.i = NUMBER.lastIndex;
    if (this.skips) return 0;
    const value = Number(digits);
    if (!Number.isFinite(value)) this.breakRule('a number beyond the range of a double');
    return String(value) === digits ? value : new ExactNumber(digits);
  }

  private readWord(word: string, value: null | boolean): JsonValue {
    // Its first character has been looked at.
    for (let n = 1; n < word.length; n++) if (this.at(this.i + n) !== word.charCodeAt(n)) fail();
    this.i += word.length;
    return value;
  }

  private readName(): void {
    if (this.skipSpace() !== QUOTE) fail();
    const read = this.readCommonName() ?? this.readOtherName();
    if (this.skips) return;
    if (Object.hasOwn(this.container as object, read)) this.breakRule('a member name twice in one object');
    this.name = read;
    if (this.depth <= 2 && this.isInCall()) this.keepOrder(read);
  }

  private keepOrder(member: string): void {
    let place = this.nextMember;
    // `indexOf` takes longer.
    while (place < CALL_MEMBERS.length && CALL_MEMBERS[place] !== member) place++;
    if (place === CALL_MEMBERS.length) this.isInOrder = false;
    else this.nextMember = place + 1;
  }

  private readCommonName(): string | undefined {
    const first = this.at(this.i + 1);
    if (first < 0 || first > 127) return undefined;
    for (const { name, written } of COMMON_NAMES[first]!) {
      if (!this.stands(written)) continue;
      this.i += written.length;
      return name;
    }
    return undefined;
  }

  /** Whether this is what comes next. Its first two characters have been looked at. */
  private stands(written: Buffer): boolean {
    const { i, bytes } = this;
    let n = 2;
    if (bytes === undefined) while (n < written.length && this.madeText!.charCodeAt(i + n) === written[n]) n++;
    else while (n < written.length && bytes[i + n] === written[n]) n++;
    return n === written.length;
  }

  private readOtherName(): string {
    const read = String(this.readString());
    if (this.skipSpace() !== COLON) fail();
    this.i++;
    if (read === '__proto__') this.breakRule('a member named __proto__');
    if (isDigit(read.charCodeAt(0))) this.rewrittenAt = this.i;
    return read;
  }

  private open(closer: number): void {
    this.i++;
    const word = this.depth >> 5;
    const bit = 1 << (this.depth++ & 31);
    const kinds = this.kinds[word] ?? 0;
    this.kinds[word] = closer === CLOSE_ARRAY ? kinds | bit : kinds & ~bit;
    this.closer = closer;
    this.skips ||= this.depth > this.keptDepth;
    if (this.skips) return;
    if (this.depth > this.maxDepth) {
      this.breakRule(`nesting deeper than ${String(this.maxDepth)}`);
      return;
    }
    if (this.container !== undefined) {
      this.outer.push(this.container);
      this.outerNames.push(this.name);
    }
    this.container = closer === CLOSE_ARRAY ? [] : {};
    if (this.isInCall()) this.nextMember = 0;
  }

  private close(): JsonValue {
    const skipped = this.skips;
    const around = --this.depth - 1;
    const isArray = around >= 0 && (this.kinds[around >> 5]! >> (around & 31)) & 1;
    this.closer = around < 0 ? 0 : isArray ? CLOSE_ARRAY : CLOSE_OBJECT;
    this.skips = this.rule !== undefined || this.depth > this.keptDepth;
    const closed = this.container;
    if (skipped || closed === undefined) return null;
    this.container = this.outer.pop();
    this.name = this.outerNames.pop() ?? '';
    return closed;
  }

  private attach(value: JsonValue): void {
    const { container, name } = this;
    if (container === undefined) return;
    if (Array.isArray(container)) container.push(value);
    else if (name !== '__proto__') {
      container[name] = value;
      if (name === 'params' && this.isInCall()) this.keepParams(value);
    }
  }

  /** Whether the innermost container is the outermost object, or an object in the outermost array. */
  private isInCall(): boolean {
    const kinds = this.kinds[0]! & 3;
    return this.depth === 1 ? (kinds & 1) === 0 : this.depth === 2 && kinds === 1;
  }

  private keepParams(value: JsonValue): void {
    if (!Array.isArray(value)) this.isInOrder = false;
    else if (this.rewrittenAt < this.paramsAt) {
      while (this.params.length + 1 < this.size) this.params.push(undefined);
      this.params.push(this.cut(this.paramsAt, this.i));
    }
  }
}

const SPACES = 0x20202020;
const HIGH_BITS = 0x80808080;

/** Whether ASCII has characters below the space. Four at a time: a byte less 0x20 borrows the high bit where it is one. */
function hasControls(bytes: Buffer): boolean {
  const { length } = bytes;
  let at = 0;
  for (; (bytes.byteOffset + at) % 4 !== 0; at++) if (at >= length || bytes[at]! < 0x20) return at < length;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + at, (length - at) >> 2);
  // `for (const word of words)` takes three times as long.
  for (let n = words.length; n > 0;) if (((words[--n]! - SPACES) & HIGH_BITS) !== 0) return true;
  for (at += 4 * words.length; at < length; at++) if (bytes[at]! < 0x20) return true;
  return false;
}

function isDigit(character: number): boolean {
  return character >= 0x30 && character <= 0x39;
}

function fail(): never {
  throw NOT_JSON;
}

/** The JSON text of what `parseJson` read: no spaces, numbers with their digits. */
export function stringifyJson(value: JsonValue): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof ExactNumber) return value.digits;
  if (value instanceof LongString) return quote(value.toString());
  let text = '';
  if (isJsonArray(value)) {
    for (const item of value) text += text === '' ? stringifyJson(item) : `,${stringifyJson(item)}`;
    return `[${text}]`;
  }
  for (const name of Object.keys(value)) {
    text += `${text === '' ? '' : ','}${quote(name)}:${stringifyJson(value[name] as JsonValue)}`;
  }
  return `{${text}}`;
}

/** A shortcut for most strings: `JSON.stringify` is slow to start on short ones, and copies long ones twice. */
export function quote(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text);
}

export function isString(value: JsonValue | undefined): value is string | LongString {
  return typeof value === 'string' || value instanceof LongString;
}

export function isJsonArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof ExactNumber || value instanceof LongString);
}

/**
 * Whether `object` has a member that equals one of `names` only after case folding (`TO`, `addreſs` with U+017F, the
 * Kelvin sign for `k`). Go's encoding/json folds names and takes the last, so such a member would be read instead.
 */
export function hasFoldedTwin(object: JsonObject, names: readonly string[]): boolean {
  for (const member in object) {
    for (const name of names) {
      if (member.length !== name.length || member === name || !beginAlike(member, name)) continue;
      if (foldCase(member) === foldCase(name)) return true;
    }
  }
  return false;
}

/** Whether their first characters may fold to the same. Most do not, which halves the time of an `eth_getLogs`. */
function beginAlike(a: string, b: string): boolean {
  const [first, other] = [a.charCodeAt(0), b.charCodeAt(0)];
  return first > 0x7f || other > 0x7f || (first | 0x20) === (other | 0x20);
}

function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase();
}
