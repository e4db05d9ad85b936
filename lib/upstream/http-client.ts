import { Agent as HttpAgent } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Logger } from '../logger';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { hideUpstream } from './hide-upstream';
import { createProxy } from './proxy-middleware';
import type { CreateProxyMiddleware, Proxy, SentRequest } from './proxy-middleware';
import { headProblem, isBackOff, readError } from './read-answer';
import type { Patience, UpstreamAnswer } from './read-answer';
import { createUpstreamHealth } from './upstream-health';
import type { UpstreamHealth } from './upstream-health';
import type { Upstream } from './upstream-url';

export interface UpstreamClientOptions extends Patience {
  readonly upstream: Upstream;
  readonly createProxyMiddleware: CreateProxyMiddleware;
  readonly logger: Logger;
}

/** One request to the upstream, under way. */
export interface Exchange {
  /** The upstream's answer, from its headers on, or a refusal in its place. Never rejects. */
  readonly answer: Promise<UpstreamAnswer | Refusal>;
  /** Ends the exchange, also while the answer is being read. */
  readonly abort: () => void;
}

export interface UpstreamClient {
  /** Its host, which may be shown. */
  readonly name: string;
  /**
   * Sends `body` to the upstream. `client` are the caller's headers, of which a few pass. What `isRepeatable` is sent
   * once more when it met a kept connection that the upstream had just closed. `trace` goes in place of the caller's
   * trace context.
   */
  send(
    body: string,
    client: IncomingHttpHeaders,
    requestId: string,
    isRepeatable?: boolean,
    trace?: Readonly<Record<string, string>>,
  ): Exchange;
  readonly health: Pick<UpstreamHealth, 'state'>;
  close(): void;
}

/** Headers that come from elsewhere. */
interface GivenHeaders {
  readonly client: IncomingHttpHeaders;
  readonly trace: Readonly<Record<string, string>> | undefined;
}

type HeadersFor = (given: GivenHeaders, requestId: string, length: number) => Record<string, string | number>;

const TRACE_HEADERS = ['traceparent', 'tracestate'];
/** Of the caller's headers only these reach the upstream. */
const PASSING_HEADERS = ['accept', 'accept-encoding', ...TRACE_HEADERS];
/** Idle connections are given up before common servers and balancers do, so that none is used as it closes. */
const IDLE_SOCKET_MS = 15_000;
/** Longer text is encoded once, here: Node would measure and encode it in steps, with copies. */
const LONG_BODY = 16 * 1024;

/** A client of one upstream, over kept-alive connections of its own. */
export function createUpstreamClient(options: UpstreamClientOptions): UpstreamClient {
  const { upstream, createProxyMiddleware, logger } = options;
  const Agent = upstream.origin.startsWith('https:') ? HttpsAgent : HttpAgent;
  const agent = new Agent({ keepAlive: true, timeout: IDLE_SOCKET_MS });
  const wire: Wire = {
    proxy: createProxy(createProxyMiddleware, upstream.origin, agent),
    freshProxy: createProxy(createProxyMiddleware, upstream.origin, new Agent()),
    patience: options,
    health: createUpstreamHealth(upstream.host, logger),
    hide: hideUpstream(upstream),
  };
  const headersFor = requestHeaders(upstream);
  return {
    name: upstream.host,
    send(body, client, requestId, isRepeatable = false, trace?) {
      const bytes = body.length > LONG_BODY ? Buffer.from(body) : body;
      const headers = headersFor({ client, trace }, requestId, Buffer.byteLength(bytes));
      return exchange(wire, { path: upstream.path, headers, body: bytes }, isRepeatable);
    },
    health: wire.health,
    close() {
      agent.destroy();
    },
  };
}

/** What every exchange with one upstream shares. */
interface Wire {
  readonly proxy: Proxy;
  /** Over a connection of its own for each request. */
  readonly freshProxy: Proxy;
  readonly patience: Patience;
  readonly health: UpstreamHealth;
  readonly hide: (json: string) => string;
}

interface Content {
  readonly path: string;
  readonly headers: Record<string, string | number>;
  readonly body: string | Buffer;
}

function exchange(wire: Wire, content: Content, isRepeatable: boolean): Exchange {
  const { patience, health } = wire;
  let resolve: (outcome: UpstreamAnswer | Refusal) => void = () => undefined;
  let isOver = false;
  let isAnswered = false;
  const answer = new Promise<UpstreamAnswer | Refusal>((resolver) => {
    resolve = resolver;
  });
  const timer = setTimeout(() => {
    settle(timedOut(sent, wire));
    sent.abort();
  }, patience.upstreamTimeoutMs);

  function settle(outcome: UpstreamAnswer | Refusal): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    resolve(outcome);
  }
  function onFailure(why: string, upstreamStatus?: number): void {
    if (isOver || isAnswered) return;
    health.failed(why);
    settle(refuse('UPSTREAM_UNAVAILABLE', { why, upstreamStatus }));
  }
  function onAnswer(message: IncomingMessage): void {
    if (isOver) return;
    const problem = headProblem(message);
    if (problem !== undefined) {
      message.destroy();
      onFailure(problem, message.statusCode);
      return;
    }
    isAnswered = true;
    const outcome = lookInto(message, wire);
    if (outcome instanceof Promise) void outcome.then(onRead);
    else onRead(outcome);
  }
  function onRead(outcome: UpstreamAnswer | Refusal): void {
    if (!isOver) tell(health, outcome);
    settle(outcome);
  }
  function abort(): void {
    settle(refuse('UPSTREAM_UNAVAILABLE', { why: 'the caller went away' }));
    sent.abort();
  }
  /** An attempt reports its end more than once: by its answer or error, and when it closes. */
  function attempt(proxy: Proxy): SentRequest {
    let isDone = false;
    return proxy({
      ...content,
      onAnswer,
      onFailure(why, isStale) {
        if (isDone || isOver) return;
        isDone = true;
        if (isStale && proxy === wire.proxy && isRepeatable) sent = attempt(wire.freshProxy);
        else onFailure(why);
      },
    });
  }
  let sent = attempt(wire.proxy);
  return { answer, abort };
}

/** If not even a connection was made, the upstream is down. */
function timedOut(sent: SentRequest, { patience, health }: Wire): Refusal {
  const isConnected = sent.isConnected();
  const why = `no ${isConnected ? 'answer' : 'connection'} within ${String(patience.upstreamTimeoutMs)} ms`;
  if (!isConnected) health.failed(why);
  return refuse('UPSTREAM_TIMEOUT', { why });
}

/** A 429 is about the guard's own rate, and shows that the upstream is up. */
function tell(health: UpstreamHealth, outcome: UpstreamAnswer | Refusal): void {
  if (isRefusal(outcome) && outcome.status !== 429) health.failed(outcome.why ?? outcome.refused);
  else health.answered();
}

/** What the caller gets: a good answer as a stream, an error once it has been read. */
function lookInto(
  message: IncomingMessage,
  { patience, hide }: Wire,
): UpstreamAnswer | Promise<UpstreamAnswer | Refusal> {
  const { statusCode: status = 0, headers } = message;
  if (status < 400) return { status, headers, body: message };
  return readError(message, patience, hide).then((error) => {
    if (!isRefusal(error)) return error;
    const refusal = { ...error, upstreamStatus: status };
    return isBackOff(status) ? backOff(message, refusal) : refusal;
  });
}

/** A 429 or 503 whose body is not for the caller still tells clients to back off. */
function backOff({ statusCode, headers }: IncomingMessage, refusal: Refusal): Refusal {
  const retryAfter = headers['retry-after'];
  return { ...refusal, status: statusCode!, headers: retryAfter === undefined ? {} : { 'Retry-After': retryAfter } };
}

/** The headers that every request has, and the caller's, except those that the upstream option sets. */
function requestHeaders(upstream: Upstream): HeadersFor {
  const fixed = { host: upstream.host, ...upstream.headers, 'content-type': 'application/json' };
  const passing = PASSING_HEADERS.filter((name) => !Object.hasOwn(upstream.headers, name));
  const namesRequest = !Object.hasOwn(upstream.headers, 'x-request-id');
  return ({ client, trace }, requestId, length) => {
    const headers: Record<string, string | number> = { ...fixed, 'content-length': length };
    if (namesRequest) headers['x-request-id'] = requestId;
    for (const name of passing) {
      const value = trace !== undefined && TRACE_HEADERS.includes(name) ? undefined : client[name];
      if (typeof value === 'string') headers[name] = value;
    }
    for (const [name, value] of Object.entries(trace ?? {})) {
      if (!Object.hasOwn(upstream.headers, name)) headers[name] = value;
    }
    return headers;
  };
}
