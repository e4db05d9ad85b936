import type { ParsedOptions } from '../options/options';
import { ownText } from '../own-text';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { hintInPath } from '../settings/api-key';
import { REFUSED, RefusalLog, WOULD_REFUSE } from './refusal-log';
import type { Observe, Occurrence } from './request-event';
import { tell } from './tell-event';

/** One decision. The calls of a batch that fared alike share one. */
interface SharedDecision {
  readonly refusal: Refusal | undefined;
  readonly wouldRefuse: Refusal | undefined;
  readonly methods: readonly string[];
}

export interface DecisionLog {
  readonly observe: Observe;
  readonly close: () => void;
}

/** Logs refusals, and what lists that only report would refuse, and calls `onDecision` once for every decision. */
export function createDecisionLog({ logger, onDecision }: Pick<ParsedOptions, 'logger' | 'onDecision'>): DecisionLog {
  const refused = new RefusalLog(logger, REFUSED);
  const reported = new RefusalLog(logger, WOULD_REFUSE);
  return {
    observe({ facts: { apiKey, requestId }, judged, arrivedAt, decidedAt }) {
      // Of most requests nobody wants to hear.
      if (judged === undefined || (onDecision === undefined && isAllAllowed(judged))) return;
      const request = { keyHint: hintInPath(apiKey), requestId };
      const milliseconds = decidedAt - arrivedAt;
      for (const { refusal, wouldRefuse, methods } of decisionsOf(judged)) {
        if (refusal !== undefined) refused.add({ apiKey, requestId, refusal, methods });
        else if (wouldRefuse !== undefined) reported.add({ apiKey, requestId, refusal: wouldRefuse, methods });
        if (onDecision === undefined) continue;
        const verdict = {
          allowed: refusal === undefined,
          reason: refusal?.refused,
          wouldRefuse: wouldRefuse?.refused,
        };
        tell(onDecision, Object.freeze({ ...verdict, ...request, methods, milliseconds }));
      }
    },
    close() {
      refused.close();
      reported.close();
    },
  };
}

function isAllAllowed(judged: Refusal | JudgedCalls): boolean {
  if (isRefusal(judged) || judged.wouldRefuse !== undefined) return false;
  return judged.allowed.length === judged.calls.length;
}

function decisionsOf(judged: NonNullable<Occurrence['judged']>): readonly SharedDecision[] {
  if (isRefusal(judged)) return [{ refusal: judged, wouldRefuse: undefined, methods: [] }];
  const [first] = judged.calls;
  if (first === undefined) return [{ refusal: undefined, wouldRefuse: judged.wouldRefuse, methods: [] }];
  if (judged.calls.length === 1) {
    const { refusal, wouldRefuse, call } = first;
    return [{ refusal, wouldRefuse, methods: 'method' in call ? [ownText(call.method)] : [] }];
  }
  const decisions = new Map<string, SharedDecision & { readonly methods: string[] }>();
  for (const { call, refusal, wouldRefuse } of judged.calls) {
    const alike = refusal === undefined ? `would: ${String(wouldRefuse?.refused)}` : refusal.refused;
    const decision = decisions.get(alike) ?? { refusal, wouldRefuse, methods: [] };
    if ('method' in call) decision.methods.push(ownText(call.method));
    decisions.set(alike, decision);
  }
  return [...decisions.values()];
}
