import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { createClient } from 'redis';
import type { WritableSettingsStore } from '../../lib';
import { PostgresStore } from '../../lib/stores/postgres';
import { RedisStore } from '../../lib/stores/redis';
import { SettingsCache } from '../../lib/stores/settings-cache';
import { endAfterTest } from '../support/cleanup';
import { KEY, recordingLogger } from '../support/pieces';
import { describePostgres, postgresServer } from '../support/postgres-server';
import { describeRedis, redisServer } from '../support/redis-server';
import { lossyBridge } from '../support/tcp-bridge';
import { until } from '../support/until';

const RECOVERY_MS = 5000;

/** Clients with the options of docs/stores.md. */
async function documentedNodeRedis(port: number) {
  const client = createClient({
    url: `redis://127.0.0.1:${port}`,
    disableOfflineQueue: true,
    pingInterval: 1000,
    socket: { connectTimeout: 2000, socketTimeout: 2000, reconnectStrategy: 500 },
  });
  client.on('error', () => undefined);
  await client.connect();
  endAfterTest(() => client.destroy());
  return client;
}

async function documentedIoRedis(port: number) {
  const client = new Redis(`redis://127.0.0.1:${port}`, {
    enableOfflineQueue: false,
    connectTimeout: 2000,
    socketTimeout: 2000,
    retryStrategy: () => 500,
  });
  client.on('error', () => undefined);
  endAfterTest(() => client.disconnect());
  await new Promise((resolve) => client.once('ready', resolve));
  return client;
}

function documentedPool(port: number): Pool {
  const pool = new Pool({
    connectionString: `postgres://postgres@127.0.0.1:${port}/postgres`,
    connectionTimeoutMillis: 2000,
    query_timeout: 2000,
  });
  endAfterTest(() => pool.end());
  return pool;
}

/** A guard's cache over `store` survives a network that swallows what goes to the socket at `path`. */
async function survives(path: string, open: (port: number) => Promise<WritableSettingsStore>): Promise<void> {
  const bridge = await lossyBridge(path);
  const store = await open(bridge.port);
  const direct = await open((await lossyBridge(path)).port);
  const logger = recordingLogger();
  const cache = new SettingsCache(store, { logger, staleIfErrorMs: 1000 });
  endAfterTest(() => cache.close());
  const told: (string | undefined)[] = [];
  endAfterTest(store.subscribe!((apiKey) => told.push(apiKey)));
  await direct.init?.();
  await direct.set({ apiKey: KEY, name: 'known' });
  await direct.set({ apiKey: 'cold-key-1', name: 'cold' });
  await until(() => told.length > 0);
  expect(await cache.get(KEY)).toMatchObject({ settings: { name: 'known' } });

  bridge.swallow();
  await until(
    async () => (await cache.get(KEY)) === 'unavailable' && (await cache.get('cold-key-1')) === 'unavailable',
  );
  await direct.set({ apiKey: KEY, enabled: false });
  told.length = 0;
  bridge.pass();
  const times = await Promise.all([
    until(async () => (await cache.get('cold-key-1')) !== 'unavailable'),
    until(async () => typeof (await cache.get(KEY)) === 'object'),
    until(async () => {
      await direct.set({ apiKey: 'told-key-1' });
      return told.includes('told-key-1');
    }),
  ]);
  expect(Math.max(...times)).toBeLessThan(RECOVERY_MS);
  expect(await cache.get(KEY)).toMatchObject({ settings: { enabled: false } });
  expect(told).toContain(undefined); // what was missed is looked at again
}

describeRedis('a network that swallows packets and comes back, over Redis', () => {
  const server = redisServer();
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  test('stops a guard with node-redis as documented for no longer than 5 s', () =>
    survives(server.socket, async (port) => new RedisStore({ client: await documentedNodeRedis(port) })));

  test('stops a guard with ioredis as documented for no longer than 5 s', () =>
    survives(server.socket, async (port) => new RedisStore({ client: await documentedIoRedis(port) })));
});

describePostgres('a network that swallows packets and comes back, over PostgreSQL', () => {
  const server = postgresServer();
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  test('stops a guard with a pool as documented for no longer than 5 s', () =>
    survives(join(server.connection.host, '.s.PGSQL.5432'), (port) =>
      Promise.resolve(new PostgresStore({ pool: documentedPool(port) })),
    ));
});

describe('a client that would wait for minutes is reported at start, with what to write:', () => {
  const complaints = async (make: (logger: ReturnType<typeof recordingLogger>) => WritableSettingsStore) => {
    const logger = recordingLogger();
    await make(logger).init?.();
    return logger.lines.map(({ text }) => text).join();
  };

  test('node-redis', async () => {
    const store = (options: object) => (logger: ReturnType<typeof recordingLogger>) =>
      new RedisStore({ client: createClient(options), logger });
    expect(await complaints(store({ url: 'redis://127.0.0.1:1' }))).toContain('socketTimeout: 2000');
    expect(await complaints(store({ pingInterval: 1000, socket: { socketTimeout: 3000 } }))).toBe('');
    expect(await complaints(store({ socket: { path: 'redis.sock', tls: false } }))).toBe('');
  });

  test('ioredis', async () => {
    const store = (options: object) => (logger: ReturnType<typeof recordingLogger>) => {
      const client = new Redis({ lazyConnect: true, ...options });
      return new RedisStore({ client, logger });
    };
    expect(await complaints(store({}))).toContain('socketTimeout: 2000');
    expect(await complaints(store({ socketTimeout: 2000 }))).toBe('');
    expect(await complaints(store({ path: 'redis.sock' }))).toBe('');
  });

  test('pg', async () => {
    const complaint = async (options: object) => {
      const pool = Object.assign(new Pool(options), { query: () => Promise.resolve({ rows: [{ exists: true }] }) });
      return complaints((logger) => new PostgresStore({ pool: pool, logger }));
    };
    expect(await complaint({ host: '127.0.0.1' })).toContain('query_timeout: 2000');
    expect(await complaint({ connectionString: 'postgres://127.0.0.1/x', query_timeout: 2000 })).toContain(
      'connectionTimeoutMillis: 2000',
    );
    expect(await complaint({ query_timeout: 2000, connectionTimeoutMillis: 2000 })).toBe('');
    expect(await complaint({ host: '/tmp' })).toBe('');
  });
});
