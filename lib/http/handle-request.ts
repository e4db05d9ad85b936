import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseTurns } from '../json-rpc/parse-turn';
import { describeError } from '../logger';
import { newOccurrence } from '../observe/request-event';
import { READMIT_AFTER_MS, admit } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { judgeAgain, judgeBody } from '../policy/evaluate-body';
import { CLOSING, isRefusal, refuse, refuseForNow } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { requestFacts } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { Holding } from './byte-budget';
import { cutWhenIdle, hasGone, whenGone } from './client-connection';
import { handOff, refuseWhole } from './hand-off';
import type { AdmittedCalls, Guard, IncomingCall } from './incoming-call';
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
  guard.tracing?.arrived(facts);
  res.setHeader('X-Request-Id', facts.requestId);
  guard.applyCors(req, res, (error?: unknown) => {
    if (error !== undefined || req.method === 'OPTIONS') {
      next(error);
      return;
    }
    const noted = newOccurrence(facts, 'http', performance.now());
    guard.underWay.begin(res);
    void route(guard, { req, res, inflated: undefined, answer: undefined, ...noted });
  });
}

/** Ends in one answer and one event, whatever happens. Never rejects. */
async function route(guard: Guard, call: IncomingCall): Promise<void> {
  try {
    const calls = await judge(guard, call);
    call.judged = isRefusal(calls) ? calls : calls.judged;
    call.decidedAt = performance.now();
    if (isRefusal(calls)) await refuseUnread(guard, call, calls);
    else await handOff(guard, call, calls);
  } catch (error) {
    fail(guard, call, error);
  }
  call.inflated?.shrinkTo(0);
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
  if (call.bytesOut === 0) call.bytesOut = Number(res.getHeader('content-length') ?? 0);
  // The guard itself ends the connection where it cannot end an answer.
  if (call.failure !== undefined || !hasGone(req)) return;
  call.aborted = !underWay.hasCut;
  if (underWay.hasCut) call.failure = CLOSING;
}

/** Cheapest first: of a request that fails its key, secret, User-Agent or Origin no body is read. */
async function judge(guard: Guard, call: IncomingCall): Promise<Refusal | AdmittedCalls> {
  const { options, store, limits, underWay } = guard;
  const { req, facts, arrivedAt } = call;
  if (underWay.isClosing) return CLOSING;
  if (req.method !== 'POST') return refuse('METHOD_NOT_POST');
  let admission = await admit(facts, store);
  if (isRefusal(admission)) return admission;
  call.admission = admission;
  const refusal = limits.refuseUnread(facts, admission);
  if (refusal !== undefined) return refusal;
  if (req.headers['content-encoding'] !== undefined) call.inflated = new Holding(guard.inflated, facts.apiKey);
  const body = await readBody(req, options, call.inflated);
  if (isRefusal(body)) return body;
  if (performance.now() - arrivedAt > READMIT_AFTER_MS) admission = await admit(facts, store);
  if (isRefusal(admission)) return admission;
  call.bytesIn = body.length;
  return judgeInTurn(guard, facts, body, admission);
}

/** A key may be revoked while a body waits for its turn. */
async function judgeInTurn(
  { options, store }: Guard,
  facts: RequestFacts,
  body: Buffer | string,
  admission: Admission,
): Promise<Refusal | AdmittedCalls> {
  const { apiKey } = facts;
  if (!parseTurns.hasRoom(apiKey)) return TOO_MANY_BODIES;
  const waitsFrom = performance.now();
  const judge = () => judgeBody(body, options.maxBatchSize, admission, options);
  const judged = await parseTurns.run(apiKey, body.length, judge);
  if (isRefusal(judged)) return judged;
  if (performance.now() - waitsFrom < READMIT_AFTER_MS) return { admission, judged };
  const anew = await admit(facts, store);
  return isRefusal(anew) ? anew : { admission: anew, judged: judgeAgain(judged, anew, options) };
}

async function refuseUnread(guard: Guard, call: IncomingCall, refusal: Refusal): Promise<void> {
  refuseWhole(guard, call, refusal, await arrivedBody(call.req, guard.options.maxBodyBytes));
}

/** Unexpected errors are answered as INTERNAL_ERROR. */
function fail({ options }: Guard, call: IncomingCall, error: unknown): void {
  const { res, facts } = call;
  call.failure = INTERNAL_ERROR;
  const reason = describeError(error, facts.apiKey);
  options.logger.error({ requestId: facts.requestId, reason }, 'a request failed');
  if (res.headersSent) res.destroy();
  else respondRefusal(call, INTERNAL_ERROR, options.exposeReason);
}
