import { checkCall } from './authorize';
import type { Admission, CallRules } from './authorize';
import { parseCalls, serialiseBatch, serialiseCall, splitAnswers } from '../json-rpc/call';
import type { InvalidCall, RpcCall } from '../json-rpc/call';
import { isRefusal, refusalReply, refuse } from './refusals';
import type { Refusal, ReplyOptions } from './refusals';

/** A call with its verdict; `undefined` let it pass. */
interface JudgedCall {
  readonly call: RpcCall | InvalidCall;
  readonly refusal: Refusal | undefined;
}

/** A body or a message, taken apart and decided on. */
export interface JudgedCalls {
  readonly batch: boolean;
  readonly calls: readonly JudgedCall[];
  /** Those that may be forwarded. */
  readonly allowed: readonly RpcCall[];
}

/** Reads a body or a message and holds each of its calls against the rules. A refusal concerns it as a whole. */
export function judgeBody(
  body: Buffer | string,
  maxBatchSize: number,
  admission: Admission,
  rules: CallRules,
): Refusal | JudgedCalls {
  const read = parseCalls(body, maxBatchSize);
  if (!read.ok) {
    const { broken, why } = read;
    if (broken === 'json') return refuse('PARSE_ERROR', { why });
    if (broken === 'request') return refuse('INVALID_REQUEST', { why });
    return refuse('BATCH_TOO_LARGE', { message: `batch larger than ${String(maxBatchSize)} calls`, why });
  }
  const calls: JudgedCall[] = [];
  const allowed: RpcCall[] = [];
  for (const call of read.calls) {
    const refusal = checkCall(admission, call, rules);
    calls.push({ call, refusal });
    if (refusal === undefined && !('invalid' in call)) allowed.push(call);
  }
  return { batch: read.batch, calls, allowed };
}

/** What the upstream receives when all of it is allowed. */
export function serialiseAll({ batch, allowed }: JudgedCalls): string {
  const [first] = allowed;
  return batch || first === undefined ? serialiseBatch(allowed) : serialiseCall(first);
}

/**
 * The allowed calls of a batch of which something is refused, in batches to send one after the other. It is one, unless
 * an id repeats: an answer is taken for a call by its id alone, so no two calls with one id may be under way at once.
 */
export function runsOf(allowed: readonly RpcCall[]): readonly (readonly RpcCall[])[] {
  const runs: RpcCall[][] = [];
  let ids = new Set<string>();
  for (const call of allowed) {
    const run = runs.at(-1);
    if (run === undefined || (call.id !== undefined && ids.has(call.id))) {
      runs.push([call]);
      ids = new Set();
    } else run.push(call);
    if (call.id !== undefined) ids.add(call.id);
  }
  return runs;
}

/** What came for a call: its response as the upstream wrote it, or why there is none. */
export type Replies = Map<RpcCall, string | Refusal>;

/** Adds what `answer` holds for calls that have no reply yet. None, or several for one call, are no answer to it. */
export function addReplies(replies: Replies, run: readonly RpcCall[], answer: Buffer | Refusal): void {
  const answers = isRefusal(answer) ? undefined : splitAnswers(answer);
  for (const call of run) {
    const [found, ...others] = answers?.get(call.id ?? '') ?? [];
    if (found !== undefined && others.length === 0) replies.set(call, found);
    else if (isRefusal(answer) && !replies.has(call)) replies.set(call, answer);
  }
}

/**
 * The answer that the upstream cannot give alone: one response for each call that is owed one, in the order of the
 * request, in an array if it was a batch.
 * @returns JSON text, empty when no response is owed.
 */
export function mergeAnswers(judged: JudgedCalls, replies: Replies, options: ReplyOptions): string {
  const merged = judged.calls.flatMap(({ call, refusal }) => {
    if (refusal !== undefined) return isOwed(call) ? [refusalReply(refusal, call.id, options)] : [];
    if (call.id === undefined) return [];
    const reply = replies.get(call as RpcCall) ?? refuse('UPSTREAM_UNAVAILABLE');
    return typeof reply === 'string' ? [reply] : [refusalReply(reply, call.id, options)];
  });
  if (!judged.batch) return merged[0] ?? '';
  return merged.length === 0 ? '' : `[${merged.join(',')}]`;
}

/** A notification is owed nothing; what is no call at all is answered with a null id (JSON-RPC 2.0, section 7). */
function isOwed(call: RpcCall | InvalidCall): boolean {
  return call.id !== undefined || ('invalid' in call && call.invalid === 'request');
}
