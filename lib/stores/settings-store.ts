import { hasMethods } from '../option-rules';
import type { OptionRule } from '../option-rules';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import type { AuditEvent, AuditStore } from './audit-store';
import type { LimitStore } from './limit-store';
import type { UsageStore } from './usage-store';

/**
 * Where the guard finds a key's settings. Only `get` is needed; what it returns is checked before it is used, so it may
 * come straight from a database. A rejection means that the store is down.
 */
export interface SettingsStore {
  /** The settings of a key, or `undefined` (`null` will do) when there is no such key. */
  get(apiKey: string): Promise<KeySettingsInput | undefined | null> | KeySettingsInput | undefined | null;
  /** Called and awaited once, before the first `get`. */
  init?(): Promise<void> | void;
  /**
   * Announces keys that changed. With it, settings are read afresh every 4 s and at once after a change; without it,
   * every 0.5 s. Call `onChange()` without a key after a gap in which changes may have been missed.
   * @returns a function that ends the subscription.
   */
  subscribe?(onChange: (apiKey?: string) => void): () => void;
  close?(): Promise<void> | void;
  /** Lets processes count limits together. Without it each counts for itself. */
  readonly limits?: LimitStore | undefined;
  /** Keeps what keys do. Without it each process keeps its own in memory. */
  readonly usage?: UsageStore | undefined;
}

/** Which keys are listed, and in which order. */
export interface KeyQuery {
  /** Lists the keys after this one; in an order other than `key`, after the place that `cursorOf` returned. */
  readonly after?: string | undefined;
  /** The most keys to list. */
  readonly limit?: number | undefined;
  /** Part of the name, in any case; or the beginning of the key, or at least its last 4 characters. */
  readonly search?: string | undefined;
  readonly state?: 'enabled' | 'disabled' | undefined;
  /**
   * Default `key`. Names are compared without case, equal ones by their creation, what is still equal by the key. Names
   * and keys are in the order of their code points, not of a language.
   */
  readonly sort?: 'key' | 'name' | 'created' | 'updated' | undefined;
  /** From the last to the first. Default `false`. */
  readonly descending?: boolean | undefined;
}

/** Settings that do not parse: their key is refused, and not listed. */
export interface KeyProblem {
  /** The first characters of the key; `''` where there is none. */
  readonly keyHint: string;
  /** What is wrong, where, and what to write. */
  readonly reason: string;
}

/** A store that keys can be managed in. */
export interface WritableSettingsStore extends SettingsStore {
  get(apiKey: string): Promise<KeySettings | undefined>;
  /**
   * Creates or replaces a key's settings and returns them with their new `version` and `updatedAt`.
   * `expectedVersion` is the version that the writer has read, `0` for "there is none yet"; it defaults to the
   * `version` in `settings`, which a new key does not need to match. Without either the write is unconditional.
   * @throws RpcGuardError `ERR_RPC_GUARD_STALE_WRITE` when another write came between, `ERR_RPC_GUARD_SETTINGS` when
   * the settings do not parse. Nothing is written then.
   * @param event is kept with the change or not at all, where the `audit` of the store says that it does this. The change
   * is made at its time.
   */
  set(settings: KeySettingsInput, expectedVersion?: number, event?: AuditEvent): Promise<KeySettings>;
  /**
   * @returns whether there was such a key.
   * @throws RpcGuardError `ERR_RPC_GUARD_STALE_WRITE` as `set` does.
   * @param event as with `set`. Where there was no such key, nothing is kept.
   */
  delete(apiKey: string, expectedVersion?: number, event?: AuditEvent): Promise<boolean>;
  /**
   * The keys that a query finds. Default: all, in the order of the keys.
   * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` for a misspelt member or a wrong value.
   */
  list(query?: KeyQuery): Promise<readonly KeySettings[]>;
  /** Keys whose settings do not parse, 100 at most. For a store that people write by hand, and that logs them itself. */
  problems?(): Promise<readonly KeyProblem[]> | readonly KeyProblem[];
  /** The history of all keys. Without it none is kept. */
  readonly audit?: AuditStore | undefined;
}

/** The `store` option of everything that manages keys. */
export const WRITABLE_STORE_RULE: OptionRule = {
  accepts: (value) => hasMethods(value, 'get', 'set', 'delete', 'list'),
  takes: 'a store with get, set, delete and list, such as new FileStore("./rpc-guard.json")',
  isRequired: true,
};
