import { RpcGuardError } from '../errors';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import { describeError } from '../logger';

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
   */
  set(settings: KeySettingsInput, expectedVersion?: number): Promise<KeySettings>;
  /**
   * @returns whether there was such a key.
   * @throws RpcGuardError `ERR_RPC_GUARD_STALE_WRITE` as `set` does.
   */
  delete(apiKey: string, expectedVersion?: number): Promise<boolean>;
  /** Settings in the order of their keys, from the one after `after` on, `limit` at most. Default: all. */
  list(page?: { readonly after?: string; readonly limit?: number }): Promise<readonly KeySettings[]>;
}

/** The settings that a write over `current` stores, with their version and times; throws as `set` does. */
export function settingsToWrite(
  current: KeySettings | undefined,
  settings: KeySettingsInput,
  expectedVersion: number | undefined,
): KeySettings {
  assertFresh(current, expectedVersion ?? (current && settings.version));
  const version = (current?.version ?? 0) + 1;
  const updatedAt = new Date().toISOString();
  return parseKeySettings({ createdAt: current?.createdAt ?? updatedAt, ...settings, version, updatedAt });
}

/** @throws RpcGuardError `ERR_RPC_GUARD_STALE_WRITE` when `current` is not of the version that the writer has read. */
export function assertFresh(current: KeySettings | undefined, expectedVersion: number | undefined): void {
  const version = current?.version ?? 0;
  if (expectedVersion === undefined || expectedVersion === version) return;
  throw new RpcGuardError(
    'ERR_RPC_GUARD_STALE_WRITE',
    `the key has changed: this write expects version ${String(expectedVersion)}, the store has ${String(version)}; ` +
      'read the settings again and repeat the change',
  );
}

/** Whether a write was refused because another came between. */
export function isStale(error: unknown): boolean {
  return error instanceof RpcGuardError && error.code === 'ERR_RPC_GUARD_STALE_WRITE';
}

/** How often a write is tried again when others come between. */
export const MAX_ATTEMPTS = 100;

export function tooBusy(): RpcGuardError {
  return new RpcGuardError(
    'ERR_RPC_GUARD_STALE_WRITE',
    'the record changes faster than it can be written, or is not text',
  );
}

export function pageOf(
  all: Iterable<KeySettings>,
  { after = '', limit = Infinity }: { readonly after?: string; readonly limit?: number } = {},
): readonly KeySettings[] {
  return [...all]
    .filter(({ apiKey }) => apiKey > after)
    .sort((a, b) => (a.apiKey < b.apiKey ? -1 : 1))
    .slice(0, limit);
}

/**
 * The settings of a stored record, JSON text or what it holds; `undefined` for none.
 * @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` when it is broken: that refuses this key and no other.
 */
export function parseStored(record: unknown): KeySettings | undefined {
  if (record === undefined || record === null) return undefined;
  if (typeof record !== 'string') return parseKeySettings(record);
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch {
    throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'the stored record is not JSON');
  }
  return parseKeySettings(value);
}

/** `parseStored`, for whom a broken record is none: it may be written over, and is left out of a list. */
export function readableRecord(record: unknown): KeySettings | undefined {
  try {
    return parseStored(record);
  } catch {
    return undefined;
  }
}

/** What a store's client throws may hold what was to be written, hashes included: only its message is told. */
export async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RpcGuardError) throw error;
    throw new RpcGuardError('ERR_RPC_GUARD_STORE', `the settings store failed: ${describeError(error)}`);
  }
}
