import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import cors from 'cors';
import { addReplies, judgeBody, mergeAnswers, runsOf, serialiseAll } from './policy/evaluate-body';
import type { JudgedCalls, Replies } from './policy/evaluate-body';
import { discardBody, readBody } from './http/request-body';
import { dropRest, hasGone, whenGone } from './http/client-connection';
import { admit } from './policy/authorize';
import { createReporter } from './observe/decision-log';
import { RpcGuardError } from './errors';
import { serialiseBatch } from './json-rpc/call';
import { describeError } from './logger';
import { parseOptions } from './options/options';
import type { RpcGuardOptions } from './options/options';
import { createHandOff, readAnswer, relay } from './upstream/http-client';
import { REFUSALS, isRefusal, refusalReply, refuse } from './policy/refusals';
import type { Refusal } from './policy/refusals';
import { keyHint, requestFacts } from './request/request-facts';
import type { RequestFacts } from './request/request-facts';
import { cachedStore } from './stores/settings-cache';
import { createWebSocketGuard } from './websocket/upgrade';
import type { Upgrade } from './websocket/upgrade';

/** Express middleware, for Express 4 and 5. */
export interface RpcGuard {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /** Guards WebSocket too: `server.on('upgrade', guard.upgrade)`. */
  readonly upgrade: Upgrade;
  /** Closes WebSockets with 1001, the connections to the upstream, and the store. */
  close(): Promise<void>;
}

const EXPOSED_HEADERS = 'X-Request-Id,Retry-After';
const CORS_DEFAULTS: cors.CorsOptions = {
  origin: '*',
  methods: ['POST'],
  allowedHeaders: ['Content-Type', 'Authorization', 'X-Request-Id'],
  exposedHeaders: EXPOSED_HEADERS,
  maxAge: 600,
};
/** Of the upstream's answers to one batch, where they have to be put together with refusals. */
const MAX_MERGED_BYTES = 16 * 1024 * 1024;
/** A body that took longer than this took long enough for its key to be revoked meanwhile. */
const READMIT_AFTER_MS = 500;

/**
 * Guards an Ethereum JSON-RPC upstream: what an API key's settings allow is handed to it, the rest is refused with a
 * coded answer. A request on another path goes to `next()`.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem of the options, `ERR_RPC_GUARD_NOT_CALLED` when it
 * was mounted without the call.
 */
export function rpcGuard(options: RpcGuardOptions): RpcGuard {
  if (arguments.length > 1) {
    throw new RpcGuardError('ERR_RPC_GUARD_NOT_CALLED', 'rpcGuard is mounted uncalled; write app.use(rpcGuard({ … }))');
  }
  const parsed = parseOptions(options);
  const { exposeReason, logger, upstreamTimeoutMs } = parsed;
  const store = cachedStore(parsed.store, parsed);
  const handOff = createHandOff(parsed);
  const report = createReporter(parsed);
  const applyCors = corsFor(parsed.cors);

  function rpcGuardMiddleware(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    const facts = requestFacts(req, parsed.path);
    if (facts === undefined) {
      next();
      return;
    }
    res.setHeader('X-Request-Id', facts.requestId);
    applyCors(req, res, (error?: unknown) => {
      if (error !== undefined || req.method === 'OPTIONS') next(error);
      else route(req, res, facts).catch((failure: unknown) => failed(req, res, facts, failure));
    });
  }

  async function route(req: IncomingMessage, res: ServerResponse, facts: RequestFacts): Promise<void> {
    const arrivedAt = performance.now();
    const judged = await judge(req, facts, arrivedAt);
    report(judged, facts, arrivedAt);
    if (isRefusal(judged)) {
      await discardBody(req);
      return answer(req, res, facts, judged);
    }

    const { batch, calls, allowed } = judged;
    const [first] = calls;
    if (!batch && first?.refusal !== undefined) return answer(req, res, facts, first.refusal, first.call.id);
    if (allowed.length < calls.length) return answerMixed(req, res, facts, judged);

    const upstreamAnswer = await exchange(req, facts, serialiseAll(judged), req.headers);
    if (!isRefusal(upstreamAnswer)) return relay(upstreamAnswer, res, upstreamTimeoutMs);
    if (!batch) return answer(req, res, facts, upstreamAnswer, first?.call.id);
    const replies: Replies = new Map(allowed.map((call) => [call, upstreamAnswer]));
    return sendJson(res, 200, mergeAnswers(judged, replies, { requestId: facts.requestId, exposeReason }));
  }

  /** Some of a batch is refused: the rest goes to the upstream, and the answers are put together. */
  async function answerMixed(
    req: IncomingMessage,
    res: ServerResponse,
    facts: RequestFacts,
    judged: JudgedCalls,
  ): Promise<void> {
    const replies: Replies = new Map();
    let bytesLeft = MAX_MERGED_BYTES;
    for (const run of runsOf(judged.allowed)) {
      const headers = { ...req.headers, 'accept-encoding': 'identity' };
      const upstreamAnswer = await exchange(req, facts, serialiseBatch(run), headers);
      const body = isRefusal(upstreamAnswer)
        ? upstreamAnswer
        : await readAnswer(upstreamAnswer, upstreamTimeoutMs, bytesLeft);
      addReplies(replies, isRefusal(body) ? judged.allowed : run, body);
      if (isRefusal(body)) break;
      bytesLeft -= body.length;
    }
    sendJson(res, 200, mergeAnswers(judged, replies, { requestId: facts.requestId, exposeReason }));
  }

  /** Cheapest first: of a request that fails its key, secret, User-Agent or Origin no body is read. */
  async function judge(req: IncomingMessage, facts: RequestFacts, arrivedAt: number): Promise<Refusal | JudgedCalls> {
    if (req.method !== 'POST') return refuse('METHOD_NOT_POST');
    let admission = await admit(facts, store);
    if (isRefusal(admission)) return admission;
    const body = await readBody(req, parsed);
    if (isRefusal(body)) return body;
    if (performance.now() - arrivedAt > READMIT_AFTER_MS) admission = await admit(facts, store);
    return isRefusal(admission) ? admission : judgeBody(body, parsed.maxBatchSize, admission, parsed);
  }

  /** Sends checked calls to the upstream. A caller that goes away ends it. */
  async function exchange(
    req: IncomingMessage,
    { apiKey, requestId }: RequestFacts,
    body: string,
    headers: IncomingHttpHeaders,
  ): Promise<IncomingMessage | Refusal> {
    if (hasGone(req)) return refuse('UPSTREAM_UNAVAILABLE');
    const { answer: awaited, abort } = handOff.send(body, headers, requestId);
    const stopListening = whenGone(req, abort);
    const upstreamAnswer = await awaited;
    if (isRefusal(upstreamAnswer) || upstreamAnswer.complete) stopListening();
    else upstreamAnswer.on('close', stopListening);
    if (isRefusal(upstreamAnswer) && !hasGone(req)) {
      const { refused: reason, why } = upstreamAnswer;
      logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
    }
    return upstreamAnswer;
  }

  /** What should not happen is refused too, in the same words as the rest. */
  function failed(req: IncomingMessage, res: ServerResponse, facts: RequestFacts, error: unknown): void {
    logger.error({ requestId: facts.requestId, reason: describeError(error, facts.apiKey) }, 'a request failed');
    if (res.headersSent) res.destroy();
    else answer(req, res, facts, refuse('INTERNAL_ERROR'));
  }

  /** The one place that answers a refusal. */
  function answer(req: IncomingMessage, res: ServerResponse, facts: RequestFacts, refusal: Refusal, id?: string): void {
    const { status } = REFUSALS[refusal.refused];
    if (status === 401) res.setHeader('WWW-Authenticate', 'Basic realm="rpc-guard", charset="UTF-8"');
    if (status === 405) res.setHeader('Allow', 'POST, OPTIONS');
    if (status === 503) res.setHeader('Retry-After', '1');
    sendJson(res, status, refusalReply(refusal, id, { requestId: facts.requestId, exposeReason }));
    if (!req.complete) dropRest(req);
  }

  const webSockets = createWebSocketGuard(parsed, store, report, (req, res, facts, refusal) => {
    res.setHeader('X-Request-Id', facts.requestId);
    const done = () => answer(req, res, facts, refusal);
    if (req.method === 'OPTIONS')
      done(); // no preflight: that asks for no upgrade
    else applyCors(req, res, done);
  });

  return Object.assign(rpcGuardMiddleware, {
    upgrade: webSockets.upgrade,
    async close() {
      await webSockets.close();
      handOff.close();
      await store.close();
    },
  });
}

function sendJson(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}

type CorsHandler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

function corsFor(option: boolean | cors.CorsOptions): CorsHandler {
  if (option === false) {
    return (_req, _res, next) => {
      next();
    };
  }
  const handler = cors({ ...CORS_DEFAULTS, ...(option === true ? {} : option) }) as CorsHandler;
  if (option !== true) return handler;
  return (req, res, next) => {
    if (req.method === 'OPTIONS') {
      handler(req, res, next);
      return;
    }
    // What it would set, without making its options anew for each request.
    res.setHeader('Access-Control-Allow-Origin', '*');
    res.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
    next();
  };
}
