// Kills a process that changes a key again and again, and counts afterwards: each version of the key has its event, and
// each event its version. `node bench/audit-kills.mjs [kills]`, over a file; with REDIS_URL or PG_URL over that.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const { FileStore, KeyManager } = require('../dist/index.js');
const KEY = '0123456789abcdef0123456789abcdef';
const [, , count = '1000', role = 'parent', given = ''] = process.argv;

async function open(place) {
  if (process.env.REDIS_URL) {
    const client = require('redis').createClient({ url: process.env.REDIS_URL });
    await client.connect();
    const store = new (require('../dist/stores/redis.js').RedisStore)({ client, prefix: `${place}:` });
    return { store, end: () => client.destroy() };
  }
  if (process.env.PG_URL) {
    const pool = new (require('pg').Pool)({ connectionString: process.env.PG_URL });
    const store = new (require('../dist/stores/postgres.js').PostgresStore)({ pool, table: place });
    return { store, end: () => pool.end() };
  }
  const store = new FileStore(join(place, 'keys.json'));
  return { store, end: () => store.close() };
}

/** Versions without an event, and events without their version. */
async function gaps(manager) {
  const { version } = await manager.get(KEY);
  const told = new Set();
  for (let before; ;) {
    const page = await manager.audit({ apiKey: KEY, before, limit: 500 });
    for (const event of page) told.add(event.version);
    if (page.length < 500) break;
    before = page.at(-1).id;
  }
  const missing = Array.from({ length: version }, (_, n) => n + 1).filter((n) => !told.has(n)).length;
  return { version, missing, extra: [...told].filter((n) => n > version).length };
}

async function change() {
  const { store } = await open(given);
  const manager = new KeyManager(store);
  for (;;) {
    await manager.disable(KEY);
    process.stdout.write('.');
  }
}

async function kill() {
  const where =
    process.env.REDIS_URL || process.env.PG_URL ? `kills_${Date.now()}` : mkdtempSync(join(tmpdir(), 'kills-'));
  const { store, end } = await open(where);
  await new KeyManager(store).create({ apiKey: KEY });
  for (let n = 0; n < Number(count); n++) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), count, 'child', where], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdout.resume();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    // What it left would be taken over after 4 s.
    if (where.includes('/')) rmSync(join(where, 'keys.json.lock'), { recursive: true, force: true });
  }
  await end();
  const fresh = await open(where);
  console.log(JSON.stringify({ kills: Number(count), ...(await gaps(new KeyManager(fresh.store))) }));
  await fresh.end();
  if (where.includes('/')) rmSync(where, { recursive: true });
}

await (role === 'child' ? change() : kill());
