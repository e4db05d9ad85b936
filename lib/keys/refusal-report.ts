import { checkArgument, isText, isWhole } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { refusedCallOf } from '../stores/refused-call';
import { HOURS_KEPT_DAYS, HOUR_MS, NO_KEY, WOULD_REFUSE, hourOf, isoOf } from '../stores/usage-store';
import type { UsageRow, UsageStore } from '../stores/usage-store';

export interface RefusalsOptions {
  /** Those with this id, of which each group keeps the last three. Callers choose it: several groups may have it. */
  readonly requestId?: string | undefined;
  readonly reason?: string | undefined;
  /** Groups at most, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

/** Refusals of the last 7 days that were alike. Members without a value were not known, or are not counted. */
export interface RefusalGroup {
  /** `undefined` for requests without a key that exists. */
  readonly apiKey: string | undefined;
  readonly reason: string;
  /** Whether it passed, because the list only reports. */
  readonly wouldBe: boolean;
  readonly method: string | undefined;
  readonly origin: string | undefined;
  /** The product: `ethers`. */
  readonly userAgent: string | undefined;
  /** The contract that is not listed. */
  readonly address: string | undefined;
  readonly wire: string;
  readonly secretId: string | undefined;
  /** What the log says besides the reason. */
  readonly why: string | undefined;
  readonly count: number;
  readonly first: string;
  readonly last: string;
  /** The last three, the newest first. */
  readonly requestIds: readonly string[];
}

const RULES: OptionRules<RefusalsOptions> = {
  requestId: { accepts: isText, takes: 'what the answer says in X-Request-Id' },
  reason: { accepts: isText, takes: 'a reason, such as "ORIGIN_NOT_ALLOWED"' },
  limit: { accepts: isWhole(1, 1000), takes: 'a whole number from 1 to 1000' },
};
const IDS_KEPT = 3;

/** Groups of refusals, the last one first: of one key, or of all and of requests without one. */
export async function refusalReport(
  store: UsageStore,
  apiKey: string | undefined,
  options: RefusalsOptions,
  nowMs: number,
): Promise<readonly RefusalGroup[]> {
  checkArgument('refusals', RULES, options);
  const { requestId, reason, limit = 100 } = options;
  const from = hourOf(nowMs - HOURS_KEPT_DAYS * 24 * HOUR_MS);
  const rows = await store.read({ apiKey, from, to: isoOf(nowMs + 24 * HOUR_MS), kinds: ['refusal'] });
  const groups = new Map<string, UsageRow[]>();
  for (const row of rows) {
    if (reason !== undefined && row.outcome.replace(WOULD_REFUSE, '') !== reason) continue;
    const id = JSON.stringify([row.apiKey, row.outcome, row.name]);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [row]);
    else group.push(row);
  }
  return [...groups.values()]
    .map(groupOf)
    .filter((group) => requestId === undefined || group.requestIds.includes(requestId))
    .map((group) => ({ ...group, requestIds: group.requestIds.slice(0, IDS_KEPT) }))
    .sort((a, b) => (a.last > b.last ? -1 : 1))
    .slice(0, limit);
}

/** One of what processes have counted in several hours. */
function groupOf(rows: readonly UsageRow[]): RefusalGroup {
  const newestFirst = [...rows].sort((a, b) => b.lastAt - a.lastAt);
  const newest = newestFirst[0]!;
  const { method, origin, userAgent, address, wire, secretId } = refusedCallOf(newest);
  return {
    apiKey: newest.apiKey === NO_KEY ? undefined : newest.apiKey,
    reason: newest.outcome.replace(WOULD_REFUSE, ''),
    wouldBe: newest.outcome.startsWith(WOULD_REFUSE),
    method: method || undefined,
    origin: origin || undefined,
    userAgent: userAgent || undefined,
    address: address || undefined,
    wire,
    secretId: secretId || undefined,
    why: newest.detail?.why,
    count: rows.reduce((sum, { calls }) => sum + calls, 0),
    first: new Date(Math.min(...rows.map(({ detail }) => detail?.first ?? Infinity))).toISOString(),
    last: new Date(newest.lastAt).toISOString(),
    requestIds: newestFirst.flatMap(({ detail }) => detail?.requestIds ?? []),
  };
}
