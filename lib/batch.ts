import { checkCall } from './chain';
import type { Admission, CallRules } from './chain';
import { parseCalls, serialiseBatch, serialiseCall, splitAnswers } from './json-rpc/call';
import type { InvalidCall, RpcCall } from './json-rpc/call';
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
  const calls = read.calls.map((call) => ({ call, refusal: checkCall(admission, call, rules) }));
  const allowed = calls.flatMap(({ call, refusal }) => (refusal === undefined && !('invalid' in call) ? [call] : []));
  return { batch: read.batch, calls, allowed };
}

/** What the upstream receives of it: the allowed calls, in a batch if they came in one. */
export function serialiseAllowed({ batch, allowed }: JudgedCalls): string {
  const [first] = allowed;
  return batch || first === undefined ? serialiseBatch(allowed) : serialiseCall(first);
}

/**
 * The answer that the upstream cannot give alone, to a batch or to one refused call: one response for each call that is owed one, in the order
 * of the request. `answer` is what the upstream made of the allowed ones, or why there is nothing.
 * An answer is taken for a call by its id alone, and only when as many came as calls with that id were sent.
 * @returns JSON text, empty when no response is owed.
 */
export function mergeAnswers(judged: JudgedCalls, answer: Buffer | Refusal, options: ReplyOptions): string {
  const missing = isRefusal(answer) ? answer : refuse('UPSTREAM_UNAVAILABLE');
  const answers = isRefusal(answer) ? undefined : splitAnswers(answer);
  const sent = new Map<string | undefined, number>();
  for (const { id } of judged.allowed) sent.set(id, (sent.get(id) ?? 0) + 1);
  const taken = new Map<string, number>();

  function answerTo(id: string): string {
    const candidates = answers?.get(id) ?? [];
    const index = taken.get(id) ?? 0;
    taken.set(id, index + 1);
    const found = candidates.length === sent.get(id) ? candidates[index] : undefined;
    return found ?? refusalReply(missing, id, options);
  }

  const replies = judged.calls.flatMap(({ call, refusal }) => {
    if (refusal !== undefined) return isOwed(call) ? [refusalReply(refusal, call.id, options)] : [];
    return call.id === undefined ? [] : [answerTo(call.id)];
  });
  if (!judged.batch) return replies[0] ?? '';
  return replies.length === 0 ? '' : `[${replies.join(',')}]`;
}

/** A notification is owed nothing; what is no call at all is answered with a null id (JSON-RPC 2.0, section 7). */
function isOwed(call: RpcCall | InvalidCall): boolean {
  return call.id !== undefined || ('invalid' in call && call.invalid === 'request');
}
