import type { OutgoingHttpHeaders } from 'node:http';
import type { RpcCall } from '../json-rpc/call';
import type { Logger } from '../logger';
import type { Admission } from '../policy/authorize';
import type { JudgedCalls } from '../policy/evaluate-body';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { callerOf } from '../request/client-address';
import type { ClientAddress } from '../request/client-address';
import type { RequestFacts } from '../request/request-facts';
import type { SettingsStore } from '../stores/settings-store';
import { endOfDay } from '../stores/limit-store';
import { systemClock } from './clock';
import type { Clock } from './clock';
import type { Prices } from './credits';
import { Limiter } from './limiter';
import type { Denial, Payer, Room, Spending } from './limiter';
import { addRateLimit, refusedHeaders } from './rate-limit-headers';
import { SpendingExchange } from './spending-exchange';

export interface CallLimitsOptions {
  readonly prices: Prices;
  readonly limitWaitMs: number;
  readonly limitHeaders: boolean;
  readonly clientAddress: ClientAddress;
  /** Whether `X-Forwarded-For` means something to `clientAddress`. */
  readonly trustsProxy: boolean;
  readonly store: Pick<SettingsStore, 'limits'>;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** A body or message to be charged. */
export interface ChargedBody {
  readonly facts: RequestFacts;
  readonly admission: Admission;
  readonly judged: JudgedCalls;
  /** Its length, for what may wait. */
  readonly bytes: number;
}

/** A charge that waits for room. */
export interface WaitingCharge {
  readonly outcome: Promise<JudgedCalls>;
  /** To be called when the caller goes away. */
  readonly leave: () => void;
}

export function isWaiting(charged: JudgedCalls | WaitingCharge): charged is WaitingCharge {
  return 'outcome' in charged;
}

/** A longer body is refused unread if there is no room at all. */
const LONG_BODY_BYTES = 64 * 1024;

/** Holds bodies and messages to the limits of their key, secret and caller. Those without limits cost nothing. */
export class CallLimits {
  readonly #options: CallLimitsOptions;
  readonly #limiter: Limiter;
  #hasWarned = false;

  constructor(options: CallLimitsOptions) {
    const { limitWaitMs, clock = systemClock, store, logger } = options;
    const shared = store.limits;
    const exchange = shared && new SpendingExchange({ store: shared, logger, clock });
    this.#options = options;
    this.#limiter = new Limiter({ waitMs: limitWaitMs, clock, exchange });
  }

  /** Charges the allowed calls, all of them or none; none that are refused reach the upstream. It may take a while. */
  charge(body: ChargedBody): JudgedCalls | WaitingCharge {
    const { facts, admission, judged, bytes } = body;
    if (judged.allowed.length === 0) return judged;
    const payer = this.#payerOf(facts, admission);
    const outcome = this.#limiter.charge(payer, this.#options.prices.costOf(judged.allowed), bytes);
    if (outcome === undefined) return judged;
    if (!('outcome' in outcome)) return refuseAll(judged, this.#refusal(outcome, payer));
    const charged = outcome.outcome.then((denial) =>
      denial === undefined ? judged : refuseAll(judged, this.#refusal(denial, payer)),
    );
    return { outcome: charged, leave: outcome.leave };
  }

  /**
   * Calls that were charged and are not sent after all cost nothing.
   * @returns whether they do: of a caller that has left (`hasLeft`) those above a burst do.
   */
  giveBack(facts: RequestFacts, admission: Admission, calls: readonly RpcCall[], hasLeft = false): boolean {
    if (!hasLimits(admission)) return true;
    return this.#limiter.giveBack(this.#payerOf(facts, admission), this.#options.prices.costOf(calls), hasLeft);
  }

  /** Why a long body is refused before it is read; `undefined` to read it. */
  refuseUnread(facts: RequestFacts, admission: Admission): Refusal | undefined {
    if (!hasLimits(admission) || this.#options.prices.hasFree) return undefined;
    if (!(Number(facts.headers['content-length']) > LONG_BODY_BYTES)) return undefined;
    const payer = this.#payerOf(facts, admission);
    const denial = this.#limiter.refusesUnread(payer);
    return denial && this.#refusal(denial, payer);
  }

  /** Adds the limit headers of an answer; none without limits. */
  addHeaders(headers: OutgoingHttpHeaders, facts: RequestFacts, admission: Admission): void {
    if (!this.#options.limitHeaders) return;
    addRateLimit(headers, this.roomFor(facts, admission));
  }

  /** What is left for a caller, the tighter of key and secret. */
  roomFor(facts: RequestFacts, admission: Admission): Room {
    return this.#limiter.roomFor(this.#payerOf(facts, admission));
  }

  /** Begins where others are, as a store tells it: for a dry run. */
  beginAt(facts: RequestFacts, admission: Admission, spendingOf: (secretId: string | undefined) => Spending): void {
    this.#limiter.beginAt(this.#payerOf(facts, admission), spendingOf);
  }

  /** Whether the store that processes share their counts through can be reached; `undefined` where nothing is shared. */
  get isShared(): boolean | undefined {
    return this.#limiter.isShared;
  }

  close(): Promise<void> {
    return this.#limiter.close();
  }

  #payerOf(facts: RequestFacts, { key, credential }: Admission): Payer {
    const isByAddress = key.limits?.perAddress !== undefined;
    return {
      apiKey: key.settings.apiKey,
      limits: key.limits,
      secret: credential?.limits === undefined ? undefined : credential,
      caller: isByAddress ? this.#callerOf(facts) : '',
    };
  }

  /** Callers whose address is unknown count as one. */
  #callerOf(facts: RequestFacts): string {
    const { clientAddress, trustsProxy, logger } = this.#options;
    if (!trustsProxy && !this.#hasWarned && facts.headers['x-forwarded-for'] !== undefined) {
      this.#hasWarned = true;
      const write = 'trustProxy: 1, or how many proxies there are';
      const problem = 'limits.perAddress: requests come through a proxy, and all callers behind it count as one';
      logger.error({ write }, problem);
    }
    const address = clientAddress(facts);
    return address === undefined ? '' : callerOf(address);
  }

  #refusal(denial: Denial, payer: Payer): Refusal {
    const headers = this.#options.limitHeaders ? refusedHeaders(denial, this.#limiter.roomFor(payer)) : {};
    if (denial.limit === 'day') {
      return refuse('DAILY_LIMIT_REACHED', { headers, data: { resetAt: endOfDay(denial.day) }, why: 'limits.perDay' });
    }
    const retryAfterMs = Math.max(1, Math.ceil(denial.retryAfterMs));
    const seconds = Math.ceil(retryAfterMs / 1000);
    return refuse('RATE_LIMITED', {
      headers: { ...headers, 'Retry-After': String(seconds) },
      data: { retryAfterMs, rate: { backoff_seconds: seconds } },
      why: denial.limit === 'address' ? 'limits.perAddress' : 'limits.perSecond',
    });
  }
}

/** The only question asked of a key without limits. */
export function hasLimits({ key, credential }: Admission): boolean {
  return key.limits !== undefined || credential?.limits !== undefined;
}

/** Calls that were refused for another reason keep it. */
function refuseAll(judged: JudgedCalls, limited: Refusal): JudgedCalls {
  const calls = judged.calls.map(({ call, refusal }) => ({
    call,
    refusal: refusal ?? limited,
    wouldRefuse: undefined,
  }));
  return { batch: judged.batch, calls, allowed: [], wouldRefuse: undefined, limited };
}
