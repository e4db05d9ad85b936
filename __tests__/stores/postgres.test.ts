import { Pool } from 'pg';
import type { PoolConfig } from 'pg';
import { SettingsCache } from '../../lib/stores/settings-cache';
import { auditEvent } from '../../lib/stores/audit-event';
import { PostgresStore } from '../../lib/stores/postgres';
import { PostgresAudit } from '../../lib/stores/postgres-audit';
import { PostgresUsage } from '../../lib/stores/postgres-usage';
import type { PostgresPool } from '../../lib/stores/postgres';
import { endAfterTest } from '../support/cleanup';
import { KEY, OTHER_KEY, recordingLogger, thrownBy } from '../support/pieces';
import { describePostgres, postgresServer } from '../support/postgres-server';
import { until } from '../support/until';
import { storeContract } from './store-contract';

/** `'written'`, or the code of the error. */
async function outcomeOf(write: Promise<unknown>): Promise<unknown> {
  try {
    await write;
    return 'written';
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  }
}

test.each([undefined, null, {}, 'postgres://127.0.0.1', { query: () => Promise.resolve({ rows: [] }) }])(
  '%p in place of a pool throws when the store is made',
  (pool) => {
    expect(thrownBy(() => new PostgresStore({ pool: pool as unknown as PostgresPool }))).toMatchObject({
      code: 'ERR_RPC_GUARD_OPTIONS',
      message: expect.stringMatching(/^ {2}pool: .*such as new Pool\(\)/m) as string,
    });
  },
);

describe('a name that is not a plain one throws when the store is made:', () => {
  const names = ['', 'a b', 'a"b', "a'b", 'a;b', 'a.b', '1a', 'a-b', 'ä', 'a\n', 'a\0b', 'a'.repeat(50)];
  test.each(names.flatMap((name) => [{ table: name }, { schema: name }]))('%j', (given) => {
    const pool = new Pool();
    expect(thrownBy(() => new PostgresStore({ pool, ...given }))).toMatchObject({ code: 'ERR_RPC_GUARD_OPTIONS' });
  });
});

describePostgres('PostgresStore', () => {
  const server = postgresServer();
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  function openPool(options: PoolConfig = {}): Pool {
    const pool = new Pool({ ...server.connection, ...options });
    pool.on('error', () => undefined);
    endAfterTest(() => pool.end());
    return pool;
  }

  let last = 0;
  const freshName = () => `test_${String(++last)}`;

  test('events that are older than auditDays go, at the first look of each day', async () => {
    const DAY_MS = 86_400_000;
    const pool = openPool();
    let now = Date.parse('2027-06-01T12:00:00.000Z');
    const open = () => new PostgresAudit({ pool, table: '"swept_audit"', days: 10, lockId: 1, now: () => now });
    const eventOf = (daysAgo: number) =>
      auditEvent({
        ...{ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY },
        at: new Date(now - daysAgo * DAY_MS).toISOString(),
      });
    const [old, older, recent] = [eventOf(9.5), eventOf(10.5), eventOf(1)] as const;
    const audit = open();
    await audit.append([old, older, recent]);
    const ids = async () => (await audit.list({ limit: 9 })).map(({ id }) => id);
    expect(await ids()).toEqual([recent.id, old.id, older.id]); // it has looked today
    await open().list({ limit: 1 }); // as a process that starts does
    await until(async () => (await ids()).length === 2);
    expect(await ids()).toEqual([recent.id, old.id]);
    now += DAY_MS;
    await until(async () => (await ids()).length === 1);
    expect(await ids()).toEqual([recent.id]);
  });

  async function openStore(options: { readonly table?: string; readonly schema?: string } = {}) {
    const pool = openPool();
    const table = options.table ?? freshName();
    const store = new PostgresStore({ pool, table, ...(options.schema !== undefined && { schema: options.schema }) });
    await store.init();
    return { store, pool, table };
  }

  describe('in the first schema of the search path', () => {
    storeContract(test, () => new PostgresStore({ pool: openPool(), table: freshName() }));
  });

  describe('in a schema of its own', () => {
    storeContract(test, () => new PostgresStore({ pool: openPool(), schema: freshName() }));
  });

  describe('init', () => {
    test('of ten instances at once creates one table', async () => {
      const names = { table: freshName(), schema: freshName() };
      const stores = Array.from({ length: 10 }, () => new PostgresStore({ pool: openPool(), ...names }));
      await Promise.all(stores.map((store) => store.init()));
      await stores[0]!.set({ apiKey: KEY });
      for (const store of stores) expect(await store.get(KEY)).toMatchObject({ apiKey: KEY });
    });

    test('keeps what is there', async () => {
      const { store, table } = await openStore();
      await store.set({ apiKey: KEY, name: 'kept' });
      const { store: second } = await openStore({ table });
      expect(await second.get(KEY)).toMatchObject({ name: 'kept' });
    });

    test('creates nothing where the table exists, and needs no right to', async () => {
      const { table, pool } = await openStore();
      const role = freshName();
      await pool.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
      await pool.query(`CREATE ROLE ${role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${role}`);
      const store = new PostgresStore({ pool: openPool({ user: role }), table });
      await store.init();
      expect(await store.set({ apiKey: KEY })).toMatchObject({ version: 1 });
      expect(await store.set({ apiKey: KEY, name: 'again' }, 1)).toMatchObject({ version: 2 });
      expect(await store.delete(KEY)).toBe(true);
      await expect(new PostgresStore({ pool: openPool({ user: role }), table: freshName() }).init()).rejects.toThrow(
        'permission denied',
      );
    });

    test('creates the table in an existing schema, for a role that may create no schema', async () => {
      const role = freshName();
      const schema = freshName();
      await openPool().query(`CREATE ROLE ${role} LOGIN; CREATE SCHEMA ${schema} AUTHORIZATION ${role}`);
      const store = new PostgresStore({ pool: openPool({ user: role }), schema });
      await store.init();
      expect(await store.set({ apiKey: KEY })).toMatchObject({ version: 1 });
    });

    test('works with upper-case names and with words of SQL', async () => {
      const { store, pool } = await openStore({ table: 'Select', schema: 'User' });
      await store.set({ apiKey: KEY });
      expect((await pool.query('SELECT api_key FROM "User"."Select"')).rows).toEqual([{ api_key: KEY }]);
    });
  });

  test('days of usage are left to the process that is at it', async () => {
    const pool = openPool();
    const usage = new PostgresUsage({ pool, table: '"rolled_usage"', lockId: 70 });
    const counted = { calls: 1, credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: 1 };
    const of = { apiKey: KEY, hour: '2027-01-31T12:00:00Z', instance: 'a', kind: 'wire', name: 'http' } as const;
    await usage.write([{ ...of, ...counted, outcome: 'allowed' }]);
    const instances = async () =>
      (await usage.read({ from: '2027-01-01', to: '2028-01-01' })).map(({ instance }) => instance);
    const other = await pool.connect();
    endAfterTest(() => other.release(true));
    await other.query('SELECT pg_advisory_lock(71)');
    await usage.roll('2027-02-01T00:00:00Z');
    expect(await instances()).toEqual(['a']);
    await other.query('SELECT pg_advisory_unlock(71)');
    await usage.roll('2027-02-01T00:00:00Z');
    expect(await instances()).toEqual(['(day)']);
  });

  test('two tables share nothing', async () => {
    const { store: first } = await openStore();
    const { store: second } = await openStore({ schema: freshName() });
    await first.set({ apiKey: KEY, name: 'first' });
    expect(await second.get(KEY)).toBeUndefined();
    await second.set({ apiKey: KEY, name: 'second' }, 0);
    expect(await first.get(KEY)).toMatchObject({ name: 'first', version: 1 });
  });

  test.each([31, 49, 63])('names of %d characters are refused at once or work', async (length) => {
    const names = { table: 't'.repeat(length), schema: 's'.repeat(length) };
    try {
      new PostgresStore({ pool: openPool(), ...names });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_RPC_GUARD_OPTIONS' });
      return;
    }
    const { store } = await openStore(names);
    const told: (string | undefined)[] = [];
    endAfterTest(store.subscribe((apiKey) => told.push(apiKey)));
    await until(() => told.length > 0);
    await store.set({ apiKey: KEY });
    await until(() => told.includes(KEY));
  });

  test('takes every name that settings may have', async () => {
    const { store } = await openStore();
    for (const name of ['\0', 'a\ud800b', '\u2028', '\\u0000', '\x7f', '𝕏']) {
      await store.set({ apiKey: KEY, name });
      expect((await store.get(KEY))?.name).toBe(name);
    }
  });

  test('lists all keys when no limit is asked for', async () => {
    const { store } = await openStore();
    await store.set({ apiKey: KEY });
    expect(await store.list({ limit: Infinity })).toHaveLength(1);
  });

  describe('a row that', () => {
    const broken: readonly [string, unknown][] = [
      ['is a text', 'text'],
      ['is a number', 7],
      ['is a list', []],
      ['has a member too many', { apiKey: KEY, requiresecret: true }],
      ['has settings of the wrong type', { apiKey: KEY, enabled: 'yes' }],
    ];
    test.each(broken)('%s refuses that key alone, and can be written over and deleted', async (_what, settings) => {
      const { store, pool, table } = await openStore();
      await store.set({ apiKey: KEY });
      await store.set({ apiKey: OTHER_KEY });
      const corrupt = () =>
        pool.query(`UPDATE ${table} SET settings = $1 WHERE api_key = $2`, [JSON.stringify(settings), KEY]);
      await corrupt();

      await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
      expect(await store.get(OTHER_KEY)).toMatchObject({ apiKey: OTHER_KEY });
      expect((await store.list()).map(({ apiKey }) => apiKey)).toEqual([OTHER_KEY]);
      await expect(store.set({ apiKey: KEY }, 1)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_STALE_WRITE' });
      await store.set({ apiKey: KEY, name: 'mended' });
      expect(await store.get(KEY)).toMatchObject({ name: 'mended' });
      await corrupt();
      expect(await store.delete(KEY)).toBe(true);
      expect(await store.get(KEY)).toBeUndefined();
    });

    test('belongs to another key is not served', async () => {
      const { store, pool, table } = await openStore();
      await pool.query(`INSERT INTO ${table} VALUES ($1, 1, $2)`, [KEY, JSON.stringify({ apiKey: OTHER_KEY })]);
      const cache = new SettingsCache(store, { logger: recordingLogger(), staleIfErrorMs: 1000 });
      expect(await cache.get(KEY)).toBe('unavailable');
      await cache.close();
    });
  });

  describe('a write of a version that', () => {
    test('is deleted at the same moment is stale, and brings nothing back', async () => {
      const { store, pool, table } = await openStore();
      await store.set({ apiKey: KEY });
      const deleting = await pool.connect();
      await deleting.query('BEGIN');
      await deleting.query(`DELETE FROM ${table} WHERE api_key = $1`, [KEY]);
      const writing = outcomeOf(store.set({ apiKey: KEY, name: 'late' }, 1));
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`;
      await until(async () => (await pool.query(waiting)).rowCount === 1);
      await deleting.query('COMMIT');
      deleting.release();
      expect(await writing).toBe('ERR_RPC_GUARD_STALE_WRITE');
      expect(await store.get(KEY)).toBeUndefined();
    });

    test('is changed at the same moment is stale', async () => {
      const { store, pool, table } = await openStore();
      await store.set({ apiKey: KEY });
      const changing = await pool.connect();
      await changing.query('BEGIN');
      const first = JSON.stringify({ apiKey: KEY, version: 2, name: 'first' });
      await changing.query(`UPDATE ${table} SET version = 2, settings = $2 WHERE api_key = $1`, [KEY, first]);
      const writing = outcomeOf(store.set({ apiKey: KEY, name: 'late' }, 1));
      const deleting = outcomeOf(store.delete(KEY, 1));
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`;
      await until(async () => (await pool.query(waiting)).rowCount === 2);
      await changing.query('COMMIT');
      changing.release();
      expect([await writing, await deleting]).toEqual(['ERR_RPC_GUARD_STALE_WRITE', 'ERR_RPC_GUARD_STALE_WRITE']);
      expect(await store.get(KEY)).toMatchObject({ version: 2, name: 'first' });
    });
  });

  describe('a subscription', () => {
    const listeners = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND pid <> pg_backend_pid()`;

    test('comes back when its connection is ended, and has every key read again', async () => {
      const { store, pool } = await openStore();
      const told: (string | undefined)[] = [];
      endAfterTest(store.subscribe((apiKey) => told.push(apiKey)));
      await until(() => told.length > 0);
      expect(told).toEqual([undefined]);
      told.length = 0;
      await pool.query(`SELECT pg_terminate_backend(pid) FROM (${listeners}) AS listening`);
      await until(() => told.length > 0);
      expect(told).toEqual([undefined]);
      await store.set({ apiKey: KEY });
      await until(() => told.includes(KEY));
    });

    test('carries the key and nothing of its settings', async () => {
      const { store, pool, table } = await openStore();
      const client = await pool.connect();
      const payloads: (string | undefined)[] = [];
      client.on('notification', ({ payload }) => payloads.push(payload));
      await client.query(`LISTEN ${table}`);
      await store.set({ apiKey: KEY, name: 'named' });
      await store.delete(KEY);
      await until(() => payloads.length === 2);
      client.release(true);
      expect(payloads).toEqual([KEY, KEY]);
    });

    test('outlives a server that is killed', async () => {
      const { store } = await openStore();
      const told: (string | undefined)[] = [];
      endAfterTest(store.subscribe((apiKey) => told.push(apiKey)));
      await until(() => told.length > 0);
      await server.kill();
      told.length = 0;
      await server.start();
      await until(() => told.includes(undefined));
      await store.set({ apiKey: KEY });
      await until(() => told.includes(KEY));
    });

    test('leaves no connection behind when it ends', async () => {
      const { store, pool } = await openStore();
      const told: unknown[] = [];
      const unsubscribe = store.subscribe((apiKey) => told.push(apiKey));
      await until(() => told.length > 0);
      expect((await pool.query(listeners)).rowCount).toBe(1);
      unsubscribe();
      unsubscribe();
      await until(async () => (await pool.query(listeners)).rowCount === 0);
      store.subscribe(() => undefined)(); // ended before it has begun
      await until(async () => pool.idleCount === pool.totalCount && (await pool.query(listeners)).rowCount === 0);
    });
  });

  test('rows of limits that are two days old go behind the first exchange of a day, which waits for no second connection', async () => {
    const { store, pool, table } = await openStore();
    const exchange = (day: string) => store.limits.exchange([{ apiKey: KEY, day, instance: 'a', credits: 1, at: 0 }]);
    const days = async () => (await pool.query<{ day: string }>(`SELECT day FROM ${table}_spent`)).rows;
    await exchange('2027-01-28');
    expect(await days()).toEqual([{ day: '2027-01-28' }]);
    const query = jest.spyOn(pool, 'query');
    await exchange('2027-01-31');
    const asked = query.mock.calls.map(([text]) => /INSERT|DELETE/.exec(text)?.[0]);
    query.mockRestore();
    expect(asked).toEqual(['INSERT', 'DELETE']);
    await until(async () => (await days()).length === 1);
    expect(await days()).toEqual([{ day: '2027-01-31' }]);
  });

  test('one of 100,000 keys is found by an index', async () => {
    const { store, pool, table } = await openStore();
    await pool.query(`
      INSERT INTO ${table}
      SELECT key, 1, json_build_object('apiKey', key)
      FROM generate_series(1, 100000) AS n, format('key-%s', lpad(n::text, 7, '0')) AS key`);
    await pool.query(`ANALYZE ${table}`);

    const plans: string[] = [];
    const explaining: PostgresPool = {
      connect: () => pool.connect(),
      on: () => undefined,
      async query(text, values) {
        const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, COSTS OFF) ${text}`, values);
        plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
        return pool.query<Record<string, unknown>>(text, values);
      },
    };
    const explained = new PostgresStore({ pool: explaining, table });
    expect(await explained.get('key-0077777')).toMatchObject({ apiKey: 'key-0077777' });
    expect(await explained.get('key-9777777')).toBeUndefined();
    expect((await explained.list({ after: 'key-0050000', limit: 3 })).map(({ apiKey }) => apiKey)).toEqual([
      'key-0050001',
      'key-0050002',
      'key-0050003',
    ]);
    expect(plans).toHaveLength(3);
    for (const plan of plans) {
      expect(plan).toContain(`Index Scan using ${table}_pkey`);
      expect(plan).not.toContain('Seq Scan');
    }
    expect(await store.set({ apiKey: 'key-0077777', name: 'changed' }, 1)).toMatchObject({ version: 2 });
  });
});
