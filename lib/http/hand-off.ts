import { parseCalls } from '../json-rpc/call';
import { hasLimits, isWaiting } from '../limits/limit-calls';
import { refuseAllowed, refuseEach, refuseUnjudged } from '../policy/batch-exchanges';
import { noLongerAllowed, serialiseAllowedPieces } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal, refusalReply, refuse, refuseForNow, statusOf } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { ValueOrPromise } from '../policy/value-or-promise';
import type { Place } from '../upstream/upstream-queue';
import { admitAgain } from './admit-again';
import { UNTAKEN, askUpstream, holdAnswer, waitingBytes } from './ask-upstream';
import { connectionOf, hasGone, isNext, whenGone } from './client-connection';
import { noteFailure, replyOptions, setFailure } from './incoming-call';
import type { AdmittedCalls, Guard, IncomingCall } from './incoming-call';
import { answerMixed } from './mixed-answer';
import { relayAnswer } from './relay-answer';
import { respondJson, respondRefusal, respondRefusalJson, setRefusalHeaders } from './respond';

const CROWDED = refuseForNow(
  'too many requests are waiting for the upstream, try again',
  'too many requests are waiting',
);

/** What is allowed goes to the upstream, and its answer to the caller; what is refused is answered here. */
export function handOff(guard: Guard, call: IncomingCall, decided: AdmittedCalls): ValueOrPromise<void> {
  const { admission } = decided;
  if (!hasLimits(admission)) return enterLine(guard, call, decided, false);
  const { req, facts, bytesIn: bytes } = call;
  const charged = guard.limits.charge({ facts, admission, judged: decided.judged, bytes });
  if (!isWaiting(charged)) return enterLine(guard, call, { admission, judged: charged }, false);
  // A caller that goes away while its calls wait gets their credits back.
  const stopListening = whenGone(req, charged.leave);
  return charged.outcome.finally(stopListening).then((judged) => {
    call.limitWaitMs = performance.now() - call.decidedAt;
    // It left while it waited: no limit has refused it.
    if (judged.limited !== undefined && hasGone(req)) return undefined;
    return enterLine(guard, call, { admission, judged }, true);
  });
}

/** The calls as the limits leave them go before the upstream, which may take a turn. */
function enterLine(guard: Guard, call: IncomingCall, charged: AdmittedCalls, hadToWait: boolean): ValueOrPromise<void> {
  const { judged } = charged;
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
  call.credits = guard.options.prices.costOf(judged.allowed);
  const place = placeOf(guard, call, judged);
  const entered = guard.queue.enter(place);
  if (entered === true && !hadToWait) {
    call.place = place;
    return forward(guard, call, charged);
  }
  return forwardInTurn(guard, call, charged, { place, entered });
}

/** A place in the line, and whether it is before the upstream already. */
interface Turn {
  readonly place: Place;
  readonly entered: ValueOrPromise<boolean>;
}

/** Sends what has waited, for its limits or in line: its key may have changed meanwhile. */
async function forwardInTurn(
  guard: Guard,
  call: IncomingCall,
  { admission, judged }: AdmittedCalls,
  { place, entered }: Turn,
): Promise<void> {
  const isIn = entered instanceof Promise ? await waitInLine(guard, call, place, entered) : entered;
  call.waitMs = performance.now() - call.decidedAt;
  if (!isIn) {
    setFailure(call, CROWDED);
    giveBack(guard, call, { admission, judged });
    setLimitHeaders(guard, call, CROWDED);
    refuseCalls(guard, call, judged, CROWDED);
    return;
  }
  call.place = place;
  const current = await admitAgain(guard, call.facts, judged);
  call.judged = isRefusal(current) ? current : current.judged;
  const allowed = noLongerAllowed(judged, call.judged);
  if (allowed.length > 0) giveBack(guard, call, { admission, judged: { ...judged, allowed } });
  if (isRefusal(current)) {
    refuseCalls(guard, call, judged, current);
    return;
  }
  if (hasGone(call.req)) giveBack(guard, call, { admission, judged: current.judged });
  await forward(guard, call, current);
}

function forward(guard: Guard, call: IncomingCall, calls: AdmittedCalls): ValueOrPromise<void> {
  const { judged } = calls;
  if (judged.allowed.length === 0) return answerRefused(guard, call, judged);
  return judged.allowed.length < judged.calls.length
    ? answerMixed(guard, call, calls)
    : answerWhole(guard, call, calls);
}

/** Gives back what allowed calls cost that have been charged and are not sent. */
function giveBack({ options, limits }: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): void {
  if (!limits.giveBack(call.facts, admission, judged.allowed, hasGone(call.req))) return;
  call.credits -= options.prices.costOf(judged.allowed);
}

/** Refuses the request as a whole, with the ids found in `body`: clients drop an answer without its id. */
export function refuseWhole(
  guard: Guard,
  call: IncomingCall,
  refusal: Refusal,
  body: Buffer | string | undefined,
): void {
  const { options } = guard;
  setLimitHeaders(guard, call, refusal);
  if (body !== undefined) {
    const read = parseCalls(body, options.maxBatchSize);
    const json = refuseUnjudged(read, refusal, replyOptions(guard, call));
    if (mayWait(guard, call, json)) {
      respondRefusalJson(call, refusal, json, options);
      return;
    }
  }
  respondRefusal(call, refusal, options);
}

/** Whether there is room for an answer to each call, which stays in memory until the answers before it are taken. */
function mayWait(guard: Guard, call: IncomingCall, json: string): boolean {
  return isNext(call.res) || holdAnswer(guard, call, json.length);
}

/** The id of the only call. */
function idOf({ batch, calls }: JudgedCalls): string | undefined {
  return batch ? undefined : calls[0]?.call.id;
}

/** A merged answer is held in memory, so the request waits until the caller has taken the answers before it. */
function placeOf({ queue }: Guard, { req, res, facts, bytesIn: bytes }: IncomingCall, judged: JudgedCalls): Place {
  const isMixed = judged.allowed.length < judged.calls.length;
  if (isMixed && !isNext(res)) {
    res.once('socket', () => {
      queue.look();
    });
  }
  const isReady = isMixed ? () => isNext(res) : always;
  return { key: facts.apiKey, connection: connectionOf(req), bytes, isReady };
}

function always(): true {
  return true;
}

/** The status is that of the limit, whatever else was refused: clients retry by it. */
function answerLimited(guard: Guard, call: IncomingCall, judged: JudgedCalls, limited: Refusal): void {
  const options = replyOptions(guard, call);
  const status = setRefusalHeaders(call, limited);
  const each = refuseEach(judged, options);
  const json = each !== '' && mayWait(guard, call, each) ? each : refusalReply(limited, idOf(judged), options);
  respondJson(call, status, json, guard.options.callerIdleMs);
}

/** A caller that is refused with 401 or 403 does not learn the limits. */
function setLimitHeaders({ limits }: Guard, { headers, facts, admission }: IncomingCall, refusal?: Refusal): void {
  if (admission === undefined || !hasLimits(admission)) return;
  const status = refusal === undefined ? 200 : statusOf(refusal);
  if (status === 401 || status === 403) return;
  limits.addHeaders(headers, facts, admission);
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

/** Every call was refused: the upstream is not asked. */
function answerRefused(guard: Guard, call: IncomingCall, judged: JudgedCalls): void {
  const { options } = guard;
  const [first] = judged.calls;
  if (!judged.batch && first?.refusal !== undefined) {
    respondRefusal(call, first.refusal, options, first.call.id);
    return;
  }
  respondEach(guard, call, refuseEach(judged, replyOptions(guard, call)), UNTAKEN);
}

/** An answer to each call, or `instead` where no more of them may wait in memory. */
function respondEach(guard: Guard, call: IncomingCall, json: string, instead: Refusal): void {
  if (mayWait(guard, call, json)) respondJson(call, 200, json, guard.options.callerIdleMs);
  else respondRefusal(call, instead, guard.options);
}

/** Nothing was refused: the caller gets the upstream's own answer. */
async function answerWhole(guard: Guard, call: IncomingCall, { admission, judged }: AdmittedCalls): Promise<void> {
  const answer = await askUpstream(guard, call, admission, serialiseAllowedPieces(judged), call.req.headers);
  if (!isRefusal(answer)) {
    if (isNext(call.res) || holdAnswer(guard, call, waitingBytes(answer))) {
      return relayAnswer(answer, call, guard.options, (why) => {
        noteFailure(guard, call, refuse('UPSTREAM_UNAVAILABLE', { why }));
      });
    }
    if (!Buffer.isBuffer(answer.body)) answer.body.destroy();
    setFailure(call, UNTAKEN);
    refuseCalls(guard, call, judged, UNTAKEN);
    return;
  }
  noteFailure(guard, call, answer);
  // A 429 of the upstream holds for the batch as a whole, so that clients back off.
  if (!judged.batch || answer.status !== undefined) refuseCalls(guard, call, judged, answer);
  else respondEach(guard, call, refuseAllowed(judged, answer, replyOptions(guard, call)), answer);
}

/** Refuses all calls that had been allowed. */
function refuseCalls(guard: Guard, call: IncomingCall, judged: JudgedCalls, refusal: Refusal): void {
  const { options } = guard;
  const json = judged.batch ? refuseAllowed(judged, refusal, replyOptions(guard, call)) : undefined;
  if (json === undefined || !mayWait(guard, call, json)) respondRefusal(call, refusal, options, idOf(judged));
  else respondJson(call, setRefusalHeaders(call, refusal), json, options.callerIdleMs);
}
