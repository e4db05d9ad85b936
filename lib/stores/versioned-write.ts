import { RpcGuardError } from '../errors';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import { describeError } from '../logger';

/** The settings that a write over `current` stores, with their version and times; throws as `set` does. */
export function settingsToWrite(
  current: KeySettings | undefined,
  settings: KeySettingsInput,
  expectedVersion: number | undefined,
  updatedAt: string = new Date().toISOString(),
): KeySettings {
  assertFresh(current, expectedVersion ?? (current && settings.version));
  const version = (current?.version ?? 0) + 1;
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

/** How often a write is retried when others come between. */
export const MAX_ATTEMPTS = 100;

export function tooBusy(): RpcGuardError {
  return new RpcGuardError(
    'ERR_RPC_GUARD_STALE_WRITE',
    'the record changes faster than it can be written, or is not text',
  );
}

/** A store client's error may hold the data to be written, hashes included: only its message is passed on. */
export async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RpcGuardError) throw error;
    throw new RpcGuardError('ERR_RPC_GUARD_STORE', `the settings store failed: ${describeError(error)}`);
  }
}
