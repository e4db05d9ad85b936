import { METHOD_NAMES } from '../allowlists/address-table';
import { checkCall, reportCall } from './authorize';
import type { Admission } from './authorize';
import type { CallRules } from './check';
import { parseCalls, serialiseBatch, serialisePieces } from '../json-rpc/call';
import type { InvalidCall, Pieces, RpcCall } from '../json-rpc/call';
import { isRefusal, refuse } from './refusals';
import type { Refusal } from './refusals';

/** A call with its verdict; `undefined` let it pass. */
interface JudgedCall {
  readonly call: RpcCall | InvalidCall;
  readonly refusal: Refusal | undefined;
  /** Why a call that passes would be refused if every list refused. */
  readonly wouldRefuse: Refusal | undefined;
}

/** A body or a message, taken apart and decided on. */
export interface JudgedCalls {
  readonly batch: boolean;
  readonly calls: readonly JudgedCall[];
  /** Those that may be forwarded. */
  readonly allowed: readonly RpcCall[];
  /** The first `wouldRefuse` of the calls. */
  readonly wouldRefuse: Refusal | undefined;
  /** What was read, where it is just what would be written of all calls. */
  readonly canonical?: string | Buffer | undefined;
  /** Why limits refused them all, which the answer as a whole tells. */
  readonly limited?: Refusal;
}

/** Reads a body or a message and holds each of its calls against the rules. A refusal concerns it as a whole. */
export function judgeBody(
  body: Buffer | string,
  maxBatchSize: number,
  admission: Admission,
  rules: CallRules,
): Refusal | JudgedCalls {
  const read = parseCalls(body, maxBatchSize, METHOD_NAMES);
  if (!read.ok) {
    const { broken, why } = read;
    if (broken === 'json') return refuse('PARSE_ERROR', { why });
    if (broken === 'request') return refuse('INVALID_REQUEST', { why });
    return refuse('BATCH_TOO_LARGE', { message: `batch larger than ${String(maxBatchSize)} calls`, why });
  }
  const calls = read.calls.map((call) => judgeCall(call, undefined, admission, rules));
  return summed(read.batch, calls, read.canonical);
}

/** Holds what was allowed against the rules of a key that may have changed since. */
export function judgeAgain(before: JudgedCalls, admission: Admission, rules: CallRules): JudgedCalls {
  const calls = before.calls.map(({ call, refusal }) => judgeCall(call, refusal, admission, rules));
  return summed(before.batch, calls, before.canonical);
}

/** `earlier`: why it has been refused before. */
function judgeCall(
  call: RpcCall | InvalidCall,
  earlier: Refusal | undefined,
  admission: Admission,
  rules: CallRules,
): JudgedCall {
  const refusal = earlier ?? checkCall(admission, call, rules);
  const isReported = refusal === undefined && admission.reported !== undefined;
  return { call, refusal, wouldRefuse: isReported ? reportCall(admission, call as RpcCall, rules) : undefined };
}

function summed(batch: boolean, calls: readonly JudgedCall[], canonical: JudgedCalls['canonical']): JudgedCalls {
  const allowed: RpcCall[] = [];
  let first: Refusal | undefined;
  for (const { call, refusal, wouldRefuse } of calls) {
    if (refusal !== undefined || 'invalid' in call) continue;
    allowed.push(call);
    first ??= wouldRefuse;
  }
  return { batch, calls, allowed, wouldRefuse: first, canonical };
}

/** What was allowed and is no longer. */
export function noLongerAllowed({ allowed }: JudgedCalls, now: JudgedCalls | Refusal): readonly RpcCall[] {
  if (isRefusal(now)) return allowed;
  const left = new Set(now.allowed);
  return allowed.filter((call) => !left.has(call));
}

/** What the upstream receives of what is allowed. */
export function serialiseAllowed(judged: JudgedCalls): string | Buffer {
  const [first = '', ...others] = serialiseAllowedPieces(judged);
  return others.length === 0 ? first : [first, ...others].map(String).join('');
}

/** The same in pieces to be sent one after the other. */
export function serialiseAllowedPieces({ batch, calls, allowed, canonical }: JudgedCalls): Pieces {
  if (canonical !== undefined && allowed.length === calls.length) return [canonical];
  const [first] = allowed;
  return batch || first === undefined ? [serialiseBatch(allowed)] : serialisePieces(first);
}
