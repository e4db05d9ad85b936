import { isUtf8 } from 'node:buffer';
import { RpcGuardError } from '../errors';
import { parseJson } from '../json-rpc/strict-json';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings } from '../settings/key-settings';
import { arrayOf, itemAt, skipSpace, trimSpace } from './json-items';
import type { Span } from './json-items';
import { listed } from './key-query';
import type { ListedKey } from './key-query';

/**
 * One item of a settings file's `keys`, with what lists need of it. A class, because the same members put together by
 * spreading took three times the memory. It stays the same object as long as
 * these stay the same.
 */
export class KeyRecord implements ListedKey {
  /** `''` where it has none. */
  readonly apiKey: string;
  readonly foldedName: string;
  readonly enabled: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Where it stands in the bytes; -1 while it does not. */
  start = -1;
  end = -1;
  /** Another item has the same key: which of them is meant is not to be guessed. */
  isTwice = false;
  isChecked = false;
  /** Why its settings do not parse, once known. */
  problem: RpcGuardError | undefined = undefined;
  /** The last reading that found its text. */
  reading = 0;

  constructor({ apiKey, foldedName, enabled, createdAt, updatedAt }: ListedKey) {
    this.apiKey = apiKey;
    this.foldedName = foldedName;
    this.enabled = enabled;
    this.createdAt = createdAt;
    this.updatedAt = updatedAt;
  }
}

/** A part of the file: the bytes from `start` to `end`, and the records from `from` to `to` in them. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}

/** What comes in place of a part. */
export interface Edit extends Part {
  readonly bytes: Buffer;
  /** Memory that begins with the bytes and has room behind them, where they are the whole file. */
  readonly room?: Buffer;
  /** Records of before are those that stay. */
  readonly records: readonly KeyRecord[];
  /** Those of them whose text is another. */
  readonly rewritten: readonly KeyRecord[];
  /** Where each of them begins and ends in the bytes, in turn. */
  readonly spans: readonly number[];
  /** The mark of the records that stay. */
  readonly reading: number;
}

interface Items extends Pick<Edit, 'records' | 'rewritten' | 'spans' | 'reading'> {
  /** Where the list ends. If it is broken: where the last good item begins. */
  readonly at: number;
  readonly isBroken: boolean;
}

const LIMITS = { maxDepth: 30, maxValues: Infinity };
const COMMA = 0x2c;
const NEW_LINE = 0x0a;
/** Records read per turn: less than a millisecond's work. */
const RECORDS_A_STEP = 100;
/** Room behind the bytes for what is added: one byte in so many, and at least so many bytes. */
const SPARE_PART = 16;
const SPARE_BYTES = 64 * 1024;
/** Places at which a record is looked for in the file as it was before: some may have come or gone in front of it. */
const PLACES = 3;
/** Records that are put into an array at once. */
const SPLICED_AT_ONCE = 1000;
const NO_KEYS = '{\n  "keys": []\n}\n';

let lastReading = 0;

/**
 * A settings file, `{ "keys": [settings, …] }`, as the bytes that it is, with an index of its keys. As objects, 100,000
 * keys would take ten times the memory, and seconds to check: a key's settings are parsed when they are asked for. Edits are
 * made in place: copies left behind by each took 250 MB more.
 */
export class SettingsFile {
  bytes: Buffer = Buffer.from(NO_KEYS);
  /** In the order of the file. */
  readonly records: KeyRecord[] = [];
  /** The first record of each key. */
  readonly byKey = new Map<string, KeyRecord>();
  readonly #path: string;
  /** The memory that holds the bytes, with room behind them. */
  #room = this.bytes;
  /** The memory that held them before, to read another file into. */
  #spare: Buffer = Buffer.alloc(0);

  /** It has no keys. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Memory to read a file of so many bytes into. It is the same each time until the file is that. */
  roomToRead(size: number): Buffer {
    if (this.#spare.length < size) this.#spare = roomFor(size);
    return this.#spare;
  }

  /**
   * The edit that makes the file the first `length` bytes of `room`, a step at a time. What stands there as before keeps what
   * is known of it.
   * @throws RpcGuardError `ERR_RPC_GUARD_STORE` that says where it is not such a file, and quotes nothing: it holds hashes.
   */
  *editTo(room: Buffer, length = room.length): Generator<void, Edit> {
    const bytes = room.subarray(0, length);
    const part = { start: 0, end: this.bytes.length, from: 0, to: this.records.length };
    const open = arrayOf(bytes, 'keys');
    if (open === undefined || !isUtf8(bytes)) throw refusal(bytes, this.#path);
    const items = yield* this.#itemsOf(bytes, open, part);
    // With the items taken out, which are JSON, what is left has to be JSON too.
    const rest = unmarked(bytes.toString('utf8', 0, open)) + bytes.toString('utf8', items.at);
    if (items.isBroken || !parseJson(rest, LIMITS).ok) throw refusal(bytes, this.#path, { open, at: items.at });
    return { ...part, ...items, bytes, room };
  }

  /**
   * The part that holds all that is different in a file that is the same up to `start` and from `end` on, in whole items;
   * `undefined` if more than items may be different.
   */
  partAround(start: number, end: number): Part | undefined {
    const open = arrayOf(this.bytes, 'keys')!;
    const from = this.records.findLastIndex((record) => record.start <= start);
    const last = this.records.findIndex((record) => record.end >= end);
    const close = skipSpace(this.bytes, this.records.at(-1)?.end ?? open);
    if ((from === -1 && open > start) || (last === -1 && close < end)) return undefined;
    return {
      start: this.records[from]?.start ?? open,
      end: this.records[last]?.end ?? close,
      from: Math.max(from, 0),
      to: last === -1 ? this.records.length : last + 1,
    };
  }

  /** As `editTo`, where the rest of the file is as it was; `undefined` where these bytes are not items alone. */
  *editAt(part: Part, bytes: Buffer): Generator<void, Edit | undefined> {
    if (!isUtf8(bytes)) return undefined;
    const items = yield* this.#itemsOf(bytes, 0, part);
    // Without an item, a comma of the others would be left over.
    const leavesComma = items.records.length === 0 && part.to - part.from < this.records.length;
    return items.isBroken || leavesComma || items.at !== bytes.length ? undefined : { ...part, ...items, bytes };
  }

  /** @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` when they do not parse. */
  settingsOf(record: KeyRecord): KeySettings {
    if (record.apiKey === '') throw malformed('it has no apiKey: write { "apiKey": "…" }, 8 characters or more');
    if (record.isTwice) throw malformed('the file has this key twice: keep one of them');
    return this.parse(record);
  }

  /** As `settingsOf`, but also for one of two records with the same key. */
  parse(record: KeyRecord): KeySettings {
    if (record.problem !== undefined) throw record.problem;
    record.isChecked = true;
    // Settings without a time of their own get that of their first read, however often they are parsed.
    const { createdAt, start, end } = record;
    try {
      return parseKeySettings({ createdAt, ...(JSON.parse(this.bytes.toString('utf8', start, end)) as object) });
    } catch (error) {
      record.problem = error as RpcGuardError;
      throw error;
    }
  }

  /** What puts settings in a record's place, or behind all others; without settings, what takes it out. */
  editOf(old: KeyRecord | undefined, settings: KeySettings | undefined): Edit | undefined {
    const from = old === undefined ? this.records.length : this.records.indexOf(old);
    const [before, after] = [this.records[from - 1], this.records[from + 1]];
    const shared = { from, to: old === undefined ? from : from + 1, rewritten: [], reading: ++lastReading };
    if (settings === undefined) {
      if (old === undefined) return undefined;
      const start = after === undefined && before !== undefined ? before.end : old.start;
      return { ...shared, start, end: after?.start ?? old.end, bytes: Buffer.alloc(0), records: [], spans: [] };
    }
    const open = arrayOf(this.bytes, 'keys')!;
    const like = old ?? before;
    const gap = like === undefined ? '\n    ' : this.#gapBefore(like.start);
    const item = gap.includes('\n')
      ? JSON.stringify(settings, null, 2).replaceAll('\n', gap.slice(gap.search(/\r?\n[^\n]*$/)))
      : JSON.stringify(settings);
    const lead = old !== undefined ? '' : before === undefined ? gap : `,${gap}`;
    const bytes = Buffer.from(lead + item + (like === undefined ? '\n  ' : ''));
    const start = old?.start ?? before?.end ?? open;
    const end = old?.end ?? before?.end ?? skipSpace(this.bytes, open);
    const record = new KeyRecord(listed(settings));
    record.isChecked = true;
    const spans = [lead.length, lead.length + Buffer.byteLength(item)];
    return { ...shared, start, end, bytes, records: [record], spans };
  }

  /** The whole text with an edit in it. */
  partsWith({ start, end, bytes }: Edit): readonly Buffer[] {
    return [this.bytes.subarray(0, start), bytes, this.bytes.subarray(end)];
  }

  /** Keys that an edit adds, removes or changes, and maybe some that are twice in the file before and after. */
  keysOf(edit: Edit): Set<string> {
    const keys = this.#comeOrGo(edit);
    for (const { apiKey } of edit.rewritten) keys.add(apiKey);
    return keys;
  }

  /** @returns keys that were added, removed or changed: those of `keys`, which are of the edit. */
  apply(edit: Edit, keys = this.keysOf(edit)): ReadonlySet<string> {
    const comeOrGo = this.#comeOrGo(edit);
    // Which of them stands first may be another now.
    for (const { apiKey, isTwice } of edit.records) if (isTwice) comeOrGo.add(apiKey);
    const wereTwice = new Set<string>();
    for (const apiKey of keys) if (this.#isTwice(apiKey)) wereTwice.add(apiKey);
    this.#applyToBytes(edit);
    this.#applyToRecords(edit);
    if (comeOrGo.size > 0) this.#index(comeOrGo);
    for (const apiKey of wereTwice) if (this.#isTwice(apiKey)) keys.delete(apiKey);
    return keys;
  }

  #isTwice(apiKey: string): boolean {
    return this.byKey.get(apiKey)?.isTwice === true;
  }

  #comeOrGo({ from, to, records, reading }: Edit): Set<string> {
    const keys = new Set<string>();
    for (const record of records) if (record.start === -1) keys.add(record.apiKey);
    for (let at = from; at < to; at++) {
      const record = this.records[at]!;
      if (record.reading !== reading) keys.add(record.apiKey);
    }
    keys.delete('');
    return keys;
  }

  /** Memory for 12 MB blocks for up to 70 ms while the system hands it out; to move what is there takes one. */
  #applyToBytes({ start, end, bytes, room }: Edit): void {
    const length = this.bytes.length + bytes.length - (end - start);
    if (room !== undefined) {
      this.#spare = this.#room;
      this.#room = room;
    } else if (length > this.#room.length) {
      const larger = roomFor(length);
      this.bytes.copy(larger, 0, 0, start);
      bytes.copy(larger, start);
      this.bytes.copy(larger, start + bytes.length, end);
      this.#room = larger;
    } else {
      this.#room.copyWithin(start + bytes.length, end, this.bytes.length);
      bytes.copy(this.#room, start);
    }
    this.bytes = this.#room.subarray(0, length);
  }

  #applyToRecords({ start, end, bytes, from, to, records, rewritten, spans, reading }: Edit): void {
    for (const record of rewritten) {
      record.isChecked = false;
      record.problem = undefined;
    }
    for (let at = from; at < to; at++) {
      const record = this.records[at]!;
      if (record.reading !== reading) record.start = record.end = -1;
    }
    const shift = bytes.length - (end - start);
    for (let at = to; at < this.records.length; at++) {
      const record = this.records[at]!;
      record.start += shift;
      record.end += shift;
    }
    for (const [at, record] of records.entries()) {
      record.start = start + spans[2 * at]!;
      record.end = start + spans[2 * at + 1]!;
    }
    this.records.splice(from, to - from);
    for (let at = 0; at < records.length; at += SPLICED_AT_ONCE) {
      this.records.splice(from + at, 0, ...records.slice(at, at + SPLICED_AT_ONCE));
    }
  }

  /** Finds the records of these keys anew. */
  #index(apiKeys: ReadonlySet<string>): void {
    for (const apiKey of apiKeys) this.byKey.delete(apiKey);
    for (const record of this.records) {
      if (!apiKeys.has(record.apiKey)) continue;
      const first = this.byKey.get(record.apiKey);
      record.isTwice = first !== undefined;
      if (first === undefined) this.byKey.set(record.apiKey, record);
      else first.isTwice = true;
    }
  }

  /** The items of a list from `from` on, which stand in place of a part. */
  *#itemsOf(bytes: Buffer, from: number, part: Part): Generator<void, Items> {
    const reading = ++lastReading;
    const items = { records: [] as KeyRecord[], rewritten: [] as KeyRecord[], spans: [] as number[], reading };
    const readAt = new Date().toISOString();
    let [at, good, likely] = [from, from, part.from];
    for (let span = itemAt(bytes, at); span !== undefined; span = itemAt(bytes, at)) {
      const place = this.#placeOf(bytes, span, likely, part, reading);
      const known = place === -1 ? undefined : this.records[place];
      const record = known ?? this.#recordOf(bytes.subarray(span.start, span.end), readAt, part, reading);
      if (record === undefined) return { ...items, at: good, isBroken: true };
      likely = (place === -1 ? likely : place) + 1;
      if (record !== known && record.start !== -1 && !this.#holds(record, bytes, span)) items.rewritten.push(record);
      record.reading = reading;
      items.records.push(record);
      items.spans.push(span.start, span.end);
      good = span.start;
      at = skipSpace(bytes, span.end);
      if (bytes[at] !== COMMA) return { ...items, at, isBroken: false };
      at++;
      if (items.records.length % RECORDS_A_STEP === 0) yield;
    }
    // Behind a comma there has to be another.
    return { ...items, at: items.records.length > 0 ? good : skipSpace(bytes, at), isBroken: items.records.length > 0 };
  }

  /** The record of a part with exactly this text, if it is near its old place; -1 where it is not. */
  #placeOf(bytes: Buffer, span: Span, likely: number, { to }: Part, reading: number): number {
    for (let at = likely; at < Math.min(likely + PLACES, to, this.records.length); at++) {
      const record = this.records[at]!;
      if (record.reading !== reading && this.#holds(record, bytes, span)) return at;
    }
    return -1;
  }

  #holds({ start, end }: KeyRecord, bytes: Buffer, span: Span): boolean {
    return end - start === span.end - span.start && bytes.compare(this.bytes, start, end, span.start, span.end) === 0;
  }

  /**
   * The record of before where nothing that lists need has changed; `undefined` for what is not JSON, or JSON that two
   * readers could read differently.
   */
  #recordOf(bytes: Buffer, readAt: string, part: Part, reading: number): KeyRecord | undefined {
    const text = bytes.toString();
    if (!parseJson(text, LIMITS).ok) return undefined;
    // Not what parseJson gives: its strings are parts of the text, and would keep all of it.
    const value = JSON.parse(text) as Partial<Record<keyof KeySettings, unknown>> | null;
    const { apiKey, name, enabled, createdAt, updatedAt } = value ?? {};
    const first = typeof apiKey === 'string' ? this.byKey.get(apiKey) : undefined;
    const isHere = first !== undefined && first.start >= part.start && first.end <= part.end;
    const known = isHere && first.reading !== reading ? first : undefined;
    // What somebody wrote and took out again may be no time, and would refuse the key.
    const firstRead = known !== undefined && isOwnTime(known.createdAt) ? known.createdAt : readAt;
    const created = typeof createdAt === 'string' ? createdAt : firstRead;
    const facts = listed({
      apiKey: typeof apiKey === 'string' ? apiKey : '',
      name: typeof name === 'string' ? name : '',
      enabled: enabled !== false,
      createdAt: created,
      updatedAt: typeof updatedAt === 'string' && updatedAt !== created ? updatedAt : created,
    });
    return known !== undefined && isSame(known, facts) ? known : new KeyRecord(facts);
  }

  /** The white space in front of an item. */
  #gapBefore(start: number): string {
    return this.bytes.toString('utf8', trimSpace(this.bytes, 0, start), start);
  }
}

/** With room behind the bytes, to edit them in place. */
function roomFor(size: number): Buffer {
  return Buffer.allocUnsafeSlow(size + Math.max(SPARE_BYTES, Math.floor(size / SPARE_PART)));
}

function isSame(a: ListedKey, b: ListedKey): boolean {
  return (
    a.foldedName === b.foldedName &&
    a.enabled === b.enabled &&
    a.createdAt === b.createdAt &&
    a.updatedAt === b.updatedAt
  );
}

/** As `readAt` is written. */
function isOwnTime(time: string): boolean {
  const milliseconds = Date.parse(time);
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString() === time;
}

function malformed(message: string): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_SETTINGS', message);
}

/** Without a byte order mark. */
function unmarked(text: string): string {
  return text.replace(/^\ufeff/, '');
}

/**
 * Why a file is not a settings file, and where.
 * @param good where its list begins, and where all of it that was read is good up to: it need not be parsed again.
 */
function refusal(bytes: Buffer, path: string, good = { open: 0, at: 0 }): RpcGuardError {
  const because = (message: string) => new RpcGuardError('ERR_RPC_GUARD_STORE', `${path}${message}`);
  if (!isUtf8(bytes)) return because(' is not UTF-8: save it in that encoding');
  const [head, tail] = [bytes.toString('utf8', 0, good.open), bytes.toString('utf8', good.at)];
  const text = unmarked(head + tail);
  const json = parseJson(text, { maxDepth: 32, maxValues: Infinity });
  if (json.ok) return because(' is not { "keys": [settings, …] }');
  if (json.broken === 'rule') return because(` has ${json.rule}`);
  const at = head.length + tail.length - (text.length - json.at);
  const isInHead = at < head.length;
  const read = isInHead ? head.slice(0, at) : tail.slice(0, at - head.length);
  const { line, column } = placeIn(bytes.subarray(0, (isInHead ? 0 : good.at) + Buffer.byteLength(read)));
  return because(`:${String(line)}:${String(column)} is not JSON from there on`);
}

/** Of what follows these bytes. */
function placeIn(bytes: Buffer): { readonly line: number; readonly column: number } {
  let line = 1;
  for (let at = bytes.indexOf(NEW_LINE); at !== -1; at = bytes.indexOf(NEW_LINE, at + 1)) line++;
  const last = unmarked(bytes.toString('utf8', bytes.lastIndexOf(NEW_LINE) + 1));
  return { line, column: last.length + 1 };
}
