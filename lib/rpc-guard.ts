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
import { RequestsUnderWay } from './http/under-way';
import { CallLimits } from './limits/limit-calls';
import { composeObservers } from './observe/compose-observers';
import { createDecisionLog } from './observe/decision-log';
import { healthOf } from './observe/health';
import type { Health } from './observe/health';
import type { Observe } from './observe/request-event';
import { createEventTeller } from './observe/tell-event';
import { Usage } from './observe/usage';
import { MAX_TIMER_MS, checkArgument, isWhole } from './option-rules';
import type { OptionRules } from './option-rules';
import { parseOptions } from './options/options';
import type { ParsedOptions, RpcGuardOptions } from './options/options';
import { prepareToParse } from './settings/key-settings';
import { SettingsCache } from './stores/settings-cache';
import { UpstreamQueue } from './upstream/upstream-queue';
import { createUpstreams } from './upstream/upstreams';
import type * as WebSockets from './websocket/upgrade';

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
  /** What is known of store and upstream, for a readiness route of your own. No request is made to find out. */
  health(): Health;
  /**
   * Takes no more: new requests and handshakes get 503 with `Retry-After`, WebSockets are closed with 1001. Resolves when
   * the requests under way are answered, counts are written, and the store is closed. Call `server.close()` after it.
   * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` for a wrong option.
   */
  close(options?: CloseOptions): Promise<void>;
}

export interface CloseOptions {
  /** Milliseconds after which the requests that are still under way are cut. Default 10 s. */
  readonly graceMs?: number | undefined;
}

const CLOSE_RULES: OptionRules<CloseOptions> = {
  graceMs: { accepts: isWhole(0, MAX_TIMER_MS), takes: 'whole milliseconds, such as 10_000' },
};
const GRACE_MS = 10_000;

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

const insides = new WeakMap<object, Guard>();

/**
 * The parts of a guard, for entries of their own that work with one.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` when it is no guard.
 */
export function insideOf(guard: RpcGuard): Guard {
  const inside = insides.get(guard);
  if (inside !== undefined) return inside;
  throw new RpcGuardError('ERR_RPC_GUARD_ARGUMENT', 'takes the guard: const guard = rpcGuard({ … })');
}

/** The guard that parsed options make. */
export function guardOf(parsed: ParsedOptions): RpcGuard {
  prepareToParse();
  const usage = parsed.usage && new Usage(parsed, parsed.usage);
  const decisions = createDecisionLog(parsed);
  const observers: Observe[] = [
    decisions.observe,
    createEventTeller(parsed.onRequest),
    ...(usage ? [usage.observe] : []),
  ];
  const guard: Guard = {
    options: parsed,
    store: new SettingsCache(parsed.store, parsed),
    upstreams: createUpstreams(parsed),
    queue: new UpstreamQueue(parsed.maxConcurrent),
    inflated: new ByteBudget(Math.max(INFLATED_BYTES, 2 * parsed.maxBodyBytes)),
    answers: new ByteBudget(Math.max(ANSWER_BYTES, 2 * parsed.maxMergedBytes)),
    underWay: new RequestsUnderWay(),
    applyCors: corsFor(parsed.cors),
    limits: new CallLimits({ ...parsed, trustsProxy: parsed.trustProxy !== false }),
    hintAtMount: createMountHint(parsed.path, parsed.logger),
    observe: composeObservers(observers, parsed.logger),
    observers,
    tracing: undefined,
  };
  const webSockets = new (loadWebSockets().WebSocketGuard)(guard, (req, res, facts, refusal) => {
    const headers = { 'X-Request-Id': facts.requestId };
    const done = () => {
      respondRefusal({ req, res, facts, headers, bytesOut: 0 }, refusal, parsed);
    };
    // No preflight: that asks for no upgrade.
    if (req.method === 'OPTIONS') done();
    else guard.applyCors(req, res, headers, done);
  });

  const sayWhere = createSayWhere(parsed.path, parsed.wsPath, parsed.logger);

  function rpcGuardMiddleware(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void {
    sayWhere(req);
    handleRequest(guard, req, res, next);
  }
  let closed: Promise<void> | undefined;
  insides.set(rpcGuardMiddleware, guard);
  return Object.assign(rpcGuardMiddleware, {
    upgrade: webSockets.upgrade,
    health() {
      const upstreams = [guard.upstreams.states(), webSockets.states()];
      return healthOf({ ...guard, upstreams, sockets: webSockets.size });
    },
    close(options?: CloseOptions) {
      checkArgument('close', CLOSE_RULES, options);
      closed ??= closeAll({ guard, webSockets, usage, decisions }, options?.graceMs ?? GRACE_MS);
      return closed;
    },
  });
}

/** What only manages keys does not load `ws` and what works on it: 26 modules. */
function loadWebSockets(): typeof WebSockets {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return require('./websocket/upgrade') as typeof WebSockets;
}

interface Closing {
  readonly guard: Guard;
  readonly webSockets: WebSockets.WebSocketGuard;
  readonly usage: Usage | undefined;
  readonly decisions: { close(): void };
}

/** In the order in which nothing needs them any more. */
async function closeAll({ guard, webSockets, usage, decisions }: Closing, graceMs: number): Promise<void> {
  await Promise.all([webSockets.close(), guard.underWay.close(graceMs)]);
  guard.upstreams.close();
  await guard.limits.close();
  await usage?.close();
  // Before the store, which may reject: what was summed up would be lost.
  decisions.close();
  await guard.store.close();
}
