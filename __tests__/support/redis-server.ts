import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { describeWith, end, launch, removeFolder, temporaryFolder } from './local-server';
import type { LocalServer } from './local-server';

export interface RedisServer extends LocalServer {
  /** The unix socket that it listens on; it has no port. */
  readonly socket: string;
}

export const describeRedis = describeWith('redis-server');

/** A Redis server that is not running yet. `keepsData`: what it was told survives `kill`. */
export function redisServer({ keepsData = false } = {}): RedisServer {
  const folder = temporaryFolder();
  const socket = join(folder, 's');
  const appendOnly = keepsData ? ['--appendonly', 'yes', '--appendfsync', 'no'] : ['--appendonly', 'no'];
  const args = ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', ...appendOnly];
  let child: ChildProcess | undefined;
  let isRemoved = false;
  return {
    socket,
    async start() {
      if (isRemoved) throw new Error('the test is over');
      child = await launch('redis-server', args, { ready: /ready to accept connections/i });
    },
    kill: () => end(child, 'SIGKILL'),
    async remove() {
      isRemoved = true;
      await end(child, 'SIGKILL');
      removeFolder(folder);
    },
  };
}
