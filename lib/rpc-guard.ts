import type { IncomingMessage, ServerResponse } from 'node:http';
import cors from 'cors';
import { judgeBody, mergeAnswers, serialiseAllowed } from './batch';
import type { JudgedCalls } from './batch';
import { readBody } from './body';
import { admit } from './chain';
import { createReporter } from './decisions';
import { RpcGuardError } from './errors';
import { parseOptions } from './options';
import type { RpcGuardOptions } from './options';
import { createHandOff, readAnswer, relay } from './proxy';
import { REFUSALS, isRefusal, refusalReply, refuse } from './refusals';
import type { Refusal } from './refusals';
import { keyHint, requestFacts } from './request-facts';
import type { RequestFacts } from './request-facts';
import { cachedStore } from './stores/cached-store';
import { createWebSocketGuard } from './web-socket';
import type { Upgrade } from './web-socket';

/** Express middleware, for Express 4 and 5. */
export interface RpcGuard {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /** Guards WebSocket too: `server.on('upgrade', guard.upgrade)`. */
  readonly upgrade: Upgrade;
  /** Closes WebSockets with 1001, the connections to the upstream, and the store. */
  close(): Promise<void>;
}

const CORS_DEFAULTS: cors.CorsOptions = {
  origin: '*',
  methods: ['POST'],
  allowedHeaders: ['Content-Type', 'Authorization', 'X-Request-Id'],
  exposedHeaders: ['X-Request-Id', 'Retry-After'],
  maxAge: 600,
};
/** A body that took longer than this took long enough for its key to be revoked meanwhile. */
const READMIT_AFTER_MS = 500;
/** How long what a refused request still sends is read and dropped, so that the caller gets to see the refusal. */
const LINGER_MS = 2000;

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
  const store = cachedStore(parsed.store, parsed.staleIfErrorMs, parsed.logger);
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
      else route(req, res, facts).catch(next);
    });
  }

  async function route(req: IncomingMessage, res: ServerResponse, facts: RequestFacts): Promise<void> {
    const arrivedAt = performance.now();
    const judged = await judge(req, facts, arrivedAt);
    report(judged, facts, performance.now() - arrivedAt);
    if (isRefusal(judged)) {
      answer(req, res, facts, judged);
      return;
    }

    const { batch, calls, allowed } = judged;
    const [first] = calls;
    if (!batch && first?.refusal !== undefined) {
      answer(req, res, facts, first.refusal, first.call.id);
      return;
    }

    const isWhole = allowed.length === calls.length;
    const upstreamAnswer = await exchange(req, res, facts, judged);
    if (isWhole && !isRefusal(upstreamAnswer)) {
      relay(upstreamAnswer, res, upstreamTimeoutMs);
      return;
    }
    if (!batch && isRefusal(upstreamAnswer)) {
      answer(req, res, facts, upstreamAnswer, first?.call.id);
      return;
    }
    const answers = isRefusal(upstreamAnswer) ? upstreamAnswer : await readAnswer(upstreamAnswer, upstreamTimeoutMs);
    sendJson(res, 200, mergeAnswers(judged, answers, { requestId: facts.requestId, exposeReason }));
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

  /** Sends what is allowed to the upstream, if anything is. A caller that goes away ends it. */
  async function exchange(
    req: IncomingMessage,
    res: ServerResponse,
    { apiKey, requestId }: RequestFacts,
    judged: JudgedCalls,
  ): Promise<IncomingMessage | Refusal> {
    if (judged.allowed.length === 0 || hasGone(res)) return refuse('UPSTREAM_UNAVAILABLE');
    const isWhole = judged.allowed.length === judged.calls.length;
    const headers = isWhole ? req.headers : { ...req.headers, 'accept-encoding': 'identity' };
    const { answer: awaited, abort } = handOff.send(serialiseAllowed(judged), headers, requestId);
    res.on('close', () => {
      if (!res.writableFinished) abort();
    });
    const upstreamAnswer = await awaited;
    if (isRefusal(upstreamAnswer) && !hasGone(res)) {
      const { refused: reason, why } = upstreamAnswer;
      logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
    }
    return upstreamAnswer;
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
    applyCors(req, res, () => {
      answer(req, res, facts, refusal);
    });
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

/** Whether the caller has closed the connection. */
function hasGone(res: ServerResponse): boolean {
  return res.destroyed;
}

function sendJson(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}

/** Closing at once would reset the connection under the caller's eyes; reading on for ever would serve an attacker. */
function dropRest(req: IncomingMessage): void {
  const timer = setTimeout(() => req.destroy(), LINGER_MS).unref();
  req.on('end', () => {
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
