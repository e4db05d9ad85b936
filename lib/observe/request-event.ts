import { hash } from 'node:crypto';
import type { RequestEvent } from '../options/request-event';
import { ownText } from '../own-text';
import type { Admission } from '../policy/authorize';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import { API_KEY, hintInPath } from '../settings/api-key';
import { upstreamCodeIn } from './upstream-code';

/** Takes note of a request or a message that is over. What it is given may change as soon as it returns. */
export type Observe = (occurrence: Occurrence) => void;

/**
 * What the guard has noted of a request or a message by the time it is done with it. Every member is there from the
 * start: an object that changes its shape costs more.
 */
export class Occurrence {
  /** What let it in; `undefined` when its key, credentials or headers were refused. */
  admission: Admission | undefined = undefined;
  /** What was decided; `undefined` when an error came first. */
  judged: Refusal | JudgedCalls | undefined = undefined;
  /** Why allowed calls got no answer from the upstream. */
  failure: Refusal | undefined = undefined;
  /** What was answered; `undefined` for a message on a WebSocket. */
  status: number | undefined = undefined;
  /** What its allowed calls cost, whether there are limits or not. */
  credits = 0;
  /** Bytes of the body, inflated, and of the answer as it was sent. */
  bytesIn = 0;
  bytesOut = 0;
  decidedAt: number;
  /** Milliseconds that it waited for room under its limits. */
  limitWaitMs = 0;
  /** Milliseconds that it waited in all between verdict and upstream. */
  waitMs = 0;
  /** The host of the upstream that was asked. */
  upstream: string | undefined = undefined;
  /** How long the upstream took to begin its answer; `undefined` when it was not asked or did not answer. */
  upstreamMs: number | undefined = undefined;
  upstreamStatus: number | undefined = undefined;
  /** The upstream's answer where it came whole, short and plain: `upstreamCodeIn` looks for its error code. */
  answered: Buffer | undefined = undefined;
  /** Whether the caller went away before it was answered. */
  aborted = false;

  /** `arrivedAt`, as `decidedAt`, in milliseconds of `performance.now()`. */
  constructor(
    readonly facts: RequestFacts,
    readonly wire: 'http' | 'webSocket',
    readonly arrivedAt: number,
  ) {
    this.decidedAt = arrivedAt;
  }
}

const MAX_METHODS = 100;
const OTHER = '(other)';

export function requestEvent(occurrence: Occurrence): RequestEvent {
  const { facts, judged, failure, admission, arrivedAt, answered } = occurrence;
  const { apiKey, requestId } = facts;
  const refusal = refusalIn(judged);
  const told = failure ?? refusal;
  const total = performance.now() - arrivedAt;
  const ms = {
    decision: occurrence.decidedAt - arrivedAt,
    wait: occurrence.waitMs,
    upstream: occurrence.upstreamMs,
    total,
  };
  return Object.freeze({
    v: 1,
    at: new Date(Date.now() - total).toISOString(),
    requestId,
    keyHint: hintInPath(apiKey),
    keyId: API_KEY.test(apiKey) ? keyIdOf(apiKey) : undefined,
    secretId: admission?.credential?.id,
    network: undefined,
    wire: occurrence.wire,
    methods: Object.freeze(methodsIn(judged)),
    outcome: outcomeOf(occurrence, refusal),
    reason: told?.refused,
    wouldRefuse: judged === undefined || isRefusal(judged) ? undefined : judged.wouldRefuse?.refused,
    why: told?.why,
    status: occurrence.status,
    credits: occurrence.credits,
    limitWaitMs: occurrence.limitWaitMs,
    bytesIn: occurrence.bytesIn,
    bytesOut: occurrence.bytesOut,
    upstream: occurrence.upstream,
    upstreamStatus: occurrence.upstreamStatus,
    upstreamCode: answered && upstreamCodeIn(answered),
    ms: Object.freeze(ms),
    aborted: occurrence.aborted,
  });
}

/** Why all of it, or its first refused call, is refused. */
export function refusalIn(judged: Occurrence['judged']): Refusal | undefined {
  if (judged === undefined || isRefusal(judged)) return judged;
  if (judged.allowed.length === judged.calls.length) return undefined;
  return judged.calls.find(({ refusal }) => refusal !== undefined)?.refusal;
}

export function outcomeOf({ failure, judged }: Occurrence, refusal: Refusal | undefined): RequestEvent['outcome'] {
  if (failure !== undefined) return 'failed';
  if (refusal === undefined) return 'allowed';
  return isRefusal(judged) || judged?.allowed.length === 0 ? 'refused' : 'mixed';
}

function methodsIn(judged: Occurrence['judged']): Record<string, number> {
  // Without a prototype: a method may be called `__proto__`.
  const counts = Object.create(null) as Record<string, number>;
  if (judged === undefined || isRefusal(judged)) return counts;
  let size = 0;
  for (const { call } of judged.calls) {
    if (!('method' in call)) continue;
    const isNew = counts[call.method] === undefined;
    const name = isNew && size === MAX_METHODS ? OTHER : call.method;
    if (isNew && name !== OTHER) size++;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Ids of keys that were told last: a digest for each event would be a good part of its cost. */
const keyIds = new Map<string, string>();
const MAX_KEY_IDS = 1000;

function keyIdOf(apiKey: string): string {
  let id = keyIds.get(apiKey);
  if (id === undefined) {
    if (keyIds.size === MAX_KEY_IDS) keyIds.clear();
    keyIds.set(ownText(apiKey), (id = hash('sha256', apiKey, 'hex').slice(0, 16)));
  }
  return id;
}
