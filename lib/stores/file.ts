import { readFileSync, realpathSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { RpcGuardError } from '../errors';
import { parseJson } from '../json-rpc/strict-json';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import { describeError, quiet } from '../logger';
import type { Logger } from '../logger';
import { writeDurably } from './durable-file';
import { lockFile } from './file-lock';
import type { FileLock } from './file-lock';
import { LOGGER_RULE, checkOptions } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { keyHint } from '../settings/api-key';
import { listed, pageOf } from './key-query';
import type { KeyProblem, KeyQuery, WritableSettingsStore } from './settings-store';
import { assertFresh, settingsToWrite } from './versioned-write';

export interface FileStoreOptions {
  /** Told when the file cannot be used. Default: errors to stderr. */
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

/** The file's content. Members besides `keys` are kept as they are. */
interface Document {
  readonly keys: readonly unknown[];
}

/** A key of the file: its settings, or why they do not parse. `text` tells whether it has changed. */
interface Entry {
  readonly text: string;
  readonly settings: KeySettings | RpcGuardError;
}

/** What a write makes of a key's settings; `undefined` for none. It throws to write nothing. */
type Change = (current: KeySettings | undefined, exists: boolean) => KeySettings | undefined;

const POLL_MS = 200;
/** A file younger than this may be written again without its time of change moving on. */
const UNSETTLED_MS = 2000;

/**
 * Settings in a JSON file that people and programs may edit: `{ "keys": [settings, …] }`. It is held in memory and read
 * again when it changes, within a quarter of a second. A file that is not there has no keys. One that does not parse,
 * or goes away, leaves the last good settings in force and says so in the log. Settings that do not parse refuse their
 * key alone. A write leaves the old file or the whole new one, keeps its mode and owner (0600 for a new one), and is locked
 * against other processes (`<file>.lock`).
 */
export class FileStore implements WritableSettingsStore {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #listeners = new Set<(apiKey: string) => void>();
  readonly #timer: NodeJS.Timeout;
  #keys: ReadonlyMap<string, Entry> = new Map();
  #text = '';
  /** Inode, size and time of the content in `#text`; `''` while the file is too young to trust them. */
  #stamp = '';
  #polling = false;
  /** Grows with each content that is taken over: what was read before the last is old. */
  #generation = 0;
  /** The last write of this process; the next one begins after it. */
  #lastWrite: Promise<unknown> = Promise.resolve();
  #complaint = { text: '', logged: false };

  /**
   * @throws RpcGuardError `ERR_RPC_GUARD_STORE` when the file is there and is not such a JSON file,
   * `ERR_RPC_GUARD_OPTIONS` for a wrong path or option.
   */
  constructor(path: string, options: FileStoreOptions = {}) {
    const { logger } = checkOptions('FileStore(path, options)', RULES, { ...options, path });
    this.#path = resolve(path);
    this.#logger = quiet(logger!);
    const text = readIfThere(this.#path);
    if (text !== undefined) this.#adopt(text);
    this.#timer = setInterval(() => void this.#poll(), POLL_MS).unref();
  }

  get(apiKey: string): Promise<KeySettings | undefined> {
    const settings = this.#keys.get(apiKey)?.settings;
    return settings instanceof RpcGuardError ? Promise.reject(settings) : Promise.resolve(settings);
  }

  async set(settings: KeySettingsInput, expectedVersion?: number): Promise<KeySettings> {
    const { apiKey } = settings;
    const written = await this.#write(apiKey, (current) => settingsToWrite(current, settings, expectedVersion));
    return written!;
  }

  async delete(apiKey: string, expectedVersion?: number): Promise<boolean> {
    let existed = false;
    await this.#write(apiKey, (current, exists) => {
      existed = exists;
      assertFresh(current, expectedVersion);
      return undefined;
    });
    return existed;
  }

  list(query?: KeyQuery): Promise<readonly KeySettings[]> {
    const readable = [...this.#keys.values()].flatMap(({ settings }) =>
      settings instanceof RpcGuardError ? [] : [{ ...listed(settings), settings }],
    );
    return Promise.resolve(pageOf(readable, query).map(({ settings }) => settings));
  }

  problems(): readonly KeyProblem[] {
    return [...this.#keys].flatMap(([apiKey, { settings }]) =>
      settings instanceof RpcGuardError ? [{ keyHint: keyHint(apiKey), reason: settings.message }] : [],
    );
  }

  subscribe(onChange: (apiKey: string) => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  /** Stops looking at the file. What was read stays in force. */
  close(): Promise<void> {
    clearInterval(this.#timer);
    return Promise.resolve();
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    const generation = this.#generation;
    try {
      const { ino, size, mtimeMs } = await stat(this.#path);
      const stamp = `${String(ino)} ${String(size)} ${String(mtimeMs)}`;
      if (stamp === this.#stamp) return;
      const text = await readFile(this.#path, 'utf8');
      if (generation !== this.#generation) return;
      if (text !== this.#text) this.#adopt(text);
      this.#stamp = Date.now() - mtimeMs > UNSETTLED_MS ? stamp : '';
      if (this.#complaint.logged) this.#logger.info({ file: this.#path }, 'the settings file is in force again');
      this.#complaint = { text: '', logged: false };
    } catch (error) {
      this.#complain(describeError(error));
    } finally {
      this.#polling = false;
    }
  }

  /** Once each, and not for what an editor leaves for a moment while it saves. */
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

  /** Takes the file's content over; throws, and changes nothing, when it does not parse. */
  #adopt(text: string): void {
    const before = this.#keys;
    const after = new Map<string, Entry>();
    for (const [index, raw] of parseDocument(text, this.#path).keys.entries()) {
      const apiKey = apiKeyOf(raw);
      if (apiKey === undefined) {
        this.#logger.error({ file: this.#path }, `keys[${String(index)}] has no apiKey and is left out`);
      } else {
        after.set(apiKey, after.has(apiKey) ? twice() : entryFrom(raw, before.get(apiKey)));
      }
    }
    this.#text = text;
    this.#keys = after;
    this.#generation++;
    for (const apiKey of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(apiKey) === after.get(apiKey)) continue;
      for (const listener of this.#listeners) listener(apiKey);
    }
  }

  #write(apiKey: string, change: Change): Promise<KeySettings | undefined> {
    const written = this.#lastWrite.then(() => this.#writeLocked(apiKey, change));
    this.#lastWrite = written.catch(() => undefined);
    return written;
  }

  /** Replaces one key in what the file holds now, whoever wrote it, and leaves the rest as it stands there. */
  async #writeLocked(apiKey: string, change: Change): Promise<KeySettings | undefined> {
    const path = realPath(this.#path);
    const lock = await lockFile(path);
    try {
      const before = readIfThere(path);
      if (before === undefined && this.#keys.size > 0) throw storeError(`${path} is gone; nothing was written`);
      if (before !== undefined && before !== this.#text) this.#adopt(before);
      const document = parseDocument(before ?? '{ "keys": [] }', path);
      const found = document.keys.findIndex((raw) => apiKeyOf(raw) === apiKey);
      const { settings: current } = entryFrom(document.keys[found], this.#keys.get(apiKey));
      const written = change(current instanceof RpcGuardError ? undefined : current, found !== -1);
      const keys = document.keys.filter((raw) => apiKeyOf(raw) !== apiKey);
      if (written !== undefined) keys.splice(found === -1 ? keys.length : found, 0, written);
      const text = `${JSON.stringify({ ...document, keys }, null, 2)}\n`;
      await this.#replaceFile(path, text, lock);
      this.#adopt(text);
      return written;
    } finally {
      await lock.release();
    }
  }

  async #replaceFile(path: string, text: string, lock: FileLock): Promise<void> {
    let keepsReaders: boolean;
    try {
      keepsReaders = await writeDurably(path, [Buffer.from(text)], () => lock.assertHeld());
    } catch (error) {
      if (error instanceof RpcGuardError) throw error;
      const reason = (error as NodeJS.ErrnoException).code ?? describeError(error);
      throw storeError(`${path} cannot be written: ${reason}; the file is as it was`, error);
    }
    if (keepsReaders) return;
    const problem = 'the settings file could be read by its group, and cannot any more: its group is not ours to give';
    this.#logger.warn({ file: path }, problem);
  }
}

function storeError(message: string, cause?: unknown): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_STORE', message, { cause });
}

/** Where a link leads, so that all who write the file lock the same. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw storeError(`${path} cannot be read: ${String((error as NodeJS.ErrnoException).code)}`);
  }
}

/** @throws RpcGuardError `ERR_RPC_GUARD_STORE` that says where, and quotes nothing: the file holds hashes. */
function parseDocument(text: string, path: string): Document {
  const json = parseJson(text, { maxDepth: 32, maxValues: Infinity });
  if (!json.ok && json.broken === 'syntax') {
    const lines = text.slice(0, json.at).split('\n');
    const place = `${path}:${String(lines.length)}:${String((lines.at(-1) ?? '').length + 1)}`;
    throw storeError(`${place} is not JSON from there on`);
  }
  if (!json.ok) throw storeError(`${path} has ${json.rule}`);
  const document = JSON.parse(text) as Partial<Document> | null;
  if (!Array.isArray(document?.keys)) throw storeError(`${path} is not { "keys": [settings, …] }`);
  return document as Document;
}

function apiKeyOf(raw: unknown): string | undefined {
  const apiKey = (raw as { apiKey?: unknown } | null | undefined)?.apiKey;
  return typeof apiKey === 'string' ? apiKey : undefined;
}

/** `known` itself when nothing has changed, so that it stays compiled. */
function entryFrom(raw: unknown, known: Entry | undefined): Entry {
  const text = raw === undefined ? '' : JSON.stringify(raw);
  if (known?.text === text) return known;
  try {
    return { text, settings: parseKeySettings(raw) };
  } catch (error) {
    return { text, settings: error as RpcGuardError };
  }
}

function twice(): Entry {
  return { text: '', settings: new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'the file has this key twice') };
}
