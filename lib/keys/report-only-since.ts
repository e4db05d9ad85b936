import { ALLOWLIST_TYPES } from '../allowlists';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import { present } from '../settings/key-view';

/** Settings that are about to be written, with the time from which on each of their lists only reports. */
export function withReportOnlySince(
  edited: KeySettingsInput,
  before: Pick<KeySettings, 'reportOnlySince'>,
): KeySettingsInput {
  const { reportOnly = [] } = edited;
  // What is no list is for the settings' own rules to say.
  const types = ALLOWLIST_TYPES.filter((type) => Array.isArray(reportOnly) && reportOnly.includes(type));
  const now = new Date().toISOString();
  const since = Object.fromEntries(types.map((type) => [type, before.reportOnlySince?.[type] ?? now]));
  return present({ ...edited, reportOnlySince: types.length > 0 ? since : undefined });
}
