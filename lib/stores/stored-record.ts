import { RpcGuardError } from '../errors';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings } from '../settings/key-settings';

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
