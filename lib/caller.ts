import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long what a refused request still sends is read and dropped, so that the caller gets to see the refusal. */
const LINGER_MS = 2000;

/** What is under way for a socket. One listener for all: a caller may pipeline any number of requests. */
type UnderWay = Map<ServerResponse, () => void>;
const underWay = new WeakMap<Socket, UnderWay>();

export function hasGone({ socket }: IncomingMessage): boolean {
  return socket.destroyed;
}

/**
 * Calls `abort` if the caller goes away before `res` is done; the last one that was given for it.
 * Of pipelined responses only the first hears of that by itself.
 */
export function whenGone({ socket }: IncomingMessage, res: ServerResponse, abort: () => void): void {
  const aborts = underWay.get(socket) ?? watch(socket);
  if (!aborts.has(res)) {
    res.on('close', () => {
      if (!res.writableFinished) aborts.get(res)?.();
      aborts.delete(res);
    });
  }
  aborts.set(res, abort);
}

function watch(socket: Socket): UnderWay {
  const aborts: UnderWay = new Map();
  underWay.set(socket, aborts);
  socket.on('close', () => {
    for (const abort of aborts.values()) abort();
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
