import type { ParsedOptions } from '../options/options';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { Observe, Occurrence } from './request-event';
import { tell } from './tell-event';

/** One decision. The calls of a batch that fared alike share one. */
interface SharedDecision {
  readonly refusal: Refusal | undefined;
  readonly wouldRefuse: Refusal | undefined;
  readonly methods: readonly string[];
}

/** Logs refusals, and what lists that only report would refuse, and calls `onDecision` once for every decision. */
export function createDecisionLog({ logger, onDecision }: ParsedOptions): Observe {
  return ({ facts, judged, arrivedAt, decidedAt }) => {
    // Of most requests nobody wants to hear.
    if (judged === undefined || (onDecision === undefined && isAllAllowed(judged))) return;
    const { apiKey, requestId } = facts;
    const hint = apiKey === '' ? undefined : keyHint(apiKey);
    const milliseconds = decidedAt - arrivedAt;
    for (const { refusal, wouldRefuse, methods } of decisionsOf(judged)) {
      const request = { key: hint, requestId };
      if (refusal !== undefined) logRefusal(logger, request, refusal, methods);
      else if (wouldRefuse !== undefined) logReport(logger, request, wouldRefuse, methods);
      if (onDecision === undefined) continue;
      const verdict = {
        allowed: refusal === undefined,
        reason: refusal?.refused,
        wouldRefuse: wouldRefuse?.refused,
      };
      tell(onDecision, Object.freeze({ ...verdict, keyHint: hint, methods, requestId, milliseconds }));
    }
  };
}

function isAllAllowed(judged: Refusal | JudgedCalls): boolean {
  if (isRefusal(judged) || judged.wouldRefuse !== undefined) return false;
  return judged.allowed.length === judged.calls.length;
}

interface LoggedRequest {
  readonly key: string | undefined;
  readonly requestId: string;
}

function logRefusal(
  logger: ParsedOptions['logger'],
  request: LoggedRequest,
  { refused, why }: Refusal,
  methods: readonly string[],
): void {
  const level = refused === 'CONFIGURATION_ERROR' ? 'error' : 'info';
  logger[level]({ ...request, reason: refused, why, methods }, 'refused');
}

/** What lists that only report would refuse; an error where one of them failed. */
function logReport(
  logger: ParsedOptions['logger'],
  request: LoggedRequest,
  { refused, why }: Refusal,
  methods: readonly string[],
): void {
  const level = refused === 'INTERNAL_ERROR' ? 'error' : 'info';
  logger[level]({ ...request, reason: refused, why, methods }, 'would refuse');
}

function decisionsOf(judged: NonNullable<Occurrence['judged']>): readonly SharedDecision[] {
  if (isRefusal(judged)) return [{ refusal: judged, wouldRefuse: undefined, methods: [] }];
  const [first] = judged.calls;
  if (first === undefined) return [{ refusal: undefined, wouldRefuse: judged.wouldRefuse, methods: [] }];
  if (judged.calls.length === 1) {
    const { refusal, wouldRefuse, call } = first;
    return [{ refusal, wouldRefuse, methods: 'method' in call ? [call.method] : [] }];
  }
  const decisions = new Map<string, SharedDecision & { readonly methods: string[] }>();
  for (const { call, refusal, wouldRefuse } of judged.calls) {
    const alike = refusal === undefined ? `would: ${String(wouldRefuse?.refused)}` : refusal.refused;
    const decision = decisions.get(alike) ?? { refusal, wouldRefuse, methods: [] };
    if ('method' in call) decision.methods.push(call.method);
    decisions.set(alike, decision);
  }
  return [...decisions.values()];
}
