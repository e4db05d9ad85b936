import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { RpcGuardError } from './errors';
import { ByteBudget } from './http/byte-budget';
import { corsFor } from './http/cors';
import { handleRequest } from './http/handle-request';
import type { Guard } from './http/incoming-call';
import { createMountHint } from './http/mount-hint';
import { respondRefusal } from './http/respond';
import { createSayWhere } from './http/say-where';
import { CallLimits } from './limits/limit-calls';
import { composeObservers } from './observe/compose-observers';
import { createDecisionLog } from './observe/decision-log';
import { createEventTeller } from './observe/tell-event';
import { Usage } from './observe/usage';
import { parseOptions } from './options/options';
import type { ParsedOptions, RpcGuardOptions } from './options/options';
import type { UsageKinds } from './options/usage-option';
import { SettingsCache } from './stores/settings-cache';
import { UpstreamQueue } from './upstream/upstream-queue';
import { createUpstreams } from './upstream/upstreams';
import { WebSocketGuard } from './websocket/upgrade';

/** Bounds on what all requests together hold in memory; larger where one request alone may need it. */
const INFLATED_BYTES = 64 * 1024 * 1024;
const ANSWER_BYTES = 128 * 1024 * 1024;

const NOT_CALLED =
  'rpcGuard is mounted uncalled; write app.use(rpcGuard({ upstream: "http://127.0.0.1:8545", ' +
  'store: new FileStore("./rpc-guard.json") }))';

/** Express middleware, for Express 4 and 5. */
export interface RpcGuard {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /** Guards WebSocket too: `server.on('upgrade', guard.upgrade)`. */
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Closes WebSockets with 1001, the connections to the upstream, and the store. */
  close(): Promise<void>;
}

/**
 * Guards an Ethereum JSON-RPC upstream: what an API key's settings allow is handed to it, the rest is refused with a
 * coded answer. A request on another path goes to `next()`.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem of the options, `ERR_RPC_GUARD_NOT_CALLED` when it
 * was mounted without the call; the types refuse that too, for which `mountedUncalled` is there.
 */
export function rpcGuard(options: RpcGuardOptions, ...mountedUncalled: never[]): RpcGuard {
  if (mountedUncalled.length > 0) {
    throw new RpcGuardError('ERR_RPC_GUARD_NOT_CALLED', NOT_CALLED);
  }
  return guardOf(parseOptions(options));
}

/** The guard that parsed options make. */
export function guardOf(parsed: ParsedOptions): RpcGuard {
  const instance = nameInstance();
  const usage = parsed.usage && createUsage(parsed, parsed.usage, instance);
  const decisions = createDecisionLog(parsed);
  const observers = [decisions.observe, createEventTeller(parsed.onRequest), ...(usage ? [usage.observe] : [])];
  const guard: Guard = {
    options: parsed,
    store: new SettingsCache(parsed.store, parsed),
    upstreams: createUpstreams(parsed),
    queue: new UpstreamQueue(parsed.maxConcurrent),
    inflated: new ByteBudget(Math.max(INFLATED_BYTES, 2 * parsed.maxBodyBytes)),
    answers: new ByteBudget(Math.max(ANSWER_BYTES, 2 * parsed.maxMergedBytes)),
    applyCors: corsFor(parsed.cors),
    limits: new CallLimits({ ...parsed, trustsProxy: parsed.trustProxy !== false, instance }),
    hintAtMount: createMountHint(parsed.path, parsed.logger),
    observe: composeObservers(observers, parsed.logger),
  };
  const webSockets = new WebSocketGuard(guard, (req, res, facts, refusal) => {
    res.setHeader('X-Request-Id', facts.requestId);
    const done = () => {
      respondRefusal({ req, res, facts }, refusal, parsed.exposeReason);
    };
    // No preflight: that asks for no upgrade.
    if (req.method === 'OPTIONS') done();
    else guard.applyCors(req, res, done);
  });

  const sayWhere = createSayWhere(parsed.path, parsed.wsPath, parsed.logger);

  function rpcGuardMiddleware(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    sayWhere(req);
    handleRequest(guard, req, res, next);
  }
  return Object.assign(rpcGuardMiddleware, {
    upgrade: webSockets.upgrade,
    async close() {
      await webSockets.close();
      guard.upstreams.close();
      await guard.limits.close();
      await usage?.close();
      await guard.store.close();
      decisions.close();
    },
  });
}

/** Names this process among those that share a store. */
function nameInstance(): string {
  return randomBytes(6).toString('hex');
}

function createUsage(parsed: ParsedOptions, kinds: UsageKinds, instance: string): Usage {
  let isFirst = true;
  const name = (): string => {
    const given = isFirst ? instance : nameInstance();
    isFirst = false;
    return given;
  };
  return new Usage({ ...parsed, instance: name }, kinds);
}
