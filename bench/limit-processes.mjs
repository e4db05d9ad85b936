// node bench/limit-processes.mjs [--only=redis] [--scenario=spikes]: what processes that share a key's limits let through
// together, on a real Redis and a real PostgreSQL. Build first.
import { createRequire } from 'node:module';
import { setTimeout as after } from 'node:timers/promises';

import { lib } from './lib.mjs';
import { end, endAll, postgresServer, redisServer, start } from './processes.mjs';

const require = createRequire(import.meta.url);
const {
  Limiter,
  SpendingExchange,
  systemClock: clock,
  compileLimits,
} = await lib('limits/limiter', 'limits/spending-exchange', 'limits/clock', 'settings/compile');
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const RATE = { perSecond: 100, burst: 200 };
const PROCESSES = 4;
/** Ten times the limit, by all of them. */
const OFFERED = (10 * RATE.perSecond) / PROCESSES;
const TICK_MS = 10;

// What a process does.

async function openStore() {
  if (option('store') === 'redis') {
    const { createClient } = require('redis');
    const { RedisStore } = require('../dist/stores/redis.js');
    const client = createClient({
      socket: { path: option('socket'), reconnectStrategy: 100 },
      disableOfflineQueue: true,
    });
    client.on('error', () => undefined);
    await client.connect();
    return new RedisStore({ client });
  }
  const { Pool } = require('pg');
  const { PostgresStore } = require('../dist/stores/postgres.js');
  const pool = new Pool({ max: 4, query_timeout: 2000, connectionTimeoutMillis: 2000 });
  pool.on('error', () => undefined);
  const store = new PostgresStore({ pool });
  // A guard has read a key's settings before it charges the key, so the pool is connected.
  await store.init();
  return store;
}

async function work() {
  const store = await openStore();
  const logger = { info() {}, warn() {}, error() {} };
  const roundTrips = [];
  const timed = {
    intervalMs: store.limits.intervalMs,
    async exchange(rows) {
      const began = performance.now();
      const learnt = await store.limits.exchange(rows);
      roundTrips.push(performance.now() - began);
      return learnt;
    },
  };
  const limiterOver = (shared) => {
    const exchange = new SpendingExchange({ store: shared, logger, clock });
    return new Limiter({ waitMs: Number(option('wait')), clock, exchange });
  };
  const payerOf = (apiKey, limits) => ({ apiKey, limits: compileLimits(limits), secret: undefined, caller: '' });
  const limiter = limiterOver(timed);
  const payer = payerOf(option('key'), RATE);
  const decisions = [];
  let passed = 0;

  function charge() {
    const before = process.cpuUsage();
    const began = process.hrtime.bigint();
    const outcome = limiter.charge(payer, 1, 100);
    const byClock = Number(process.hrtime.bigint() - began) / 1000;
    const { user, system } = process.cpuUsage(before);
    // With more processes than cores, the clock also counts the turns of others; CPU time also counts its own reading.
    decisions.push(Math.min(byClock, user + system));
    if (outcome === undefined) passed++;
    else if ('outcome' in outcome) outcome.outcome.then((denial) => (passed += denial === undefined ? 1 : 0));
  }
  // A process that is killed has told before what it let through.
  setInterval(() => {
    if (passed > 0) process.send({ at: Date.now(), cost: passed });
    passed = 0;
  }, 5);
  const warmUp = await warmedUp({ limiterOver, payerOf });
  process.on('message', async ({ offer, perSecond, forMs }) => {
    if (offer === undefined) return process.send({ decisions, roundTrips }, () => process.exit());
    const began = performance.now();
    for (let offered = 0; performance.now() - began < forMs; await after(TICK_MS)) {
      const due = Math.min(forMs, performance.now() - began + TICK_MS) * (perSecond / 1000);
      warmUp();
      for (; offered < due; offered++) charge();
    }
  });
  process.send('ready');
}

/**
 * Compiles what decides, as in a process that has run for a while: by charges that pass, wait and are refused, of a key that
 * others charge too. @returns what brings a part of it into the processor's caches, as in a process that does more than this.
 */
async function warmedUp({ limiterOver, payerOf }) {
  const others = (row) => ({ ...row, instance: 'other', credits: 1 });
  const warm = limiterOver({ exchange: async (rows) => (await after(1), rows.map(others)) });
  const keys = Array.from({ length: 20 }, (_, n) => payerOf(`warm-${n}`, { perSecond: 300, burst: 3 }));
  for (let turn = 0; turn < 250; turn++, await after(4)) {
    for (let n = 0; n < 200; n++) {
      const outcome = warm.charge(keys[n % keys.length], 1, 100);
      if (n % 50 === 0 && outcome !== undefined && 'outcome' in outcome) outcome.leave();
    }
  }
  // None of them waits any longer.
  await after(2 * Number(option('wait')));
  const idle = payerOf('idle', { perSecond: 1000 });
  return () => warm.charge(idle, 1, 100);
}

// What is done to them.

/** Runs processes, and tells what they let through, each time with its amount, and how long they took to decide. */
class Crowd {
  running = new Set();
  passed = [];
  decisions = [];
  roundTrips = [];

  constructor(args, env) {
    this.args = args;
    this.env = env;
  }

  async join(count) {
    const made = Array.from({ length: count }, () => start('limit-processes.mjs', this.args, { env: this.env }));
    const children = (await Promise.all(made)).map(({ child }) => child);
    for (const child of children) {
      this.running.add(child);
      child.on('message', (message) => {
        if (message.at !== undefined) this.passed.push(message);
      });
    }
    return children;
  }

  offer(children, perSecond, forMs) {
    for (const child of children) child.send({ offer: true, perSecond, forMs });
    return after(forMs);
  }

  async kill(child) {
    this.running.delete(child);
    await end(child);
  }

  async finish(wait) {
    await after(300 + 2 * wait);
    const all = [...this.running].map(
      (child) =>
        new Promise((resolve) => {
          child.on('message', (message) => {
            if (message.decisions === undefined) return;
            this.decisions.push(...message.decisions);
            this.roundTrips.push(...message.roundTrips);
            resolve();
          });
          child.send({});
        }),
    );
    await Promise.all(all);
  }

  between(from, to) {
    return this.passed.filter(({ at }) => at >= from && at < to).reduce((sum, { cost }) => sum + cost, 0);
  }
}

function away(milliseconds, stop, goOn) {
  return async (crowd, server) => {
    const all = await crowd.join(PROCESSES);
    const offered = crowd.offer(all, OFFERED, 10_000 + milliseconds);
    await after(2000);
    await server[stop]();
    await after(milliseconds);
    await server[goOn]();
    await after(1000);
    const back = Date.now();
    await offered;
    return {
      seconds: 10 + milliseconds / 1000,
      afterwards: crowd.between(back, Date.now()) / ((Date.now() - back) / 1000),
    };
  };
}

const SCENARIOS = {
  'ten times as much for 12 s': async (crowd) => {
    await crowd.offer(await crowd.join(PROCESSES), OFFERED, 12_000);
    return { seconds: 12 };
  },
  'five spikes of two bursts each within 100 ms': async (crowd) => {
    const all = await crowd.join(PROCESSES);
    for (let spike = 0; spike < 5; spike++) {
      await crowd.offer(all, 20 * RATE.burst, 100);
      await after(1900);
    }
    return { seconds: 10 };
  },
  'one killed after 4 s, one more after 8 s': async (crowd) => {
    // It begins with its first charge; to start it takes seconds.
    const [late, ...all] = await crowd.join(PROCESSES + 1);
    const offered = crowd.offer(all, OFFERED, 12_000);
    await after(4000);
    await crowd.kill(all[0]);
    await after(4000);
    await Promise.all([offered, crowd.offer([late], OFFERED, 4000)]);
    return { seconds: 12 };
  },
  'one stopped for 5 s': async (crowd) => {
    const all = await crowd.join(PROCESSES);
    const offered = crowd.offer(all, OFFERED, 12_000);
    await after(3000);
    all[0].kill('SIGSTOP');
    await after(5000);
    all[0].kill('SIGCONT');
    await offered;
    return { seconds: 12 };
  },
  'store stopped for 4 s': away(4000, 'pause', 'resume'),
  'store stopped for 8 s': away(8000, 'pause', 'resume'),
  'store restarted after 4 s': away(4000, 'kill', 'restart'),
  'store restarted after 8 s': away(8000, 'kill', 'restart'),
};

function worstExcess(passed) {
  let worst = -Infinity;
  for (let from = 0; from < passed.length; from++) {
    let sum = 0;
    for (let to = from; to < passed.length; to++) {
      sum += passed[to].cost;
      worst = Math.max(worst, sum - RATE.burst - ((passed[to].at - passed[from].at) * RATE.perSecond) / 1000);
    }
  }
  return worst;
}

async function run(store, server, scenario, wait) {
  const key = `key-${process.hrtime.bigint()}`;
  const crowd = new Crowd(
    [`--store=${store}`, `--socket=${server.socket}`, `--key=${key}`, `--wait=${wait}`],
    server.env,
  );
  const { seconds, afterwards } = await SCENARIOS[scenario](crowd, server);
  await crowd.finish(wait);
  const sum = crowd.between(0, Infinity);
  // What waited at the end passes a second later.
  const bound = (seconds + wait / 1000) * RATE.perSecond + RATE.burst;
  const quantile = (all, part) => all.sort((a, b) => a - b)[Math.floor(all.length * part)].toFixed(1);
  const excess = worstExcess(crowd.passed.sort((a, b) => a.at - b.at));
  const part = afterwards === undefined ? '' : `${Math.round(afterwards)} a second`;
  // When all are hit by full bursts within one round trip to the store.
  const atWorst = bound + (PROCESSES - 1) * RATE.burst;
  const parts = [(sum / bound).toFixed(2), (sum / atWorst).toFixed(2)];
  const cells = [store, scenario, wait, sum, ...parts, Math.round(excess), part];
  cells.push(
    `${quantile(crowd.roundTrips, 0.5)}–${quantile(crowd.roundTrips, 0.95)}`,
    quantile(crowd.decisions, 0.5),
    quantile(crowd.decisions, 0.99),
  );
  console.log(`| ${cells.join(' | ')} |`);
}

if (process.send !== undefined) await work();
else {
  console.log(
    '| store | what | waits, ms | passed | of the bound | of that at worst | worst window over it | after an outage | round trip, ms | decision, µs | p99, µs |',
  );
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  try {
    for (const [store, open] of Object.entries({ redis: redisServer, postgres: postgresServer })) {
      if (!store.includes(option('only') ?? '')) continue;
      const server = await open();
      if (server === undefined) console.log(`| ${store} | there is no server | | | | | | | | | |`);
      else {
        for (const scenario of Object.keys(SCENARIOS).filter((it) => it.includes(option('scenario') ?? '')))
          for (const wait of [0, 1000]) await run(store, server, scenario, wait);
      }
    }
  } finally {
    await endAll();
  }
}
