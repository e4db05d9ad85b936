import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers';
import type { Pieces } from '../json-rpc/call';
import type { Logger } from '../logger';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { hideUpstream } from './hide-upstream';
import { createProxy } from './proxy-middleware';
import type { CreateProxyMiddleware, Proxy, ProxyRequest, SentRequest } from './proxy-middleware';
import { headProblem, isBackOff, readError } from './read-answer';
import type { Patience, UpstreamAnswer } from './read-answer';
import { createUpstreamHealth } from './upstream-health';
import type { UpstreamHealth } from './upstream-health';
import { createUpstreamAgent } from './upstream-agent';
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
  abort(): void;
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
    body: Pieces,
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

/** Of the caller's headers only these reach the upstream, and its trace context. */
const PASSING_HEADERS = ['accept', 'accept-encoding'];
const TRACE_HEADERS = ['traceparent', 'tracestate'];
/** Idle connections are given up before common servers and balancers do, so that none is used as it closes. */
const IDLE_SOCKET_MS = 15_000;
/** Longer text is encoded once, here: Node would measure and encode it in steps, with copies. */
const LONG_PIECE = 16 * 1024;

/** A client of one upstream, over kept-alive connections of its own. */
export function createUpstreamClient(options: UpstreamClientOptions): UpstreamClient {
  const { upstream, createProxyMiddleware, logger } = options;
  const agent = createUpstreamAgent(upstream, { keepAlive: true, timeout: IDLE_SOCKET_MS });
  const wire: Wire = {
    proxy: createProxy(createProxyMiddleware, upstream, agent),
    freshProxy: createProxy(createProxyMiddleware, upstream, createUpstreamAgent(upstream, {})),
    patience: options,
    health: createUpstreamHealth(upstream.host, logger),
    hide: hideUpstream(upstream),
  };
  const headersFor = requestHeaders(upstream);
  return {
    name: upstream.host,
    send(body, client, requestId, isRepeatable = false, trace?) {
      const pieces = body.map((piece) =>
        typeof piece === 'string' && piece.length > LONG_PIECE ? Buffer.from(piece) : piece,
      );
      const headers = headersFor({ client, trace }, requestId, lengthOf(pieces));
      return new HttpExchange(wire, { headers, body: pieces }, isRepeatable);
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

/** What is sent. */
interface Content {
  readonly headers: Record<string, string | number>;
  readonly body: Pieces;
}

/** One request and its outcome. A class only for speed: closures would be created for each. */
class HttpExchange implements Exchange, ProxyRequest {
  readonly answer: Promise<UpstreamAnswer | Refusal>;
  readonly headers: Record<string, string | number>;
  readonly body: Pieces;
  readonly #wire: Wire;
  readonly #timer: NodeJS.Timeout;
  #resolve!: (outcome: UpstreamAnswer | Refusal) => void;
  #mayRepeat: boolean;
  #isOver = false;
  #isAnswered = false;
  #sent: SentRequest | undefined;

  constructor(wire: Wire, { headers, body }: Content, isRepeatable: boolean) {
    this.headers = headers;
    this.body = body;
    this.#wire = wire;
    this.#mayRepeat = isRepeatable;
    this.answer = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#timer = setTimeout(endInTime, wire.patience.upstreamTimeoutMs, this);
    this.#sent = wire.proxy(this);
  }

  /** Answers that came together are looked into one after the other: with what that takes at hand, it costs a tenth less. */
  onAnswer(message: IncomingMessage): void {
    setImmediate(lookLater, this, message);
  }

  lookInto(message: IncomingMessage): void {
    if (!this.#isOver) {
      const problem = message.destroyed ? 'its answer was cut off' : headProblem(message);
      if (problem !== undefined) this.#fail(problem, message.statusCode);
    }
    if (this.#isOver) {
      message.destroy();
      return;
    }
    this.#isAnswered = true;
    const outcome = lookInto(message, this.#wire);
    if (!(outcome instanceof Promise)) this.#read(outcome);
    else {
      void outcome.then((read) => {
        this.#read(read);
      });
    }
  }

  onFailure(sent: SentRequest, why: string, isStale: boolean): void {
    // The first attempt goes on to report: when its connection closes.
    if (this.#isOver || (this.#sent !== undefined && this.#sent !== sent)) return;
    if (!isStale || !this.#mayRepeat) {
      this.#fail(why);
      return;
    }
    this.#mayRepeat = false;
    this.#sent = this.#wire.freshProxy(this);
  }

  /** Says nothing of the upstream: a caller's header may be why. */
  onUnsent(why: string): void {
    this.#settle(refuse('UPSTREAM_UNAVAILABLE', { why: `it could not be sent: ${why}` }));
  }

  abort(): void {
    this.#settle(refuse('UPSTREAM_UNAVAILABLE', { why: 'the caller went away' }));
    this.#sent?.abort();
  }

  timeOut(): void {
    this.#settle(timedOut(this.#sent, this.#wire));
    this.#sent?.abort();
  }

  #read(outcome: UpstreamAnswer | Refusal): void {
    if (!this.#isOver) tell(this.#wire.health, outcome);
    this.#settle(outcome);
  }

  #fail(why: string, upstreamStatus?: number): void {
    if (this.#isAnswered) return;
    this.#wire.health.failed(why);
    this.#settle(refuse('UPSTREAM_UNAVAILABLE', { why, upstreamStatus }));
  }

  #settle(outcome: UpstreamAnswer | Refusal): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#resolve(outcome);
  }
}

function lookLater(exchange: HttpExchange, message: IncomingMessage): void {
  exchange.lookInto(message);
}

function endInTime(exchange: HttpExchange): void {
  exchange.timeOut();
}

function lengthOf(pieces: Pieces): number {
  let length = 0;
  for (const piece of pieces) length += Buffer.byteLength(piece);
  return length;
}

/** If not even a connection was made, the upstream is down. */
function timedOut(sent: SentRequest | undefined, { patience, health }: Wire): Refusal {
  const isConnected = sent?.isConnected() === true;
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
  const ownNames = new Set(Object.keys(upstream.headers));
  const namesRequest = !ownNames.has('x-request-id');
  const passing = PASSING_HEADERS.filter((name) => !ownNames.has(name));
  const tracing = TRACE_HEADERS.filter((name) => !ownNames.has(name));
  return ({ client, trace }, requestId, length) => {
    // An object made by spreading has no room: each member that is added to it costs as much as reading a call.
    const headers: Record<string, string | number> = Object.assign({}, fixed);
    headers['content-length'] = length;
    if (namesRequest) headers['x-request-id'] = requestId;
    passOn(client, passing, headers);
    if (trace === undefined) passOn(client, tracing, headers);
    for (const name in trace) {
      if (!ownNames.has(name)) headers[name] = trace[name]!;
    }
    return headers;
  };
}

function passOn(client: IncomingHttpHeaders, names: readonly string[], headers: Record<string, string | number>): void {
  for (const name of names) {
    const value = client[name];
    if (typeof value === 'string') headers[name] = value;
  }
}
