import { isRefusal } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import type { JudgedCalls } from '../policy/evaluate-body';
import { keyHint } from '../settings/api-key';
import type { RequestFacts } from '../request/request-facts';

/** What the guard has noted of a request or a message by the time it is done with it. */
export interface Occurrence {
  readonly facts: RequestFacts;
  readonly wire: 'http' | 'webSocket';
  /** What was decided; `undefined` when an error came first. */
  readonly judged: Refusal | JudgedCalls | undefined;
  /** This and the next in milliseconds of `performance.now()`. */
  readonly arrivedAt: number;
  readonly decidedAt: number;
  /** How long the upstream took to begin its answer; `undefined` when it was not asked. */
  readonly upstreamMs?: number | undefined;
  /** What was answered; `undefined` on a WebSocket. */
  readonly status?: number | undefined;
  /** Why an allowed request got no answer from the upstream. */
  readonly failure?: Reason | undefined;
}

/** One decision. The calls of a batch that fared alike share one. */
export interface SharedDecision {
  readonly refusal: Refusal | undefined;
  readonly methods: readonly string[];
}

/** What happened to one request or message, told once, when it is over. */
export interface RequestEvent {
  readonly requestId: string;
  /** The key's first characters; `undefined` when the path holds none. */
  readonly keyHint: string | undefined;
  readonly wire: 'http' | 'webSocket';
  readonly decisions: readonly SharedDecision[];
  readonly outcome: 'allowed' | 'refused' | 'mixed' | 'failed';
  /** Why the whole or the first of it was refused, or failed. */
  readonly reason: Reason | undefined;
  readonly status: number | undefined;
  readonly milliseconds: { readonly decision: number; readonly upstream: number | undefined; readonly total: number };
}

export function requestEvent(occurrence: Occurrence): RequestEvent {
  const { facts, wire, judged, arrivedAt, decidedAt, upstreamMs, status, failure } = occurrence;
  const decisions = judged === undefined ? [] : decisionsOf(judged);
  const refused = decisions.filter(({ refusal }) => refusal !== undefined);
  const isMixed = refused.length > 0 && refused.length < decisions.length;
  const allOf = refused.length > 0 ? 'refused' : 'allowed';
  return {
    requestId: facts.requestId,
    keyHint: facts.apiKey === '' ? undefined : keyHint(facts.apiKey),
    wire,
    decisions,
    outcome: failure !== undefined ? 'failed' : isMixed ? 'mixed' : allOf,
    reason: failure ?? refused[0]?.refusal?.refused,
    status,
    milliseconds: { decision: decidedAt - arrivedAt, upstream: upstreamMs, total: performance.now() - arrivedAt },
  };
}

function decisionsOf(judged: Refusal | JudgedCalls): readonly SharedDecision[] {
  if (isRefusal(judged)) return [{ refusal: judged, methods: [] }];
  const [first] = judged.calls;
  if (judged.calls.length === 1 && first !== undefined) {
    return [{ refusal: first.refusal, methods: 'method' in first.call ? [first.call.method] : [] }];
  }
  const decisions = new Map<
    Reason | undefined,
    { readonly refusal: Refusal | undefined; readonly methods: string[] }
  >();
  for (const { call, refusal } of judged.calls) {
    const decision = decisions.get(refusal?.refused) ?? { refusal, methods: [] };
    if ('method' in call) decision.methods.push(call.method);
    decisions.set(refusal?.refused, decision);
  }
  return [...decisions.values()];
}
