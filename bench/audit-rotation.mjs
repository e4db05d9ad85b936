// node bench/audit-rotation.mjs [--events=65000]: two processes write so many events of 1 kB each to the history of one
// settings file, more than is kept, while a third reads it from the newest on, again and again. Build first.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { option } from './each-store.mjs';
import { lib } from './lib.mjs';

const require = createRequire(import.meta.url);
const COUNT = Number(option('events') ?? 65_000);
const AT_ONCE = 200;
const MAX_BYTES = 10 * 1024 * 1024;
const WRITERS = ['ann', 'bob'];

const { auditEvent } = await lib('stores/audit-event');
const open = (path) => new (require('../dist/index.js').FileStore)(path, { logger: { ...console, info() {} } });

async function write(actor, path) {
  const store = open(path);
  const what = { actor, via: 'code', action: 'key.update', apiKey: '0123456789abcdef0123456789abcdef' };
  const changes = [{ path: 'name', from: 'x'.repeat(350), to: 'y'.repeat(350) }];
  for (let version = 1; version <= COUNT;) {
    const events = [];
    for (; events.length < AT_ONCE && version <= COUNT; version++)
      events.push(auditEvent({ ...what, version, changes }));
    await store.audit.append(events);
  }
  await store.close();
}

async function all({ audit }) {
  const found = [];
  for (let page; page === undefined || page.length === 500;) {
    page = await audit.list({ before: page?.at(-1).id, limit: 500 });
    found.push(...page.map(({ id, actor, version }) => ({ id, actor, version })));
  }
  return found;
}

/** In order, nothing twice, and of each writer the newest without a gap. */
function assertWhole(events) {
  assert(events.every(({ id }, at) => at === 0 || id < events[at - 1].id));
  for (const writer of WRITERS) {
    const versions = events.filter(({ actor }) => actor === writer).map(({ version }) => version);
    assert(versions.every((version, at) => version === versions[0] - at));
  }
}

async function rotate() {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
  const path = join(folder, 'keys.json');
  const store = open(path);
  await store.set({ apiKey: '0123456789abcdef0123456789abcdef' });
  const began = performance.now();
  const exits = WRITERS.map((name) =>
    once(fork(fileURLToPath(import.meta.url), [`--write=${name}`, `--path=${path}`, `--events=${COUNT}`]), 'exit'),
  );
  let [isOver, readings] = [false, 0];
  const over = Promise.all(exits).finally(() => (isOver = true));
  for (; !isOver; readings++) assertWhole(await all(store));
  for (const [code] of await over) assert.equal(code, 0);
  const seconds = (performance.now() - began) / 1000;
  const kept = await all(store);
  assertWhole(kept);
  for (const writer of WRITERS) assert.equal(kept.find(({ actor }) => actor === writer).version, COUNT);
  const files = readdirSync(folder).filter((name) => name.includes('.audit.'));
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'));
  assert.deepEqual(lines.map((line) => JSON.parse(line).id).sort(), kept.map(({ id }) => id).sort());
  const sizes = files.map((name) => statSync(join(folder, name)).size);
  assert.equal(files.length, 10);
  // The newest is left when it has reached the bound; the last write may have gone beyond it.
  assert(sizes.every((size) => size < MAX_BYTES + AT_ONCE * 1100));
  await store.close();
  rmSync(folder, { recursive: true });
  const megabytes = (bytes) => Number((bytes / 2 ** 20).toFixed(2));
  const sum = sizes.reduce((a, b) => a + b);
  const figures = { written: WRITERS.length * COUNT, kept: kept.length, keptMB: megabytes(sum), files: files.length };
  console.log({ ...figures, largestMB: megabytes(Math.max(...sizes)), readings, seconds: Math.round(seconds) });
}

await (option('write') === undefined ? rotate() : write(option('write'), option('path')));
