import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { FileStore, MemoryStore } from '../../lib';
import { foldName } from '../../lib/stores/key-query';
import type { KeySettingsInput, WritableSettingsStore } from '../../lib';
import { PostgresStore } from '../../lib/stores/postgres';
import { UNKNOWN_TIME } from '../../lib/stores/stored-record';
import { RedisStore } from '../../lib/stores/redis';
import { endAfterTest } from './cleanup';
import { recordingLogger } from './pieces';
import { describePostgres, postgresServer } from './postgres-server';
import { describeRedis, redisServer } from './redis-server';

/** Where settings are, empty at first. What is opened ends with the test. */
export interface Shelf {
  /** The store over a connection of its own; of a MemoryStore there is but one. */
  open(): Promise<WritableSettingsStore>;
  /** Puts records there past every store, before any has been opened. They may be broken, but for a MemoryStore. */
  plant(records: readonly Record<string, unknown>[]): Promise<void>;
  /** From now on nothing can be written, until what it returns is called. */
  breakDown(): Promise<() => Promise<void>>;
  /** Everything that is stored, read past the store: by the names of files, of Redis keys, of tables. */
  dump(): Promise<ReadonlyMap<string, string>>;
  /** Whether what `dump` names so holds settings. */
  isSettings(name: string): boolean;
  /** What another process has to know to open it, for `counting-instance.cjs`; no other can open a MemoryStore. */
  readonly where: Readonly<Record<string, unknown>> | undefined;
  readonly holdsBrokenRecords: boolean;
}

/** Runs `tests` over each store that there is; `fresh` makes a shelf for one test. */
export function describeEachStore(tests: (fresh: () => Shelf, isShared: boolean) => void): void {
  describe('over memory:', () => {
    tests(memoryShelf, false);
  });
  describe('over a file:', () => {
    tests(fileShelf, true);
  });
  describeRedis('over Redis:', () => {
    const server = redisServer({ keepsData: true });
    beforeAll(() => server.start());
    afterAll(() => server.remove());
    let last = 0;
    tests(() => redisShelf(server, `shelf-${String(++last)}:`), true);
  });
  describePostgres('over Postgres:', () => {
    const server = postgresServer();
    beforeAll(() => server.start());
    afterAll(() => server.remove());
    let last = 0;
    tests(() => postgresShelf(server, `shelf_${String(++last)}`), true);
  });
}

export function memoryShelf(): Shelf {
  const store = new MemoryStore();
  return {
    holdsBrokenRecords: false,
    where: undefined,
    dump: async () => {
      const kept = { usage: store.usage.read({ from: '2', to: '3' }), audit: store.audit.list({ limit: 500 }) };
      const texts = Object.entries(kept).map(async ([name, it]) => [name, JSON.stringify(await it)] as const);
      return new Map(await Promise.all(texts));
    },
    isSettings: () => false,
    open: () => Promise.resolve(store),
    async plant(records) {
      for (const record of records) await store.set(record as unknown as KeySettingsInput, 0);
    },
    breakDown() {
      const down = () => Promise.reject(new Error('the memory is gone'));
      const broken = [jest.spyOn(store, 'set'), jest.spyOn(store, 'delete')];
      for (const method of broken) method.mockImplementation(down);
      return Promise.resolve(() => {
        for (const method of broken) method.mockRestore();
        return Promise.resolve();
      });
    },
  };
}

function fileShelf(): Shelf {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'keys.json');
  return {
    holdsBrokenRecords: true,
    where: { kind: 'file', path: file },
    dump() {
      const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
      return Promise.resolve(
        new Map(found.map(({ name, parentPath }) => [name, readFileSync(join(parentPath, name), 'utf8')])),
      );
    },
    isSettings: (name) => name === 'keys.json',
    open() {
      const store = new FileStore(file, { logger: recordingLogger() });
      endAfterTest(() => store.close());
      return Promise.resolve(store);
    },
    plant(records) {
      writeFileSync(file, JSON.stringify({ keys: records }));
      return Promise.resolve();
    },
    breakDown() {
      const text = readFileSync(file);
      writeFileSync(file, text.subarray(0, text.length / 2));
      return Promise.resolve(() => {
        writeFileSync(file, text);
        return Promise.resolve();
      });
    },
  };
}

export function redisShelf(server: ReturnType<typeof redisServer>, prefix: string): Shelf {
  async function connect() {
    const socket = { path: server.socket, tls: false, reconnectStrategy: 20 } as const;
    const client = createClient({ socket, disableOfflineQueue: true });
    client.on('error', () => undefined);
    await client.connect();
    endAfterTest(() => client.destroy());
    return client;
  }
  return {
    holdsBrokenRecords: true,
    where: { kind: 'redis', path: server.socket, prefix },
    async dump() {
      const client = await connect();
      const keys = (await client.keys(`${prefix}*`)).sort();
      const read = { string: ['GET'], hash: ['HGETALL'], stream: ['XRANGE', '-', '+'], zset: ['ZRANGE', '0', '-1'] };
      const texts = keys.map(async (key): Promise<[string, string]> => {
        const [command, ...args] = read[(await client.type(key)) as keyof typeof read];
        return [key, JSON.stringify(await client.sendCommand([command!, key, ...args]))];
      });
      return new Map(await Promise.all(texts));
    },
    isSettings: (name) => name.startsWith(`${prefix}key:`),
    open: async () => new RedisStore({ client: await connect(), prefix }),
    async plant(records) {
      const client = await connect();
      const named = records.map((record) => [String(record['apiKey']), JSON.stringify(record)] as const);
      await client.mSet(named.map(([apiKey, text]) => [`${prefix}key:${apiKey}`, text]));
      await client.zAdd(
        `${prefix}keys`,
        named.map(([value]) => ({ score: 0, value })),
      );
    },
    async breakDown() {
      await server.kill();
      return () => server.start();
    },
  };
}

export function postgresShelf(server: ReturnType<typeof postgresServer>, table: string): Shelf {
  function openPool(): Pool {
    const pool = new Pool({ ...server.connection, max: 4 });
    pool.on('error', () => undefined);
    endAfterTest(() => pool.end());
    return pool;
  }
  return {
    holdsBrokenRecords: true,
    where: { kind: 'postgres', connection: server.connection, table },
    async dump() {
      const pool = openPool();
      const tables = await pool.query<{ name: string }>(
        `SELECT table_name AS name FROM information_schema.tables WHERE table_name ~ ('^' || $1 || '(_|$)')`,
        [table],
      );
      const texts = tables.rows.map(async ({ name }): Promise<[string, string]> => {
        const { rows } = await pool.query(`SELECT * FROM "${name}"`);
        return [name, JSON.stringify(rows)];
      });
      return new Map(await Promise.all(texts));
    },
    isSettings: (name) => name === table,
    open: () => Promise.resolve(new PostgresStore({ pool: openPool(), table })),
    async plant(records) {
      const pool = openPool();
      await new PostgresStore({ pool, table }).init();
      const text = `INSERT INTO ${table} SELECT k, 1, s, n, e, c, c
        FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[]) AS planted(k, s, n, e, c)`;
      const keys = records.map((record) => String(record['apiKey']));
      const names = records.map(({ name = '' }) => foldName(String(name)));
      const times = records.map(({ createdAt = UNKNOWN_TIME }) => createdAt);
      const texts = records.map((record) => JSON.stringify(record));
      await pool.query(text, [keys, texts, names, records.map(({ enabled }) => enabled !== false), times]);
    },
    async breakDown() {
      await server.kill();
      return () => server.start();
    },
  };
}
