import { createHmac, randomBytes } from 'node:crypto';
import type { KeyManager } from '../keys/key-manager';
import { keyHint } from '../settings/api-key';
import { isPlainObject } from '../option-rules';

/** No key begins with it. */
const MARK = '~';
const PAGE_SIZE = 1000;
/** An id that was not found is not looked for again for so long, whichever it was: that reads all keys. */
const UNKNOWN_MS = 5000;
const MAX_KNOWN = 200_000;

/**
 * Ids in place of keys, for viewers: a key alone is a credential. They are made with a secret, because a plain hash would
 * let a viewer guess a key that somebody has made up, offline.
 */
export class KeyIds {
  readonly #manager: KeyManager;
  readonly #secret: string | Buffer;
  /** Says it in an answer to whom an id does not lead to a key. */
  readonly whyUnknown: string;
  readonly #known = new Map<string, string>();
  #search: Promise<void> | undefined;
  #searchedAt = -Infinity;

  /** @param secret of all instances whose ids are to be the same. Default: a random one. */
  constructor(manager: KeyManager, secret?: string) {
    this.#manager = manager;
    this.#secret = secret ?? randomBytes(32);
    this.whyUnknown =
      secret === undefined
        ? 'there is no such key; without the option idSecret, ids in links last until a restart, and on one instance'
        : 'there is no such key';
  }

  /** The key of an id; `undefined` where there is none, and for what is no id. */
  async keyOf(id: string): Promise<string | undefined> {
    if (!id.startsWith(MARK)) return undefined;
    if (!this.#known.has(id) && performance.now() - this.#searchedAt > UNKNOWN_MS) {
      this.#search ??= this.#readAll().finally(() => {
        this.#search = undefined;
        this.#searchedAt = performance.now();
      });
      await this.#search;
    }
    return this.#known.get(id);
  }

  idOf(apiKey: string): string {
    const id = MARK + createHmac('sha256', this.#secret).update(apiKey).digest('base64url').slice(0, 22);
    if (this.#known.size < MAX_KNOWN) this.#known.set(id, apiKey);
    return id;
  }

  /** What may be shown to a viewer: each `apiKey` is an id, with the key's first characters beside it. */
  hidden<T>(value: T): T {
    return this.#hidden(value) as T;
  }

  #hidden(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#hidden(each));
    if (!isPlainObject(value)) return value;
    const entries = Object.entries(value).map(([name, member]) => [name, this.#hidden(member)]);
    const shown = Object.fromEntries(entries) as Record<string, unknown>;
    const { apiKey, by, rows } = value;
    if (typeof apiKey === 'string' && apiKey !== '' && !apiKey.startsWith(MARK)) {
      Object.assign(shown, { apiKey: this.idOf(apiKey), keyHint: keyHint(apiKey) });
    }
    // Of usage by key, the names are keys.
    if (by === 'key' && Array.isArray(rows)) shown['rows'] = rows.map((row) => this.#named(row));
    return shown;
  }

  #named(row: unknown): unknown {
    if (!isPlainObject(row)) return row;
    const { name } = row;
    return typeof name === 'string' && /^[\w-]/.test(name) ? { ...row, name: this.idOf(name) } : row;
  }

  async #readAll(): Promise<void> {
    for (let after: string | undefined; ;) {
      const { keys, next } = await this.#manager.list({ after, limit: PAGE_SIZE, sort: 'key' });
      for (const { apiKey } of keys) this.idOf(apiKey);
      if (next === undefined) return;
      after = next;
    }
  }
}
