// node bench/audit.mjs [--events=100000] [--only=file]: a page of a long history, whatever is asked for. Build first.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { end, endAll, postgresServer, redisServer, start } from './processes.mjs';

const require = createRequire(import.meta.url);
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const COUNT = Number(option('events') ?? 100_000);
const TIMES = 20;
const WANTED_MS = 50;
const HOT = 'f'.repeat(32);
const RARE = 'e'.repeat(32);

/** Two fifths are of one key. Ann only updates, Bob only adds secrets: what asks for the other of one of them finds nothing. */
function* events() {
  const { auditEvent } = require('../dist/stores/audit-event.js');
  const { parseKeySettings } = require('../dist/settings/key-settings.js');
  const began = Date.now() - COUNT * 1000;
  for (let n = 0; n < COUNT; n++) {
    const isFirst = n === 10;
    const apiKey = isFirst ? RARE : n % 5 < 2 ? HOT : (n % 997).toString(16).padStart(32, '0');
    const origins = [`https://app-${n}.example.com`];
    const before = parseKeySettings({ apiKey, name: `Customer ${n}`, version: n + 1 });
    const after = parseKeySettings({ apiKey, name: `Customer ${n}`, version: n + 2, allowlists: { origins } });
    const [actor, action] = isFirst
      ? ['eve', 'key.delete']
      : n % 2 === 0
        ? ['ann', 'key.update']
        : ['bob', 'secret.add'];
    yield auditEvent({
      at: new Date(began + n * 1000).toISOString(),
      actor,
      action,
      via: 'api',
      apiKey,
      before,
      after,
    });
  }
}

async function fill(audit, atOnce) {
  let batch = [];
  for (const event of events()) {
    batch.push(event);
    if (batch.length < atOnce) continue;
    await audit.append(batch);
    batch = [];
  }
  await audit.append(batch);
}

const STORES = {
  async file() {
    const { AuditFiles } = require('../dist/stores/audit-files.js');
    const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
    const settings = { path: () => join(folder, 'keys.json'), inLock: (work) => work(), isMade: () => true };
    const open = () => new AuditFiles(settings);
    const filled = open();
    for (let batch = [], all = events(), next; !(next = all.next()).done || batch.length > 0;) {
      if (!next.done) batch.push(next.value);
      if (!next.done && batch.length < 500) continue;
      await filled.appendLocked(batch);
      batch = [];
    }
    const size = () => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    return { open, size, close: () => rmSync(folder, { recursive: true }) };
  },

  async redis() {
    const { createClient } = require('redis');
    const { RedisStore } = require('../dist/stores/redis.js');
    const client = createClient({ socket: { path: option('redis') } });
    await client.connect();
    const used = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]);
    const empty = await used();
    const open = () => new RedisStore({ client, logger: { info() {}, warn() {}, error() {} } }).audit;
    await fill(open(), 1000);
    return { open, size: async () => (await used()) - empty, close: () => client.destroy() };
  },

  async postgres() {
    const { Pool } = require('pg');
    const { PostgresStore } = require('../dist/stores/postgres.js');
    const pool = new Pool({ max: 4 });
    const open = () => new PostgresStore({ pool }).audit;
    await fill(open(), 1000);
    await pool.query('ANALYZE rpc_guard_audit');
    const size = async () =>
      Number((await pool.query("SELECT pg_total_relation_size('rpc_guard_audit') AS size")).rows[0].size);
    return { open, size, close: () => pool.end() };
  },
};

async function measureStore(name) {
  const { open, size, close } = await STORES[name]();
  const audit = open();
  const middle = (await open().list({ limit: 500 })).at(-1).id;
  const oldest = (await audit.list({ apiKey: RARE, limit: 1 }))[0].id;
  const QUERIES = {
    all: {},
    'all, the last ones': { before: oldest },
    'a busy key': { apiKey: HOT },
    'a key with one event': { apiKey: RARE },
    'a key without any': { apiKey: 'd'.repeat(32) },
    'a busy actor': { actor: 'ann' },
    'an actor with one event': { actor: 'eve' },
    'an actor without any': { actor: 'mallory' },
    'an action with one event': { action: 'key.delete' },
    'an action without any': { action: 'file.change' },
    'half by half, none of both': { actor: 'ann', action: 'secret.add' },
    'the same, of a busy key': { apiKey: HOT, actor: 'ann', action: 'secret.add' },
    'a busy key, an action without any': { apiKey: HOT, action: 'admin.denied' },
    'a rare actor before another': { actor: 'eve', before: middle },
    '500 of a busy actor': { actor: 'bob', limit: 500 },
  };
  const fresh = open();
  const began = performance.now();
  await fresh.list({ actor: 'eve', limit: 100 });
  const rows = { 'the first page after a start': { median: performance.now() - began, worst: NaN, cpu: NaN } };
  for (const [what, query] of Object.entries(QUERIES)) {
    const took = [];
    const before = process.cpuUsage();
    for (let n = 0; n < TIMES; n++) {
      const at = performance.now();
      await audit.list({ limit: 100, ...query });
      took.push(performance.now() - at);
    }
    const { user, system } = process.cpuUsage(before);
    took.sort((a, b) => a - b);
    rows[what] = { median: took[TIMES >> 1], worst: took.at(-1), cpu: (user + system) / 1000 / TIMES };
  }
  const bytes = await size();
  await close();
  return { rows, bytes };
}

if (process.send !== undefined) {
  process.send(await measureStore(option('store')));
  process.disconnect();
} else {
  try {
    for (const name of Object.keys(STORES).filter((it) => it.includes(option('only') ?? ''))) {
      const server = await { redis: redisServer, postgres: postgresServer }[name]?.();
      if (server === undefined && name !== 'file') {
        console.log(`\n${name}: there is no server`);
        continue;
      }
      const { child, ready } = await start(
        'audit.mjs',
        [`--store=${name}`, `--events=${COUNT}`, `--redis=${server?.socket}`],
        {
          env: server?.env,
        },
      );
      const number = (value) => (Number.isFinite(value) ? value.toFixed(1) : '');
      console.log(`\n${name}, ${COUNT} events, ${(ready.bytes / 1e6).toFixed(0)} MB; wanted: ≤ ${WANTED_MS} ms\n`);
      console.log('| page of 100 | median ms | worst ms | CPU ms |\n| --- | ---: | ---: | ---: |');
      for (const [what, { median, worst, cpu }] of Object.entries(ready.rows)) {
        console.log(`| ${what} | ${[median, worst, cpu].map(number).join(' | ')} |`);
      }
      await end(child);
    }
  } finally {
    await endAll();
  }
}
