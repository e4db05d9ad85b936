import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { endAfterTest } from './cleanup';

/** A TCP port that leads to a unix socket, until the test has ended; without a path it takes callers and stays silent. */
export async function tcpBridge(path?: string): Promise<number> {
  return (await lossyBridge(path)).port;
}

export interface LossyBridge {
  readonly port: number;
  /** From now on nothing passes, and nothing is closed: connections that are there, and new ones, are dead for good. */
  swallow(): void;
  /** New connections work again. */
  pass(): void;
}

/** A bridge that can lose what goes over it, as a firewall that forgets its connections does. */
export async function lossyBridge(path?: string): Promise<LossyBridge> {
  const sockets = new Set<Socket>();
  let isPassing = true;
  const server = createServer((caller) => {
    sockets.add(caller.on('error', () => undefined));
    if (!isPassing || path === undefined) return;
    const callee = connect(path).on('error', () => caller.destroy());
    sockets.add(callee);
    caller.pipe(callee).pipe(caller);
    caller.once('close', () => callee.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endAfterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    swallow() {
      isPassing = false;
      for (const socket of sockets) socket.unpipe().pause();
    },
    pass() {
      isPassing = true;
    },
  };
}
