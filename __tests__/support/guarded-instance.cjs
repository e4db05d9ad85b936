/**
 * A process with the guard behind Express, over a store that other processes share. Told how by its argument, JSON, it
 * sends its port; then it does what it is sent, and sends the outcome. An unhandled rejection ends it, as it would a
 * user's.
 */
require('./typescript.cjs');
const express = require('express');
const { rpcGuard } = require('../../lib/index.ts');
const { PostgresStore } = require('../../lib/stores/postgres.ts');
const { RedisStore } = require('../../lib/stores/redis.ts');

const { kind, connection, table, upstream, staleIfErrorMs, limitWaitMs } = JSON.parse(process.argv[2]);
const lines = [];
const reads = {};

async function openStore() {
  if (kind === 'postgres') {
    const { Pool } = require('pg');
    return new PostgresStore({ pool: new Pool(connection), table });
  }
  if (kind === 'ioredis') {
    const { Redis } = require('ioredis');
    return new RedisStore({ client: new Redis({ ...connection, retryStrategy: () => 100 }) });
  }
  const { createClient } = require('redis');
  const { path, ...rest } = connection;
  const client = createClient({ ...rest, socket: { path, tls: false, reconnectStrategy: 100 } });
  client.on('error', () => undefined);
  await client.connect();
  return new RedisStore({ client });
}

async function main() {
  const store = await openStore();
  const logger = {};
  for (const level of ['info', 'warn', 'error']) {
    logger[level] = (fields, message) => lines.push(`${level}: ${message} ${JSON.stringify(fields)}`);
  }
  const counted = {
    init: () => store.init?.(),
    get(apiKey) {
      reads[apiKey] = (reads[apiKey] ?? 0) + 1;
      return store.get(apiKey);
    },
    subscribe: (onChange) => store.subscribe(onChange),
    limits: store.limits,
  };
  const guard = rpcGuard({ upstream, store: counted, logger, exposeReason: true, staleIfErrorMs, limitWaitMs });
  const actions = {
    set: (settings, expectedVersion) => store.set(settings, expectedVersion),
    delete: (apiKey) => store.delete(apiKey),
    lines: () => lines,
    reads: (apiKey) => reads[apiKey] ?? 0,
  };
  process.on('message', async ({ id, action, args }) => {
    try {
      process.send({ id, value: await actions[action](...args) });
    } catch ({ code, message }) {
      process.send({ id, error: code ?? message });
    }
  });
  const server = express()
    .use(guard)
    .listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
}

process.on('disconnect', () => process.exit());
void main();
