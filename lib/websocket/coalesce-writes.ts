import { setImmediate } from 'node:timers';
import type { Duplex } from 'node:stream';

let corked: Duplex[] = [];

/**
 * Holds back what is written to `connection` until this turn of the event loop ends. What several messages of a turn
 * lead to goes out together: fewer system calls, and fewer times that who reads it is woken.
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
