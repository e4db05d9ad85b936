import type { JudgedCalls } from '../policy/evaluate-body';
import type { Decision, ParsedOptions } from '../options/options';
import { isRefusal } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { keyHint } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';

interface Verdict {
  readonly refusal: Refusal | undefined;
  readonly methods: string[];
}

/**
 * Tells the log and `onDecision` what was decided on a request, once for each verdict in it. `arrivedAt` is in
 * milliseconds of `performance.now()`.
 */
export type Reporter = (judged: Refusal | JudgedCalls, facts: RequestFacts, arrivedAt: number) => void;

export function createReporter({ logger, onDecision }: ParsedOptions): Reporter {
  return (judged, { apiKey, requestId }, arrivedAt) => {
    if (onDecision === undefined && !isRefusal(judged) && judged.allowed.length === judged.calls.length) return;
    const milliseconds = performance.now() - arrivedAt;
    const hint = apiKey === '' ? undefined : keyHint(apiKey);
    for (const { refusal, methods } of verdictsOf(judged)) {
      const reason = refusal?.refused;
      if (refusal !== undefined) {
        const level = reason === 'CONFIGURATION_ERROR' ? 'error' : 'info';
        logger[level]({ key: hint, requestId, reason, why: refusal.why, methods }, 'refused');
      }
      if (onDecision === undefined) continue;
      tell(onDecision, { allowed: reason === undefined, reason, keyHint: hint, methods, requestId, milliseconds });
    }
  };
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

function verdictsOf(judged: Refusal | JudgedCalls): Iterable<Verdict> {
  if (isRefusal(judged)) return [{ refusal: judged, methods: [] }];
  const [first] = judged.calls;
  if (judged.calls.length === 1 && first !== undefined) {
    return [{ refusal: first.refusal, methods: 'method' in first.call ? [first.call.method] : [] }];
  }
  const verdicts = new Map<Reason | undefined, Verdict>();
  for (const { call, refusal } of judged.calls) {
    const verdict = verdicts.get(refusal?.refused) ?? { refusal, methods: [] };
    if ('method' in call) verdict.methods.push(call.method);
    verdicts.set(refusal?.refused, verdict);
  }
  return verdicts.values();
}
