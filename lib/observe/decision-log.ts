import type { Decision, ParsedOptions } from '../options/options';
import { isRefusal } from '../policy/refusals';
import type { JudgedCalls } from '../policy/evaluate-body';
import type { Refusal } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import { requestEvent } from './request-event';
import type { Occurrence, RequestEvent } from './request-event';

/** Takes note of a request or a message that is over. */
export type Observe = (occurrence: Occurrence) => void;

/** Takes note of a WebSocket message. `arrivedAt` is in milliseconds of `performance.now()`. */
export type Reporter = (judged: Refusal | JudgedCalls, facts: RequestFacts, arrivedAt: number) => void;

/** Logs refusals, and calls `onDecision` once for every decision. */
export function createDecisionLog({ logger, onDecision }: ParsedOptions): Observe {
  return (occurrence) => {
    // Of most requests nobody wants to hear: no event is built for them.
    if (onDecision === undefined && isAllAllowed(occurrence)) return;
    const event = requestEvent(occurrence);
    const { keyHint, requestId, milliseconds } = event;
    for (const { refusal, methods } of event.decisions) {
      const reason = refusal?.refused;
      if (refusal !== undefined) logRefusal(logger, event, refusal, methods);
      if (onDecision === undefined) continue;
      const allowed = reason === undefined;
      tell(onDecision, { allowed, reason, keyHint, methods, requestId, milliseconds: milliseconds.decision });
    }
  };
}

export function messageReporter(observe: Observe): Reporter {
  return (judged, facts, arrivedAt) => {
    observe({ facts, wire: 'webSocket', judged, arrivedAt, decidedAt: performance.now() });
  };
}

function isAllAllowed({ judged }: Occurrence): boolean {
  return judged === undefined || (!isRefusal(judged) && judged.allowed.length === judged.calls.length);
}

function logRefusal(
  logger: ParsedOptions['logger'],
  { keyHint, requestId }: RequestEvent,
  { refused, why }: Refusal,
  methods: readonly string[],
): void {
  const level = refused === 'CONFIGURATION_ERROR' ? 'error' : 'info';
  logger[level]({ key: keyHint, requestId, reason: refused, why, methods }, 'refused');
}

/** Neither an exception of the listener nor a rejection is the request's. */
function tell(onDecision: (decision: Decision) => unknown, decision: Decision): void {
  try {
    const result = onDecision(Object.freeze(decision));
    if (result !== undefined) Promise.resolve(result).catch(() => undefined);
  } catch {
    // It is the listener's.
  }
}
