import { Agent as HttpAgent } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { createProxy } from './proxy-middleware';
import type { CreateProxyMiddleware, Proxy } from './proxy-middleware';
import type { Upstream } from './upstream-url';

export interface UpstreamClientOptions {
  readonly upstream: Upstream;
  readonly upstreamTimeoutMs: number;
  readonly createProxyMiddleware: CreateProxyMiddleware;
}

/** One request to the upstream, under way. */
export interface Exchange {
  /** The upstream's answer, from its headers on, or a refusal in its place. Never rejects. */
  readonly answer: Promise<IncomingMessage | Refusal>;
  /** Ends the exchange, also while the answer is being read. */
  readonly abort: () => void;
}

export interface UpstreamClient {
  /** Sends `body` to the upstream. `client` are the caller's headers, of which a few pass. */
  send(body: string, client: IncomingHttpHeaders, requestId: string): Exchange;
  close(): void;
}

type HeadersFor = (client: IncomingHttpHeaders, requestId: string, length: number) => Record<string, string | number>;

/** Of the caller's headers only these reach the upstream. */
const PASSING_HEADERS = ['accept', 'accept-encoding', 'traceparent', 'tracestate'];
/** Idle connections are given up before common servers and balancers do, so that none is used as it closes. */
const IDLE_SOCKET_MS = 15_000;
/** Text that is longer is made bytes of once: Node would measure and encode it in steps, with copies. */
const LONG_BODY = 16 * 1024;

/** A client of one upstream, over kept-alive connections of its own. */
export function createUpstreamClient(options: UpstreamClientOptions): UpstreamClient {
  const { upstream, upstreamTimeoutMs, createProxyMiddleware } = options;
  const Agent = upstream.origin.startsWith('https:') ? HttpsAgent : HttpAgent;
  const agent = new Agent({ keepAlive: true, timeout: IDLE_SOCKET_MS });
  const proxy = createProxy(createProxyMiddleware, upstream.origin, agent);
  const headersFor = requestHeaders(upstream);
  return {
    send(body, client, requestId) {
      const bytes = body.length > LONG_BODY ? Buffer.from(body) : body;
      const headers = headersFor(client, requestId, Buffer.byteLength(bytes));
      return exchange(proxy, { path: upstream.path, headers, body: bytes }, upstreamTimeoutMs);
    },
    close() {
      agent.destroy();
    },
  };
}

interface Content {
  readonly path: string;
  readonly headers: Record<string, string | number>;
  readonly body: string | Buffer;
}

function exchange(proxy: Proxy, content: Content, timeoutMs: number): Exchange {
  let resolve: (outcome: IncomingMessage | Refusal) => void = () => undefined;
  const answer = new Promise<IncomingMessage | Refusal>((resolver) => {
    resolve = resolver;
  });
  const timer = setTimeout(() => {
    settle(refuse('UPSTREAM_TIMEOUT'));
    abort();
  }, timeoutMs);

  function settle(outcome: IncomingMessage | Refusal): void {
    clearTimeout(timer);
    resolve(outcome);
  }
  function onFailure(why: string): void {
    settle(unavailable(why));
  }
  function onAnswer(message: IncomingMessage): void {
    if (isAnswer(message)) return settle(message);
    message.destroy();
    settle(unavailable(`status ${String(message.statusCode)}`));
  }
  function abort(): void {
    onFailure('the caller went away');
    end();
  }
  const end = proxy({ ...content, onAnswer, onFailure });
  return { answer, abort };
}

/** The same in every request, and what the caller says where the upstream's own headers do not. */
function requestHeaders(upstream: Upstream): HeadersFor {
  const fixed = { host: upstream.host, ...upstream.headers, 'content-type': 'application/json' };
  const passing = PASSING_HEADERS.filter((name) => !Object.hasOwn(upstream.headers, name));
  const namesRequest = !Object.hasOwn(upstream.headers, 'x-request-id');
  return (client, requestId, length) => {
    const headers: Record<string, string | number> = { ...fixed, 'content-length': length };
    if (namesRequest) headers['x-request-id'] = requestId;
    for (const name of passing) {
      const value = client[name];
      if (typeof value === 'string') headers[name] = value;
    }
    return headers;
  };
}

/** No redirect, whose target is the upstream's to know, and no status that HTTP does not have. */
function isAnswer({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode <= 599 && Math.floor(statusCode / 100) !== 3;
}

function unavailable(why: string): Refusal {
  return refuse('UPSTREAM_UNAVAILABLE', { why });
}
