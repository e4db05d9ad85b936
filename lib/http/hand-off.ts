import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isReadOnly } from '../allowlists/address-table';
import { parseCalls, serialiseBatch } from '../json-rpc/call';
import type { RpcCall } from '../json-rpc/call';
import { hasLimits } from '../limits/limit-calls';
import type { CallLimits } from '../limits/limit-calls';
import type { Observe } from '../observe/decision-log';
import type { Occurrence } from '../observe/request-event';
import type { ParsedOptions } from '../options/options';
import { admit, checkCall } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { exchangeMixed, refuseAllowed, refuseEach, refuseUnjudged } from '../policy/batch-exchanges';
import type { SendBatch } from '../policy/batch-exchanges';
import { judgeAgain, serialiseAll } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { REFUSALS, isRefusal, refusalReply, refuse, refuseForNow } from '../policy/refusals';
import type { Reason, Refusal, ReplyOptions } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { CachedStore } from '../stores/settings-cache';
import { isBackOff, readAnswer } from '../upstream/read-answer';
import type { UpstreamAnswer } from '../upstream/read-answer';
import type { Place, UpstreamQueue } from '../upstream/upstream-queue';
import type { Upstreams } from '../upstream/upstreams';
import { Holding } from './byte-budget';
import type { ByteBudget } from './byte-budget';
import { hasGone, isNext, whenGone } from './client-connection';
import type { CorsHandler } from './cors';
import { relayAnswer } from './relay-answer';
import { respondJson, respondRefusal, respondRefusalJson, retryAfter, setRefusalHeaders } from './respond';
import type { Answerable } from './respond';

/** The parts that the route uses. */
export interface Guard {
  readonly options: ParsedOptions;
  readonly store: CachedStore;
  readonly upstreams: Upstreams;
  readonly queue: UpstreamQueue;
  /** Bodies that are being inflated, and inflated ones that are not sent yet. */
  readonly inflated: ByteBudget;
  /** Answers that their callers have not taken yet. */
  readonly answers: ByteBudget;
  readonly applyCors: CorsHandler;
  readonly limits: CallLimits;
  /** Called with every request that goes to `next()`. */
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
  /** The length of its body, inflated. */
  bytes: number;
  decidedAt: number;
  upstreamMs: number | undefined;
  failure: Reason | undefined;
  /** What it holds of the guard's budgets. */
  inflated: Holding | undefined;
  answer: Holding | undefined;
  status: number | undefined;
}

/** Bytes of a streamed answer that are under way between upstream and caller. */
const STREAM_BYTES = 128 * 1024;
const UNTAKEN = refuseForNow(
  'too many answers are waiting for their callers, try again',
  'too many answers are waiting for their callers',
);
const CROWDED = refuseForNow(
  'too many requests are waiting for the upstream, try again',
  'too many requests are waiting',
);

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
  const place = placeOf(guard, call, judged);
  const entered = guard.queue.enter(place);
  const hasWaited = hadToWait || entered instanceof Promise;
  if (!(entered instanceof Promise ? await waitInLine(guard, call, place, entered) : entered)) {
    call.failure = CROWDED.refused;
    refuseCalls(guard, call, judged, CROWDED);
    return;
  }
  try {
    const current = hasWaited ? await admitAgain(guard, call, judged) : { admission, judged };
    if (isRefusal(current)) refuseCalls(guard, call, judged, current);
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

/** Refuses the request as a whole, with the ids found in `body`: clients drop an answer without its id. */
export function refuseWhole(
  guard: Guard,
  call: IncomingCall,
  refusal: Refusal,
  body: Buffer | string | undefined,
): void {
  const { exposeReason, maxBatchSize } = guard.options;
  setLimitHeaders(guard, call, refusal);
  if (body === undefined) {
    respondRefusal(call, refusal, exposeReason);
    return;
  }
  const read = parseCalls(body, maxBatchSize);
  respondRefusalJson(call, refusal, refuseUnjudged(read, refusal, replyOptions(guard, call)));
}

/** The id of the only call. */
function idOf({ batch, calls }: JudgedCalls): string | undefined {
  return batch ? undefined : calls[0]?.call.id;
}

/** A merged answer is held in memory, so the request waits until the caller has taken the answers before it. */
function placeOf({ queue }: Guard, { req, res, facts, bytes }: IncomingCall, judged: JudgedCalls): Place {
  const isMixed = judged.allowed.length < judged.calls.length;
  if (isMixed && !isNext(res)) {
    res.once('socket', () => {
      queue.look();
    });
  }
  return { key: facts.apiKey, connection: req.socket, bytes, isReady: () => !isMixed || isNext(res) };
}

/** The status is that of the limit, whatever else was refused: clients retry by it. */
function answerLimited(guard: Guard, call: IncomingCall, judged: JudgedCalls, limited: Refusal): void {
  const options = replyOptions(guard, call);
  const status = setRefusalHeaders(call.res, limited);
  respondJson(call.res, status, refuseEach(judged, options) || refusalReply(limited, idOf(judged), options));
}

/** A caller that is refused with 401 or 403 does not learn the limits. */
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

/** A request that has waited is checked against the key's current settings. */
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

/** Every call was refused: the upstream is not asked. */
function answerRefused(guard: Guard, call: IncomingCall, judged: JudgedCalls): void {
  const [first] = judged.calls;
  if (judged.batch || first?.refusal === undefined) {
    respondJson(call.res, 200, refuseEach(judged, replyOptions(guard, call)), guard.options.callerIdleMs);
    return;
  }
  respondRefusal(call, first.refusal, guard.options.exposeReason, first.call.id);
}

/** Nothing was refused: the caller gets the upstream's own answer. */
async function answerWhole(guard: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): Promise<void> {
  const answer = await askUpstream(guard, call, admission, serialiseAll(judged), call.req.headers);
  if (!isRefusal(answer)) {
    if (isNext(call.res) || holdAnswer(guard, call, waitingBytes(answer))) {
      return relayAnswer(answer, call.res, guard.options, (why) => {
        if (!hasGone(call.req)) noteFailure(guard, call, refuse('UPSTREAM_UNAVAILABLE', { why }));
      });
    }
    if (!Buffer.isBuffer(answer.body)) answer.body.destroy();
    call.failure = UNTAKEN.refused;
    refuseCalls(guard, call, judged, UNTAKEN);
    return;
  }
  noteFailure(guard, call, answer);
  // A 429 of the upstream holds for the batch as a whole, so that clients back off.
  if (!judged.batch || answer.status !== undefined) refuseCalls(guard, call, judged, answer);
  else respondJson(call.res, 200, refuseAllowed(judged, answer, replyOptions(guard, call)), guard.options.callerIdleMs);
}

/** Refuses all calls that had been allowed. */
function refuseCalls(guard: Guard, call: IncomingCall, judged: JudgedCalls, refusal: Refusal): void {
  const { callerIdleMs, exposeReason } = guard.options;
  if (!judged.batch) {
    respondRefusal(call, refusal, exposeReason, idOf(judged));
    return;
  }
  const status = setRefusalHeaders(call.res, refusal);
  respondJson(call.res, status, refuseAllowed(judged, refusal, replyOptions(guard, call)), callerIdleMs);
}

/** A mixed batch on its way. */
interface MixedExchange {
  readonly admission: Admission;
  hasBegun: boolean;
  bytesLeft: number;
  /** The upstream's 429 or 503. */
  backOff: { readonly status: number; readonly retryAfter: string | undefined } | undefined;
}

/** Part of a batch is refused: the rest goes to the upstream, and the answers are merged. */
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
      respondJson(call.res, status, json, guard.options.callerIdleMs);
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
  const answer = await askUpstream(guard, call, exchange.admission, serialiseBatch(calls), headers);
  exchange.backOff = backOffOf(answer);
  if (isRefusal(answer)) return answer;
  const body = await readAnswer(answer, options, exchange.bytesLeft, (bytes) => holdAnswer(guard, call, bytes));
  if (body === undefined) {
    exchange.backOff = backOffOf(UNTAKEN);
    return UNTAKEN;
  }
  if (!isRefusal(body)) exchange.bytesLeft -= body.length;
  return body;
}

/** Reserves room for so much of an answer, until the caller has taken it or has gone. `false` if there is none. */
function holdAnswer({ answers }: Guard, call: IncomingCall, bytes: number): boolean {
  const { req, res, facts } = call;
  const isFirst = call.answer === undefined;
  const holding = (call.answer ??= new Holding(answers, facts.apiKey));
  if (hasGone(req) || !holding.grow(bytes)) return false;
  if (isFirst) {
    const release = (): void => {
      stopListening();
      holding.shrinkTo(0);
    };
    const stopListening = whenGone(req, release);
    res.once('close', release);
  }
  return true;
}

/** Bytes of an answer that stay in memory while its caller does not take it. */
function waitingBytes({ body }: UpstreamAnswer): number {
  if (Buffer.isBuffer(body)) return body.length;
  return body.complete ? body.readableLength : STREAM_BYTES;
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
  call.inflated?.shrinkTo(0);
  call.upstreamMs = (call.upstreamMs ?? 0) + performance.now() - sentAt;
  if (isRefusal(answer) || Buffer.isBuffer(answer.body) || answer.body.complete) stopListening();
  else answer.body.on('close', stopListening);
  return answer;
}

/** Notes why forwarded calls got no answer. */
function noteFailure({ options }: Guard, call: IncomingCall, { refused: reason, why }: Refusal): void {
  call.failure = reason;
  if (hasGone(call.req)) return;
  const { apiKey, requestId } = call.facts;
  options.logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
}

/** Whether it can safely be sent twice. Decided up front: what the connection refers to lives long. */
function onlyReads({ judged }: IncomingCall): boolean {
  if (judged === undefined || isRefusal(judged)) return false;
  return judged.allowed.every(({ method }) => isReadOnly(method));
}
