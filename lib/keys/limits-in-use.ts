import { compileLimits } from '../settings/compile';
import type { Limits } from '../settings/limits';
import { DAY_MS, endOfDay, nameOfDay } from '../stores/limit-store';
import type { LimitStore } from '../stores/limit-store';

/** A key's own limits, and what is left of them by the processes' last reports, tenths of a second old. */
export interface LimitsInUse {
  /** `level` is what is in the bucket, below zero in debt; `undefined` where the store does not count. */
  readonly second?: { readonly limit: number; readonly burst: number; readonly level: number | undefined };
  /** `used` is `undefined` where the store does not count; `resetAt` is ISO 8601, UTC. */
  readonly day?: { readonly limit: number; readonly used: number | undefined; readonly resetAt: string };
  /** Processes that have charged the key within a minute. */
  readonly instances: number;
}

const ACTIVE_MS = 60_000;

/** A key, or one of its secrets, whose limits are asked for. */
export interface Limited {
  readonly apiKey: string;
  readonly secretId?: string;
  readonly limits?: Limits | undefined;
}

/** What is left of the limits of a key or a secret; nothing is charged. */
export async function limitsInUse(
  { apiKey, secretId, limits }: Limited,
  store: LimitStore | undefined,
  nowMs: number,
): Promise<LimitsInUse> {
  const today = Math.floor(nowMs / DAY_MS);
  const subject = { apiKey, ...(secretId !== undefined && { secretId }), day: nameOfDay(today) };
  const asked = { ...subject, instance: '', credits: 0, at: nowMs };
  const rows = (await store?.exchange([asked])) ?? [];
  const { second, perDay } = compileLimits(limits) ?? {};
  const last = rows.reduce((newest, row) => (row.at > newest.at ? row : newest), { level: undefined, ...asked, at: 0 });
  const used = store && rows.reduce((sum, { credits }) => sum + credits, 0);
  return {
    ...(second !== undefined && {
      second: { limit: second.perSecond, burst: second.burst, level: store && levelNow(last, second, nowMs) },
    }),
    ...(perDay !== undefined && { day: { limit: perDay, used, resetAt: endOfDay(today) } }),
    instances: rows.filter(({ at }) => nowMs - at < ACTIVE_MS).length,
  };
}

/** A bucket without a row is full. */
function levelNow(
  { level, at }: { readonly level?: number | undefined; readonly at: number },
  { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
  nowMs: number,
): number {
  if (level === undefined) return burst;
  return Math.floor(Math.min(burst, level + (Math.max(0, nowMs - at) * perSecond) / 1000));
}
