import type { AllowlistType } from '../settings/key-settings';
import { messageOf } from './refusals';
import type { Reason, Refusal } from './refusals';

/** The outcome of one step of the route, and the entry or the secret's hint that decided it. */
export interface TracedStep {
  readonly step: AllowlistType | 'key' | 'secret' | 'body' | 'blockedMethods' | 'limits';
  readonly outcome: 'pass' | 'refuse' | 'skip' | 'would refuse';
  readonly reason: Reason | null;
  readonly entry: string | null;
  readonly why: string;
}

/** Called once by each step. A check that has one does not stop at the first refusal. */
export type Tracer = (step: TracedStep) => void;

export function passed(step: TracedStep['step'], why: string, entry: string | null = null): TracedStep {
  return { step, outcome: 'pass', reason: null, entry, why };
}

export function skipped(step: TracedStep['step'], why: string): TracedStep {
  return { step, outcome: 'skip', reason: null, entry: null, why };
}

export function refused(
  step: TracedStep['step'],
  refusal: Refusal,
  why: string = refusal.why ?? messageOf(refusal),
  entry: string | null = null,
): TracedStep {
  return { step, outcome: 'refuse', reason: refusal.refused, entry, why };
}
