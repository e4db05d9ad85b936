import type { IncomingHttpHeaders } from 'node:http';
import { isReadOnly } from '../allowlists/address-table';
import { serialiseBatch } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import type { Observe } from '../observe/decision-log';
import type { Occurrence } from '../observe/request-event';
import type { ParsedOptions } from '../options/options';
import type { Admission } from '../policy/authorize';
import { exchangeMixed, refuseAllowed } from '../policy/batch-exchanges';
import type { SendBatch } from '../policy/batch-exchanges';
import { serialiseAll } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal, refuse } from '../policy/refusals';
import type { Reason, Refusal, ReplyOptions } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { CachedStore } from '../stores/settings-cache';
import { readAnswer } from '../upstream/read-answer';
import type { UpstreamAnswer } from '../upstream/read-answer';
import type { Place, UpstreamQueue } from '../upstream/upstream-queue';
import type { Upstreams } from '../upstream/upstreams';
import { hasGone, whenGone } from './client-connection';
import type { CorsHandler } from './cors';
import { relayAnswer } from './relay-answer';
import { respondJson, respondRefusal, setRefusalHeaders } from './respond';
import type { Answerable } from './respond';

/** The parts that the route uses. */
export interface Guard {
  readonly options: ParsedOptions;
  readonly store: CachedStore;
  readonly upstreams: Upstreams;
  readonly queue: UpstreamQueue;
  readonly applyCors: CorsHandler;
  /** Called between decision and hand-off: it may hold the calls back, or refuse what was allowed. */
  readonly beforeHandOff: (calls: AdmittedCalls) => AdmittedCalls | Promise<AdmittedCalls>;
  readonly observe: Observe;
}

export interface AdmittedCalls {
  readonly admission: Admission;
  readonly judged: JudgedCalls;
}

/** A request on its way, with what is noted of it for the event at its end. */
export interface IncomingCall extends Answerable, Occurrence {
  judged: Refusal | JudgedCalls | undefined;
  decidedAt: number;
  upstreamMs: number | undefined;
  failure: Reason | undefined;
  status: number | undefined;
}

/** Of the upstream's answers to one batch, where they have to be put together with refusals. */
const MAX_MERGED_BYTES = 16 * 1024 * 1024;
const CROWDED = refuse('UPSTREAM_UNAVAILABLE', {
  status: 503,
  headers: { 'Retry-After': '01' },
  message: 'too many requests are waiting for the upstream, try again',
  why: 'too many requests are waiting',
});
/** What is allowed goes to the upstream, and its answer to the caller; what is refused is answered here. */
export async function handOff(guard: Guard, call: IncomingCall, decided: AdmittedCalls): Promise<void> {
  const held = guard.beforeHandOff(decided);
  const calls = held instanceof Promise ? await held : held;
  const { judged } = calls;
  const { exposeReason } = guard.options;
  const [first] = judged.calls;
  if (!judged.batch && first?.refusal !== undefined) {
    respondRefusal(call, first.refusal, exposeReason, first.call.id);
    return;
  }
  const place = { key: call.facts.apiKey, connection: call.req.socket };
  const entered = guard.queue.enter(place);
  if (!(entered instanceof Promise ? await waitInLine(guard, call, place, entered) : entered)) {
    call.failure = CROWDED.refused;
    respondRefusal(call, CROWDED, exposeReason, judged.batch ? undefined : first?.call.id);
    return;
  }
  try {
    await (judged.allowed.length < judged.calls.length ? answerMixed : answerWhole)(guard, call, calls);
  } finally {
    guard.queue.leave(place);
  }
}

async function waitInLine(
  { queue }: Guard,
  { req }: IncomingCall,
  place: Place,
  entered: Promise<boolean>,
): Promise<boolean> {
  const stopListening = whenGone(req, () => {
    queue.drop(place);
  });
  const isIn = await entered;
  stopListening();
  return isIn;
}

/** Nothing is refused: the upstream's own answer is the caller's. */
async function answerWhole(guard: Guard, call: IncomingCall, calls: AdmittedCalls): Promise<void> {
  const { judged } = calls;
  const { exposeReason } = guard.options;
  const [first] = judged.calls;
  const answer = await askUpstream(guard, call, calls.admission, serialiseAll(judged), call.req.headers);
  if (!isRefusal(answer)) return relayAnswer(answer, call.res, guard.options);
  if (!judged.batch) {
    respondRefusal(call, answer, exposeReason, first?.call.id);
    return;
  }
  // A 429 of the upstream holds for the batch as a whole, so that clients back off.
  const status = answer.status === undefined ? 200 : setRefusalHeaders(call.res, answer);
  respondJson(call.res, status, refuseAllowed(judged, answer, replyOptions(guard, call)));
}

/** Some of a batch is refused: the rest goes to the upstream, and the answers are put together. */
function answerMixed(guard: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): Promise<void> {
  const headers = { ...call.req.headers, 'accept-encoding': 'identity' };
  let bytesLeft = MAX_MERGED_BYTES;

  async function askWhole(calls: readonly RpcCall[]): Promise<Buffer | Refusal> {
    const answer = await askUpstream(guard, call, admission, serialiseBatch(calls), headers);
    const body = isRefusal(answer) ? answer : await readAnswer(answer, guard.options, bytesLeft);
    if (!isRefusal(body)) bytesLeft -= body.length;
    return body;
  }
  return new Promise((resolve, reject) => {
    const send: SendBatch = (calls, done) => {
      askWhole(calls).then(done).catch(reject);
    };
    exchangeMixed(judged, send, replyOptions(guard, call), (answer) => {
      respondJson(call.res, 200, answer);
      resolve();
    });
  });
}

function replyOptions({ options }: Guard, { facts }: IncomingCall): ReplyOptions {
  return { requestId: facts.requestId, exposeReason: options.exposeReason };
}

/** Sends checked calls to the upstream. A caller that goes away ends it. */
async function askUpstream(
  { options, upstreams }: Guard,
  call: IncomingCall,
  admission: Admission,
  body: string,
  headers: IncomingHttpHeaders,
): Promise<UpstreamAnswer | Refusal> {
  const { req, facts } = call;
  if (hasGone(req)) return refuse('UPSTREAM_UNAVAILABLE');
  const sentAt = performance.now();
  const client = upstreams.resolveUpstream(facts, admission);
  const exchange = client.send(body, headers, facts.requestId, onlyReads(call));
  const stopListening = whenGone(req, exchange.abort);
  const answer = await exchange.answer;
  call.upstreamMs = (call.upstreamMs ?? 0) + performance.now() - sentAt;
  if (isRefusal(answer) || Buffer.isBuffer(answer.body) || answer.body.complete) stopListening();
  else answer.body.on('close', stopListening);
  if (!isRefusal(answer)) return answer;
  call.failure = answer.refused;
  if (!hasGone(req)) {
    const { refused: reason, why } = answer;
    const fields = { key: keyHint(facts.apiKey), requestId: facts.requestId, reason, why };
    options.logger.warn(fields, 'no answer from the upstream');
  }
  return answer;
}

/** Whether sending it again can do nothing twice. Told at once: what the upstream's connection holds on to lives long. */
function onlyReads({ judged }: IncomingCall): boolean {
  if (judged === undefined || isRefusal(judged)) return false;
  return judged.allowed.every(({ method }) => isReadOnly(method));
}
