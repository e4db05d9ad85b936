import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isReadOnly } from '../allowlists/address-table';
import { serialiseBatch } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import { hasLimits } from '../limits/limit-calls';
import type { CallLimits } from '../limits/limit-calls';
import type { Observe } from '../observe/decision-log';
import type { Occurrence } from '../observe/request-event';
import type { ParsedOptions } from '../options/options';
import { admit, checkCall } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { exchangeMixed, refuseAllowed, refuseEach } from '../policy/batch-exchanges';
import type { SendBatch } from '../policy/batch-exchanges';
import { judgeAgain, serialiseAll } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { REFUSALS, isRefusal, refusalReply, refuse } from '../policy/refusals';
import type { Reason, Refusal, ReplyOptions } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { CachedStore } from '../stores/settings-cache';
import { isBackOff, readAnswer } from '../upstream/read-answer';
import type { UpstreamAnswer } from '../upstream/read-answer';
import type { Place, UpstreamQueue } from '../upstream/upstream-queue';
import type { Upstreams } from '../upstream/upstreams';
import { hasGone, whenGone } from './client-connection';
import type { CorsHandler } from './cors';
import { relayAnswer } from './relay-answer';
import { respondJson, respondRefusal, retryAfter, setRefusalHeaders } from './respond';
import type { Answerable } from './respond';

/** The parts that the route uses. */
export interface Guard {
  readonly options: ParsedOptions;
  readonly store: CachedStore;
  readonly upstreams: Upstreams;
  readonly queue: UpstreamQueue;
  readonly applyCors: CorsHandler;
  readonly limits: CallLimits;
  /** Called with what is not for the guard. */
  readonly hintAtMount: (req: IncomingMessage) => void;
  readonly observe: Observe;
}

export interface AdmittedCalls {
  readonly admission: Admission;
  readonly judged: JudgedCalls;
}

/** A request on its way, with what is noted of it for the event at its end. */
export interface IncomingCall extends Answerable, Occurrence {
  judged: Refusal | JudgedCalls | undefined;
  /** What let it in. */
  admission: Admission | undefined;
  /** The length of its body. */
  bytes: number;
  decidedAt: number;
  upstreamMs: number | undefined;
  failure: Reason | undefined;
  status: number | undefined;
}

const CROWDED = refuse('UPSTREAM_UNAVAILABLE', {
  status: 503,
  headers: { 'Retry-After': '01' },
  message: 'too many requests are waiting for the upstream, try again',
  why: 'too many requests are waiting',
});

/** What is allowed goes to the upstream, and its answer to the caller; what is refused is answered here. */
export async function handOff(guard: Guard, call: IncomingCall, decided: AdmittedCalls): Promise<void> {
  const { admission } = decided;
  const charged = hasLimits(admission) ? charge(guard, call, decided) : decided.judged;
  const hadToWait = charged instanceof Promise;
  const judged = hadToWait ? await charged : charged;
  call.judged = judged;
  setLimitHeaders(guard, call, judged.batch ? undefined : judged.calls[0]?.refusal);
  if (judged.limited !== undefined) {
    answerLimited(guard, call, judged, judged.limited);
    return;
  }
  if (judged.allowed.length === 0) {
    answerRefused(guard, call, judged);
    return;
  }
  const place = { key: call.facts.apiKey, connection: call.req.socket };
  const entered = guard.queue.enter(place);
  const hasWaited = hadToWait || entered instanceof Promise;
  if (!(entered instanceof Promise ? await waitInLine(guard, call, place, entered) : entered)) {
    call.failure = CROWDED.refused;
    respondRefusal(call, CROWDED, guard.options.exposeReason, idOf(judged));
    return;
  }
  try {
    const current = hasWaited ? await admitAgain(guard, call, judged) : { admission, judged };
    if (isRefusal(current)) respondRefusal(call, current, guard.options.exposeReason, idOf(judged));
    else await forward(guard, call, current);
  } finally {
    guard.queue.leave(place);
  }
}

function forward(guard: Guard, call: IncomingCall, calls: AdmittedCalls): Promise<void> | void {
  const { judged } = calls;
  if (judged.allowed.length === 0) return answerRefused(guard, call, judged);
  return judged.allowed.length < judged.calls.length
    ? answerMixed(guard, call, calls)
    : answerWhole(guard, call, calls);
}

/** Takes the calls' credits. A caller that goes away while they have to be waited for gets them back. */
function charge(
  { limits }: Guard,
  { req, facts, bytes }: IncomingCall,
  { admission, judged }: AdmittedCalls,
): JudgedCalls | Promise<JudgedCalls> {
  let stopListening = (): unknown => undefined;
  const charged = limits.charge({ facts, admission, judged, bytes }, (leave) => {
    stopListening = whenGone(req, leave);
  });
  return charged instanceof Promise ? charged.finally(() => stopListening()) : charged;
}

/** A refusal of the request as a whole. */
export function refuseWhole(guard: Guard, call: IncomingCall, refusal: Refusal): void {
  setLimitHeaders(guard, call, refusal);
  respondRefusal(call, refusal, guard.options.exposeReason);
}

/** Whatever else was refused, clients try again by the status. */
function answerLimited(guard: Guard, call: IncomingCall, judged: JudgedCalls, limited: Refusal): void {
  const options = replyOptions(guard, call);
  const status = setRefusalHeaders(call.res, limited);
  respondJson(call.res, status, refuseEach(judged, options) || refusalReply(limited, idOf(judged), options));
}

/** Who is forbidden to call does not learn how much others may. */
function setLimitHeaders({ limits }: Guard, { res, facts, admission }: IncomingCall, refusal?: Refusal): void {
  if (admission === undefined) return;
  const status = refusal === undefined ? 200 : (refusal.status ?? REFUSALS[refusal.refused].status);
  if (status === 401 || status === 403) return;
  const headers = limits.headersFor(facts, admission);
  for (const name of Object.keys(headers)) res.setHeader(name, headers[name as keyof typeof headers]!);
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

/** What waited is held against its key as that is now. */
async function admitAgain(
  { options, store }: Guard,
  call: IncomingCall,
  before: JudgedCalls,
): Promise<AdmittedCalls | Refusal> {
  const admission = await admit(call.facts, store);
  if (isRefusal(admission)) {
    call.judged = admission;
    return admission;
  }
  const judged = judgeAgain(before, admission, options);
  call.judged = judged;
  return { admission, judged };
}

/** Of what was sent nothing is left to ask the upstream for. */
function answerRefused(guard: Guard, call: IncomingCall, judged: JudgedCalls): void {
  const [first] = judged.calls;
  if (judged.batch || first?.refusal === undefined) {
    respondJson(call.res, 200, refuseEach(judged, replyOptions(guard, call)));
    return;
  }
  respondRefusal(call, first.refusal, guard.options.exposeReason, first.call.id);
}

/** The id of the only call. */
function idOf({ batch, calls }: JudgedCalls): string | undefined {
  return batch ? undefined : calls[0]?.call.id;
}

/** Nothing is refused: the upstream's own answer is the caller's. */
async function answerWhole(guard: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): Promise<void> {
  const answer = await askUpstream(guard, call, admission, serialiseAll(judged), call.req.headers);
  if (!isRefusal(answer)) return relayAnswer(answer, call.res, guard.options);
  noteFailure(guard, call, answer);
  if (!judged.batch) {
    respondRefusal(call, answer, guard.options.exposeReason, idOf(judged));
    return;
  }
  // A 429 of the upstream holds for the batch as a whole, so that clients back off.
  const status = answer.status === undefined ? 200 : setRefusalHeaders(call.res, answer);
  respondJson(call.res, status, refuseAllowed(judged, answer, replyOptions(guard, call)));
}

/** A mixed batch on its way. */
interface MixedExchange {
  readonly admission: Admission;
  hasBegun: boolean;
  bytesLeft: number;
  /** The upstream's 429 or 503. */
  backOff: { readonly status: number; readonly retryAfter: string | undefined } | undefined;
}

/** Some of a batch is refused: the rest goes to the upstream, and the answers are put together. */
function answerMixed(guard: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): Promise<void> {
  const bytesLeft = guard.options.maxMergedBytes;
  const exchange: MixedExchange = { admission, hasBegun: false, bytesLeft, backOff: undefined };
  return new Promise((resolve, reject) => {
    const send: SendBatch = (calls, done) => {
      askRun(guard, call, exchange, calls).then(done).catch(reject);
    };
    exchangeMixed(judged, send, replyOptions(guard, call), ({ json, lack }) => {
      if (lack !== undefined) noteFailure(guard, call, lack);
      const { status = 200, retryAfter: after } = exchange.backOff ?? {};
      if (after !== undefined) call.res.setHeader('Retry-After', retryAfter(after));
      respondJson(call.res, status, json);
      resolve();
    });
  });
}

/** Asks for some calls of a mixed batch. Before all but the first the key is looked at again: it may be revoked by now. */
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
  const answer = await askUpstream(guard, call, exchange.admission, serialiseBatch(calls), headers);
  exchange.backOff = backOffOf(answer);
  const body = isRefusal(answer) ? answer : await readAnswer(answer, options, exchange.bytesLeft);
  if (!isRefusal(body)) exchange.bytesLeft -= body.length;
  return body;
}

/** Why the key, as it is now, does not let these calls pass. */
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

function replyOptions({ options }: Guard, { facts }: IncomingCall): ReplyOptions {
  return { requestId: facts.requestId, exposeReason: options.exposeReason };
}

/** Sends checked calls to the upstream. A caller that goes away ends it. */
async function askUpstream(
  { upstreams }: Guard,
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
  return answer;
}

/** Calls that were to be forwarded have no answer. */
function noteFailure({ options }: Guard, call: IncomingCall, { refused: reason, why }: Refusal): void {
  call.failure = reason;
  if (hasGone(call.req)) return;
  const { apiKey, requestId } = call.facts;
  options.logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
}

/** Whether sending it again can do nothing twice. Told at once: what the upstream's connection holds on to lives long. */
function onlyReads({ judged }: IncomingCall): boolean {
  if (judged === undefined || isRefusal(judged)) return false;
  return judged.allowed.every(({ method }) => isReadOnly(method));
}
