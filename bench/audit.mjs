// node bench/audit.mjs [--events=100000] [--only=file]: a page of a long history, whatever is asked for. Build first.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { NO_LOGGER, connectRedis, measureEachStore, option } from './each-store.mjs';
import { lib } from './lib.mjs';

const require = createRequire(import.meta.url);
const COUNT = Number(option('events') ?? 100_000);
const TIMES = 20;
const WANTED_MS = 50;
const { auditEvent, parseKeySettings } = await lib('stores/audit-event', 'settings/key-settings');
const HOT = 'f'.repeat(32);
const RARE = 'e'.repeat(32);

/** Two fifths are of one key. Ann only updates, Bob only adds secrets: what asks for the other of one of them finds nothing. */
function* events() {
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
    const { FileStore } = require('../dist/index.js');
    const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
    const open = () => new FileStore(join(folder, 'keys.json'), { logger: NO_LOGGER });
    const filled = open().audit;
    for (let batch = [], all = events(), next; !(next = all.next()).done || batch.length > 0;) {
      if (!next.done) batch.push(next.value);
      if (!next.done && batch.length < 500) continue;
      await filled.appendLocked(batch);
      batch = [];
    }
    const paths = readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => path.endsWith('.jsonl'));
    const size = () => paths.reduce((sum, path) => sum + statSync(path).size, 0);
    for (const path of paths) {
      // As if it had been written while the events happened.
      const at = new Date(JSON.parse(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)).at);
      utimesSync(path, at, at);
    }
    return { open, size, close: () => rmSync(folder, { recursive: true }) };
  },

  async redis() {
    const { RedisStore } = require('../dist/stores/redis.js');
    const client = await connectRedis();
    const used = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]);
    const empty = await used();
    const open = () => new RedisStore({ client, logger: NO_LOGGER });
    await fill(open().audit, 1000);
    return { open, size: async () => (await used()) - empty, close: () => client.destroy() };
  },

  async postgres() {
    const { Pool } = require('pg');
    const { PostgresStore } = require('../dist/stores/postgres.js');
    const pool = new Pool({ max: 4 });
    const open = () => new PostgresStore({ pool });
    await fill(open().audit, 1000);
    await pool.query('ANALYZE rpc_guard_audit');
    const size = async () =>
      Number((await pool.query("SELECT pg_total_relation_size('rpc_guard_audit') AS size")).rows[0].size);
    return { open, size, close: () => pool.end() };
  },
};

const FIRST = {
  'the first page after a start': {},
  'the first, of a busy actor': { actor: 'ann' },
  'the first, of an actor with one event': { actor: 'eve' },
};

async function measureStore(name) {
  const { open, size, close } = await STORES[name]();
  const rows = {};
  for (const [what, query] of Object.entries(FIRST)) rows[what] = await measureFirst(open, query);
  for (const [what, query] of Object.entries(FIRST)) rows[`${what}, in the dashboard`] = await measurePage(open, query);
  const { audit } = open();
  const middle = (await audit.list({ limit: 500 })).at(-1).id;
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
  for (const [what, query] of Object.entries(QUERIES)) rows[what] = await measure(() => audit, query, TIMES);
  const bytes = await size();
  await close();
  return { rows, bytes };
}

/** Without an index; the first of all also before the engine has compiled what runs often. */
async function measureFirst(open, query) {
  global.gc(); // what filling the store has left
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const row = await measure(() => open().audit, query, 1);
  await sleep(1000); // what is read in the background
  delay.disable();
  return { ...row, blocked: delay.max / 1e6 };
}

/**
 * As a person comes to it: the process starts, the page is opened, and a second later the history is asked for. Five
 * times; how long the event loop was held is of all that time, from the page on.
 */
async function measurePage(open, query) {
  const rows = [];
  for (let n = 0; n < 5; n++) {
    global.gc();
    const { url, close } = await serveDashboard(open());
    await ask(`${url}/openapi.json`); // loads what any first request does
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await Promise.all(['', 'app.js', 'api/meta', 'api/keys'].map((path) => ask(`${url}/${path}`)));
    await sleep(1000);
    const asked = `${url}/api/audit?${new URLSearchParams({ limit: 100, ...query })}`;
    const before = process.cpuUsage();
    const at = performance.now();
    const text = await ask(asked);
    const took = performance.now() - at;
    const { user, system } = process.cpuUsage(before);
    if (JSON.parse(text).events.length === 0) throw new Error('nothing was found');
    delay.disable();
    rows.push({ took, cpu: (user + system) / 1000, blocked: delay.max / 1e6 });
    close();
  }
  rows.sort((a, b) => a.took - b.took);
  const { took, cpu } = rows[rows.length >> 1];
  return { median: took, worst: rows.at(-1).took, cpu, blocked: Math.max(...rows.map(({ blocked }) => blocked)) };
}

async function serveDashboard(store) {
  const { rpcGuardAdmin } = require('../dist/admin/index.js');
  const admin = rpcGuardAdmin({ store, authorize: (_req, _res, next) => next(), logger: NO_LOGGER });
  const server = createServer(require('express')().use('/admin', admin)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    server.closeAllConnections();
    admin.close();
    void store.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}/admin`, close };
}

async function ask(url) {
  const [answer] = await once(get(url), 'response');
  let text = '';
  for await (const part of answer.setEncoding('utf8')) text += part;
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${text}`);
  return text;
}

/** In ms. */
async function measure(open, query, times) {
  const took = [];
  const before = process.cpuUsage();
  for (let n = 0; n < times; n++) {
    const at = performance.now();
    await open().list({ limit: 100, ...query });
    took.push(performance.now() - at);
  }
  const { user, system } = process.cpuUsage(before);
  took.sort((a, b) => a - b);
  return { median: took[times >> 1], worst: took.at(-1), cpu: (user + system) / 1000 / times };
}

function print(name, { rows, bytes }) {
  const number = (value) => (Number.isFinite(value) ? value.toFixed(1) : '');
  console.log(`\n${name}, ${COUNT} events, ${(bytes / 1e6).toFixed(0)} MB; wanted: ≤ ${WANTED_MS} ms\n`);
  console.log('| page of 100 | median ms | worst ms | CPU ms | loop blocked ms |\n| --- | ---: | ---: | ---: | ---: |');
  for (const [what, { median, worst, cpu, blocked }] of Object.entries(rows)) {
    console.log(`| ${what} | ${[median, worst, cpu, blocked].map(number).join(' | ')} |`);
  }
}

await measureEachStore(Object.keys(STORES), measureStore, print, ['--expose-gc']);
