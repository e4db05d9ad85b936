import { Redis } from 'ioredis';
import { createClient } from 'redis';
import type { KeySettingsInput } from '../../lib';
import type { KeyQuery } from '../../lib/stores/settings-store';
import { auditEvent } from '../../lib/stores/audit-event';
import { SettingsCache } from '../../lib/stores/settings-cache';
import { RedisStore } from '../../lib/stores/redis';
import { RedisUsage } from '../../lib/stores/redis-usage';
import type { RedisStoreOptions } from '../../lib/stores/redis';
import { endAfterTest } from '../support/cleanup';
import { KEY, OTHER_KEY, recordingLogger, thrownBy } from '../support/pieces';
import { describeRedis, redisServer } from '../support/redis-server';
import { until } from '../support/until';
import { storeContract } from './store-contract';

type Client = RedisStoreOptions['client'];

const ALL = { from: '2027-01-01', to: '2028-01-01' };
const NONE = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };
const HTTP = { kind: 'wire', name: 'http', outcome: 'allowed' } as const;
const ROW = { apiKey: KEY, hour: '2027-01-31T12:00:00Z', ...HTTP, ...NONE, lastAt: 1 };

/** A client whose duplicates send what subscribes only after `before`. */
function beginningLate(client: Client, before: () => Promise<void>): Client {
  const duplicate = (): unknown => {
    const subscriber = client.duplicate();
    const subscribe = subscriber.subscribe.bind(subscriber) as (...args: unknown[]) => Promise<unknown>;
    return Object.assign(subscriber, { subscribe: (...args: unknown[]) => before().then(() => subscribe(...args)) });
  };
  return new Proxy(client, {
    get(target, name) {
      if (name === 'duplicate') return duplicate;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

test.each([undefined, null, {}, 'redis://127.0.0.1', { get: () => Promise.resolve(null) }])(
  '%p in place of a client throws when the store is made',
  (client) => {
    expect(thrownBy(() => new RedisStore({ client: client as unknown as Client }))).toMatchObject({
      code: 'ERR_RPC_GUARD_OPTIONS',
      message: expect.stringMatching(/^ {2}client: .*a client of redis or ioredis/m) as string,
    });
  },
);

describeRedis('RedisStore', () => {
  const server = redisServer({ keepsData: true });
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  let last = 0;
  const freshPrefix = () => `test-${String(++last)}:`;

  async function nodeRedis() {
    const client = createClient({ socket: { path: server.socket, tls: false, reconnectStrategy: 50 } });
    client.on('error', () => undefined);
    await client.connect();
    endAfterTest(() => client.destroy());
    return client;
  }

  async function ioRedis(options: { readonly keyPrefix?: string; readonly lazyConnect?: boolean } = {}) {
    const client = new Redis({ path: server.socket, retryStrategy: () => 50, ...options });
    if (options.lazyConnect !== true) await new Promise((resolve) => client.once('ready', resolve));
    endAfterTest(() => client.disconnect());
    return client;
  }

  describe('with node-redis', () => {
    storeContract(test, async () => new RedisStore({ client: await nodeRedis(), prefix: freshPrefix() }));
  });

  describe('with ioredis', () => {
    storeContract(test, async () => new RedisStore({ client: await ioRedis(), prefix: freshPrefix() }));
  });

  describe('with an ioredis that connects when it is used', () => {
    storeContract(
      test,
      async () => new RedisStore({ client: await ioRedis({ lazyConnect: true }), prefix: freshPrefix() }),
    );
  });

  describe('with an ioredis that has a keyPrefix', () => {
    storeContract(test, async () => new RedisStore({ client: await ioRedis({ keyPrefix: freshPrefix() }) }));
  });

  describe.each<[string, () => Promise<Client>]>([
    ['node-redis', nodeRedis],
    ['ioredis', ioRedis],
  ])('%s:', (_library, connect) => {
    test('stores of two prefixes share nothing', async () => {
      const client = await connect();
      const first = new RedisStore({ client, prefix: freshPrefix() });
      const second = new RedisStore({ client, prefix: freshPrefix() });
      await first.set({ apiKey: KEY, name: 'first' });
      expect(await second.get(KEY)).toBeUndefined();
      expect(await second.list()).toEqual([]);
      await second.set({ apiKey: KEY, name: 'second' }, 0);
      expect(await first.get(KEY)).toMatchObject({ name: 'first', version: 1 });
    });

    test('history finds what is asked for where the hashes of two actors begin the same', async () => {
      const { audit } = new RedisStore({ client: await connect(), prefix: freshPrefix() });
      const actors = ['actor 36997', 'actor 40602', 'actor 36997', 'actor 40602'];
      const what = { via: 'code', action: 'key.update', apiKey: KEY } as const;
      const events = actors.map((actor) => auditEvent({ ...what, actor }));
      await audit.append(events);
      const found = await audit.list({ actor: 'actor 36997', limit: 2 });
      expect(found.map(({ id }) => id)).toEqual([events[2]!.id, events[0]!.id]);
      expect(await audit.list({ actor: 'actor 40602', before: events[1]!.id, limit: 2 })).toEqual([]);
    });

    test('usage is a hash of each key, hour and process, which goes after 8 days, and of each day, after 401', async () => {
      const looker = await nodeRedis();
      const prefix = freshPrefix();
      const { usage } = new RedisStore({ client: await connect(), prefix });
      const counted = { calls: 1, credits: 1, bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: 1 };
      const of = { apiKey: KEY, hour: '2027-01-31T12:00:00Z', instance: 'p1', outcome: 'allowed' } as const;
      await usage.write([
        { ...of, ...counted, kind: 'wire', name: 'http' },
        { ...of, ...counted, kind: 'method', name: 'eth_call' },
      ]);
      const hour = `${prefix}usage:${KEY}:2027-01-31T12:00:00Z:p1`;
      const days = async (name: string) => (await looker.ttl(name)) / 86_400;
      expect(await looker.hLen(hour)).toBe(3); // with the number of the write
      expect(await days(hour)).toBeCloseTo(8, 2);
      await usage.roll('2027-02-01T00:00:00Z');
      expect(await looker.exists(hour)).toBe(0);
      expect(await looker.zRange(`${prefix}usage:${KEY}`, 0, -1)).toEqual(['2027-01-31T00:00:00Z (day)']);
      expect(await looker.exists(`${prefix}usage:(hours)`)).toBe(0);
      expect(await days(`${prefix}usage:${KEY}:2027-01-31T00:00:00Z:(day)`)).toBeCloseTo(401, 2);
    });

    test('history keeps the last 100,000 events, and no place of one that has gone', async () => {
      const looker = await nodeRedis();
      const prefix = freshPrefix();
      const { audit } = new RedisStore({ client: await connect(), prefix });
      const eventOf = (actor: string) => auditEvent({ via: 'code', action: 'key.update', apiKey: KEY, actor });
      await audit.append([eventOf('oldest'), eventOf('old')]);
      const places = await looker.zCard(`${prefix}audit:order`);
      const fill = `for n = 1, 99998 do redis.call('XADD', KEYS[1], '*', 'id', n, 'apiKey', '', 'actor', '', 'action', '', 'event', '{}') end`;
      await looker.eval(fill, { keys: [`${prefix}audit`] });
      await audit.append([eventOf('new')]);
      expect(await looker.xLen(`${prefix}audit`)).toBe(100_000);
      expect(await looker.zCard(`${prefix}audit:order`)).toBe(places);
      const actors = async (actor?: string) => (await audit.list({ actor, limit: 9 })).map((event) => event.actor);
      expect([await actors(), await actors('oldest')]).toEqual([['new', 'old'], []]);
      await looker.del([`${prefix}audit`, `${prefix}audit:order`]);
    });

    test('the names of what it keeps begin with {rpc-guard}: unless told otherwise', async () => {
      const looker = await nodeRedis();
      const before = new Set(await looker.keys('*'));
      const store = new RedisStore({ client: await connect() });
      await store.set({ apiKey: KEY });
      const names = (await looker.keys('*')).filter((name) => !before.has(name));
      await store.delete(KEY);
      const orders = ['created', 'key', 'name', 'updated'].map((sort) => `{rpc-guard}:by:${sort}`);
      expect(names.sort()).toEqual([...orders, `{rpc-guard}:key:${KEY}`, '{rpc-guard}:keys']);
      expect(await looker.exists(names)).toBe(0);
    });

    test('lists keys in every order that were written by other means, or lost their place in one', async () => {
      const client = await nodeRedis();
      const prefix = freshPrefix();
      const store = new RedisStore({ client, prefix });
      await store.set({ apiKey: 'key-0001', name: 'b' });
      await client.set(`${prefix}key:key-0002`, '{"apiKey":"key-0002","name":"a"}');
      await client.zAdd(`${prefix}keys`, { score: 0, value: 'key-0002' });
      await client.set(`${prefix}key:key-0003`, 'broken');
      await client.zAdd(`${prefix}keys`, { score: 0, value: 'key-0003' });
      const order = async (query: KeyQuery) => (await store.list(query)).map(({ apiKey }) => apiKey.at(-1)).join('');
      expect(await order({ sort: 'name' })).toBe('21');
      expect(await order({ sort: 'created', limit: 1 })).toBe('2');
      expect(await order({ search: 'A' })).toBe('2');
      await client.del([`${prefix}by:name`, `${prefix}by:updated`]);
      await store.set({ apiKey: 'key-0002', name: 'c' });
      expect(await order({ sort: 'name' })).toBe('12');
      expect(await order({ sort: 'updated', descending: true })).toBe('21');
    });

    test('lists more keys than one page of its own', async () => {
      const store = new RedisStore({ client: await connect(), prefix: freshPrefix() });
      const keys = Array.from({ length: 1200 }, (_, n) => `key-${String(n).padStart(6, '0')}`);
      await Promise.all(keys.map((apiKey) => store.set({ apiKey })));
      expect((await store.list()).map(({ apiKey }) => apiKey)).toEqual(keys);
      expect((await store.list({ after: keys[10]!, limit: 1100 })).map(({ apiKey }) => apiKey)).toEqual(
        keys.slice(11, 1111),
      );
    });

    describe('a record that', () => {
      const broken: readonly [string, string][] = [
        ['is not JSON', '{"apiKey":'],
        ['is empty', ''],
        ['is a number', '7'],
        ['has a member too many', JSON.stringify({ apiKey: KEY, requiresecret: true })],
        ['has settings of the wrong type', JSON.stringify({ apiKey: KEY, enabled: 'yes' })],
      ];
      test.each(broken)('%s refuses that key alone, and can be written over', async (_what, record) => {
        const prefix = freshPrefix();
        const store = new RedisStore({ client: await connect(), prefix });
        await store.set({ apiKey: KEY });
        await store.set({ apiKey: OTHER_KEY });
        await (await nodeRedis()).set(`${prefix}key:${KEY}`, record);

        await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
        expect(await store.get(OTHER_KEY)).toMatchObject({ apiKey: OTHER_KEY });
        expect((await store.list()).map(({ apiKey }) => apiKey)).toEqual([OTHER_KEY]);
        await expect(store.set({ apiKey: KEY }, 1)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_STALE_WRITE' });
        await store.set({ apiKey: KEY, name: 'mended' });
        expect(await store.get(KEY)).toMatchObject({ name: 'mended' });
      });

      test('is of another type than text refuses that key alone', async () => {
        const prefix = freshPrefix();
        const store = new RedisStore({ client: await connect(), prefix });
        await (await nodeRedis()).hSet(`${prefix}key:${KEY}`, 'apiKey', KEY);
        await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
      });

      test('belongs to another key is not served', async () => {
        const prefix = freshPrefix();
        const store = new RedisStore({ client: await connect(), prefix });
        await (await nodeRedis()).set(`${prefix}key:${KEY}`, JSON.stringify({ apiKey: OTHER_KEY }));
        const cache = new SettingsCache(store, { logger: recordingLogger(), staleIfErrorMs: 1000 });
        expect(await cache.get(KEY)).toBe('unavailable');
        await cache.close();
      });

      test('can be deleted though it does not parse', async () => {
        const prefix = freshPrefix();
        const store = new RedisStore({ client: await connect(), prefix });
        await store.set({ apiKey: KEY });
        await (await nodeRedis()).set(`${prefix}key:${KEY}`, 'broken');
        expect(await store.delete(KEY)).toBe(true);
        expect(await store.get(KEY)).toBeUndefined();
      });
    });

    test('a subscription has every key read again when it begins, and when its connection comes back', async () => {
      const prefix = freshPrefix();
      const store = new RedisStore({ client: await connect(), prefix });
      const looker = await nodeRedis();
      const told: (string | undefined)[] = [];
      const unsubscribe = store.subscribe((apiKey) => told.push(apiKey));
      endAfterTest(unsubscribe);
      const subscribers = async () => (await looker.pubSubNumSub(`${prefix}changes`))[`${prefix}changes`];
      await until(async () => (await subscribers()) === 1 && told.length > 0);
      expect(told.every((apiKey) => apiKey === undefined)).toBe(true);

      told.length = 0;
      await looker.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
      await until(async () => (await subscribers()) === 1 && told.includes(undefined));
      await store.set({ apiKey: KEY });
      await until(() => told.includes(KEY));
    });

    test('what changes while a subscription begins is read again', async () => {
      const prefix = freshPrefix();
      const client = await connect();
      const writer = new RedisStore({ client, prefix });
      const told: (string | undefined)[] = [];
      let changed = false;
      const changing = async () => {
        await writer.set({ apiKey: KEY });
        told.length = 0;
        changed = true;
      };
      const store = new RedisStore({ client: beginningLate(client, changing), prefix });
      endAfterTest(store.subscribe((apiKey) => told.push(apiKey)));
      await until(() => changed && told.length > 0);
    });

    test('a subscription that fails at first is made with the next connection', async () => {
      const prefix = freshPrefix();
      let failures = 0;
      const failingOnce = () => (failures++ === 0 ? Promise.reject(new Error('lost')) : Promise.resolve());
      const store = new RedisStore({ client: beginningLate(await connect(), failingOnce), prefix });
      const looker = await nodeRedis();
      const told: (string | undefined)[] = [];
      endAfterTest(store.subscribe((apiKey) => told.push(apiKey)));
      await until(() => failures > 0);
      await looker.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
      await until(async () => {
        await store.set({ apiKey: KEY }).catch(() => undefined);
        return told.includes(KEY);
      });
    });

    test('a subscription outlives a server that is killed', async () => {
      const store = new RedisStore({ client: await connect(), prefix: freshPrefix() });
      const told: (string | undefined)[] = [];
      endAfterTest(store.subscribe((apiKey) => told.push(apiKey)));
      await until(async () => {
        await store.set({ apiKey: OTHER_KEY });
        return told.includes(OTHER_KEY);
      });
      await server.kill();
      told.length = 0;
      await server.start();
      await until(() => told.includes(undefined));
      await until(async () => {
        await store.set({ apiKey: KEY });
        return told.includes(KEY);
      });
    });

    test('a subscription ends while the server is away', async () => {
      const store = new RedisStore({ client: await connect(), prefix: freshPrefix() });
      const told: (string | undefined)[] = [];
      const unsubscribe = store.subscribe((apiKey) => told.push(apiKey));
      await until(() => told.length > 0);
      await server.kill();
      unsubscribe();
      await server.start();
      told.length = 0;
      await until(() => store.set({ apiKey: KEY }).then(Boolean, () => false));
      expect(told).toEqual([]);
      unsubscribe();
    });

    test('of a deletion and a write of the same version, one is refused', async () => {
      const store = new RedisStore({ client: await connect(), prefix: freshPrefix() });
      for (let n = 0; n < 50; n++) {
        const { version } = await store.set({ apiKey: KEY });
        const [deleted, written] = await Promise.allSettled([
          store.delete(KEY, version),
          store.set({ apiKey: KEY, name: 'late' }, version),
        ]);
        expect([deleted.status, written.status].sort()).toEqual(['fulfilled', 'rejected']);
        expect((await store.get(KEY))?.name).toBe(written.status === 'fulfilled' ? 'late' : undefined);
        await store.delete(KEY);
      }
    });
  });

  test('days are left to the process that is at it', async () => {
    const client = await nodeRedis();
    const prefix = freshPrefix();
    const usage = new RedisUsage((script, keys, args) => client.eval(script, { keys, arguments: args }), prefix);
    await usage.write([{ ...ROW, instance: 'a', calls: 1 }]);
    await client.set(`${prefix}usage:lock`, 'of another process');
    await usage.roll('2027-02-01T00:00:00Z');
    expect(await usage.read(ALL)).toMatchObject([{ instance: 'a' }]);
    expect(await client.get(`${prefix}usage:lock`)).toBe('of another process');
  });

  test('a day that another process has summed up since the lock ran out stays as that one made it', async () => {
    const client = await nodeRedis();
    const prefix = freshPrefix();
    type Eval = ConstructorParameters<typeof RedisUsage>[0];
    const evaluate: Eval = (script, keys, args) => client.eval(script, { keys, arguments: args });
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const usage = new RedisUsage(evaluate, prefix);
    await usage.write([{ ...ROW, instance: 'a', calls: 1 }]);
    let slow = Promise.resolve();
    await new Promise<void>((resolve) => {
      const holding: Eval = async (script, keys, args) => {
        if (keys.length > 4) {
          resolve(); // it has read the hours, and is about to write their day
          await held;
        }
        return evaluate(script, keys, args);
      };
      slow = new RedisUsage(holding, prefix).roll('2027-02-01T00:00:00Z');
    });
    await client.del(`${prefix}usage:lock`);
    await usage.write([{ ...ROW, instance: 'b', calls: 2 }]);
    await usage.roll('2027-02-01T00:00:00Z');
    goOn();
    await slow;
    expect(await usage.read(ALL)).toMatchObject([{ instance: '(day)', calls: 3 }]);
  });

  test('200 lookups of 100,000 keys are 200 commands', async () => {
    const client = await nodeRedis();
    const prefix = freshPrefix();
    const load = `
      for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
        local key = string.format('key-%07d', n)
        redis.call('SET', ARGV[3] .. 'key:' .. key, '{"apiKey":"' .. key .. '"}')
        redis.call('ZADD', ARGV[3] .. 'keys', 0, key)
      end`;
    for (let from = 1; from <= 100_000; from += 20_000) {
      await client.eval(load, { keys: [], arguments: [String(from), String(from + 19_999), prefix] });
    }
    const store = new RedisStore({ client, prefix });
    const commands = async () =>
      [...(await client.info('commandstats')).matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g)]
        .filter(([, name]) => name !== 'info' && name !== 'config|resetstat')
        .map(([, name, calls]) => `${name ?? ''} ${calls ?? ''}`);
    await client.configResetStat();
    const keys = Array.from({ length: 200 }, (_, n) => `key-${String(n * 500 + 1).padStart(7, '0')}`);
    const found: (KeySettingsInput | undefined)[] = await Promise.all(keys.map((apiKey) => store.get(apiKey)));
    expect(found.map((settings) => settings?.apiKey)).toEqual(keys);
    expect(await commands()).toEqual(['get 200']);

    await client.configResetStat();
    expect((await store.list({ after: 'key-0050000', limit: 3 })).map(({ apiKey }) => apiKey)).toEqual([
      'key-0050001',
      'key-0050002',
      'key-0050003',
    ]);
    expect(await commands()).toEqual(expect.arrayContaining(['zrangebylex 1', 'get 3', 'eval 1']));
    await client.flushAll();
  });
});
