import { limitsInUse } from '../keys/limits-in-use';
import type { LimitsInUse } from '../keys/limits-in-use';
import type { Clock } from '../limits/clock';
import { CallLimits, hasLimits, isWaiting } from '../limits/limit-calls';
import type { Room } from '../limits/limiter';
import { quiet, stderrLogger } from '../logger';
import type { ParsedRequestOptions } from '../options/request-options';
import type { Admission } from '../policy/authorize';
import type { JudgedCalls } from '../policy/evaluate-body';
import { passed, refused, skipped } from '../policy/trace';
import type { TracedStep } from '../policy/trace';
import type { RequestFacts } from '../request/request-facts';
import { grouped } from '../spelling';
import type { LimitStore } from '../stores/limit-store';
import { stored } from '../stores/versioned-write';

export interface DryLimits {
  /** With the refusal of limits, where they refuse. */
  readonly judged: JudgedCalls;
  /** `null` where no call is allowed. */
  readonly step: TracedStep | null;
}

/**
 * Charges the calls as the guard does, but to limits that nobody shares and that are dropped afterwards. They begin where
 * the guards' are, as the store knows it.
 */
export async function dryCharge(
  facts: RequestFacts,
  admission: Admission,
  judged: JudgedCalls,
  { prices, limitWaitMs }: Pick<ParsedRequestOptions, 'prices' | 'limitWaitMs'>,
  store: LimitStore | undefined,
): Promise<DryLimits> {
  if (judged.allowed.length === 0) return { judged, step: null };
  if (!hasLimits(admission)) return { judged, step: skipped('limits', 'no limits') };
  const cost = prices.costOf(judged.allowed);
  if (cost === 0) return { judged, step: skipped('limits', 'it costs nothing') };

  const clock = jumpingClock();
  const limits = new CallLimits({
    prices,
    limitWaitMs,
    limitHeaders: false,
    // By address there is always room: the caller's is not known.
    clientAddress: () => undefined,
    trustsProxy: true,
    store: {},
    logger: quiet(stderrLogger),
    clock,
  });
  const inUse = await limitsOf(admission, store);
  limits.beginAt(facts, admission, (secretId) => {
    const { second, day } = inUse.get(secretId)!;
    return { level: second?.level, used: day?.used };
  });
  const room = limits.roomFor(facts, admission);
  const charging = limits.charge({ facts, admission, judged, bytes: 0 });
  const charged = isWaiting(charging) ? await charging.outcome : charging;
  const { limited } = charged;
  const words = roomWords(room, store === undefined);
  const costs = cost === 1 ? '' : `costs ${grouped(cost)}; `;
  if (limited !== undefined) {
    return { judged: charged, step: refused('limits', limited, `${costs}has no room: ${words}`, limited.why ?? null) };
  }
  const wait = clock.now();
  const when = wait === 0 ? '' : ` in ${String(wait)} ms`;
  return { judged, step: passed('limits', `${costs}has room${when}: ${words}`) };
}

/** What is in use of the key's limits (under `undefined`) and of the secret's. */
async function limitsOf(
  { key, credential }: Admission,
  store: LimitStore | undefined,
): Promise<ReadonlyMap<string | undefined, LimitsInUse>> {
  const { apiKey, limits, secrets } = key.settings;
  const ofSecret = secrets.find(({ id }) => id === credential?.id);
  const asked = [
    { apiKey, limits },
    ...(ofSecret === undefined ? [] : [{ ...ofSecret, apiKey, secretId: ofSecret.id }]),
  ];
  const found = asked.map(async (limited) => {
    const use = await stored(() => limitsInUse(limited, store, Date.now()));
    return ['secretId' in limited ? limited.secretId : undefined, use] as const;
  });
  return new Map(await Promise.all(found));
}

/** `57 of 100, 19,804 of 20,000 today` */
function roomWords({ second, day }: Room, isUnknown: boolean): string {
  const words = [
    second === undefined ? [] : [`${grouped(Math.max(0, Math.floor(second.level)))} of ${grouped(second.rate.burst)}`],
    day === undefined ? [] : [`${grouped(day.left)} of ${grouped(day.limit)} today`],
  ].flat();
  if (words.length === 0) return "by address alone, and the caller's is not known here";
  return words.join(', ') + (isUnknown ? ', if nothing is spent: the store does not tell' : '');
}

/** Time that is over as soon as somebody waits for it. */
function jumpingClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    wall: () => Date.now() + now,
    wallAt: () => Date.now() + now,
    after(milliseconds, work) {
      now += milliseconds;
      queueMicrotask(work);
      return () => undefined;
    },
  };
}
