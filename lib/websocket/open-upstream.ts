import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { ParsedOptions } from '../options/options';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

/** A socket with the connection that it runs on. */
export interface SocketEnd {
  readonly socket: WebSocket;
  readonly connection: Duplex;
}

/** The upstream's socket while it opens. */
export interface OpeningUpstream {
  /** The open socket, not read from yet, or why there is none. Never rejects. */
  readonly outcome: Promise<SocketEnd | Refusal>;
  /** Gives it up unless it is open. */
  readonly abort: (refusal: Refusal) => void;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Nodes split a large answer into frames as they write it. */
const SMALLEST_FRAME = 512;
/** No compression, whose cost the sender chooses; a close must be answered within two seconds. */
export const SOCKET_OPTIONS = { perMessageDeflate: false, closeTimeout: 2000 };

/** Opens a socket to the upstream: within `upstreamTimeoutMs`, name, connection, TLS and handshake together. */
export function openUpstream({ upstream, upstreamTimeoutMs }: ParsedOptions): OpeningUpstream {
  const socket = new WebSocket(upstream.wsUrl, {
    headers: upstream.wsHeaders,
    ...SOCKET_OPTIONS,
    maxPayload: MAX_ANSWER_BYTES,
    maxFragments: MAX_ANSWER_BYTES / SMALLEST_FRAME,
  });
  let resolve: (outcome: SocketEnd | Refusal) => void = () => undefined;
  const outcome = new Promise<SocketEnd | Refusal>((resolver) => {
    resolve = resolver;
  });
  const timer = setTimeout(() => {
    abort(refuse('UPSTREAM_TIMEOUT', { why: 'it did not answer the handshake in time' }));
  }, upstreamTimeoutMs);

  function abort(refusal: Refusal): void {
    clearTimeout(timer);
    resolve(refusal);
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
  }
  let connection: Duplex | undefined;
  socket.on('upgrade', (response) => {
    connection = response.socket;
  });
  socket.on('unexpected-response', (_request, { statusCode }) => {
    abort(refuse('UPSTREAM_UNAVAILABLE', { why: `it answered the handshake with status ${String(statusCode)}` }));
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    abort(refuse('UPSTREAM_UNAVAILABLE', { why: error.code ?? error.message }));
  });
  socket.on('open', () => {
    clearTimeout(timer);
    // With these listeners all that they close over would stay, 0.7 KB a socket.
    socket.removeAllListeners().on('error', ignore);
    socket.pause();
    resolve({ socket, connection: connection! });
  });
  return { outcome, abort };
}

function ignore(): void {
  // Whoever takes the open socket listens to its errors.
}
