import { constants, existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { RpcGuardError } from '../errors';
import { growingTo } from '../growing-to';
import { describeError, quiet } from '../logger';
import type { Logger } from '../logger';
import { LOGGER_RULE, checkOptions } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { keyHint } from '../settings/api-key';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import { AuditFiles } from './audit-files';
import type { PendingEvent } from './audit-files';
import type { AuditEvent } from './audit-store';
import { removeLeftovers, writeDurably } from './durable-file';
import { differenceOf, readWhole } from './file-difference';
import { lockFile } from './file-lock';
import type { FileLock } from './file-lock';
import { editsSince, eventsOf, settingsBefore } from './hand-edits';
import type { Edits } from './hand-edits';
import { atOnce, inTurns } from './in-turns';
import { checkKeyQuery, cursorAt, pageOf } from './key-query';
import { SettingsFile } from './settings-file';
import type { Edit, KeyRecord } from './settings-file';
import { SpentFiles } from './spent-files';
import { UsageFiles } from './usage-files';
import type { UsageStore } from './usage-store';
import type { KeyProblem, KeyQuery, WritableSettingsStore } from './settings-store';
import type { LimitStore } from './limit-store';
import { assertFresh, settingsToWrite } from './versioned-write';

export interface FileStoreOptions {
  /** Logs when the file, or a key in it, cannot be used. Default: errors to stderr. */
  readonly logger?: Logger;
}

const RULES: OptionRules<FileStoreOptions & { readonly path: string }> = {
  path: {
    accepts: (value) => typeof value === 'string' && value !== '',
    takes: 'the path of a JSON file, such as "./rpc-guard.json"',
    isRequired: true,
  },
  logger: LOGGER_RULE,
};

interface Write {
  readonly apiKey: string;
  /** What a write makes of the key's settings; `undefined` for none. It throws to write nothing. */
  readonly change: (current: KeySettings | undefined, exists: boolean) => KeySettings | undefined;
  /** Kept with the change. */
  readonly event: AuditEvent | undefined;
}

const POLL_MS = 200;
/** A file younger than this may be written again without its time of change moving on. */
const UNSETTLED_MS = 2000;
/** A change that another process made is told in the history that long ago at most. */
const TOLD_WITHIN_MS = 60_000;
/** As many as the guard caches. */
const MAX_PARSED = 10_000;
/** What is wrong with a file that is not there. */
const MISSING = 'it does not exist';
const MAX_PROBLEMS = 100;
const MAX_LOGGED = 20;
/** Edits that are kept while the history cannot be written. */
const MAX_UNTOLD = 100;
/** Attempts at a reading or a write while the file is being edited. */
const MAX_TRIES = 10;
const COMPARED_AT_ONCE = 1 << 18;
/** To open a pipe would wait for its writer; Windows knows no such flag. */
const TO_READ = constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0);

/**
 * Settings in a JSON file that people and programs may edit: `{ "keys": [settings, …] }`. It is held in memory and read
 * again when it changes, within a quarter of a second. A file that is not there has no keys. One that does not parse,
 * or goes away, leaves the last good settings in force and says so in the log. Settings that do not parse refuse their
 * key alone, and the log says which. A write leaves the old file or the whole new one, keeps its mode and owner (0600 for
 * a new one), is locked against other processes (`<file>.lock`), and begins anew where somebody edits the file meanwhile.
 */
export class FileStore implements WritableSettingsStore {
  /** Processes that share the file count limits together, in `<file>.usage/`. */
  readonly limits: LimitStore;
  /** Usage is kept in `<file>.usage/`, a file for each process and day. */
  readonly usage: UsageStore;
  /** The history, also of what people change in the file while a process has it open: JSON lines in `<file>.audit.jsonl`. */
  readonly audit: AuditFiles;
  readonly #path: string;
  readonly #logger: Logger;
  readonly #listeners = new Set<(apiKey: string) => void>();
  readonly #timer: NodeJS.Timeout;
  readonly #parsed = new LRUCache<string, KeySettings>(growingTo(MAX_PARSED));
  readonly #document: SettingsFile;
  /** Inode, size and times of what is in `#document`, or cannot be used; `''` while the file is too young to trust them. */
  #stamp = '';
  #isPolling = false;
  /** Taken over from others, and not yet looked for in the history. */
  #edits: readonly Edits[] = [];
  #isClosed = false;
  /** Counts the edits of `#document`: a reading that began before the last one is outdated. */
  #generation = 0;
  /** Memory for comparing, which would be garbage after each poll. */
  #compared: Buffer | undefined = undefined;
  /** The last reading of the file; the next one waits for it. */
  #lastReading: Promise<unknown> = Promise.resolve();
  /** The file is this process's own new one, and `#document` not yet. */
  #isReplacing = false;
  /** This process's last write; the next one waits for it. */
  #lastWrite: Promise<unknown> = Promise.resolve();
  #complaint = { text: '', logged: false };
  #checks = 0;
  #checked: Promise<void>;
  #logged: ReadonlySet<string> = new Set();

  /**
   * @throws RpcGuardError `ERR_RPC_GUARD_STORE` when the file is there and is not such a JSON file,
   * `ERR_RPC_GUARD_OPTIONS` for a wrong path or option.
   */
  constructor(path: string, options: FileStoreOptions = {}) {
    const { logger } = checkOptions('FileStore(path, options)', RULES, { ...options, path });
    this.#path = resolve(path);
    this.limits = new SpentFiles(`${this.#path}.usage`);
    this.usage = new UsageFiles(`${this.#path}.usage`);
    this.audit = new AuditFiles({
      path: () => realPath(this.#path),
      inLock: (work) => this.#inTurn(() => this.#inLock(work)),
      isMade: (event) => this.#isMade(event),
      onDamage: (damaged, byte) => {
        this.#logger.warn({ file: damaged, byte }, 'a line of the history is damaged: its event is not shown');
      },
    });
    this.#logger = quiet(logger!);
    const bytes = readIfThere(this.#path);
    // Whoever makes the store may be about to write the file: that it is missing is said where it is served from.
    if (bytes === undefined) this.#complaint = { text: MISSING, logged: true };
    this.#document = new SettingsFile(this.#path);
    if (bytes !== undefined) this.#document.apply(atOnce(this.#document.editTo(bytes)));
    this.#checked = inTurns(this.#check());
    removeLeftovers(realPath(this.#path)).catch(() => undefined);
    this.#timer = setInterval(() => void this.#poll(), POLL_MS).unref();
  }

  async get(apiKey: string): Promise<KeySettings | undefined> {
    const record = this.#document.byKey.get(apiKey);
    return Promise.resolve(record && this.#settingsOf(record));
  }

  async set(settings: KeySettingsInput, expectedVersion?: number, event?: AuditEvent): Promise<KeySettings> {
    const { apiKey } = settings;
    const assertUnedited = this.#editGuard(apiKey, expectedVersion);
    const change = (current: KeySettings | undefined): KeySettings => {
      assertUnedited(current);
      return settingsToWrite(current, settings, expectedVersion, event?.at);
    };
    const written = await this.#write({ apiKey, change, event });
    return written!;
  }

  async delete(apiKey: string, expectedVersion?: number, event?: AuditEvent): Promise<boolean> {
    let existed = false;
    const assertUnedited = this.#editGuard(apiKey, expectedVersion);
    const change = (current: KeySettings | undefined, exists: boolean): undefined => {
      existed = exists;
      assertUnedited(current);
      assertFresh(current, expectedVersion);
    };
    await this.#write({ apiKey, change, event });
    return existed;
  }

  async list(query: KeyQuery = {}): Promise<readonly KeySettings[]> {
    checkKeyQuery(query);
    const { limit = Infinity, sort } = query;
    const found: KeySettings[] = [];
    for (let { after } = query; found.length < limit;) {
      const wanted = limit - found.length;
      const page = pageOf(this.#document.byKey.values(), { ...query, after, limit: wanted });
      for (const record of page) {
        try {
          found.push(this.#settingsOf(record));
        } catch {
          // It is listed among the problems.
        }
      }
      const last = page.at(-1);
      if (page.length < wanted || last === undefined) break;
      after = cursorAt(last, sort); // what does not parse is left out: there may be more
    }
    return Promise.resolve(found);
  }

  async problems(): Promise<readonly KeyProblem[]> {
    await this.#checked;
    return this.#problems(MAX_PROBLEMS).map(({ record, at, reason }) => ({
      keyHint: hintOf(record),
      reason: `keys[${String(at)}]: ${reason}`,
    }));
  }

  /** Logs a missing file: a subscriber serves requests, and would refuse them all. */
  subscribe(onChange: (apiKey: string) => void): () => void {
    if (!existsSync(this.#path)) {
      const write = '"rpc-guard keys create" makes it, or write { "keys": [{ "apiKey": "…" }] }';
      this.#logger.error({ file: this.#path, write }, 'the settings file does not exist: no key is known');
      this.#complaint = { text: MISSING, logged: true };
    }
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  /** Stops watching the file, and ends what is being written to it and its history. The settings that were read stay in force. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.audit.close();
    await this.#lastWrite;
  }

  /** People leave the version as it is: what they edit after the writer has read the key is a newer one all the same. */
  #editGuard(apiKey: string, expectedVersion: number | undefined): (current: KeySettings | undefined) => void {
    if (expectedVersion === undefined) return () => undefined;
    const seen = this.#readable(this.#document.byKey.get(apiKey));
    return (current) => {
      if (seen?.version === current?.version && !isDeepStrictEqual(seen, current)) throw editedKey();
    };
  }

  #settingsOf(record: KeyRecord): KeySettings {
    const known = this.#parsed.get(record.apiKey);
    if (known !== undefined) return known;
    const settings = this.#document.settingsOf(record);
    this.#parsed.set(record.apiKey, settings);
    return settings;
  }

  async #poll(): Promise<void> {
    if (this.#isPolling || this.#isReplacing) return;
    this.#isPolling = true;
    let [stamp, isSettled] = ['', false];
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(this.#path);
      stamp = [ino, size, mtimeMs, ctimeMs].join(' ');
      // By the system's clock, which may have been set back since; anybody can give a file any `mtime`.
      isSettled = Math.abs(Date.now() - ctimeMs) > UNSETTLED_MS;
      if (stamp === this.#stamp) return;
      if (await this.#readAgain(this.#path)) void this.#noteEdits();
      this.#stamp = isSettled ? stamp : '';
      if (this.#complaint.logged) this.#logger.info({ file: this.#path }, 'the settings file is in force again');
      this.#complaint = { text: '', logged: false };
    } catch (error) {
      this.#complain(isMissing(error) ? MISSING : describeError(error));
      // To read all of a large file again at each poll would take the process' time until somebody mends it.
      if (error instanceof RpcGuardError && isSettled && this.#complaint.logged) this.#stamp = stamp;
    } finally {
      this.#isPolling = false;
    }
  }

  /** Each problem is logged once, and not while an editor is saving. */
  #complain(text: string): void {
    const isRepeated = text === this.#complaint.text;
    if (isRepeated && !this.#complaint.logged) {
      this.#logger.error(
        { file: this.#path, reason: text },
        'the settings file cannot be used; what was read stays in force',
      );
    }
    this.#complaint = { text, logged: isRepeated };
  }

  /** Takes over what the file holds. @returns whether that is something else. */
  #readAgain(path: string): Promise<boolean> {
    const done = this.#lastReading.then(() => this.#readUntilStill(path));
    this.#lastReading = done.catch(() => undefined);
    return done;
  }

  async #readUntilStill(path: string): Promise<boolean> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const generation = this.#generation;
      const isOutdated = () => generation !== this.#generation || this.#isReplacing;
      const file = await open(path, TO_READ);
      try {
        const before = await stampOf(file);
        const edit = await this.#editIn(file);
        if (this.#isClosed || edit === undefined) return false;
        if (isOutdated() || (await stampOf(file)) !== before || isOutdated()) continue;
        this.#adopt(edit);
        return true;
      } catch (error) {
        if (!isOutdated()) throw error;
      } finally {
        await file.close();
      }
    }
    throw new EditedMeanwhile(path);
  }

  /** What has to be edited to hold what the file holds: as little as possible, so that little of it is garbage afterwards. */
  async #editIn(file: FileHandle): Promise<Edit | undefined> {
    const { size } = await file.stat();
    this.#compared ??= Buffer.allocUnsafeSlow(COMPARED_AT_ONCE);
    const document = this.#document;
    const length = document.bytes.length;
    const difference = await differenceOf(file, size, document.bytes, this.#compared);
    if (difference === undefined) return undefined;
    const part = document.partAround(difference.start, difference.end);
    if (part !== undefined) {
      const bytes = Buffer.allocUnsafeSlow(part.end - part.start + size - length);
      await readWhole(file, part.start, bytes);
      const edit = await inTurns(document.editAt(part, bytes));
      if (edit !== undefined) return edit;
    }
    const room = document.roomToRead(size);
    await readWhole(file, 0, room.subarray(0, size));
    return inTurns(document.editTo(room, size));
  }

  #adopt(edit: Edit): void {
    const keys = this.#document.keysOf(edit);
    const before = settingsBefore(this.#document, keys);
    const changed = this.#document.apply(edit, keys);
    const edits = editsSince(before, this.#document, changed);
    this.#edits = [...this.#edits, edits];
    this.#complainOfOlder(edits);
    for (const apiKey of changed) this.#parsed.delete(apiKey);
    this.#announce(changed);
    this.#checked = inTurns(this.#check());
  }

  /** No program counts versions down: a backup, or an editor that had read the file before. It may open keys again. */
  #complainOfOlder({ edits }: Edits): void {
    const older = edits.filter(
      // A key that was deleted and made again begins anew.
      ({ before, after }) => before?.createdAt === after?.createdAt && (before?.version ?? 0) > (after?.version ?? 0),
    );
    if (older.length === 0) return;
    const details = { file: this.#path, keys: older.slice(0, MAX_LOGGED).map(({ apiKey }) => keyHint(apiKey)) };
    this.#logger.error(
      details,
      'the settings file was replaced by an older one: later changes of these keys are undone',
    );
  }

  #announce(changed: Iterable<string>): void {
    this.#generation++;
    for (const apiKey of changed) for (const listener of this.#listeners) listener(apiKey);
  }

  /** Parses settings not parsed yet, and logs those that do not parse: a key refused in silence is hard to find. */
  *#check(): Generator<void, void> {
    const check = ++this.#checks;
    for (const record of [...this.#document.records]) {
      if (record.isChecked || record.apiKey === '' || record.start === -1) continue;
      if (this.#isClosed || check !== this.#checks) return;
      try {
        this.#document.parse(record);
      } catch {
        // Its problem is recorded.
      }
      yield;
    }
    const told = this.#logged;
    const problems = this.#problems(Infinity).map((it) => ({ ...it, id: `${it.record.apiKey} ${it.reason}` }));
    this.#logged = new Set(problems.map(({ id }) => id));
    const fresh = problems.filter(({ id }) => !told.has(id));
    for (const { record, at, reason } of fresh.slice(0, MAX_LOGGED)) {
      const details = { file: this.#path, key: hintOf(record), at: `keys[${String(at)}]`, reason };
      this.#logger.error(details, 'settings of the file do not parse; their key is refused');
    }
    const more = fresh.length - MAX_LOGGED;
    if (more > 0)
      this.#logger.error({ file: this.#path, more }, 'more keys of the file have settings that do not parse');
  }

  #problems(limit: number): { readonly record: KeyRecord; readonly at: number; readonly reason: string }[] {
    const problems = [];
    for (const [at, record] of this.#document.records.entries()) {
      if (record.apiKey !== '' && !record.isTwice && record.problem === undefined) continue;
      if (problems.length === limit) break;
      problems.push({ record, at, reason: this.#reasonOf(record) });
    }
    return problems;
  }

  #reasonOf(record: KeyRecord): string {
    try {
      this.#document.settingsOf(record);
      return '';
    } catch (error) {
      return (error as RpcGuardError).message;
    }
  }

  #write(write: Write): Promise<KeySettings | undefined> {
    return this.#inTurn(() => this.#inLock((path, lock) => this.#writeUntilUnedited(path, lock, write)));
  }

  /** One after the other: this process waits for its own lock in no loop. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#lastWrite.then(work);
    this.#lastWrite = done.catch(() => undefined);
    return done;
  }

  /** Does work under the lock, on the newest content where it can be read. */
  async #inLock<T>(work: (path: string, lock: FileLock) => Promise<T>): Promise<T> {
    const path = realPath(this.#path);
    const lock = await lockFile(path);
    try {
      await this.#newest(path).catch(() => undefined); // a write asks again, and says why it cannot be read
      await this.#noteEditsLocked();
      return await work(path, lock);
    } finally {
      await lock.release();
    }
  }

  /** Starts over if somebody edits the file meanwhile: an editor takes no lock. */
  async #writeUntilUnedited(path: string, lock: FileLock, write: Write): Promise<KeySettings | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#writeUnlessEdited(path, lock, write);
      } catch (error) {
        if (!(error instanceof EditedMeanwhile) || tries === MAX_TRIES) throw error;
      }
    }
  }

  /** Puts into the history what people changed in the file, once for all processes that see it. */
  #noteEdits(): Promise<void> {
    const noted = this.#inTurn(async () => {
      if (await this.#areEditsTold()) return;
      await this.#inLock(() => Promise.resolve());
    });
    return noted.catch((error: unknown) => {
      const problem = 'the settings file was changed by hand, and its history could not be written';
      this.#logger.warn({ file: this.#path, reason: describeError(error) }, problem);
    });
  }

  /** Most changes that a process sees were made by another, which has told of them. That needs no lock. */
  async #areEditsTold(): Promise<boolean> {
    const edits = this.#edits;
    if ((await this.#untold(edits)).length > 0) return false;
    this.#edits = this.#edits.slice(edits.length);
    return this.#edits.length === 0; // there may have come more
  }

  async #noteEditsLocked(): Promise<void> {
    const edits = this.#edits;
    if (edits.length === 0) return;
    this.#edits = [];
    try {
      const events = await this.#untold(edits);
      if (events.length > 0) await this.audit.appendLocked(events);
    } catch (error) {
      this.#edits = [...edits, ...this.#edits].slice(0, MAX_UNTOLD); // the next write tells of them
      throw error;
    }
  }

  async #untold(all: readonly Edits[]): Promise<readonly AuditEvent[]> {
    const keys = new Set(all.flatMap(({ edits }) => edits.map(({ apiKey }) => apiKey)));
    if (keys.size === 0) return [];
    const recent = await this.audit.recent(keys, new Date(Date.now() - TOLD_WITHIN_MS).toISOString());
    return all.flatMap((edits) => eventsOf(edits, recent));
  }

  #isMade({ apiKey, version, at, after }: AuditEvent): boolean {
    const record = this.#document.byKey.get(apiKey);
    if (after === undefined) return record === undefined;
    const settings = this.#readable(record);
    return settings !== undefined && settings.version >= version && Date.parse(settings.updatedAt) >= Date.parse(at);
  }

  /** Replaces one key in the file's current text, whoever wrote it, and leaves the rest as it is. */
  async #writeUnlessEdited(
    path: string,
    lock: FileLock,
    { apiKey, change, event }: Write,
  ): Promise<KeySettings | undefined> {
    const stamp = await stampAt(path);
    await this.#newest(path);
    const generation = this.#generation;
    const records = this.#document.records.filter((record) => record.apiKey === apiKey);
    const written = change(this.#readable(records[0]), records.length > 0);
    const edit = await this.#editOf(records, written);
    if (edit === undefined) return written;
    const assertUnedited = async (): Promise<void> => {
      await lock.assertHeld();
      if ((await stampAt(path)) !== stamp || this.#generation !== generation) throw new EditedMeanwhile(path);
    };
    try {
      await this.#replaceFile(path, this.#document.partsWith(edit), assertUnedited, async () => {
        this.#isReplacing = true;
        await assertUnedited();
        return event && this.audit.begin({ ...event, version: written?.version ?? event.version });
      });
      this.#document.apply(edit);
    } finally {
      this.#isReplacing = false;
    }
    this.#parsed.delete(apiKey);
    if (written !== undefined) this.#parsed.set(apiKey, written);
    this.#announce([apiKey]);
    return written;
  }

  /** Where a key is in the file several times, one is left, or none. */
  async #editOf(
    [first, ...others]: readonly KeyRecord[],
    settings: KeySettings | undefined,
  ): Promise<Edit | undefined> {
    if (others.length === 0) return this.#document.editOf(first, settings);
    const copy = new SettingsFile(this.#path);
    copy.apply(await inTurns(copy.editTo(Buffer.from(this.#document.bytes))));
    const { apiKey } = first!;
    for (let extra = others.length; extra > 0; extra--) {
      const last = copy.records.findLast((record) => record.apiKey === apiKey);
      copy.apply(copy.editOf(last, undefined)!);
    }
    copy.apply(copy.editOf(copy.byKey.get(apiKey), settings)!);
    return inTurns(this.#document.editTo(copy.bytes));
  }

  /** Takes over the file's current content. */
  async #newest(path: string): Promise<void> {
    try {
      await this.#readAgain(path);
    } catch (error) {
      if (error instanceof RpcGuardError) throw error;
      unlessMissing(path, error);
      if (this.#document.records.length > 0) throw storeError(`${path} is gone; nothing was written`);
    }
  }

  #readable(record: KeyRecord | undefined): KeySettings | undefined {
    try {
      return record && this.#document.parse(record);
    } catch {
      return undefined;
    }
  }

  /**
   * @param assertUnedited throws to keep the old file; asked last, because to sync the event takes long.
   * @param begin gives the event that is kept with the change.
   */
  async #replaceFile(
    path: string,
    parts: readonly Uint8Array[],
    assertUnedited: () => Promise<void>,
    begin: () => Promise<PendingEvent | undefined>,
  ): Promise<void> {
    let keepsReaders: boolean;
    let pending: PendingEvent | undefined;
    try {
      keepsReaders = await writeDurably(path, parts, async () => {
        pending = await begin();
        if (pending !== undefined) await assertUnedited();
      });
      await pending?.keep();
    } catch (error) {
      await pending?.leave();
      if (error instanceof RpcGuardError) throw error;
      const reason = (error as NodeJS.ErrnoException).code ?? describeError(error);
      throw storeError(`${path} cannot be written: ${reason}; the file is as it was`, error);
    }
    if (keepsReaders) return;
    const problem = 'the settings file is no longer readable by its group: this process may not set that group';
    this.#logger.warn({ file: path }, problem);
  }
}

class EditedMeanwhile extends RpcGuardError {
  constructor(path: string) {
    super('ERR_RPC_GUARD_STORE', `${path} is edited again and again; nothing was written`);
  }
}

function editedKey(): RpcGuardError {
  const message = 'the key was edited in the file meanwhile; read the settings again and repeat the change';
  return new RpcGuardError('ERR_RPC_GUARD_STALE_WRITE', message);
}

function hintOf({ apiKey }: KeyRecord): string {
  return apiKey === '' ? '' : keyHint(apiKey);
}

function storeError(message: string, cause?: unknown): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_STORE', message, { cause });
}

/** The target of a link, so that all writers lock the same file; also one that is still to be made. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const target = (error as NodeJS.ErrnoException).code === 'ENOENT' ? linkIn(path) : undefined;
    return target === undefined ? path : realPath(resolve(dirname(path), target));
  }
}

function linkIn(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    return unlessMissing(path, error);
  }
}

function unlessMissing(path: string, error: unknown): undefined {
  if (!isMissing(error)) throw storeError(`${path} cannot be read: ${String((error as NodeJS.ErrnoException).code)}`);
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** Changes whenever the file's content does. */
async function stampOf(file: FileHandle): Promise<string> {
  return stampIn(await file.stat({ bigint: true }));
}

/** The same; `''` if there is no file. */
async function stampAt(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? '' : stampIn(found);
}

function stampIn({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}
