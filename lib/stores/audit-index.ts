import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { newestOf, placeOf } from './audit-order';
import type { AskedMembers, AuditEvent, AuditQuery } from './audit-store';

/** Where an event is, and what queries ask of it. */
interface Entry extends AskedMembers {
  readonly part: Part;
  readonly start: number;
  readonly size: number;
}

/** A file of the history, wherever it has been renamed to. */
interface Part {
  /** How it begins: with the id of its first event. */
  readonly head: string;
  path: string;
  /** Inode, size and time when it was last looked at. */
  stamp: string;
  /** Whole lines up to here are in the index. */
  end: number;
}

const NEWLINE = 0x0a;
const HEAD_BYTES = 64;
const READ_AT_ONCE = 1 << 20;
const MAX_TRIES = 3;
/** Where an event's first members end, as `auditEvent` makes it. Within a text the quotes would have backslashes. */
const BEHIND_FIRST = Buffer.from(',"keyHint":"');

/**
 * Where the whole lines of a history in files are, by their ids, in memory: some 150 bytes an event. It is made when it is
 * first asked for, and reads on as the files grow: to scan 100 MB for each page took 300 ms.
 */
export class AuditIndex {
  readonly #paths: () => readonly string[];
  #parts: readonly Part[] = [];
  /** By id. */
  #entries: Entry[] = [];
  /** Keys, actors and actions, each held once. */
  readonly #texts = new Map<string, string>();
  #lastRead: Promise<void> = Promise.resolve();

  /** @param paths gives where the files are, the newest first. */
  constructor(paths: () => readonly string[]) {
    this.#paths = paths;
  }

  async has(id: string): Promise<boolean> {
    const entries = await this.#newest();
    return entries[placeOf(id, entries)]?.id === id;
  }

  /** The events that a query finds, the newest first. */
  async find(query: AuditQuery): Promise<AuditEvent[]> {
    for (let tries = 1; ; tries++) {
      const found = newestOf(await this.#newest(), query);
      try {
        return await eventsAt(found);
      } catch (error) {
        if (tries === MAX_TRIES) throw error;
        if (tries > 1) this.#forget(); // not only renamed: somebody has edited the files
      }
    }
  }

  /** What is in the files now, by id. */
  #newest(): Promise<readonly Entry[]> {
    const read = this.#lastRead.then(() => this.#readOn());
    this.#lastRead = read.catch(() => undefined);
    return read.then(() => this.#entries);
  }

  #forget(): void {
    this.#parts = [];
    this.#entries = [];
  }

  /** Files only ever become older: from the newest on, one that is renamed meanwhile is met twice and never missed. */
  async #readOn(): Promise<void> {
    const parts: Part[] = [];
    const fresh: Entry[] = [];
    for (const path of this.#paths()) {
      const part = await this.#lookAt(path, [...parts, ...this.#parts], fresh);
      if (part !== undefined && !parts.includes(part)) parts.push(part);
    }
    const isOneGone = this.#parts.some((part) => !parts.includes(part));
    const kept = isOneGone ? this.#entries.filter(({ part }) => parts.includes(part)) : this.#entries;
    this.#parts = parts;
    this.#entries = merged(kept, fresh);
  }

  /** `parts` are those met before, in this pass too: a file that is renamed meanwhile stays one part. */
  async #lookAt(path: string, parts: readonly Part[], fresh: Entry[]): Promise<Part | undefined> {
    const found = await stat(path).catch(unlessMissing);
    const same = found && parts.find(({ stamp }) => stamp === stampOf(found));
    if (same !== undefined) return Object.assign(same, { path });
    const file = await open(path, 'r').catch(unlessMissing);
    if (file === undefined) return undefined;
    try {
      const stats = await file.stat();
      const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      if (bytesRead < HEAD_BYTES) return undefined; // no whole event is that short
      const head = buffer.toString('latin1');
      const known = parts.find((part) => part.head === head && part.end <= stats.size);
      const part = Object.assign(known ?? { head, end: 0 }, { path, stamp: stampOf(stats) });
      await this.#index(file, part, stats.size, fresh);
      return part;
    } finally {
      await file.close();
    }
  }

  async #index(file: FileHandle, part: Part, size: number, fresh: Entry[]): Promise<void> {
    for (let wanted = READ_AT_ONCE; part.end < size;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, part.end);
      const bytes = buffer.subarray(0, bytesRead);
      const before = part.end;
      for (let from = 0, to: number; (to = bytes.indexOf(NEWLINE, from)) !== -1; from = to + 1) {
        const entry = this.#entryOf(bytes.subarray(from, to), part, before + from);
        if (entry !== undefined) fresh.push(entry);
        part.end = before + to + 1;
      }
      if (part.end > before) wanted = READ_AT_ONCE;
      else if (bytesRead < wanted)
        return; // the last line is not whole
      else wanted *= 2;
    }
  }

  #entryOf(line: Buffer, part: Part, start: number): Entry | undefined {
    const event = firstMembers(line) ?? parsed(line);
    if (event === undefined) return undefined;
    const { id, apiKey, actor, action } = event;
    const size = line.length;
    return { id, apiKey: this.#once(apiKey), actor: this.#once(actor), action: this.#once(action), part, start, size };
  }

  #once<T extends string>(text: T): T {
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return (known as T | undefined) ?? text;
  }
}

/** Without parsing the views, which are most of it. */
function firstMembers(line: Buffer): AskedMembers | undefined {
  const end = line.indexOf(BEHIND_FIRST);
  return end === -1 ? undefined : parsed(line.subarray(0, end), '}');
}

function parsed(line: Buffer, more = ''): AskedMembers | undefined {
  try {
    const event = JSON.parse(line.toString() + more) as Partial<AskedMembers> | null;
    const { id, apiKey, actor, action } = event ?? {};
    return [id, apiKey, actor, action].every((it) => typeof it === 'string') ? (event as AskedMembers) : undefined;
  } catch {
    return undefined; // a crash left a part of it
  }
}

function merged(entries: Entry[], fresh: readonly Entry[]): Entry[] {
  let last = entries.at(-1)?.id ?? '';
  let isInOrder = true;
  for (const entry of fresh) {
    isInOrder &&= entry.id > last;
    last = entry.id;
    entries.push(entry);
  }
  if (isInOrder) return entries;
  entries.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return entries.filter(({ id }, at) => id !== entries[at - 1]?.id);
}

/** @throws where one is there no more: a file was renamed, or edited. */
async function eventsAt(entries: readonly Entry[]): Promise<AuditEvent[]> {
  const files = new Map<Part, Promise<FileHandle>>();
  for (const { part } of entries) if (!files.has(part)) files.set(part, open(part.path, 'r'));
  try {
    return await Promise.all(entries.map(async (entry) => eventAt(await files.get(entry.part)!, entry)));
  } finally {
    for (const file of files.values()) file.then((it) => it.close()).catch(() => undefined);
  }
}

async function eventAt(file: FileHandle, { id, start, size }: Entry): Promise<AuditEvent> {
  const { buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, start);
  const event = JSON.parse(buffer.toString()) as AuditEvent;
  if (event.id !== id) throw new Error('it stands elsewhere by now');
  return event;
}

function stampOf({ ino, size, mtimeMs }: Stats): string {
  return `${String(ino)} ${String(size)} ${String(mtimeMs)}`;
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
