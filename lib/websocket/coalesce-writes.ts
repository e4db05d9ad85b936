import { setImmediate } from 'node:timers';
import type { Duplex } from 'node:stream';

let corked: Duplex[] = [];

/**
 * Buffers writes to `connection` until this turn of the event loop ends, so that the results of several messages go out
 * together: fewer system calls, and fewer wake-ups of the reader.
 */
export function corkForTurn(connection: Duplex): void {
  if (connection.writableCorked > 0) return;
  connection.cork();
  if (corked.push(connection) === 1) setImmediate(uncorkAll);
}

function uncorkAll(): void {
  const connections = corked;
  corked = [];
  for (const connection of connections) connection.uncork();
}
