import type { WritableSettingsStore } from '../../lib';
import { HOUR_MS, hourOf } from '../../lib/stores/usage-store';
import type { UsageKind, UsageRow } from '../../lib/stores/usage-store';

export interface CountedName {
  readonly kind: UsageKind;
  readonly name: string;
  readonly calls: number;
  readonly outcome?: string;
  /** When it was counted. Default 48. */
  readonly hoursAgo?: number;
}

/** What `names` say of a key, and 1000 allowed calls over the two days before this hour. */
export async function putTraffic(
  store: WritableSettingsStore,
  apiKey: string,
  names: readonly CountedName[],
): Promise<void> {
  const none = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };
  const row = ({ kind, name, calls, outcome = 'allowed', hoursAgo = 48 }: CountedName): UsageRow => {
    const lastAt = Date.now() - hoursAgo * HOUR_MS;
    return { apiKey, hour: hourOf(lastAt), instance: 'a', kind, name, outcome, calls, lastAt, ...none };
  };
  const totals = [48, 0].map((hoursAgo) => row({ kind: 'total', name: '', calls: 500, hoursAgo }));
  await store.usage!.write([...totals.map((it) => ({ ...it, requests: it.calls, peak: 0 })), ...names.map(row)]);
}
