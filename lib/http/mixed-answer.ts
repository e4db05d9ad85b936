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

const NOTHING = Buffer.alloc(0);

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
      askRun(guard, call, exchange, calls)
        .then(({ answer, refused }) => {
          done(answer, refused);
        })
        .catch(reject);
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

/** What came of some calls of a mixed batch. */
interface RunAnswer {
  readonly answer: Buffer | Refusal;
  readonly refused?: ReadonlyMap<RpcCall, Refusal>;
}

/** Sends some calls of a mixed batch. Every run but the first checks the key again: it may have changed by now. */
async function askRun(
  guard: Guard,
  call: IncomingCall,
  exchange: MixedExchange,
  calls: readonly RpcCall[],
): Promise<RunAnswer> {
  const { backOff } = exchange;
  if (backOff !== undefined) {
    return { answer: refuse('UPSTREAM_UNAVAILABLE', { why: `not sent after its ${backOff.status}` }) };
  }
  if (!exchange.hasBegun) {
    exchange.hasBegun = true;
    return { answer: await sendRun(guard, call, exchange, calls) };
  }
  const refused = await refusedMeanwhile(guard, call, calls);
  if (isRefusal(refused)) return { answer: refused };
  const left = calls.filter((it) => !refused.has(it));
  return { answer: left.length === 0 ? NOTHING : await sendRun(guard, call, exchange, left), refused };
}

async function sendRun(
  guard: Guard,
  call: IncomingCall,
  exchange: MixedExchange,
  calls: readonly RpcCall[],
): Promise<Buffer | Refusal> {
  const { options } = guard;
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

/** The calls that the key's current settings refuse, or why they refuse all. */
async function refusedMeanwhile(
  { options, store }: Guard,
  { facts }: IncomingCall,
  calls: readonly RpcCall[],
): Promise<Refusal | ReadonlyMap<RpcCall, Refusal>> {
  const admission = await admit(facts, store);
  if (isRefusal(admission)) return admission;
  const refused = new Map<RpcCall, Refusal>();
  for (const call of calls) {
    const refusal = checkCall(admission, call, options);
    if (refusal !== undefined) refused.set(call, refusal);
  }
  return refused;
}

function backOffOf({ status, headers = {} }: UpstreamAnswer | Refusal): MixedExchange['backOff'] {
  if (status === undefined || !isBackOff(status)) return undefined;
  const { 'retry-after': ofAnswer, 'Retry-After': ofRefusal } = headers as Readonly<Record<string, string>>;
  return { status, retryAfter: ofAnswer ?? ofRefusal };
}
