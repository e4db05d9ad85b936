import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** How long what a refused request still sends is read and dropped, so that the caller gets to see the refusal. */
const LINGER_MS = 2000;

/** What is under way for a socket. One listener for all: a caller may pipeline any number of requests. */
const underWay = new WeakMap<Socket, Set<() => void>>();

export function hasGone({ socket }: IncomingMessage): boolean {
  return socket.destroyed;
}

/**
 * Calls `abort` if the caller goes away, until the function that it returns is called. It is the socket that tells:
 * of pipelined responses only the first hears of that by itself.
 */
export function whenGone({ socket }: IncomingMessage, abort: () => void): () => void {
  const aborts = underWay.get(socket) ?? watch(socket);
  aborts.add(abort);
  return () => aborts.delete(abort);
}

function watch(socket: Socket): Set<() => void> {
  const aborts = new Set<() => void>();
  underWay.set(socket, aborts);
  socket.on('close', () => {
    for (const abort of aborts) abort();
  });
  return aborts;
}

/** Closing at once would reset the connection under the caller's eyes; reading on for ever would serve an attacker. */
export function dropRest(req: IncomingMessage): void {
  const timer = setTimeout(() => req.destroy(), LINGER_MS).unref();
  req.on('end', () => {
    clearTimeout(timer);
  });
  req.on('error', () => undefined).resume();
}
