import { EventEmitter } from 'node:events';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type * as Version3 from 'http-proxy-middleware';
import type { Pieces } from '../json-rpc/call';
import type { Upstream } from './upstream-url';

/** `createProxyMiddleware` of `http-proxy-middleware` 3 or 4, whose own types differ. */
export type CreateProxyMiddleware = (options: never) => unknown;

/** Version 3, which comes with the guard. Its 58 modules load only if you hand in no other. */
export function bundledProxyMiddleware(options: never): unknown {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return (require('http-proxy-middleware') as typeof Version3).createProxyMiddleware(options);
}

/** A request for http-proxy-middleware. It hears of its outcome, of failures more than once: when it closes, too. */
export interface ProxyRequest {
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: Pieces;
  onAnswer(answer: IncomingMessage): void;
  /** `isStale`: a kept-alive connection closed before the first byte of the answer. */
  onFailure(sent: SentRequest, why: string, isStale: boolean): void;
  /** It never got a connection: Node throws at a header that it cannot send. */
  onUnsent(why: string): void;
}

/** A request that was sent. */
export interface SentRequest {
  abort(): void;
  /** Whether it has a connection, with the TLS handshake done. */
  isConnected(): boolean;
}

export type Proxy = (request: ProxyRequest) => SentRequest;

/** Node's error codes for a connection that the other side has closed. */
const CLOSED = ['ECONNRESET', 'EPIPE'];
const OPEN_SOCKET = Object.freeze({ destroyed: false, writable: true });

/**
 * The request half that http-proxy-middleware is given: made from what was checked, with nothing of the caller's
 * request in it. It is no stream, because the body is there at once.
 */
class RequestHalf extends EventEmitter implements SentRequest {
  readonly method = 'POST';
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;
  readonly headers: Readonly<Record<string, string | number>>;
  /** The proxy reads its state on errors; it must not lead to the caller's own socket. */
  readonly socket = OPEN_SOCKET;
  /** The kept-alive connection that it went out on. A field: a closure would keep the request's memory alive longer. */
  kept: { readonly socket: Socket; readonly bytesBefore: number } | undefined;

  usedSocket: Socket | null = null;
  readonly response = new ResponseHalf();

  constructor(
    readonly request: ProxyRequest,
    readonly url: string,
  ) {
    super();
    this.headers = request.headers;
  }

  pipe(destination: Writable): Writable {
    const { body } = this.request;
    for (let n = 0; n < body.length - 1; n++) destination.write(body[n]);
    return destination.end(body.at(-1));
  }

  abort(): void {
    this.emit('aborted'); // heard by version 3
    this.response.emit('close'); // heard by version 4
  }

  isConnected(): boolean {
    return isOpen(this.usedSocket);
  }
}

/** The response half: it tells version 4 that the client has gone. The answer never passes through it. */
class ResponseHalf extends EventEmitter {
  readonly headersSent = false;
  readonly finished = false;
  readonly writableFinished = false;
  destroyed = false;

  destroy(): this {
    this.destroyed = true;
    return this;
  }
}

type Forward = (req: RequestHalf, res: ResponseHalf, next: (error: NodeJS.ErrnoException) => void) => unknown;

/**
 * A proxy to an upstream. Its path goes with the target: that of a request is parsed twice, which with Node 24 takes a
 * sixth of a call. A query goes with the request: in a target http-proxy would fold its slashes. The default plugins of
 * http-proxy-middleware print an error page with the key in it, and log: none of them is used.
 */
export function createProxy(create: CreateProxyMiddleware, upstream: Upstream, agent: Agent): Proxy {
  const { path } = upstream;
  const isInTarget = !path.includes('?');
  const url = isInTarget ? '' : path;
  const forward = (create as (options: object) => Forward)({
    target: targetOf(upstream, isInTarget ? path : ''),
    ignorePath: isInTarget,
    toProxy: isInTarget, // unparsed
    pathFilter: '',
    agent,
    selfHandleResponse: true,
    ejectPlugins: true,
    plugins: [listen],
  });
  return (request) => {
    const half = new RequestHalf(request, url);
    // What Node throws comes here; with version 4 every failure does, after its event.
    forward(half, half.response, (error) => {
      tellFailure(error, half);
    });
    return half;
  };
}

function listen(proxy: EventEmitter): void {
  proxy.on('proxyReq', (outgoing: ClientRequest, half: RequestHalf) => {
    const { socket, reusedSocket } = outgoing;
    half.usedSocket = socket;
    if (reusedSocket && socket !== null) half.kept = { socket, bytesBefore: socket.bytesRead };
    // A protocol switch ends without any other event.
    outgoing.on('close', () => {
      half.request.onFailure(half, 'no answer', false);
    });
  });
  proxy.on('proxyRes', (answer: IncomingMessage, { request }: RequestHalf) => {
    request.onAnswer(answer);
  });
  proxy.on('error', tellFailure);
}

/** Without the message: it may quote what was sent. */
function tellFailure(error: NodeJS.ErrnoException, half: RequestHalf): void {
  const { code = error.name } = error;
  if (half.usedSocket === null) half.request.onUnsent(code);
  else half.request.onFailure(half, code, CLOSED.includes(code) && isSilent(half));
}

function isOpen(connection: Socket | null): boolean {
  if (connection === null || connection.connecting) return false;
  return !('secureConnecting' in connection && connection.secureConnecting === true);
}

/** Whether a kept-alive connection has been silent so far. */
function isSilent({ kept }: RequestHalf): boolean {
  return kept !== undefined && kept.socket.bytesRead === kept.bytesBefore;
}

/** Parsed once: http-proxy would parse a string for every request. Version 3 reads `path`, version 4 `pathname`. */
function targetOf({ origin, host, hostname, port }: Upstream, path: string): object {
  return { protocol: new URL(origin).protocol, host, hostname, port, path, pathname: path };
}
