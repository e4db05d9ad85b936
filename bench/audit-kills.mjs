// node bench/audit-kills.mjs [--kills=1000] [--only=file]: kills processes that change a key again and again, each at a
// random moment within some 30 ms of its first change, and compares afterwards: each version has one event, each event its
// version. Build first.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { NO_LOGGER, connectRedis, option } from './each-store.mjs';
import { endAll, postgresServer, redisServer } from './processes.mjs';

const require = createRequire(import.meta.url);
const KILLS = Number(option('kills') ?? 1000);
const WITHIN_MS = 30;
const STARTED_AHEAD = 3;
const KEY = '0123456789abcdef0123456789abcdef';

const OPEN = {
  file(place) {
    const { FileStore } = require('../dist/index.js');
    const store = new FileStore(join(place, 'keys.json'));
    return { store, end: () => store.close() };
  },

  async redis(place) {
    const { RedisStore } = require('../dist/stores/redis.js');
    const client = await connectRedis(place);
    return { store: new RedisStore({ client, logger: NO_LOGGER }), end: () => client.destroy() };
  },

  postgres() {
    const { PostgresStore } = require('../dist/stores/postgres.js');
    const pool = new (require('pg').Pool)({ max: 2 });
    return { store: new PostgresStore({ pool, logger: NO_LOGGER }), end: () => pool.end() };
  },
};

/** A place for a store, and what ends it. */
const PLACES = {
  file() {
    const place = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
    const unlock = () => rmSync(join(place, 'keys.json.lock'), { recursive: true, force: true });
    // What a killed writer left would be taken over after 4 s.
    return { place, unlock, end: () => rmSync(place, { recursive: true }) };
  },
  redis: async () => ({ place: (await redisServer())?.socket }),
  async postgres() {
    const server = await postgresServer();
    return { place: server && 'postgres', env: server?.env };
  },
};

const managerOf = (store) => new (require('../dist/index.js').KeyManager)(store);

/** In a process of its own: changes the key from the first message on, until it is killed. */
async function change(name, place) {
  const { store } = await OPEN[name](place);
  const manager = managerOf(store);
  process.once('message', async () => {
    for (let n = 0; ; n++) {
      await manager.update(KEY, { name: `${process.pid} ${n}` });
      if (n === 0) process.send('changed');
    }
  });
  process.send('ready');
}

async function kill(name) {
  const { place, env, unlock, end } = await PLACES[name]();
  if (place === undefined) return console.log(`${name}: there is no server`);
  Object.assign(process.env, env);
  const { store, end: close } = await OPEN[name](place);
  const manager = managerOf(store);
  await manager.create({ apiKey: KEY });
  const launch = async () => {
    const child = fork(fileURLToPath(import.meta.url), [`--change=${name}`, `--place=${place}`]);
    await once(child, 'message');
    return child;
  };
  const ahead = Array.from({ length: STARTED_AHEAD }, launch);
  for (let n = 0; n < KILLS; n++) {
    const child = await ahead.shift();
    if (n + STARTED_AHEAD < KILLS) ahead.push(launch());
    child.send('go');
    await once(child, 'message');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * WITHIN_MS));
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    unlock?.();
  }
  for (const child of await Promise.all(ahead)) child.kill('SIGKILL');
  await close();
  const fresh = await OPEN[name](place);
  console.log(JSON.stringify({ store: name, kills: KILLS, ...(await compare(managerOf(fresh.store))) }));
  await fresh.end();
  await end?.();
}

async function compare(manager) {
  const { version } = await manager.get(KEY);
  const told = [];
  for (let page; page === undefined || page.length === 500;) {
    page = await manager.audit({ apiKey: KEY, before: page?.at(-1).id, limit: 500 });
    told.push(...page.map((event) => event.version));
  }
  const isInOrder = told.every((each, at) => at === 0 || each < told[at - 1]);
  const missing = Array.from({ length: version }, (_, n) => n + 1).filter((n) => !told.includes(n)).length;
  return { version, events: told.length, missing, extra: told.filter((n) => n > version).length, isInOrder };
}

if (option('change') !== undefined) await change(option('change'), option('place'));
else {
  try {
    for (const name of Object.keys(PLACES).filter((it) => it.includes(option('only') ?? ''))) await kill(name);
  } finally {
    await endAll();
  }
}
