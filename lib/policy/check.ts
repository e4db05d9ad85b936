import type { AddressTable } from '../allowlists/address-table';
import type { RpcCall } from '../json-rpc/call';
import { describeError } from '../logger';
import type { CompiledAllowlists } from '../settings/compile';
import { refuse } from './refusals';
import type { Refusal } from './refusals';
import type { Tracer } from './trace';

/** The operator's rules for all keys. */
export interface CallRules {
  readonly addressTable: AddressTable;
  readonly isBlocked: (method: string) => boolean;
  /** The entries behind `isBlocked`, for the dry run. */
  readonly blockedMethods: readonly string[];
}

export interface CheckedCall {
  readonly call: RpcCall;
  readonly rules: CallRules;
}

/** One rule, held against a request or a call. `undefined` lets it pass; with a tracer it also says why. */
export type Check<Subject> = (lists: CompiledAllowlists, subject: Subject, trace?: Tracer) => Refusal | undefined;

/** The first refusal. Without a tracer nothing after it is checked. */
export function runChecks<Subject>(
  checks: readonly Check<Subject>[],
  lists: CompiledAllowlists,
  subject: Subject,
  trace?: Tracer,
): Refusal | undefined {
  let first: Refusal | undefined;
  for (const check of checks) {
    const refusal = check(lists, subject, trace);
    first ??= refusal;
    if (first !== undefined && trace === undefined) break;
  }
  return first;
}

/**
 * What lists that only report would refuse: the first of it, or that one of them failed, which is no reason to refuse
 * anything. All are checked.
 */
export function runReports<Subject>(
  checks: readonly Check<Subject>[],
  lists: CompiledAllowlists,
  subject: Subject,
  trace?: Tracer,
): Refusal | undefined {
  let first: Refusal | undefined;
  let failed: Refusal | undefined;
  const told = trace && reporting(trace);
  for (const check of checks) {
    try {
      const refusal = check(lists, subject, told);
      first ??= refusal;
    } catch (error) {
      failed ??= refuse('INTERNAL_ERROR', { why: describeError(error) });
    }
  }
  return failed ?? first;
}

function reporting(trace: Tracer): Tracer {
  return (step) => {
    trace(step.outcome === 'refuse' ? { ...step, outcome: 'would refuse' } : step);
  };
}
