import { splitAnswers } from './json-rpc/call';
import type { InvalidCall, RpcCall } from './json-rpc/call';
import { isRefusal, refusalReply, refuse } from './refusals';
import type { Refusal, ReplyOptions } from './refusals';

/** A call of a batch with its verdict; `undefined` let it pass. */
export interface JudgedCall {
  readonly call: RpcCall | InvalidCall;
  readonly refusal: Refusal | undefined;
}

/** The calls of a batch that may be forwarded. */
export function allowedCalls(judged: readonly JudgedCall[]): readonly RpcCall[] {
  return judged.flatMap(({ call, refusal }) => (refusal === undefined && !('invalid' in call) ? [call] : []));
}

/**
 * The answer to a batch of which something was refused: one response for each call that is owed one, in the order of
 * the request. `answer` is what the upstream made of the allowed ones, or why there is nothing.
 * An answer is taken for a call by its id alone, and only when as many came as calls with that id were sent.
 * @returns JSON text, empty when no response is owed.
 */
export function mergeBatch(judged: readonly JudgedCall[], answer: Buffer | Refusal, options: ReplyOptions): string {
  const unavailable = isRefusal(answer) ? answer : refuse('UPSTREAM_UNAVAILABLE');
  const answers = isRefusal(answer) ? undefined : splitAnswers(answer);
  const sent = new Map<string | undefined, number>();
  for (const { id } of allowedCalls(judged)) sent.set(id, (sent.get(id) ?? 0) + 1);
  const taken = new Map<string, number>();

  function answerTo(id: string): string {
    const candidates = answers?.get(id) ?? [];
    const index = taken.get(id) ?? 0;
    taken.set(id, index + 1);
    const answer = candidates.length === sent.get(id) ? candidates[index] : undefined;
    return answer ?? refusalReply(unavailable, id, options);
  }

  const replies = judged.flatMap(({ call, refusal }) => {
    if (refusal !== undefined) return isOwed(call) ? [refusalReply(refusal, call.id, options)] : [];
    return call.id === undefined ? [] : [answerTo(call.id)];
  });
  return replies.length === 0 ? '' : `[${replies.join(',')}]`;
}

/** A notification is owed nothing; what is no call at all is answered with a null id (JSON-RPC 2.0, section 7). */
function isOwed(call: RpcCall | InvalidCall): boolean {
  return call.id !== undefined || ('invalid' in call && call.invalid === 'request');
}
