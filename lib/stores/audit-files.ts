import { open, rename, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { AuditIndex, storeError, unlessMissing } from './audit-index';
import type { OnDamage } from './audit-index';
import { inOrder, newestOf } from './audit-order';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

/** What the store of the settings does for its history. */
export interface SettingsFileAccess {
  /** Where a link leads. */
  readonly path: () => string;
  /** Does work under the lock of the settings file, which it waits for. */
  readonly inLock: <T>(work: () => Promise<T>) => Promise<T>;
  /** Whether the settings file holds the change that an event tells of. */
  readonly isMade: (event: AuditEvent) => boolean;
  /** Told of lines that are passed over. */
  readonly onDamage?: OnDamage;
}

/** An event that is on the disk and not yet part of the history. */
export interface PendingEvent {
  /** The change is made. */
  keep(): Promise<void>;
  /** Whether the change was made, the settings file tells the next writer. */
  leave(): Promise<void>;
}

interface Line {
  readonly text: Buffer;
  readonly start: number;
  /** A line without its newline is an event whose change may not have been made, or a part of one. */
  readonly isWhole: boolean;
}

/** A file, and where the next line begins. */
interface Opened {
  readonly file: FileHandle;
  readonly start: number;
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
  readonly #index: AuditIndex;
  /** Those under way. */
  #appends: Promise<unknown> = Promise.resolve();

  constructor(settings: SettingsFileAccess, maxBytes = MAX_BYTES) {
    this.#settings = settings;
    this.#maxBytes = maxBytes;
    this.#index = new AuditIndex(() => this.#paths(), settings.onDamage);
  }

  append(events: readonly AuditEvent[]): Promise<void> {
    const done = this.#appendNew(events);
    this.#appends = Promise.allSettled([this.#appends, done]);
    return done;
  }

  preload(): void {
    void this.#index.preload();
  }

  /** Resolves when nothing is read or written any more. */
  async close(): Promise<void> {
    await this.#index.close();
    await this.#appends;
  }

  /** What is on the disk already is looked for before and under the lock, so that a long history is not read under it. */
  async #appendNew(events: readonly AuditEvent[]): Promise<void> {
    const fresh = await this.#index.notIn(events);
    if (fresh.length > 0) await this.#settings.inLock(async () => this.appendLocked(await this.#index.notIn(fresh)));
  }

  /** For who holds the lock, and events that are new. */
  async appendLocked(events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return;
    const pending = await this.#write(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    await pending.leave();
  }

  /** Writes an event whose change is made next. For who holds the lock. */
  begin(event: AuditEvent): Promise<PendingEvent> {
    return this.#write(JSON.stringify(event));
  }

  async list(query: AuditQuery): Promise<readonly AuditEvent[]> {
    const pending = await this.#pending(); // first: what is written meanwhile stands behind it
    const found = await this.#index.find(query);
    return pending === undefined ? found : newestOf(inOrder([pending, ...found]), query);
  }

  /** The events of keys from this time (ISO 8601) on. */
  async recent(apiKeys: ReadonlySet<string>, since: string): Promise<readonly AuditEvent[]> {
    const found: AuditEvent[] = [];
    for (const path of this.#paths().slice(0, 2)) {
      for await (const line of linesBackwards(path)) {
        const event = this.#eventOf(line);
        if (event === undefined || event.action === 'secret.expire') continue; // that one may be told long after its time
        if (event.at < since) return found;
        if (apiKeys.has(event.apiKey)) found.push(event);
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

  /** What stands at the end without its newline, if its change is made. */
  async #pending(): Promise<AuditEvent | undefined> {
    const path = this.#path();
    try {
      for await (const line of linesBackwards(path)) return line.isWhole ? undefined : this.#eventOf(line);
    } catch (error) {
      throw storeError(path, 'read', error);
    }
    return undefined;
  }

  async #write(text: string): Promise<PendingEvent> {
    try {
      return await this.#writeAt(await this.#opened(), text);
    } catch (error) {
      throw storeError(this.#path(), 'written', error);
    }
  }

  async #writeAt({ file, start }: Opened, text: string): Promise<PendingEvent> {
    try {
      if (start === 0) await giveTo(file, this.#settings.path());
      try {
        await file.appendFile(text);
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

  /** The file to write to, and where. What a crash left at its end is decided on before it becomes an older one. */
  async #opened(): Promise<Opened> {
    const path = this.#path();
    const file = await open(path, 'a+', OWNER_ONLY);
    try {
      const start = await this.#mend(path, file);
      if (start < this.#maxBytes) return { file, start };
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    await this.#rotate();
    return this.#opened();
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

  /** A crash while files were renamed has left a number free: no file goes for that one's sake. */
  async #rotate(): Promise<void> {
    const paths = this.#paths();
    const found = await Promise.all(paths.map((path) => stat(path).catch(unlessMissing)));
    const free = found.indexOf(undefined);
    for (let n = free === -1 ? paths.length - 1 : free; n > 0; n--) await rename(paths[n - 1]!, paths[n]!);
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

/** The lines of a file from its end on. */
async function* linesBackwards(path: string): AsyncGenerator<Line, void> {
  const file = await open(path, 'r').catch(unlessMissing);
  if (file === undefined) return;
  try {
    let end = (await file.stat()).size;
    let rest: Buffer = Buffer.alloc(0);
    while (end > 0) {
      const size = Math.min(READ_AT_ONCE, end);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, end - size);
      if (bytesRead < size) return; // it was cut off meanwhile
      end -= size;
      const text = Buffer.concat([buffer, rest]);
      const from = end === 0 ? 0 : text.indexOf(NEWLINE) + 1;
      rest = end > 0 && from === 0 ? text : text.subarray(0, from);
      if (rest === text) continue; // not even one line
      yield* linesIn(text, from, end);
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
