import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describeWith, end, findProgram, launch, removeFolder, temporaryFolder, unprivileged } from './local-server';
import type { LocalServer } from './local-server';

export interface PostgresServer extends LocalServer {
  /** For `new Pool()`: its superuser on its unix socket; it has no port. */
  readonly connection: { readonly host: string; readonly user: string; readonly database: string };
}

export const describePostgres = describeWith('postgres', 'initdb');

/** A PostgreSQL server that is not running yet, with an empty database. */
export function postgresServer(): PostgresServer {
  const user = unprivileged();
  const folder = temporaryFolder(user);
  const data = join(folder, 'data');
  const settings = ['listen_addresses=', 'fsync=off', 'max_connections=200', 'shared_buffers=64MB'];
  const args = ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])];
  let isMade = false;
  let child: ChildProcess | undefined;
  let isRemoved = false;

  function make(): void {
    const initdb = ['--no-sync', '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '-D', data];
    const { status, error, stderr } = spawnSync(findProgram('initdb') ?? 'initdb', initdb, { cwd: folder, ...user });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`initdb ended with ${String(status)}:\n${stderr.toString()}`);
    isMade = true;
  }

  return {
    connection: { host: folder, user: 'postgres', database: 'postgres' },
    async start() {
      if (isRemoved) throw new Error('the test is over');
      if (!isMade) make();
      const ready = /database system is ready to accept connections/;
      child = await launch('postgres', args, { cwd: folder, ...user, ready });
    },
    // To this signal it drops everything at once; SIGKILL would leave its processes behind.
    kill: () => end(child, 'SIGQUIT'),
    async remove() {
      isRemoved = true;
      await end(child, 'SIGQUIT');
      removeFolder(folder);
    },
  };
}
