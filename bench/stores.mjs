// node bench/stores.mjs [--keys=100000] [--only=file]: what a store with many keys costs the process that manages them.
// Each store has a process of its own. Build first.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

import { NO_LOGGER, connectRedis, measureEachStore, option } from './each-store.mjs';
import { lib } from './lib.mjs';

const require = createRequire(import.meta.url);
const { cursorAt, listed } = await lib('stores/key-query');
const COUNT = Number(option('keys') ?? 100_000);
const TARGETS = { page: 50, search: 200, blocked: 100, resident: 200 };
const TIMES = 10;
const WRITES = 100;
const IN_FLIGHT = 500;

const keys = () =>
  Array.from({ length: COUNT }, (_, n) => {
    const createdAt = new Date(1_700_000_000_000 + ((n * 7919) % COUNT) * 1000).toISOString();
    return { apiKey: randomBytes(16).toString('hex'), name: `Customer ${n}`, createdAt, enabled: n % 10 !== 0 };
  });

const STORES = {
  memory() {
    const { MemoryStore } = require('../dist/index.js');
    const all = keys();
    return { open: () => new MemoryStore(all), close: () => undefined };
  },

  file() {
    const { FileStore } = require('../dist/index.js');
    const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
    const file = join(folder, 'keys.json');
    spawnSync(process.execPath, [fileURLToPath(import.meta.url), `--make=${file}`, `--keys=${COUNT}`]);
    console.error(`  a file of ${(statSync(file).size / 1e6).toFixed(1)} MB`);
    return { open: () => new FileStore(file), edit: editorOf(file), close: () => rmSync(folder, { recursive: true }) };
  },

  async redis() {
    const { RedisStore } = require('../dist/stores/redis.js');
    const client = await connectRedis();
    const open = () => new RedisStore({ client, logger: NO_LOGGER });
    await fill(open());
    return { open, close: () => client.destroy() };
  },

  async postgres() {
    const { Pool } = require('pg');
    const { PostgresStore } = require('../dist/stores/postgres.js');
    const pool = new Pool({ max: 10, query_timeout: 60_000, connectionTimeoutMillis: 60_000 });
    const table = `bench_${process.pid}`;
    const open = () => new PostgresStore({ pool, table });
    await open().init();
    await fill(open());
    await pool.query(`ANALYZE ${table}`);
    const close = async () => {
      await pool.query(`DROP TABLE ${table}`);
      await pool.end();
    };
    return { open, close };
  },
};

/** Changes a key's name in the file as an editor does, in a process of its own, and waits until the store has seen it. */
function editorOf(file) {
  return async (store, { apiKey, name }) => {
    const seen = new Promise((resolve) => store.subscribe((changed) => changed === apiKey && resolve()));
    const running = setInterval(() => undefined, 1000); // the store's own timer keeps no process
    spawnSync(process.execPath, [fileURLToPath(import.meta.url), `--edit=${file}`, `--name=${name}`]);
    await seen;
    clearInterval(running);
  };
}

async function fill(store) {
  const all = keys();
  for (let at = 0; at < all.length; at += IN_FLIGHT) {
    await Promise.all(all.slice(at, at + IN_FLIGHT).map((key) => store.set(key)));
  }
}

/** Medians and worst in ms; CPU is this process's. */
async function measure(work, times = TIMES) {
  const took = [];
  const before = process.cpuUsage();
  for (let n = 0; n < times; n++) {
    const began = performance.now();
    await work(n);
    took.push(performance.now() - began);
  }
  const { user, system } = process.cpuUsage(before);
  took.sort((a, b) => a - b);
  return { median: took[times >> 1], worst: took.at(-1), cpu: (user + system) / 1000 / times };
}

async function measureStore(name) {
  const { open, edit, close } = await STORES[name]();
  global.gc();
  const rows = {};
  const resident = {};
  const noteMemory = (when) => (resident[when] = process.memoryUsage().rss / 1e6);
  let store;
  rows.open = await measure(async () => {
    store = open();
    await store.init?.();
  }, 1);
  rows['all keys checked'] = await measure(() => store.problems?.(), 1);
  noteMemory('opened and checked');
  const [some] = await store.list({ search: `Customer ${COUNT >> 1}`, limit: 1 });
  for (const sort of ['name', 'created', 'updated', 'key']) {
    const after = cursorAt(listed(some), sort);
    rows[`page, first by ${sort}`] = await measure(() => store.list({ sort, limit: 51 }));
    rows[`page, behind another, by ${sort} descending`] = await measure(() =>
      store.list({ sort, after, descending: true, limit: 51 }),
    );
  }
  rows['page, disabled keys by name'] = await measure(() => store.list({ sort: 'name', state: 'disabled', limit: 51 }));
  for (const search of ['customer 77', 'is nowhere', some.apiKey.slice(-4), some.apiKey.slice(0, 8)]) {
    const what = search.length === 8 ? 'beginning' : search.length === 4 ? 'last 4' : search;
    rows[`search, ${what}`] = await measure(() => store.list({ sort: 'name', search, limit: 51 }));
  }
  noteMemory('searched');
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  delay.enable();
  const write = (n) => store.set({ ...some, name: `Customer ${n} again`, version: undefined });
  rows.write = await measure(write, WRITES);
  delay.disable();
  rows['blocked, by a write'] = { median: delay.percentile(50) / 1e6, worst: delay.max / 1e6, cpu: NaN };
  noteMemory(`${WRITES} keys written`);
  if (edit !== undefined) {
    rows['an edit of the file, until seen'] = await measure(async () => edit(store, await store.get(some.apiKey)), 1);
    noteMemory('edited by hand');
  }
  await store.close?.();
  await close();
  resident['at most'] = (process.resourceUsage().maxRSS * 1024) / 1e6;
  return { rows, resident };
}

function print(name, { rows, resident }) {
  console.log(`\n${name}, ${COUNT} keys\n`);
  console.log('| what | median ms | worst ms | CPU ms | wanted |\n| --- | ---: | ---: | ---: | ---: |');
  const number = (value) => (Number.isFinite(value) ? value.toFixed(1) : '');
  for (const [what, { median, worst, cpu }] of Object.entries(rows)) {
    const wanted = TARGETS[what.split(',')[0]];
    console.log(`| ${what} | ${[median, worst, cpu].map(number).join(' | ')} | ${wanted ? `≤ ${wanted}` : ''} |`);
  }
  console.log(`\n| resident | MB, wanted ≤ ${TARGETS.resident} |\n| --- | ---: |`);
  for (const [when, size] of Object.entries(resident)) console.log(`| ${when} | ${number(size)} |`);
}

const made = option('make');
if (made !== undefined) {
  // In a process of its own, whose memory is not the store's.
  writeFileSync(
    made,
    `{"keys":[\n${keys()
      .map((key) => JSON.stringify(key))
      .join(',\n')}\n]}\n`,
  );
} else if (option('edit') !== undefined) {
  const [file, name] = [option('edit'), option('name')];
  writeFileSync(file, readFileSync(file, 'utf8').replace(JSON.stringify(name), JSON.stringify(`${name}, edited`)));
} else await measureEachStore(Object.keys(STORES), measureStore, print, ['--expose-gc']);
