import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers';
import { parseTurns } from '../json-rpc/parse-turn';
import { describeError } from '../logger';
import { READMIT_AFTER_MS, admit } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { judgeBody } from '../policy/evaluate-body';
import { CLOSING, isRefusal, refuse, refuseForNow } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { whenKnown } from '../policy/value-or-promise';
import type { ValueOrPromise } from '../policy/value-or-promise';
import { requestFacts } from '../request/request-facts';
import { admitAgain } from './admit-again';
import { Holding } from './byte-budget';
import { cutWhenIdle, hasGone, whenGone } from './client-connection';
import { handOff, refuseWhole } from './hand-off';
import { shareHiddenClass } from './hidden-class';
import { IncomingCall } from './incoming-call';
import type { AdmittedCalls, Guard } from './incoming-call';
import { arrivedBody, readBody } from './request-body';
import { respondRefusal } from './respond';

const TOO_MANY_BODIES = refuseForNow(
  'too many requests are waiting, try again',
  'too many bodies of this key wait to be read',
);

const INTERNAL_ERROR = refuse('INTERNAL_ERROR');

/** Facts, then CORS, then the route. A request on another path goes to `next()` untouched. */
export function handleRequest(
  guard: Guard,
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
): void {
  const facts = requestFacts(req, guard.options.path);
  if (facts === undefined) {
    guard.hintAtMount(req);
    next();
    return;
  }
  shareHiddenClass(req, res);
  guard.tracing?.arrived(facts);
  const headers = { 'X-Request-Id': facts.requestId };
  if (req.method === 'OPTIONS') res.setHeader('X-Request-Id', facts.requestId);
  guard.applyCors(req, res, headers, (error?: unknown) => {
    if (error !== undefined || req.method === 'OPTIONS') {
      res.setHeader('X-Request-Id', facts.requestId);
      next(error);
      return;
    }
    const call = new IncomingCall(req, res, facts, headers);
    guard.underWay.begin(res);
    // Node's parser goes on to a body that came together with its headers.
    if (req.complete) begin(guard, call);
    else setImmediate(begin, guard, call);
  });
}

function begin(guard: Guard, call: IncomingCall): void {
  void route(guard, call);
}

/**
 * Ends in one answer and one event, whatever happens. Never rejects. Where key, body and answer are at hand nothing is
 * awaited: each `await` costs as much as reading the call.
 */
async function route(guard: Guard, call: IncomingCall): Promise<void> {
  try {
    const judging = judge(guard, call);
    const calls = judging instanceof Promise ? await judging : judging;
    call.judged = isRefusal(calls) ? calls : calls.judged;
    call.decidedAt = performance.now();
    if (isRefusal(calls)) {
      refuseWhole(guard, call, calls, arrivedBody(call.req, guard.options.maxBodyBytes));
    } else {
      const answering = handOff(guard, call, calls);
      if (answering instanceof Promise) await answering;
    }
  } catch (error) {
    fail(guard, call, error);
  }
  call.inflated?.shrinkTo(0);
  if (call.place !== undefined) guard.queue.leave(call.place);
  endUnderWay(guard, call.res);
  noteAnswer(guard, call);
  guard.observe(call);
}

/**
 * A long answer is over when its caller has taken it, or has gone. It is the connection that tells of the latter: a
 * response that waits behind another on its connection never closes.
 */
function endUnderWay({ underWay, options }: Guard, res: ServerResponse): void {
  if (!cutWhenIdle(res, options.callerIdleMs)) {
    underWay.end(res);
    return;
  }
  const end = (): void => {
    stopListening();
    underWay.end(res);
  };
  const stopListening = whenGone(res.req, end);
  res.once('close', end);
  if (hasGone(res.req)) end();
}

function noteAnswer({ underWay }: Guard, call: IncomingCall): void {
  const { req, res } = call;
  call.status = res.statusCode;
  // The guard itself ends the connection where it cannot end an answer.
  if (call.failure !== undefined || !hasGone(req)) return;
  call.aborted = !underWay.hasCut;
  if (underWay.hasCut) call.failure = CLOSING;
}

/** Cheapest first: of a request that fails its key, secret, User-Agent or Origin no body is read. */
function judge(guard: Guard, call: IncomingCall): ValueOrPromise<Refusal | AdmittedCalls> {
  const { options, store, limits, underWay } = guard;
  const { req, facts } = call;
  if (underWay.isClosing) return CLOSING;
  if (req.method !== 'POST') return refuse('METHOD_NOT_POST');
  return whenKnown(admit(facts, store), (admission) => {
    if (isRefusal(admission)) return admission;
    call.admission = admission;
    const refusal = limits.refuseUnread(facts, admission);
    if (refusal !== undefined) return refusal;
    if (req.headers['content-encoding'] !== undefined) call.inflated = new Holding(guard.inflated, facts.apiKey);
    const body = readBody(req, options, call.inflated);
    return body instanceof Promise
      ? body.then((late) => judgeLate(guard, call, late, admission))
      : judgeInTurn(guard, call, body, admission);
  });
}

/** A key may be revoked while its body arrives. */
function judgeLate(
  guard: Guard,
  call: IncomingCall,
  body: Buffer | string | Refusal,
  admission: Admission,
): ValueOrPromise<Refusal | AdmittedCalls> {
  const { facts, arrivedAt } = call;
  if (isRefusal(body) || performance.now() - arrivedAt <= READMIT_AFTER_MS) {
    return judgeInTurn(guard, call, body, admission);
  }
  return whenKnown(admit(facts, guard.store), (anew) =>
    isRefusal(anew) ? anew : judgeInTurn(guard, call, body, anew),
  );
}

/** Many bodies at once take turns, in which a key may be revoked too. */
function judgeInTurn(
  guard: Guard,
  call: IncomingCall,
  body: Buffer | string | Refusal,
  admission: Admission,
): ValueOrPromise<Refusal | AdmittedCalls> {
  if (isRefusal(body)) return body;
  call.bytesIn = Buffer.byteLength(body);
  const { options } = guard;
  const { facts } = call;
  if (!parseTurns.hasRoom(facts.apiKey)) return TOO_MANY_BODIES;
  const judge = () => judgeBody(body, options.maxBatchSize, admission, options);
  const judging = parseTurns.run(facts.apiKey, body.length, judge);
  if (!(judging instanceof Promise)) return isRefusal(judging) ? judging : { admission, judged: judging };
  const waitsFrom = performance.now();
  return judging.then((judged) => {
    if (isRefusal(judged)) return judged;
    return performance.now() - waitsFrom < READMIT_AFTER_MS ? { admission, judged } : admitAgain(guard, facts, judged);
  });
}

/** Unexpected errors are answered as INTERNAL_ERROR. */
function fail({ options }: Guard, call: IncomingCall, error: unknown): void {
  const { res, facts } = call;
  call.failure = INTERNAL_ERROR;
  const reason = describeError(error, facts.apiKey);
  options.logger.error({ requestId: facts.requestId, reason }, 'a request failed');
  if (res.headersSent) res.destroy();
  else respondRefusal(call, INTERNAL_ERROR, options);
}
