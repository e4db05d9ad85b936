import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { RpcGuardError } from '../errors';
import { describeError } from '../logger';
import { MAX_SKEW_MS, idAt } from './audit-event';
import { inOrder, newestOf, placeOf } from './audit-order';
import type { AskedMembers, AuditEvent, AuditQuery } from './audit-store';

/** Where an event is, and what queries ask of it. */
interface Entry extends AskedMembers {
  readonly part: Part;
  readonly start: number;
  readonly size: number;
}

/** A file of the history, wherever it has been renamed to. */
interface Part {
  readonly inode: number;
  /** How it begins: with the id of its first event. */
  readonly head: string;
  /** What stands before `end`: somewhere else once somebody has made a line longer or shorter. */
  tail: string;
  path: string;
  /** Inode, size and time when it was last looked at. */
  stamp: string;
  /** Whole lines up to here are among the entries. */
  end: number;
  /** By id. */
  entries: readonly Entry[];
  /** Keys, actors and actions, each held once. */
  readonly texts: Map<string, string>;
  isDamageTold?: boolean;
}

/** @param start of a line, in bytes; of a file, it is told of one line at most until somebody edits it. */
export type OnDamage = (path: string, start: number) => void;

const NEWLINE = 0x0a;
/** So long are heads and tails. */
const MARK_BYTES = 64;
const READ_AT_ONCE = 1 << 18;
const MAX_TRIES = 3;
/** How an event begins, as `auditEvent` makes it, where its texts are ASCII. */
const FIRST_MEMBERS =
  /^{"id":"([^"\\]+)","at":"[^"\\]+","actor":"([^"\\\x80-\xff]+)","via":"\w+","action":"([\w.-]+)","apiKey":"([^"\\\x80-\xff]*)",/;
const FIRST_BYTES = 256;
const ID_AT = '{"id":"'.length;

/**
 * Where the whole lines of a history in files are, by their ids, in memory: some 150 bytes an event. A file is read when a
 * query first needs it, the newest first, and read on as it grows: to scan 100 MB for each page took 300 ms.
 */
export class AuditIndex {
  readonly #paths: () => readonly string[];
  readonly #onDamage: OnDamage;
  #parts: readonly Part[] = [];
  #lastRead: Promise<unknown> = Promise.resolve();
  #rest: Promise<void> | undefined;
  #isClosed = false;

  /** @param paths gives where the files are, the newest first. */
  constructor(paths: () => readonly string[], onDamage: OnDamage = () => undefined) {
    this.#paths = paths;
    this.#onDamage = onDamage;
  }

  /** Those of these events that the history does not have. */
  async notIn(events: readonly AuditEvent[]): Promise<readonly AuditEvent[]> {
    let fresh = events;
    const isNeeded = (greatest: string) => fresh.some(({ id }) => id <= greatest);
    await this.#inTurn(() =>
      this.#visit(isNeeded, (entries) => {
        fresh = fresh.filter(({ id }) => entries[placeOf(id, entries)]?.id !== id);
      }),
    );
    return fresh;
  }

  /** The events that a query finds, the newest first. Lines that are damaged are passed over. */
  async find(query: AuditQuery): Promise<readonly AuditEvent[]> {
    for (let tries = 1; ;) {
      const entries = await this.#inTurn(() => this.#search(query));
      try {
        const found = await eventsAt(entries);
        const events = found.filter((event) => event !== undefined);
        if (events.length === found.length) return events;
        this.#leaveOut(entries.filter((_, at) => found[at] === undefined));
      } catch (error) {
        if (tries++ === MAX_TRIES) throw error;
        // Not only renamed: somebody has edited the files. A file that is just being read would bring its part back.
        if (tries > 2) await this.#inTurn(() => void (this.#parts = []));
      }
    }
  }

  /** Reads in the background what a query may need. */
  preload(): Promise<void> {
    this.#rest ??= this.#readRest()
      .catch(() => undefined) // whoever asks for it is told why it cannot be read
      .finally(() => (this.#rest = undefined));
    return this.#rest;
  }

  /** Resolves when nothing is read any more that nobody has asked for. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#rest;
  }

  #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#lastRead.then(work);
    this.#lastRead = done.catch(() => undefined);
    return done;
  }

  async #search(query: AuditQuery): Promise<readonly Entry[]> {
    let found: readonly Entry[] = [];
    const isNeeded = (greatest: string) => {
      const is = found.length < query.limit || greatest > found.at(-1)!.id;
      if (!is) void this.preload(); // the next question may need it
      return is;
    };
    await this.#visit(isNeeded, (entries) => {
      found = newestOf(inOrder([...newestOf(entries, query), ...found]), query);
    });
    return found;
  }

  /**
   * Files only ever become older: from the newest on, one that is renamed meanwhile is met twice and never missed.
   * @param isNeeded says whether to read a file whose events have no greater id than this.
   */
  async #visit(isNeeded: (greatest: string) => boolean, take: (entries: readonly Entry[]) => void): Promise<void> {
    const parts = new Set<Part>();
    for (const path of this.#paths()) {
      const part = await this.#partAt(path, [...parts, ...this.#parts], isNeeded).catch((error: unknown) => {
        throw storeError(path, 'read', error);
      });
      if (part === undefined) continue;
      parts.add(part);
      take(part.entries);
    }
    this.#parts = [...parts];
  }

  /** Between two files, queries have their turn. */
  async #readRest(): Promise<void> {
    const paths = this.#paths();
    for (const path of paths) {
      if (this.#isClosed) return;
      await this.#inTurn(async () => {
        const part = await this.#partAt(path, this.#parts, () => true);
        if (part !== undefined) this.#parts = [...new Set([part, ...this.#parts])].slice(0, paths.length);
      });
    }
  }

  /** `parts` are those met before, in this pass too: a file that is renamed meanwhile stays one part. */
  async #partAt(
    path: string,
    parts: readonly Part[],
    isNeeded: (greatest: string) => boolean,
  ): Promise<Part | undefined> {
    const found = await stat(path).catch(unlessMissing);
    const same = found && parts.find(({ stamp }) => stamp === stampOf(found));
    if (same !== undefined) return Object.assign(same, { path });
    if (found === undefined || !isNeeded(greatestUntil(found))) return undefined;
    const file = await open(path, 'r').catch(unlessMissing);
    if (file === undefined) return undefined;
    try {
      const stats = await file.stat();
      const head = await markAt(file, 0, MARK_BYTES);
      if (head.length < MARK_BYTES) return undefined; // no whole event is that short
      const known = parts.find((part) => part.inode === stats.ino && part.head === head);
      const isGrown = known !== undefined && (await hasOnlyGrown(file, known, stats));
      const begun = isGrown ? known : { inode: stats.ino, head, tail: '', end: 0, entries: [], texts: new Map() };
      const part = Object.assign(begun, { path, stamp: '' });
      await this.#readOn(file, part, stats.size);
      return Object.assign(part, { stamp: stampOf(stats) });
    } finally {
      await file.close();
    }
  }

  async #readOn(file: FileHandle, part: Part, size: number): Promise<void> {
    const fresh: Entry[] = [];
    let { end } = part;
    for (let buffer = Buffer.allocUnsafe(READ_AT_ONCE); end < size;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, end);
      const bytes = buffer.subarray(0, bytesRead);
      let from = 0;
      for (let to: number; (to = bytes.indexOf(NEWLINE, from)) !== -1; from = to + 1) {
        const entry = this.#entryOf(bytes.subarray(from, to), part, end + from);
        if (entry !== undefined) fresh.push(entry);
      }
      if (from === 0 && bytesRead < buffer.length) break; // the last line is not whole
      if (from === 0) buffer = Buffer.allocUnsafe(2 * buffer.length);
      else part.tail = bytes.toString('latin1', Math.max(0, from - MARK_BYTES), from);
      end += from;
    }
    part.end = end;
    part.entries = inOrder([...part.entries, ...fresh]);
  }

  #entryOf(line: Buffer, part: Part, start: number): Entry | undefined {
    const event = membersOf(line);
    if (event === undefined) {
      if (line.toString().trim() !== '') this.#tellDamage(part, start);
      return undefined;
    }
    const { id, apiKey, actor, action } = event;
    const once = <T extends string>(text: T): T => onceIn(part.texts, text);
    return { id, apiKey: once(apiKey), actor: once(actor), action: once(action), part, start, size: line.length };
  }

  #leaveOut(damaged: readonly Entry[]): void {
    for (const { part, start } of damaged) {
      part.entries = part.entries.filter((entry) => !damaged.includes(entry));
      this.#tellDamage(part, start);
    }
  }

  #tellDamage(part: Part, start: number): void {
    if (part.isDamageTold !== true) this.#onDamage(part.path, start);
    part.isDamageTold = true;
  }
}

function onceIn<T extends string>(texts: Map<string, string>, text: T): T {
  const known = texts.get(text);
  if (known === undefined) texts.set(text, text);
  return (known as T | undefined) ?? text;
}

/** Whether nothing but new lines has come to a file since it was read. */
async function hasOnlyGrown(file: FileHandle, { tail, end }: Part, { size }: Stats): Promise<boolean> {
  return end <= size && (await markAt(file, end - tail.length, tail.length)) === tail;
}

async function markAt(file: FileHandle, start: number, length: number): Promise<string> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, start);
  return buffer.toString('latin1', 0, bytesRead);
}

/** An id that no event of a file exceeds: each was written when it happened, or later, by clocks that differ little. */
function greatestUntil({ mtimeMs }: Stats): string {
  return idAt(Math.ceil(mtimeMs) + MAX_SKEW_MS);
}

/** Without parsing the views, which are most of it: of 100,000 lines it takes 110 ms, by a third of what JSON takes. */
function membersOf(line: Buffer): AskedMembers | undefined {
  const [, id, actor, action, apiKey] = FIRST_MEMBERS.exec(line.toString('latin1', 0, FIRST_BYTES)) ?? [];
  if (id === undefined) return parsed(line);
  // As a part of that text, each id would keep all of it in memory.
  return { id: line.toString('latin1', ID_AT, ID_AT + id.length), actor, action, apiKey } as AskedMembers;
}

function parsed(line: Buffer): AskedMembers | undefined {
  try {
    const event = JSON.parse(line.toString()) as Partial<AskedMembers> | null;
    const { id, apiKey, actor, action } = event ?? {};
    return [id, apiKey, actor, action].every((it) => typeof it === 'string') ? (event as AskedMembers) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws where one is there no more: a file was renamed, or edited. */
async function eventsAt(entries: readonly Entry[]): Promise<(AuditEvent | undefined)[]> {
  const files = new Map<Part, Promise<FileHandle>>();
  for (const { part } of entries) if (!files.has(part)) files.set(part, open(part.path, 'r'));
  try {
    return await Promise.all(entries.map(async (entry) => eventAt(await files.get(entry.part)!, entry)));
  } finally {
    for (const file of files.values()) file.then((it) => it.close()).catch(() => undefined);
  }
}

/** `undefined` for a line that is damaged behind the members that are asked for. */
async function eventAt(file: FileHandle, { id, start, size }: Entry): Promise<AuditEvent | undefined> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size + 1), 0, size + 1, start);
  const line = buffer.subarray(0, size);
  // One that ends elsewhere is edited, and not damaged.
  const isThere = buffer.subarray(0, bytesRead).indexOf(NEWLINE) === size && membersOf(line)?.id === id;
  if (!isThere) throw new Error('it stands elsewhere by now');
  try {
    return JSON.parse(line.toString()) as AuditEvent;
  } catch {
    return undefined;
  }
}

function stampOf({ ino, size, mtimeMs }: Stats): string {
  return `${String(ino)} ${String(size)} ${String(mtimeMs)}`;
}

export function storeError(path: string, done: 'read' | 'written', error: unknown): RpcGuardError {
  const reason = (error as NodeJS.ErrnoException).code ?? describeError(error);
  return new RpcGuardError('ERR_RPC_GUARD_STORE', `${path} cannot be ${done}: ${reason}`, { cause: error });
}

export function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
