import { serialiseBatch } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import { isShort } from '../observe/upstream-code';
import { admit, checkCall } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { exchangeMixed } from '../policy/batch-exchanges';
import type { SendBatch } from '../policy/batch-exchanges';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { isBackOff, readAnswer } from '../upstream/read-answer';
import type { UpstreamAnswer } from '../upstream/read-answer';
import { UNTAKEN, askUpstream, holdAnswer } from './ask-upstream';
import { noteFailure, replyOptions } from './incoming-call';
import type { AdmittedCalls, Guard, IncomingCall } from './incoming-call';
import { respondJson, retryAfter } from './respond';

/** A mixed batch on its way. */
interface MixedExchange {
  readonly admission: Admission;
  hasBegun: boolean;
  bytesLeft: number;
  /** The upstream's 429 or 503. */
  backOff: { readonly status: number; readonly retryAfter: string | undefined } | undefined;
}

/** Part of a batch is refused: the rest goes to the upstream, and the answers are merged. */
export function answerMixed(guard: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): Promise<void> {
  const bytesLeft = guard.options.maxMergedBytes;
  const exchange: MixedExchange = { admission, hasBegun: false, bytesLeft, backOff: undefined };
  return new Promise((resolve, reject) => {
    const send: SendBatch = (calls, done) => {
      askRun(guard, call, exchange, calls).then(done).catch(reject);
    };
    exchangeMixed(judged, send, replyOptions(guard, call), ({ json, lack }) => {
      if (lack !== undefined) noteFailure(guard, call, lack);
      const { status = 200, retryAfter: after } = exchange.backOff ?? {};
      if (after !== undefined) call.headers['Retry-After'] = retryAfter(after);
      respondJson(call, status, json, guard.options.callerIdleMs);
      resolve();
    });
  });
}

/** Sends some calls of a mixed batch. Every run but the first checks the key again: it may be revoked by now. */
async function askRun(
  guard: Guard,
  call: IncomingCall,
  exchange: MixedExchange,
  calls: readonly RpcCall[],
): Promise<Buffer | Refusal> {
  const { options } = guard;
  const { backOff } = exchange;
  if (backOff !== undefined) return refuse('UPSTREAM_UNAVAILABLE', { why: `not sent after its ${backOff.status}` });
  const refusal = exchange.hasBegun ? await refusedMeanwhile(guard, call, calls) : undefined;
  if (refusal !== undefined) return refusal;
  exchange.hasBegun = true;
  const headers = { ...call.req.headers, 'accept-encoding': 'identity' };
  const answer = await askUpstream(guard, call, exchange.admission, [serialiseBatch(calls)], headers);
  exchange.backOff = backOffOf(answer);
  if (isRefusal(answer)) return answer;
  const body = await readAnswer(answer, options, exchange.bytesLeft, (bytes) => holdAnswer(guard, call, bytes));
  if (body === undefined) {
    exchange.backOff = backOffOf(UNTAKEN);
    return UNTAKEN;
  }
  if (!isRefusal(body)) {
    exchange.bytesLeft -= body.length;
    if (isShort(body.length)) call.answered ??= body;
  }
  return body;
}

/** Why the key's current settings refuse these calls. */
async function refusedMeanwhile(
  { options, store }: Guard,
  { facts }: IncomingCall,
  calls: readonly RpcCall[],
): Promise<Refusal | undefined> {
  const admission = await admit(facts, store);
  if (isRefusal(admission)) return admission;
  return calls.map((call) => checkCall(admission, call, options)).find(isRefusal);
}

function backOffOf({ status, headers = {} }: UpstreamAnswer | Refusal): MixedExchange['backOff'] {
  if (status === undefined || !isBackOff(status)) return undefined;
  const { 'retry-after': ofAnswer, 'Retry-After': ofRefusal } = headers as Readonly<Record<string, string>>;
  return { status, retryAfter: ofAnswer ?? ofRefusal };
}
