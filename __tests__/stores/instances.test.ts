import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { hashSecret } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { guardProcess } from '../support/guard-process';
import type { GuardProcess, GuardProcessOptions, StoreKind } from '../support/guard-process';
import { describePostgres, postgresServer } from '../support/postgres-server';
import { describeRedis, redisServer } from '../support/redis-server';
import type { LocalServer } from '../support/local-server';
import { until } from '../support/until';

const HASH = hashSecret('rgs_a-secret');
/** Ten callers with this pause are a hundred requests a second, and leave the cores to the others. */
const LOAD_PAUSE_MS = 100;

/** A server that instances of the guard share, and what only the server's owner can do. */
interface Shared {
  readonly server: LocalServer;
  readonly connection: object;
  /** Writes a record as it stands, past every store, and tells nobody. */
  write(apiKey: string, settings: unknown): Promise<void>;
  /** Options of an instance that no announcement reaches. */
  cutOff(): Promise<{ readonly connection: object; readonly table?: string }>;
}

function sharedRedis(): Shared {
  const server = redisServer({ keepsData: true });
  const connection = { path: server.socket };
  async function command(...args: readonly string[]): Promise<void> {
    const client = createClient({ socket: { path: server.socket, tls: false } });
    await client.connect();
    await client.sendCommand([...args]);
    client.destroy();
  }
  return {
    server,
    connection,
    write: (apiKey, settings) => command('SET', `{rpc-guard}:key:${apiKey}`, JSON.stringify(settings)),
    async cutOff() {
      await command('ACL', 'SETUSER', 'deaf', 'on', '>word', 'allkeys', 'allcommands', 'resetchannels');
      return { connection: { ...connection, username: 'deaf', password: 'word' } };
    },
  };
}

function sharedPostgres(): Shared {
  const server = postgresServer();
  const { connection } = server;
  async function query(text: string, values: unknown[] = []): Promise<void> {
    const pool = new Pool(connection);
    await pool.query(text, values);
    await pool.end();
  }
  return {
    server,
    connection,
    write: (apiKey, settings) =>
      query(
        `INSERT INTO rpc_guard_keys VALUES ($1, 1, $2)
         ON CONFLICT (api_key) DO UPDATE SET settings = EXCLUDED.settings`,
        [apiKey, JSON.stringify(settings)],
      ),
    async cutOff() {
      // The same rows under another name, of whose channel nobody knows.
      await query('CREATE OR REPLACE VIEW deaf AS SELECT * FROM rpc_guard_keys');
      return { connection, table: 'deaf' };
    },
  };
}

const KINDS: readonly [StoreKind, () => Shared, typeof describeRedis][] = [
  ['node-redis', sharedRedis, describeRedis],
  ['ioredis', sharedRedis, describeRedis],
  ['postgres', sharedPostgres, describePostgres],
];

for (const [kind, share, describeShared] of KINDS) {
  describeShared(`two instances over ${kind}`, () => {
    const shared = share();
    // What the upstream was handed, and what the instances say that it was.
    let handed = 0;
    let passed = 0;
    const upstream = createServer((req, res) => {
      handed++;
      req.resume().on('end', () => res.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}'));
    });

    const started: GuardProcess[] = [];
    async function start(options: Partial<GuardProcessOptions> = {}): Promise<GuardProcess> {
      const { port } = upstream.address() as AddressInfo;
      const { connection } = shared;
      const instance = await guardProcess({ kind, connection, upstream: `http://127.0.0.1:${port}`, ...options });
      started.push(instance);
      return {
        ...instance,
        async ask(apiKey) {
          const answer = await instance.ask(apiKey);
          if (answer === 'passed') passed++;
          return answer;
        },
      };
    }

    let a: GuardProcess;
    let b: GuardProcess;
    beforeAll(async () => {
      await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
      await shared.server.start();
      [a, b] = await Promise.all([start(), start()]);
    });
    afterEach(() => expect(handed).toBe(passed));
    afterAll(async () => {
      await Promise.all(started.map((instance) => instance.end()));
      await shared.server.remove();
      upstream.close();
    });

    let last = 0;
    const freshKey = () => `${kind}-key-${String(++last)}`;

    /** Asks until the answer is this one. */
    const inForce = (at: GuardProcess, apiKey: string, answer: string, everyMs?: number) =>
      until(async () => (await at.ask(apiKey)) === answer, everyMs);

    test('a key that is created, changed, disabled or deleted through one is so on the other within 1 s', async () => {
      const key = freshKey();
      expect(await b.ask(key)).toBe('KEY_UNKNOWN');

      expect(await a.set({ apiKey: key })).toBe(1);
      expect(await inForce(b, key, 'passed')).toBeLessThan(1000);

      expect(await a.set({ apiKey: key, allowlists: { methods: ['eth_call'] } })).toBe(2);
      expect(await inForce(b, key, 'METHOD_NOT_ALLOWED')).toBeLessThan(1000);

      expect(await a.set({ apiKey: key, requireSecret: true, secrets: [{ hash: HASH }] })).toBe(3);
      expect(await inForce(b, key, 'SECRET_REQUIRED')).toBeLessThan(1000);

      expect(await a.set({ apiKey: key, enabled: false })).toBe(4);
      expect(await inForce(b, key, 'KEY_DISABLED')).toBeLessThan(1000);

      expect(await a.delete(key)).toBe(true);
      expect(await inForce(b, key, 'KEY_UNKNOWN')).toBeLessThan(1000);
      expect(await inForce(a, key, 'KEY_UNKNOWN')).toBeLessThan(1000);
    });

    test('a change is in force within 5 s on one that hears of none', async () => {
      const [key, newKey] = [freshKey(), freshKey()];
      await a.set({ apiKey: key });
      const deaf = await start(await shared.cutOff());
      expect(await deaf.ask(key)).toBe('passed');
      expect(await deaf.ask(newKey)).toBe('KEY_UNKNOWN');
      await a.set({ apiKey: key, enabled: false });
      await a.set({ apiKey: newKey });
      const times = await Promise.all([inForce(deaf, key, 'KEY_DISABLED', 100), inForce(deaf, newKey, 'passed', 100)]);
      expect(Math.max(...times)).toBeLessThan(5000);
    });

    test('200 first requests for a key at once are one read', async () => {
      const key = freshKey();
      await a.set({ apiKey: key });
      await inForce(b, freshKey(), 'KEY_UNKNOWN'); // it has begun and looked at all there was to look at
      const answers = await Promise.all(Array.from({ length: 200 }, () => b.ask(key)));
      expect(new Set(answers)).toEqual(new Set(['passed']));
      expect(await b.reads(key)).toBe(1);
    });

    test('of two that write a key at once, one wins and the other is refused', async () => {
      const key = freshKey();
      await a.set({ apiKey: key });
      for (let version = 1; version <= 20; version++) {
        const outcomes = await Promise.all([a, b].map((it) => it.set({ apiKey: key, name: 'contested' }, version)));
        expect(new Set(outcomes)).toEqual(new Set([version + 1, 'ERR_RPC_GUARD_STALE_WRITE']));
      }
    });

    test('a record that is corrupted refuses its key alone, and is logged once', async () => {
      const [corrupted, sound] = [freshKey(), freshKey()];
      await a.set({ apiKey: sound });
      await shared.write(corrupted, { apiKey: corrupted, enabled: 'yes' });
      for (let n = 0; n < 20; n++) {
        expect(await b.ask(corrupted)).toBe('SETTINGS_UNAVAILABLE');
        expect(await b.ask(sound)).toBe('passed');
        expect(await b.ask(freshKey())).toBe('KEY_UNKNOWN');
      }
      expect((await b.notes()).filter((note) => note.startsWith('error'))).toEqual([
        expect.stringContaining('settings do not parse; the key is refused'),
      ]);
      await a.set({ apiKey: corrupted });
      expect(await inForce(b, corrupted, 'passed')).toBeLessThan(1000);
    });

    test('a server that is killed under load opens nothing, and is back within 2 s of its return', async () => {
      const impatient = await start({ staleIfErrorMs: 1000 });
      const [open, disabled, secret, fresh] = [freshKey(), freshKey(), freshKey(), freshKey()];
      await a.set({ apiKey: open });
      await a.set({ apiKey: disabled, enabled: false });
      await a.set({ apiKey: secret, requireSecret: true });
      await a.set({ apiKey: fresh, enabled: false });
      for (const it of [impatient, b]) {
        await inForce(it, open, 'passed');
        await inForce(it, disabled, 'KEY_DISABLED');
        await inForce(it, secret, 'SECRET_REQUIRED');
      }

      const answers = new Map<string, Set<string>>();
      let ended = false;
      const load = async (it: GuardProcess, who: string, key: () => string, what: string): Promise<void> => {
        const seen = new Set<string>();
        answers.set(`${who} ${what}`, seen);
        while (!ended) {
          seen.add(await it.ask(key()));
          await sleep(LOAD_PAUSE_MS);
        }
      };
      const loads = [impatient, b].flatMap((it) => {
        const who = it === b ? 'patient' : 'impatient';
        return [
          load(it, who, () => open, 'open'),
          load(it, who, () => open, 'open too'),
          load(it, who, () => disabled, 'disabled'),
          load(it, who, () => secret, 'secret'),
          load(it, who, freshKey, 'unknown'),
        ];
      });
      endAfterTest(() => (ended = true));

      await shared.server.kill();
      // Settings serve for as long as they may, and no longer.
      await until(async () => (await impatient.ask(open)) === 'SETTINGS_UNAVAILABLE');
      expect(await b.ask(open)).toBe('passed');
      expect(await b.ask(fresh)).toBe('SETTINGS_UNAVAILABLE');
      await shared.server.start();
      const times = await Promise.all([
        inForce(impatient, open, 'passed'),
        inForce(impatient, fresh, 'KEY_DISABLED'),
        inForce(b, fresh, 'KEY_DISABLED'),
      ]);
      expect(Math.max(...times)).toBeLessThan(2000);
      ended = true;
      await Promise.all(loads);

      const may = {
        open: ['passed'],
        disabled: ['KEY_DISABLED'],
        secret: ['SECRET_REQUIRED'],
        unknown: ['KEY_UNKNOWN'],
      };
      for (const [what, seen] of answers) {
        const allowed = Object.entries(may).find(([name]) => what.includes(name))?.[1] ?? [];
        const unavailable = what.startsWith('patient') && !what.endsWith('unknown') ? [] : ['SETTINGS_UNAVAILABLE'];
        expect([what, [...seen].filter((answer) => ![...allowed, ...unavailable].includes(answer))]).toEqual([
          what,
          [],
        ]);
      }
      for (const it of [impatient, b]) {
        expect(it.isRunning()).toBe(true);
        expect((await it.notes()).length).toBeLessThanOrEqual(6);
      }

      await a.set({ apiKey: fresh });
      expect(await inForce(b, fresh, 'passed')).toBeLessThan(1000);
    });
  });
}
