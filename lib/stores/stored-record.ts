import { RpcGuardError } from '../errors';
import { isPlainObject } from '../option-rules';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings } from '../settings/key-settings';

/** The creation time of a stored record that has none. The time of reading would sort it elsewhere each time. */
export const UNKNOWN_TIME = '1970-01-01T00:00:00.000Z';

/**
 * The settings of a stored record, JSON text or what it holds; `undefined` for none.
 * @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` when it is broken: that refuses this key and no other.
 */
export function parseStored(record: unknown): KeySettings | undefined {
  if (record === undefined || record === null) return undefined;
  let value: unknown = record;
  try {
    if (typeof record === 'string') value = JSON.parse(record);
  } catch {
    throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'the stored record is not JSON');
  }
  return parseKeySettings(isPlainObject(value) ? { createdAt: UNKNOWN_TIME, ...value } : value);
}

/** `parseStored`, but a broken record counts as none: it may be overwritten, and is left out of lists. */
export function readableRecord(record: unknown): KeySettings | undefined {
  try {
    return parseStored(record);
  } catch {
    return undefined;
  }
}
