import { createRequire } from 'node:module';
import { basename } from 'node:path';

import { end, endAll, postgresServer, redisServer, start } from './processes.mjs';

const require = createRequire(import.meta.url);
const SERVERS = { redis: redisServer, postgres: postgresServer };

export const NO_LOGGER = { info() {}, warn() {}, error() {} };

/** The value of `--name=value`. */
export const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);

/**
 * Measures each of these stores that `--only` names: in a process of its own, so that none has the memory of another, and
 * beside a server of its own. The main process runs `show` with what `measure` has returned in the other.
 */
export async function measureEachStore(stores, measure, show, execArgv = []) {
  if (process.send !== undefined) {
    process.send(await measure(option('store')));
    process.disconnect();
    return;
  }
  try {
    for (const name of stores.filter((it) => it.includes(option('only') ?? ''))) {
      const server = await SERVERS[name]?.();
      if (server === undefined && name in SERVERS) {
        console.log(`\n${name}: there is no server`);
        continue;
      }
      const args = [...process.argv.slice(2), `--store=${name}`, `--redis=${server?.socket}`];
      const { child, ready } = await start(basename(process.argv[1]), args, { execArgv, env: server?.env });
      show(name, ready);
      await end(child);
    }
  } finally {
    await endAll();
  }
}

/** A client of the server that this process is started beside. */
export async function connectRedis(path = option('redis')) {
  const client = require('redis').createClient({ socket: { path } });
  await client.connect();
  return client;
}
