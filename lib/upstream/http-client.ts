import { EventEmitter } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Writable } from 'node:stream';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { Upstream } from './upstream-url';

/** `createProxyMiddleware` of `http-proxy-middleware` 3 or 4, whose own types differ. */
export type CreateProxyMiddleware = (options: never) => unknown;

export interface HandOffOptions {
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

export interface HandOff {
  /** Sends `body` to the upstream. `client` are the caller's headers, of which a few pass. */
  send(body: string, client: IncomingHttpHeaders, requestId: string): Exchange;
  close(): void;
}

/** Of the caller's headers only these reach the upstream. */
const PASSING_HEADERS = ['accept', 'accept-encoding', 'traceparent', 'tracestate'];
/** Idle connections are given up before common servers and balancers do, so that none is used as it closes. */
const IDLE_SOCKET_MS = 15_000;
/** Of the upstream's headers these stay here: hop-by-hop, CORS, and what speaks of the upstream's own host. */
const WITHHELD_HEADERS =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|access-control-.*|set-cookie2?|www-authenticate|location|alt-svc|server|via|x-powered-by|strict-transport-security|clear-site-data|nel|report-to|x-request-id)$/;
/** Set by the upstream even where the application has set them. None of them is withheld. */
const ANSWERS_OWN_HEADERS: ReadonlySet<string> = new Set(['content-type', 'content-length', 'content-encoding']);
/** How long a caller may take nothing of its answer. */
const CALLER_IDLE_MS = 120_000;

/** Text that is longer is made bytes of once: Node would measure and encode it in steps, with copies. */
const LONG_BODY = 16 * 1024;

const OPEN_SOCKET = Object.freeze({ destroyed: false, writable: true });

/**
 * The request half that http-proxy-middleware is given: made from what was checked, with nothing of the caller's
 * request in it. It is no stream, because the body is there at once.
 */
class UpstreamRequest extends EventEmitter {
  readonly method = 'POST';
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;
  /** Looked at for its state on errors; it must not lead to the caller's server. */
  readonly socket = OPEN_SOCKET;

  constructor(
    readonly url: string,
    readonly headers: Readonly<Record<string, string | number>>,
    private readonly body: string | Buffer,
    readonly settle: (answer: IncomingMessage | Refusal) => void,
  ) {
    super();
  }

  pipe(destination: Writable): Writable {
    return destination.end(this.body);
  }
}

/** The response half: version 4 hears of a client that has gone from it. The answer itself never touches it. */
class UpstreamResponse extends EventEmitter {
  readonly headersSent = false;
  readonly finished = false;
  readonly writableFinished = false;
  destroyed = false;

  destroy(): this {
    this.destroyed = true;
    return this;
  }
}

type Forward = (req: UpstreamRequest, res: UpstreamResponse, next: () => void) => unknown;

/** Builds the hand-off to the upstream, over kept-alive connections of its own. */
export function createHandOff(options: HandOffOptions): HandOff {
  const { upstream, upstreamTimeoutMs } = options;
  const Agent = upstream.origin.startsWith('https:') ? HttpsAgent : HttpAgent;
  const agent = new Agent({ keepAlive: true, timeout: IDLE_SOCKET_MS });

  function listen(proxy: EventEmitter): void {
    proxy.on('proxyReq', (outgoing: ClientRequest, request: UpstreamRequest) => {
      // A switch of protocols ends in nothing else.
      outgoing.on('close', () => request.settle(unavailable('no answer')));
    });
    proxy.on('proxyRes', (answer: IncomingMessage, request: UpstreamRequest) => {
      if (isAnswer(answer)) return request.settle(answer);
      answer.destroy();
      return request.settle(unavailable(`status ${String(answer.statusCode)}`));
    });
    proxy.on('error', (error: NodeJS.ErrnoException, request: UpstreamRequest) => {
      request.settle(unavailable(error.code ?? error.name));
    });
  }

  // Its default plugins print an error page with the key in it, and log: none of them is used.
  const createProxyMiddleware = options.createProxyMiddleware as (options: object) => Forward;
  const forward = createProxyMiddleware({
    target: targetOf(upstream.origin),
    prependPath: false,
    agent,
    selfHandleResponse: true,
    ejectPlugins: true,
    plugins: [listen],
  });

  function send(body: string, client: IncomingHttpHeaders, requestId: string): Exchange {
    let resolve: (outcome: IncomingMessage | Refusal) => void = () => undefined;
    const answer = new Promise<IncomingMessage | Refusal>((resolver) => {
      resolve = resolver;
    });
    const content = body.length > LONG_BODY ? Buffer.from(body) : body;
    const headers = headersFor(client, requestId, Buffer.byteLength(content));
    const request = new UpstreamRequest(upstream.path, headers, content, settle);
    const response = new UpstreamResponse();
    const timer = setTimeout(() => {
      settle(refuse('UPSTREAM_TIMEOUT'));
      abort();
    }, upstreamTimeoutMs);

    function settle(outcome: IncomingMessage | Refusal): void {
      clearTimeout(timer);
      resolve(outcome);
    }
    function abort(): void {
      settle(unavailable('the caller went away'));
      request.emit('aborted'); // heard by version 3
      response.emit('close'); // heard by version 4
    }
    forward(request, response, () => undefined);
    return { answer, abort };
  }

  /** The same in every request, and what the caller says where the upstream's own headers do not. */
  const fixedHeaders = { host: upstream.host, ...upstream.headers, 'content-type': 'application/json' };
  const passingHeaders = PASSING_HEADERS.filter((name) => !Object.hasOwn(upstream.headers, name));
  const namesRequest = !Object.hasOwn(upstream.headers, 'x-request-id');

  function headersFor(client: IncomingHttpHeaders, requestId: string, length: number): Record<string, string | number> {
    const headers: Record<string, string | number> = { ...fixedHeaders, 'content-length': length };
    if (namesRequest) headers['x-request-id'] = requestId;
    for (const name of passingHeaders) {
      const value = client[name];
      if (typeof value === 'string') headers[name] = value;
    }
    return headers;
  }

  return {
    send,
    close() {
      agent.destroy();
    },
  };
}

/** Streams the upstream's answer to the caller as it came. Cut off on one side, it is cut off on the other. */
export function relay(answer: IncomingMessage, res: ServerResponse, idleMs: number): void {
  res.statusCode = answer.statusCode ?? 502;
  const { headers } = answer;
  for (const name of Object.keys(headers)) {
    if (ANSWERS_OWN_HEADERS.has(name) || !(WITHHELD_HEADERS.test(name) || res.hasHeader(name))) {
      res.setHeader(name, headers[name]!);
    }
  }
  if (answer.complete && !answer.destroyed) {
    // It has come whole with its headers, as most do.
    res.end(answer.read() as Buffer | null);
    return;
  }
  // While the caller takes nothing, nothing is read: that is not the upstream's silence.
  const heard = endWhenSilent(answer, idleMs, () => res.writableNeedDrain);
  answer.on('data', heard);
  answer.on('close', () => {
    if (!answer.complete) res.destroy();
  });
  answer.pipe(res);
}

/** The whole of the upstream's answer, or a refusal where it is cut off or more than `maxBytes`. */
export async function readAnswer(answer: IncomingMessage, idleMs: number, maxBytes: number): Promise<Buffer | Refusal> {
  const heard = endWhenSilent(answer, idleMs, () => false);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      heard();
      size += chunk.length;
      if (size > maxBytes) return unavailable('its answer is too large');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } catch {
    return unavailable('its answer was cut off');
  }
}

/** Ends an answer that stays silent, and one that its caller has stopped taking. Returns what to call on each sign of life. */
function endWhenSilent(answer: IncomingMessage, idleMs: number, isHeldUp: () => boolean): () => void {
  let heardAt = performance.now();
  const timer = setTimeout(() => {
    if (isHeldUp() && performance.now() - heardAt < CALLER_IDLE_MS) timer.refresh();
    else answer.destroy();
  }, idleMs);
  answer.on('error', () => undefined);
  answer.on('close', () => {
    clearTimeout(timer);
  });
  return () => {
    heardAt = performance.now();
    timer.refresh();
  };
}

/** Taken apart once, and not for every request: http-proxy does that with text. */
function targetOf(origin: string): object {
  const { protocol, host, hostname, port } = new URL(origin);
  return { protocol, host, hostname: hostname.replace(/^\[|\]$/g, ''), port };
}

/** No redirect, whose target is the upstream's to know, and no status that HTTP does not have. */
function isAnswer({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode <= 599 && Math.floor(statusCode / 100) !== 3;
}

function unavailable(why: string): Refusal {
  return refuse('UPSTREAM_UNAVAILABLE', { why });
}
