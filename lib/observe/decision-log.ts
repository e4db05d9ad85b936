import type { ParsedOptions } from '../options/options';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { Observe, Occurrence } from './request-event';
import { tell } from './tell-event';

/** One decision. The calls of a batch that fared alike share one. */
interface SharedDecision {
  readonly refusal: Refusal | undefined;
  readonly methods: readonly string[];
}

/** Logs refusals, and calls `onDecision` once for every decision. */
export function createDecisionLog({ logger, onDecision }: ParsedOptions): Observe {
  return ({ facts, judged, arrivedAt, decidedAt }) => {
    // Of most requests nobody wants to hear.
    if (judged === undefined || (onDecision === undefined && isAllAllowed(judged))) return;
    const { apiKey, requestId } = facts;
    const hint = apiKey === '' ? undefined : keyHint(apiKey);
    const milliseconds = decidedAt - arrivedAt;
    for (const { refusal, methods } of decisionsOf(judged)) {
      if (refusal !== undefined) logRefusal(logger, { key: hint, requestId }, refusal, methods);
      if (onDecision === undefined) continue;
      const allowed = refusal === undefined;
      const decision = { allowed, reason: refusal?.refused, keyHint: hint, methods, requestId, milliseconds };
      tell(onDecision, Object.freeze(decision));
    }
  };
}

function isAllAllowed(judged: Refusal | JudgedCalls): boolean {
  return !isRefusal(judged) && judged.allowed.length === judged.calls.length;
}

function logRefusal(
  logger: ParsedOptions['logger'],
  request: { readonly key: string | undefined; readonly requestId: string },
  { refused, why }: Refusal,
  methods: readonly string[],
): void {
  const level = refused === 'CONFIGURATION_ERROR' ? 'error' : 'info';
  logger[level]({ ...request, reason: refused, why, methods }, 'refused');
}

function decisionsOf(judged: NonNullable<Occurrence['judged']>): readonly SharedDecision[] {
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
