import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import cors from 'cors';
import { allowedCalls, mergeBatch } from './batch';
import type { JudgedCall } from './batch';
import { readBody } from './body';
import { admit, checkCall } from './chain';
import type { Admission } from './chain';
import { RpcGuardError } from './errors';
import { parseCalls, serialiseBatch, serialiseCall } from './json-rpc/call';
import type { ParsedCalls, RpcCall } from './json-rpc/call';
import { parseOptions } from './options';
import type { RpcGuardOptions } from './options';
import { createHandOff, readAnswer, relay } from './proxy';
import { REFUSALS, isRefusal, refusalReply, refuse } from './refusals';
import type { Reason, Refusal } from './refusals';
import { keyHint, requestFacts } from './request-facts';
import type { RequestFacts } from './request-facts';
import { cachedStore } from './stores/cached-store';

/** Express middleware, for Express 4 and 5. */
export interface RpcGuard {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /** Ends the connections to the upstream and closes the store. Call it after the server has closed. */
  close(): Promise<void>;
}

const CORS_DEFAULTS: cors.CorsOptions = {
  origin: '*',
  methods: ['POST'],
  allowedHeaders: ['Content-Type', 'Authorization', 'X-Request-Id'],
  exposedHeaders: ['X-Request-Id', 'Retry-After'],
  maxAge: 600,
};
/** A body that took longer than this is long enough for a key to be revoked meanwhile. */
const READMIT_AFTER_MS = 500;
/** How long what a refused request still sends is read and dropped, so that the caller gets to see the refusal. */
const LINGER_MS = 2000;

/**
 * Guards an Ethereum JSON-RPC upstream: what an API key's settings allow is handed to it, the rest is refused with a
 * coded answer. A request on another path goes to `next()`.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem of the options.
 */
export function rpcGuard(options: RpcGuardOptions): RpcGuard {
  if (arguments.length > 1) {
    throw new RpcGuardError(
      'ERR_RPC_GUARD_NOT_CALLED',
      'rpcGuard is mounted without the call: write app.use(rpcGuard({ … }))',
    );
  }
  const parsed = parseOptions(options);
  const { exposeReason, logger, onDecision, upstreamTimeoutMs } = parsed;
  const store = cachedStore(parsed.store, parsed.staleIfErrorMs, logger);
  const handOff = createHandOff(parsed);
  const applyCors = corsFor(parsed.cors);

  function rpcGuardMiddleware(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    const facts = requestFacts(req, parsed.path);
    if (facts === undefined) return next();
    res.setHeader('X-Request-Id', facts.requestId);
    applyCors(req, res, (error?: unknown) => {
      if (error !== undefined || req.method === 'OPTIONS') next(error);
      else route(req, res, facts).catch(next);
    });
  }

  async function route(req: IncomingMessage, res: ServerResponse, facts: RequestFacts): Promise<void> {
    const arrivedAt = performance.now();
    const judged = await judge(req, facts, arrivedAt);
    tell(judged, facts, performance.now() - arrivedAt);
    if (isRefusal(judged)) return answer(req, res, judged, facts);

    const { batch, calls } = judged;
    const [first] = calls;
    const allowed = allowedCalls(calls);
    if (!batch && first?.refusal !== undefined) return answer(req, res, first.refusal, facts, first.call.id);
    if (allowed.length < calls.length) return answerMixed(req, res, calls, facts);
    return forward(req, res, batch ? serialiseBatch(allowed) : serialiseCall(allowed[0] as RpcCall), facts);
  }

  /** The three steps, cheapest first: nothing of a request that fails the first is read. */
  async function judge(req: IncomingMessage, facts: RequestFacts, arrivedAt: number): Promise<Refusal | JudgedCalls> {
    if (req.method !== 'POST') return refuse('METHOD_NOT_POST');
    let admission = await admit(facts, store);
    if (isRefusal(admission)) return admission;
    const body = await readBody(req, parsed);
    if (isRefusal(body)) return body;
    if (performance.now() - arrivedAt > READMIT_AFTER_MS) admission = await admit(facts, store);
    if (isRefusal(admission)) return admission;
    return judgeCalls(admission, parseCalls(body, parsed.maxBatchSize));
  }

  function judgeCalls(admission: Admission, read: ParsedCalls): Refusal | JudgedCalls {
    if (!read.ok) return refuseBody(read, parsed.maxBatchSize);
    const calls = read.calls.map((call) => ({ call, refusal: checkCall(admission, call, parsed) }));
    return { batch: read.batch, calls };
  }

  /** All of it is allowed: the upstream's answer streams through. */
  async function forward(req: IncomingMessage, res: ServerResponse, body: string, facts: RequestFacts): Promise<void> {
    const upstreamAnswer = await exchange(res, body, req.headers, facts);
    if (isRefusal(upstreamAnswer)) answer(req, res, upstreamAnswer, facts);
    else relay(upstreamAnswer, res, upstreamTimeoutMs);
  }

  /** Some of it is refused: what is allowed goes to the upstream, and the answers are put together. */
  async function answerMixed(
    req: IncomingMessage,
    res: ServerResponse,
    calls: readonly JudgedCall[],
    facts: RequestFacts,
  ): Promise<void> {
    const allowed = allowedCalls(calls);
    let answers: Buffer | Refusal = refuse('UPSTREAM_UNAVAILABLE');
    if (allowed.length > 0) {
      const headers = { ...req.headers, 'accept-encoding': 'identity' };
      const upstreamAnswer = await exchange(res, serialiseBatch(allowed), headers, facts);
      answers = isRefusal(upstreamAnswer) ? upstreamAnswer : await readAnswer(upstreamAnswer, upstreamTimeoutMs);
    }
    sendJson(res, 200, mergeBatch(calls, answers, { requestId: facts.requestId, exposeReason }));
  }

  async function exchange(
    res: ServerResponse,
    body: string,
    headers: IncomingHttpHeaders,
    { requestId, apiKey }: RequestFacts,
  ): Promise<IncomingMessage | Refusal> {
    const { answer: answered, abort } = handOff.send(body, headers, requestId);
    res.on('close', () => {
      if (!res.writableFinished) abort();
    });
    const upstreamAnswer = await answered;
    if (isRefusal(upstreamAnswer) && !res.destroyed) {
      const { refused: reason, why } = upstreamAnswer;
      logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
    }
    return upstreamAnswer;
  }

  /** The one place that answers a refusal. */
  function answer(req: IncomingMessage, res: ServerResponse, refusal: Refusal, facts: RequestFacts, id?: string): void {
    const { status } = REFUSALS[refusal.refused];
    if (status === 401) res.setHeader('WWW-Authenticate', 'Basic realm="rpc-guard", charset="UTF-8"');
    if (status === 405) res.setHeader('Allow', 'POST, OPTIONS');
    if (status === 503) res.setHeader('Retry-After', '1');
    sendJson(res, status, refusalReply(refusal, id, { requestId: facts.requestId, exposeReason }));
    if (!req.complete) dropRest(req);
  }

  function tell(judged: Refusal | JudgedCalls, facts: RequestFacts, milliseconds: number): void {
    const { apiKey, requestId } = facts;
    const key = apiKey === '' ? undefined : keyHint(apiKey);
    for (const { refusal, methods } of verdictsOf(judged)) {
      if (refusal !== undefined) {
        const level = refusal.refused === 'CONFIGURATION_ERROR' ? 'error' : 'info';
        logger[level]({ key, requestId, reason: refusal.refused, why: refusal.why, methods }, 'refused');
      }
      const decision = {
        allowed: refusal === undefined,
        reason: refusal?.refused,
        keyHint: key,
        methods,
        requestId,
        milliseconds,
      };
      // Neither an exception nor a rejection of the listener's is the request's.
      (async () => onDecision(Object.freeze(decision)))().catch(() => undefined);
    }
  }

  return Object.assign(rpcGuardMiddleware, {
    async close() {
      handOff.close();
      await store.close();
    },
  });
}

interface JudgedCalls {
  readonly batch: boolean;
  readonly calls: readonly JudgedCall[];
}

function refuseBody({ broken, why }: ParsedCalls & { readonly ok: false }, maxBatchSize: number): Refusal {
  if (broken === 'json') return refuse('PARSE_ERROR', { why });
  if (broken === 'request') return refuse('INVALID_REQUEST', { why });
  return refuse('BATCH_TOO_LARGE', { message: `batch larger than ${String(maxBatchSize)} calls`, why });
}

/** One for each verdict there is, with the methods that it was given to. */
function verdictsOf(
  judged: Refusal | JudgedCalls,
): readonly { readonly refusal: Refusal | undefined; readonly methods: readonly string[] }[] {
  if (isRefusal(judged)) return [{ refusal: judged, methods: [] }];
  const verdicts = new Map<Reason | undefined, { refusal: Refusal | undefined; methods: string[] }>();
  for (const { call, refusal } of judged.calls) {
    const verdict = verdicts.get(refusal?.refused) ?? { refusal, methods: [] };
    if ('method' in call) verdict.methods.push(call.method);
    verdicts.set(refusal?.refused, verdict);
  }
  return [...verdicts.values()];
}

function sendJson(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}

/** Closing at once would reset the connection under the caller's eyes; reading on for ever would serve an attacker. */
function dropRest(req: IncomingMessage): void {
  const timer = setTimeout(() => req.destroy(), LINGER_MS);
  req.on('close', () => {
    clearTimeout(timer);
  });
  req.on('error', () => undefined).resume();
}

type CorsHandler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

function corsFor(option: boolean | cors.CorsOptions): CorsHandler {
  if (option === false) {
    return (_req, _res, next) => {
      next();
    };
  }
  return cors({ ...CORS_DEFAULTS, ...(option === true ? {} : option) }) as CorsHandler;
}
