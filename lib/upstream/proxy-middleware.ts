import { EventEmitter } from 'node:events';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type * as Version3 from 'http-proxy-middleware';

/** `createProxyMiddleware` of `http-proxy-middleware` 3 or 4, whose own types differ. */
export type CreateProxyMiddleware = (options: never) => unknown;

/** That of version 3, which comes with the guard. Its 58 modules are loaded only where no other is handed in. */
export function bundledProxyMiddleware(options: never): unknown {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return (require('http-proxy-middleware') as typeof Version3).createProxyMiddleware(options);
}

/** A request to hand to http-proxy-middleware, and what to call with its outcome. */
export interface ProxyRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: string | Buffer;
  readonly onAnswer: (answer: IncomingMessage) => void;
  /** `isStale` when the connection was an old one and closed before a byte of the answer came over it. */
  readonly onFailure: (why: string, isStale: boolean) => void;
}

/** A request that was sent. */
export interface SentRequest {
  abort(): void;
  /** Whether there is a connection that it goes over, its TLS handshake done. */
  isConnected(): boolean;
}

export type Proxy = (request: ProxyRequest) => SentRequest;

/** What Node says of a connection that the other side has closed. */
const CLOSED = ['ECONNRESET', 'EPIPE'];
const OPEN_SOCKET = Object.freeze({ destroyed: false, writable: true });

/**
 * The request half that http-proxy-middleware is given: made from what was checked, with nothing of the caller's
 * request in it. It is no stream, because the body is there at once.
 */
class RequestHalf extends EventEmitter {
  readonly method = 'POST';
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | number>>;
  /** Looked at for its state on errors; it must not lead to the caller's server. */
  readonly socket = OPEN_SOCKET;
  /** The kept connection that it went out on. A closure over it would keep what the request holds alive for longer. */
  kept: { readonly socket: Socket; readonly bytesBefore: number } | undefined;

  usedSocket: Socket | null = null;

  constructor(readonly request: ProxyRequest) {
    super();
    this.url = request.path;
    this.headers = request.headers;
  }

  pipe(destination: Writable): Writable {
    return destination.end(this.request.body);
  }
}

/** The response half: version 4 hears of a client that has gone from it. The answer itself never touches it. */
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

type Forward = (req: RequestHalf, res: ResponseHalf, next: () => void) => unknown;

/**
 * A proxy to `origin`. The default plugins of http-proxy-middleware print an error page with the key in it, and log:
 * none of them is used.
 */
export function createProxy(create: CreateProxyMiddleware, origin: string, agent: Agent): Proxy {
  const forward = (create as (options: object) => Forward)({
    target: targetOf(origin),
    prependPath: false,
    agent,
    selfHandleResponse: true,
    ejectPlugins: true,
    plugins: [listen],
  });
  return (request) => {
    const [req, res] = [new RequestHalf(request), new ResponseHalf()];
    forward(req, res, () => undefined);
    return {
      abort() {
        req.emit('aborted'); // heard by version 3
        res.emit('close'); // heard by version 4
      },
      isConnected: () => isOpen(req.usedSocket),
    };
  };
}

function listen(proxy: EventEmitter): void {
  proxy.on('proxyReq', (outgoing: ClientRequest, half: RequestHalf) => {
    const { socket, reusedSocket } = outgoing;
    half.usedSocket = socket;
    if (reusedSocket && socket !== null) half.kept = { socket, bytesBefore: socket.bytesRead };
    // A switch of protocols ends in nothing else.
    outgoing.on('close', () => half.request.onFailure('no answer', false));
  });
  proxy.on('proxyRes', (answer: IncomingMessage, { request }: RequestHalf) => {
    request.onAnswer(answer);
  });
  proxy.on('error', (error: NodeJS.ErrnoException, half: RequestHalf) => {
    const { code = error.name } = error;
    half.request.onFailure(code, CLOSED.includes(code) && isSilent(half));
  });
}

function isOpen(connection: Socket | null): boolean {
  if (connection === null || connection.connecting) return false;
  return !('secureConnecting' in connection && connection.secureConnecting === true);
}

/** Whether nothing has come yet over a kept connection. */
function isSilent({ kept }: RequestHalf): boolean {
  return kept !== undefined && kept.socket.bytesRead === kept.bytesBefore;
}

/** Taken apart once, and not for every request: http-proxy does that with text. */
function targetOf(origin: string): object {
  const { protocol, host, hostname, port } = new URL(origin);
  return { protocol, host, hostname: hostname.replace(/^\[|\]$/g, ''), port };
}
