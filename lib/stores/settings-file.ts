import { isUtf8 } from 'node:buffer';
import { RpcGuardError } from '../errors';
import { parseJson } from '../json-rpc/strict-json';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings } from '../settings/key-settings';
import { arrayOf, itemAt, skipSpace, trimSpace } from './json-items';
import type { Span } from './json-items';
import { listed } from './key-query';
import type { ListedKey } from './key-query';

let lastTextId = 0;

/**
 * One item of a settings file's `keys`, with what lists need of it. A class, because the same members put together by
 * spreading took three times the memory.
 */
export class KeyRecord implements ListedKey {
  /** `''` where it has none. */
  readonly apiKey: string;
  readonly foldedName: string;
  readonly enabled: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Where it stands in the bytes. */
  start: number;
  end: number;
  /** Records with the same text have the same. */
  textId = ++lastTextId;
  /** Another item has the same key: which of them is meant is not to be guessed. */
  isTwice = false;
  isChecked = false;
  /** Why its settings do not parse, once known. */
  problem: RpcGuardError | undefined = undefined;

  constructor({ apiKey, foldedName, enabled, createdAt, updatedAt }: ListedKey, { start, end }: Span) {
    this.apiKey = apiKey;
    this.foldedName = foldedName;
    this.enabled = enabled;
    this.createdAt = createdAt;
    this.updatedAt = updatedAt;
    this.start = start;
    this.end = end;
  }

  /** The same text in another file, or elsewhere in the same. */
  at(span: Span): KeyRecord {
    const record = new KeyRecord(this, span);
    record.textId = this.textId;
    record.isChecked = this.isChecked;
    record.problem = this.problem;
    return record;
  }
}

/** What replaces the bytes from `start` to `end`; `record` is what comes, `replaces` what goes. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
  readonly replaces: KeyRecord | undefined;
  readonly record: KeyRecord | undefined;
}

const LIMITS = { maxDepth: 30, maxValues: Infinity };
const COMMA = 0x2c;
/** Records read per turn: less than a millisecond's work. */
const RECORDS_A_STEP = 100;
const SPARE_BYTES = 64 * 1024;
/** Places at which a record is looked for in the file as it was before: some may have come or gone in front of it. */
const PLACES = 3;

/**
 * A settings file, `{ "keys": [settings, …] }`, as the bytes that it is, with an index of its keys. As objects, 100,000
 * keys would take ten times the memory, and seconds to check: a key's settings are parsed when they are asked for.
 */
export class SettingsFile {
  bytes: Buffer;
  /** The memory that holds the bytes once they were edited, with room behind them. */
  #room = Buffer.alloc(0);
  /** In the order of the file. */
  readonly records: KeyRecord[] = [];
  /** The first record of each key. */
  readonly byKey = new Map<string, KeyRecord>();
  /** Keys that were added, removed or changed since the previous content. */
  readonly changed = new Set<string>();

  private constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /**
   * Reads a file's bytes, a step at a time. What stands there as it did `before` keeps what is known of it.
   * @throws RpcGuardError `ERR_RPC_GUARD_STORE` that says where it is not such a file, and quotes nothing: it holds hashes.
   */
  static *read(bytes: Buffer, path: string, before?: SettingsFile): Generator<void, SettingsFile> {
    const document = new SettingsFile(bytes);
    const readAt = new Date().toISOString();
    const open = arrayOf(bytes, 'keys');
    if (open === undefined || !isUtf8(bytes)) throw refusal(bytes, path);
    let at = open;
    let likely = 0;
    for (let span = itemAt(bytes, at); span !== undefined; span = itemAt(bytes, at)) {
      const item = bytes.subarray(span.start, span.end);
      const known = before?.indexOf(item, likely) ?? -1;
      likely = (known === -1 ? likely : known) + 1;
      const record = known === -1 ? recordOf(item, span, readAt, before) : before!.records[known]!.at(span);
      if (record === undefined) throw refusal(bytes, path);
      document.#add(record);
      at = skipSpace(bytes, span.end);
      if (bytes[at] !== COMMA) break;
      at++;
      if (document.records.length % RECORDS_A_STEP === 0) yield;
    }
    // With the items taken out, which are JSON, what is left has to be JSON too.
    const rest = unmarked(bytes.toString('utf8', 0, open)) + bytes.toString('utf8', skipSpace(bytes, at));
    if (bytes[trimSpace(bytes, open, at) - 1] === COMMA || !parseJson(rest, LIMITS).ok) throw refusal(bytes, path);
    yield* document.#compareWith(before);
    return document;
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
    const at = old === undefined ? this.records.length : this.records.indexOf(old);
    const [before, after] = [this.records[at - 1], this.records[at + 1]];
    if (settings === undefined) {
      if (old === undefined) return undefined;
      const start = after === undefined && before !== undefined ? before.end : old.start;
      return { start, end: after?.start ?? old.end, bytes: Buffer.alloc(0), replaces: old, record: undefined };
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
    const itemStart = start + lead.length;
    const span = { start: itemStart, end: itemStart + Buffer.byteLength(item) };
    const record = new KeyRecord(listed(settings), span);
    record.isChecked = true;
    return { start, end, bytes, replaces: old, record };
  }

  /** The whole text with an edit in it. */
  partsWith({ start, end, bytes }: Edit): readonly Buffer[] {
    return [this.bytes.subarray(0, start), bytes, this.bytes.subarray(end)];
  }

  apply(edit: Edit): void {
    const { start, end, bytes, replaces, record } = edit;
    this.#applyToBytes(edit);
    const shift = bytes.length - (end - start);
    for (const other of this.records) {
      if (other.start < end || other === replaces) continue;
      other.start += shift;
      other.end += shift;
    }
    const at = replaces === undefined ? this.records.length : this.records.indexOf(replaces);
    this.records.splice(at, replaces === undefined ? 0 : 1, ...(record === undefined ? [] : [record]));
    if (replaces !== undefined) {
      replaces.isChecked = true; // it is nowhere now
      this.byKey.delete(replaces.apiKey);
    }
    if (record !== undefined) this.byKey.set(record.apiKey, record);
  }

  /** Memory for 12 MB blocks for up to 70 ms while the system hands it out; to move what is there takes one. */
  #applyToBytes(edit: Edit): void {
    const length = this.bytes.length + edit.bytes.length - (edit.end - edit.start);
    if (length > this.#room.length) {
      this.#room = Buffer.concat([...this.partsWith(edit), Buffer.alloc(SPARE_BYTES)]);
    } else {
      this.#room.copyWithin(edit.start + edit.bytes.length, edit.end, this.bytes.length);
      edit.bytes.copy(this.#room, edit.start);
    }
    this.bytes = this.#room.subarray(0, length);
  }

  /** The earlier record with exactly these bytes, if it is near its old place. */
  indexOf(bytes: Buffer, likely: number): number {
    for (let at = likely; at < Math.min(likely + PLACES, this.records.length); at++) {
      if (this.holds(this.records[at]!, bytes)) return at;
    }
    return -1;
  }

  holds({ start, end }: KeyRecord, bytes: Buffer): boolean {
    return end - start === bytes.length && bytes.compare(this.bytes, start, end) === 0;
  }

  #add(record: KeyRecord): void {
    this.records.push(record);
    if (record.apiKey === '') return;
    const first = this.byKey.get(record.apiKey);
    if (first === undefined) this.byKey.set(record.apiKey, record);
    else first.isTwice = record.isTwice = true;
  }

  *#compareWith(before: SettingsFile | undefined): Generator<void, void> {
    let count = 0;
    for (const keys of [this.byKey.keys(), before?.byKey.keys() ?? []]) {
      for (const apiKey of keys) {
        const [now, then] = [this.byKey.get(apiKey), before?.byKey.get(apiKey)];
        const isSame = now?.isTwice === then?.isTwice && (now?.isTwice === true || now?.textId === then?.textId);
        if (!isSame) this.changed.add(apiKey);
        if (++count % RECORDS_A_STEP === 0) yield;
      }
    }
  }

  /** The white space in front of an item. */
  #gapBefore(start: number): string {
    return this.bytes.toString('utf8', trimSpace(this.bytes, 0, start), start);
  }
}

/** `undefined` for what is not JSON, or JSON that two readers could read differently. */
function recordOf(bytes: Buffer, span: Span, readAt: string, before?: SettingsFile): KeyRecord | undefined {
  const text = bytes.toString();
  if (!parseJson(text, LIMITS).ok) return undefined;
  // Not what parseJson gives: its strings are parts of the text, and would keep all of it.
  const value = JSON.parse(text) as Partial<Record<keyof KeySettings, unknown>> | null;
  const { apiKey, name, enabled, createdAt, updatedAt } = value ?? {};
  const known = typeof apiKey === 'string' ? before?.byKey.get(apiKey) : undefined;
  if (known !== undefined && before?.holds(known, bytes) === true) return known.at(span);
  const created = typeof createdAt === 'string' ? createdAt : readAt;
  const facts = listed({
    apiKey: typeof apiKey === 'string' ? apiKey : '',
    name: typeof name === 'string' ? name : '',
    enabled: enabled !== false,
    createdAt: created,
    updatedAt: typeof updatedAt === 'string' && updatedAt !== created ? updatedAt : created,
  });
  return new KeyRecord(facts, span);
}

function malformed(message: string): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_SETTINGS', message);
}

/** Without a byte order mark. */
function unmarked(text: string): string {
  return text.replace(/^\ufeff/, '');
}

/** Why a file is not a settings file, and where. */
function refusal(bytes: Buffer, path: string): RpcGuardError {
  const because = (message: string) => new RpcGuardError('ERR_RPC_GUARD_STORE', `${path}${message}`);
  if (!isUtf8(bytes)) return because(' is not UTF-8: save it in that encoding');
  const text = unmarked(bytes.toString());
  const json = parseJson(text, { maxDepth: 32, maxValues: Infinity });
  if (json.ok) return because(' is not { "keys": [settings, …] }');
  if (json.broken === 'rule') return because(` has ${json.rule}`);
  const lines = text.slice(0, json.at).split('\n');
  return because(`:${String(lines.length)}:${String((lines.at(-1) ?? '').length + 1)} is not JSON from there on`);
}
