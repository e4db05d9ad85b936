// node --expose-gc bench/scaling.mjs [processes] [traffic] [memory]: the figures of docs/scaling.md. Build first.
import { once } from 'node:events';
import { request, Agent, createServer } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTRACT, ORIGIN, USER_AGENT } from './keys.mjs';
import { lib } from './lib.mjs';
import { load } from './load.mjs';
import { end, endAll, postgresServer, redisServer, start, usageOf } from './processes.mjs';
import { SCENARIOS } from './scenarios.mjs';
import { medianOf } from './statistics.mjs';

const require = createRequire(import.meta.url);
const {
  SettingsCache,
  parseKeySettings,
  Usage,
  Occurrence,
  addressTable,
  compileCredits,
  admissionOf,
  judgeBody,
  compileKeySettings,
} = await lib(
  'stores/settings-cache',
  'settings/key-settings',
  'observe/usage',
  'observe/request-event',
  'allowlists/address-table',
  'limits/credits',
  'policy/authorize',
  'policy/evaluate-body',
  'settings/compile',
);
const { KeyManager, MemoryStore, rpcGuard } = require('../dist/index.js');
const logger = { info() {}, warn() {}, error() {} };
const KEYS = 100;
const keyOf = (n) => `key-${String(n).padStart(28, '0')}`;
const CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'eth_call',
  params: [{ to: CONTRACT, data: '0x70a08231' }, 'latest'],
});
/** Keys that are stored besides, to weigh them. */
const STORED = 2000;
const LISTS = { origins: ['https://app.example.com'], methods: ['eth_*'] };
const LIMITS = { perSecond: 100_000, perDay: 1_000_000_000 };

/** One and two guards on one port, in turns. A batch costs the guard most, load and upstream little. */
async function processes() {
  for (const scenario of ['one call, 150 B', 'batch of 100']) await processesOn(scenario);
}

async function processesOn(scenario) {
  const { ready: upstreamPort, child: upstream } = await start('upstream.mjs');
  const { bytes, status } = SCENARIOS[scenario];
  const started = [];
  for (const workers of [1, 2]) started.push(await start('cluster.mjs', [String(workers), String(upstreamPort)]));
  const slices = started.map(() => []);
  for (let round = -2; round < 16; round++) {
    for (const [index, { child, ready: port }] of started.entries()) {
      const slice = await load({ port, bytes, status, connections: 64, ms: 400 }, () => usageOf(child));
      if (round >= 0) slices[index].push(slice);
    }
  }
  for (const [index, rounds] of slices.entries()) {
    const of = (pick) => medianOf(rounds.map(pick)).toFixed(0);
    console.log(
      `${scenario}, ${index + 1} processes: ${of((it) => it.perSecond)}/s, ${of((it) => it.cpu)} µs of CPU a request`,
    );
  }
  const ratios = slices[1].map(({ perSecond }, round) => perSecond / slices[0][round].perSecond);
  console.log(`two against one: × ${medianOf(ratios).toFixed(2)}`);
  await Promise.all([...started.map(({ child }) => end(child)), end(upstream)]);
}

/** What a guard says to its store while it serves, while it is idle, and for a change. */
async function traffic() {
  for (const [name, open] of Object.entries({ Redis: redis, PostgreSQL: postgres })) {
    const opened = await open();
    if (opened === undefined) console.log(`${name} is not installed.`);
    else await trafficOf(name, opened);
  }
}

async function trafficOf(name, { store, count, size, close }) {
  await store.init?.();
  const empty = await size();
  for (let n = KEYS; n < KEYS + STORED; n++) await store.set({ apiKey: keyOf(n), limits: LIMITS, allowlists: LISTS });
  console.log(`${name}: ${(((await size()) - empty) / STORED / 1000).toFixed(2)} kB a key stored`);
  for (let n = 0; n < KEYS; n++) await store.set({ apiKey: keyOf(n), limits: LIMITS });
  const { server, guard, port } = await guardOver(store);
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  await ask(port, agent, KEYS);
  await sleep(12_000);
  const told = (what, before, after, by) =>
    console.log(
      `${name}, ${what}: ${((after.commands - before.commands) / by).toFixed(1)} commands, ` +
        `${((after.bytes - before.bytes) / by / 1000).toFixed(2)} kB` +
        (after.cpu === undefined ? '' : `, ${((after.cpu - before.cpu) / by).toFixed(1)} ms of the server's CPU`),
    );

  let before = await count();
  await sleep(10_000);
  told('idle, a second', before, await count(), 10);

  before = await count();
  const beganAt = performance.now();
  const requests = 10_000;
  for (let n = 0; n < 20; n++) {
    const until = beganAt + (n + 1) * 500;
    await ask(port, agent, requests / 20);
    await sleep(Math.max(0, until - performance.now()));
  }
  const seconds = (performance.now() - beganAt) / 1000;
  await sleep(11_000); // usage is told every 10 s
  told(
    `1,000 requests of ${KEYS} keys at ${(requests / seconds).toFixed(0)}/s`,
    before,
    await count(),
    requests / 1000,
  );

  const manager = new KeyManager(store);
  before = await count();
  for (let n = 0; n < KEYS; n++) {
    await manager.update(keyOf(n), { name: `changed ${n}` });
    await sleep(20);
  }
  await sleep(1000);
  told('a change', before, await count(), KEYS);
  agent.destroy();
  server.close();
  await guard.close();
  await close();
}

async function guardOver(store) {
  const answer = '{"jsonrpc":"2.0","id":1,"result":"0x1"}';
  const upstream = createServer((req, res) => void req.resume().on('end', () => res.end(answer)));
  const upstreamPort = await portOf(upstream);
  const guard = rpcGuard({ upstream: `http://127.0.0.1:${upstreamPort}`, store, usage: true, logger });
  const server = createServer((req, res) => guard(req, res, () => res.writeHead(404).end()));
  const port = await portOf(server);
  server.on('close', () => upstream.close().closeAllConnections());
  return { server, guard, port };
}

function portOf(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
}

function ask(port, agent, count) {
  const one = (n) =>
    new Promise((resolve, reject) => {
      const options = { port, agent, method: 'POST', path: `/v3/${keyOf(n % KEYS)}` };
      const sent = request({ ...options, headers: { 'Content-Length': CALL.length } }, (res) => {
        if (res.statusCode !== 200) reject(new Error(`answered ${res.statusCode}`));
        res.resume().on('end', resolve);
      });
      sent.on('error', reject).end(CALL);
    });
  return Promise.all(Array.from({ length: count }, (_, n) => one(n)));
}

async function redis() {
  const server = await redisServer();
  if (server === undefined) return undefined;
  const { createClient } = require('redis');
  const { RedisStore } = require('../dist/stores/redis.js');
  const open = () =>
    createClient({ socket: { path: server.socket }, disableOfflineQueue: true })
      .on('error', () => undefined)
      .connect();
  const [client, asking] = [await open(), await open()];
  const store = new RedisStore({ client });
  const info = async () => {
    const text = (await asking.info('stats')) + (await asking.info('cpu'));
    const of = (name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(text)[1]);
    return {
      cpu: (of('used_cpu_user') + of('used_cpu_sys')) * 1000,
      commands: of('total_commands_processed'),
      bytes: of('total_net_input_bytes') + of('total_net_output_bytes'),
    };
  };
  const [first, second] = [await info(), await info()];
  const own = { commands: second.commands - first.commands, bytes: second.bytes - first.bytes };
  let asked = 0;
  const count = async () => {
    const { commands, bytes, cpu } = await info();
    asked++;
    return {
      cpu,
      commands: commands - own.commands * asked,
      bytes: bytes - own.bytes * asked,
    };
  };
  const close = async () => {
    for (const it of [client, asking]) await it.close().catch(() => undefined);
    await server.kill();
  };
  const size = async () => Number(/used_memory:(\d+)/.exec(await asking.info('memory'))[1]);
  return { store, count, size, close };
}

async function postgres() {
  const server = await postgresServer();
  if (server === undefined) return undefined;
  const { Pool, Client } = require('pg');
  const { PostgresStore } = require('../dist/stores/postgres.js');
  const { PGHOST: host, PGUSER: user, PGDATABASE: database } = server.env;
  const pool = new Pool({ host, user, database, connectionTimeoutMillis: 2000, query_timeout: 20_000 });
  const streams = new Set();
  pool.on('error', () => undefined).on('connect', (client) => streams.add(client.connection.stream));
  let commands = 0;
  const { query } = Client.prototype;
  Client.prototype.query = function (...args) {
    commands++;
    return query.apply(this, args);
  };
  const count = () => {
    const bytes = [...streams].reduce((sum, { bytesRead, bytesWritten }) => sum + bytesRead + bytesWritten, 0);
    return Promise.resolve({ commands, bytes });
  };
  const close = async () => {
    await pool.end();
    await server.kill();
  };
  const size = async () =>
    Number((await pool.query("SELECT pg_total_relation_size('rpc_guard_keys')")).rows[0].pg_total_relation_size);
  return { store: new PostgresStore({ pool }), count, size, close };
}

/** Bytes of heap for a key and a socket. */
async function memory() {
  const cached = 10_000;
  const made = (apiKey) => Promise.resolve(parseKeySettings({ apiKey, limits: LIMITS, allowlists: LISTS }));
  const cache = new SettingsCache({ get: made }, { logger, staleIfErrorMs: 60_000 });
  await cache.get(keyOf(0));
  let before = heap();
  for (let n = 1; n <= cached; n++) await cache.get(keyOf(n));
  console.log(`settings of a key, cached: ${Math.round((heap() - before) / cached)} bytes`);
  await cache.close();

  await counted();
  await sockets();
}

/** What a key holds that made one request with a contract, an origin and a browser, until usage is told. */
async function counted() {
  const table = addressTable({});
  const parts = { store: new MemoryStore([]), logger, addressTable: table, prices: compileCredits({}) };
  const usage = new Usage({ ...parts, instance: () => 'bench' }, { origins: true, addresses: true, userAgents: true });
  const rules = { addressTable: table, isBlocked: () => false, blockedMethods: [] };
  const observe = (apiKey) => {
    const admission = admissionOf(compileKeySettings(parseKeySettings({ apiKey })), undefined);
    const facts = { apiKey, origin: ORIGIN, userAgent: USER_AGENT, headers: {}, requestId: 'x' };
    const judged = judgeBody(CALL, 1000, admission, rules);
    const noted = { admission, judged, bytesIn: 100, bytesOut: 100, credits: 1 };
    usage.observe(Object.assign(new Occurrence(facts, 'http', performance.now()), noted));
  };
  observe(keyOf(0));
  const before = heap();
  const keys = 10_000;
  for (let n = 1; n <= keys; n++) observe(keyOf(n));
  console.log(`usage of a key: ${Math.round((heap() - before) / keys)} bytes`);
  await usage.close();
}

function heap() {
  for (let n = 0; n < 3; n++) global.gc();
  return process.memoryUsage().heapUsed;
}

async function sockets() {
  const { ready: upstreamPort, child: upstream } = await start('upstream.mjs');
  const options = { execArgv: ['--expose-gc'] };
  const { ready: port, child } = await start('server.mjs', ['rpcGuard 3 MemoryStore', String(upstreamPort)], options);
  const { handshake, bytes } = SCENARIOS['WebSocket messages'];
  const collected = async () => {
    await sleep(500);
    for (let n = 0; n < 3; n++) {
      const answered = once(child, 'message');
      child.send('collect');
      await answered;
    }
    return usageOf(child);
  };
  const open = (count) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const socket = connect(port, '127.0.0.1');
        socket.write(handshake);
        await once(socket, 'data');
        socket.write(bytes);
        await once(socket, 'data');
        return socket;
      }),
    );
  const opened = await open(200);
  const before = await collected();
  const count = 700; // with the first, fewer than a key may have
  for (let n = 0; n < count; n += 100) opened.push(...(await open(100)));
  const after = await collected();
  const of = (name) => ((after[name] - before[name]) / count / 1024).toFixed(1);
  console.log(`a WebSocket: ${of('heap')} KB of heap, ${of('rss')} KB resident`);
  for (const socket of opened) socket.destroy();
  await Promise.all([end(child), end(upstream)]);
}

const parts = { processes, traffic, memory };
const asked = process.argv.slice(2);
try {
  for (const [name, run] of Object.entries(parts)) if (asked.length === 0 || asked.includes(name)) await run();
} finally {
  await endAll();
}
