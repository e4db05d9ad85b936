import { open, rename, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isAskedFor } from './audit-store';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

/** What the store of the settings does for its history. */
export interface SettingsFileAccess {
  /** Where a link leads. */
  readonly path: () => string;
  /** Does work under the lock of the settings file, which it waits for. */
  readonly inLock: <T>(work: () => Promise<T>) => Promise<T>;
  /** Whether the settings file holds the change that an event tells of. */
  readonly isMade: (event: AuditEvent) => boolean;
}

/** An event that is on the disk and not yet part of the history. */
export interface PendingEvent {
  /** The change is made. */
  keep(): Promise<void>;
  /** Something failed. Whether the change was made, the settings file tells the next writer. */
  leave(): Promise<void>;
}

interface Line {
  readonly text: Buffer;
  readonly start: number;
  /** A line without its newline is an event whose change may not have been made, or a part of one. */
  readonly isWhole: boolean;
}

const OWNER_ONLY = 0o600;
const MAX_BYTES = 10 * 1024 * 1024;
const FILES = 10;
const NEWLINE = 0x0a;
const READ_AT_ONCE = 1 << 18;

/**
 * Events in JSON lines beside a settings file: `<file>.audit.jsonl`, and from 10 MB on `<file>.audit.1.jsonl` to `.9`, the
 * oldest. An event is written and synced before the settings file is replaced, and gets its newline after that. One that
 * a crash left without a newline counts if the settings file holds its change, and is cut off by the next writer if not.
 */
export class AuditFiles implements AuditStore {
  readonly isKeptWithChange = true;
  readonly #settings: SettingsFileAccess;
  readonly #maxBytes: number;

  constructor(settings: SettingsFileAccess, maxBytes = MAX_BYTES) {
    this.#settings = settings;
    this.#maxBytes = maxBytes;
  }

  append(events: readonly AuditEvent[]): Promise<void> {
    return this.#settings.inLock(() => this.appendLocked(events));
  }

  /** For who holds the lock. */
  async appendLocked(events: readonly AuditEvent[]): Promise<void> {
    const fresh: AuditEvent[] = [];
    for (const event of events) if (!(await this.#has(event.id))) fresh.push(event);
    if (fresh.length === 0) return;
    const pending = await this.#write(fresh.map((event) => JSON.stringify(event)).join('\n'));
    await pending.keep();
  }

  /** Writes an event whose change is made next. For who holds the lock. */
  begin(event: AuditEvent): Promise<PendingEvent> {
    return this.#write(JSON.stringify(event));
  }

  async list(query: AuditQuery): Promise<readonly AuditEvent[]> {
    const { before, limit } = query;
    const found = new Map<string, AuditEvent>();
    const asked = needleOf(query);
    const place = before === undefined ? undefined : Buffer.from(`"id":${JSON.stringify(before)}`);
    let isReached = place === undefined;
    for (const path of this.#paths()) {
      for await (const line of linesBackwards(path, () => (isReached ? asked : place))) {
        if (!isReached) isReached = line.text.includes(place!);
        else if (asked === undefined || line.text.includes(asked)) {
          const event = this.#eventOf(line);
          if (event !== undefined && isAskedFor(event, query)) found.set(event.id, event);
          if (found.size === limit) return [...found.values()];
        }
      }
    }
    return [...found.values()];
  }

  /** The newest event of each key, as far as there is one from this time (ISO 8601) on. */
  async newest(apiKeys: ReadonlySet<string>, since: string): Promise<ReadonlyMap<string, AuditEvent>> {
    const found = new Map<string, AuditEvent>();
    for (const path of this.#paths().slice(0, 2)) {
      for await (const line of linesBackwards(path)) {
        const event = this.#eventOf(line);
        if (event === undefined) continue;
        if (event.at < since || found.size === apiKeys.size) return found;
        if (apiKeys.has(event.apiKey) && !found.has(event.apiKey)) found.set(event.apiKey, event);
      }
    }
    return found;
  }

  #eventOf({ text, isWhole }: Line): AuditEvent | undefined {
    try {
      const event = JSON.parse(text.toString()) as AuditEvent;
      return isWhole || this.#settings.isMade(event) ? event : undefined;
    } catch {
      return undefined; // a crash left a part of it
    }
  }

  async #has(id: string): Promise<boolean> {
    const needle = Buffer.from(`"id":${JSON.stringify(id)}`);
    for (const path of this.#paths()) {
      for await (const line of linesBackwards(path, () => needle)) if (line.text.includes(needle)) return true;
    }
    return false;
  }

  async #write(lines: string): Promise<PendingEvent> {
    const path = this.#path();
    await this.#rotate(path);
    const file = await open(path, 'a+', OWNER_ONLY);
    try {
      const start = await this.#mend(path, file);
      if (start === 0) await giveTo(file, this.#settings.path());
      try {
        await file.appendFile(lines);
        await file.sync();
      } catch (error) {
        await file.truncate(start);
        throw error;
      }
      return pendingIn(file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Decides on what a crash has left at the end, and returns where the next line begins. */
  async #mend(path: string, file: FileHandle): Promise<number> {
    for await (const line of linesBackwards(path)) {
      if (line.isWhole) break;
      if (this.#eventOf(line) !== undefined) await file.appendFile('\n');
      else await file.truncate(line.start);
      break;
    }
    return (await file.stat()).size;
  }

  async #rotate(path: string): Promise<void> {
    const { size } = await stat(path).catch(() => ({ size: 0 }));
    if (size < this.#maxBytes) return;
    const paths = this.#paths();
    for (let n = paths.length - 1; n > 0; n--) {
      await rename(paths[n - 1]!, paths[n]!).catch(unlessMissing);
    }
  }

  #path(): string {
    return `${this.#settings.path()}.audit.jsonl`;
  }

  /** The newest first. */
  #paths(): readonly string[] {
    const older = Array.from({ length: FILES - 1 }, (_, n) => `${this.#settings.path()}.audit.${String(n + 1)}.jsonl`);
    return [this.#path(), ...older];
  }
}

function pendingIn(file: FileHandle): PendingEvent {
  return {
    async keep() {
      // Without it, the event counts all the same: the settings file holds its change.
      await file.appendFile('\n').catch(() => undefined);
      await file.close();
    },
    async leave() {
      await file.close();
    },
  };
}

/** What the line of an event that is asked for has in it. */
function needleOf({ apiKey, actor, action }: AuditQuery): Buffer | undefined {
  const [member] = Object.entries({ apiKey, actor, action }).filter(([, value]) => value !== undefined);
  return member && Buffer.from(`${JSON.stringify(member[0])}:${JSON.stringify(member[1])}`);
}

/**
 * The lines of a file from its end on.
 * @param wanted gives bytes that a line must hold to be of interest: parts of the file without them are passed over.
 */
async function* linesBackwards(path: string, wanted?: () => Buffer | undefined): AsyncGenerator<Line, void> {
  const file = await open(path, 'r').catch(unlessMissing);
  if (file === undefined) return;
  try {
    let end = (await file.stat()).size;
    let rest: Buffer = Buffer.alloc(0);
    for (let isTail = true; end > 0;) {
      const size = Math.min(READ_AT_ONCE, end);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, end - size);
      if (bytesRead < size) return; // it was cut off meanwhile
      end -= size;
      const text = Buffer.concat([buffer, rest]);
      const from = end === 0 ? 0 : text.indexOf(NEWLINE) + 1;
      rest = end > 0 && from === 0 ? text : text.subarray(0, from);
      if (rest === text) continue; // not even one line
      const needle = wanted?.();
      if (isTail || needle === undefined || text.indexOf(needle, from) !== -1) yield* linesIn(text, from, end);
      isTail = false;
    }
  } finally {
    await file.close();
  }
}

/** The lines of a text behind `from`, the last first. */
function* linesIn(text: Buffer, from: number, at: number): Generator<Line, void> {
  for (let to = text.length; to > from;) {
    const isWhole = text[to - 1] === NEWLINE;
    const last = isWhole ? to - 1 : to;
    const start = Math.max(from, last === 0 ? 0 : text.lastIndexOf(NEWLINE, last - 1) + 1);
    yield { text: text.subarray(start, last), start: at + start, isWhole };
    to = start;
  }
}

/** A new file belongs to whom the settings belong to, where this process may give it away. */
async function giveTo(file: FileHandle, settingsPath: string): Promise<void> {
  const settings = await stat(settingsPath).catch(() => undefined);
  if (settings !== undefined) await file.chown(settings.uid, settings.gid).catch(() => undefined);
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
