import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long what a refused request still sends is read and dropped, so that the caller gets to see the refusal. */
const LINGER_MS = 2000;

/** What is to be aborted when a socket closes. One listener for all: a caller may pipeline any number of requests. */
const underWay = new WeakMap<Socket, Set<() => void>>();

export function hasGone({ socket }: IncomingMessage): boolean {
  return socket.destroyed;
}

/** Calls `abort` if the caller goes away before `res` is done. Of pipelined responses only the first hears of that. */
export function whenGone({ socket }: IncomingMessage, res: ServerResponse, abort: () => void): void {
  const aborts = underWay.get(socket) ?? watch(socket);
  aborts.add(abort);
  res.on('close', () => {
    aborts.delete(abort);
    if (!res.writableFinished) abort();
  });
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
