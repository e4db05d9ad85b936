import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long the rest of a refused request is read and dropped, so that the caller gets to see the refusal. */
const LINGER_MS = 2000;

/** What the guard keeps of a caller's connection, on which any number of requests may be pipelined. */
interface Connection {
  /** What ends the requests that are under way on it. They share one listener. */
  readonly aborts: Set<() => void>;
  /** How many of them are with the upstream. */
  underWay: number;
}

const connections = new WeakMap<Socket, Connection>();

export function connectionOf({ socket }: IncomingMessage): Connection {
  return connections.get(socket) ?? watch(socket);
}

export function hasGone({ socket }: IncomingMessage): boolean {
  return socket.destroyed;
}

/**
 * Calls `abort` if the caller goes away, until the function that it returns is called. It is the socket that tells:
 * of pipelined responses only the first hears of that by itself.
 */
export function whenGone(req: IncomingMessage, abort: () => void): () => void {
  const { aborts } = connectionOf(req);
  aborts.add(abort);
  return () => aborts.delete(abort);
}

function watch(socket: Socket): Connection {
  const connection = { aborts: new Set<() => void>(), underWay: 0 };
  connections.set(socket, connection);
  socket.on('close', () => {
    for (const abort of connection.aborts) abort();
  });
  return connection;
}

/** Whether every earlier response on this connection has been taken. Only one pipelined response is next at a time. */
export function isNext({ socket }: ServerResponse): boolean {
  return socket !== null;
}

/** A long answer is written in slices of this size, to see whether the caller takes any of it. */
export const SLICE_BYTES = 64 * 1024;

/** Ends a response. A caller that takes nothing of a long body for `idleMs` is cut off. */
export function endInSlices(res: ServerResponse, body: Buffer, idleMs: number): void {
  if (body.length <= SLICE_BYTES) {
    res.end(body);
    return;
  }
  const taken = cutAfter(res, idleMs);
  let at = 0;
  /** Goes on with "drain": a `write` that `compression` has put in front hands no callback on. */
  function next(): void {
    taken();
    for (let isTaken = true; isTaken && at < body.length;) {
      const slice = body.subarray(at, at + SLICE_BYTES);
      at += SLICE_BYTES;
      if (at < body.length) isTaken = res.write(slice);
      else res.end(slice);
    }
  }
  res.on('drain', next);
  next();
}

/**
 * Cuts a caller off that does not take what is left of an ended response; one that is written in slices sees to that by
 * itself. @returns whether anything is left.
 */
export function cutWhenIdle(res: ServerResponse, idleMs: number): boolean {
  if (res.socket === null) {
    const isWaiting = !res.writableFinished && !res.destroyed;
    if (isWaiting) res.once('socket', () => setImmediate(cutWhenIdle, res, idleMs));
    return isWaiting;
  }
  const isLeft = res.socket.writableLength > 0;
  if (isLeft && res.writableEnded) cutAfter(res, idleMs);
  return isLeft;
}

/** Cuts the caller off `idleMs` after its turn came. Call the returned function whenever it takes something. */
function cutAfter(res: ServerResponse, idleMs: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    timer = setTimeout(() => res.destroy(), idleMs);
  };
  if (isNext(res)) start();
  else res.once('socket', start);
  res.once('close', () => {
    clearTimeout(timer);
  });
  return () => timer?.refresh();
}

/** Closing at once would reset the connection under the caller's eyes; reading on for ever would serve an attacker. */
export function dropRest(req: IncomingMessage): void {
  const timer = setTimeout(() => req.destroy(), LINGER_MS).unref();
  req.on('end', () => {
    clearTimeout(timer);
  });
  req.on('error', () => undefined).resume();
}
