import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Pool } from 'pg';
import { createClient } from 'redis';
import type { KeyPage, KeyView, MadeSecret } from '../../lib';
import type { LimitsInUse } from '../../lib/keys/limits-in-use';
import type { LimitStore } from '../../lib/stores/limit-store';
import { PostgresStore } from '../../lib/stores/postgres';
import { RedisStore } from '../../lib/stores/redis';
import { endAfterTest } from '../support/cleanup';
import { CLI, cli, cliJson, newFile, temporary } from '../support/cli';
import { describePostgres, postgresServer } from '../support/postgres-server';
import { describeRedis, redisServer } from '../support/redis-server';
import { tcpBridge } from '../support/tcp-bridge';
import { KEY } from '../support/pieces';

const ROOT = join(__dirname, '../..');
const OFF = { code: 1, stdout: '' };

function fileWith(...keys: readonly object[]): string {
  const file = newFile();
  writeFileSync(file, JSON.stringify({ keys }));
  return file;
}

describe('a file', () => {
  test('is named as file:, as a URL, by a bare path, by --store or by RPC_GUARD_STORE', async () => {
    const file = fileWith({ apiKey: KEY });
    const cwd = dirname(file);
    const runs = await Promise.all([
      ...[file, `file:${file}`, 'file:./keys.json', 'keys.json', pathToFileURL(file).href].map((store) =>
        cliJson<KeyPage>(['keys', 'list'], { store, cwd }),
      ),
      cliJson<KeyPage>(['--store', file, 'keys', 'list'], { store: 'nowhere.json' }),
      cliJson<KeyPage>(['keys', 'list', '--store', file]),
    ]);
    for (const { keys } of runs) expect(keys).toMatchObject([{ apiKey: KEY }]);
  });

  test('./rpc-guard.json is used where no store is named, and stderr says so', async () => {
    const cwd = temporary();
    const none = await cli(['keys', 'list'], { cwd });
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toMatch(/^rpc-guard: there is no store: write --store file:.*RPC_GUARD_STORE\n$/);
    writeFileSync(join(cwd, 'rpc-guard.json'), JSON.stringify({ keys: [{ apiKey: KEY }] }));
    const found = await cli(['keys', 'list'], { cwd });
    expect([found.code, found.stdout]).toEqual([0, expect.stringContaining(KEY)]);
    expect(found.stderr).toBe('store: ./rpc-guard.json\n');
    expect(await cli(['keys', 'list', '--json'], { cwd })).toMatchObject({ code: 0, stderr: '' });
  });

  test('is created by `keys create` alone', async () => {
    const store = newFile();
    const { code, stderr } = await cli(['keys', 'list'], { store });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/there is no file .*keys\.json; "rpc-guard keys create"/),
    ]);
    await cliJson(['keys', 'create'], { store });
    const elsewhere = await cli(['keys', 'create'], { store: join(dirname(store), 'nowhere/keys.json') });
    expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringContaining('there is no folder')]);
  });

  test('that does not parse ends with 1 and its place, and nothing of it is shown', async () => {
    const store = newFile();
    writeFileSync(store, '{ "keys": [ { "hash": "secret-hash" ]');
    const { code, stderr } = await cli(['keys', 'list'], { store });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/keys\.json:1:\d+ is not JSON/)]);
    expect(stderr).not.toContain('secret-hash');
  });
});

test('a value that names no store is refused with 2, and not repeated', async () => {
  const wrong = [
    'mysql://user:topsecret@host/db',
    'user:topsecret@host',
    'postgres',
    'file://topsecret@host/x.json',
    'redis://us er:topsecret@:x/',
  ];
  const runs = await Promise.all(wrong.map((store) => cli(['keys', 'list'], { store })));
  for (const { code, stdout, stderr } of runs) {
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(/^rpc-guard: --store: /)]);
    expect(stderr).not.toContain('topsecret');
  }
});

test('a URL with a % that encodes nothing is refused with 2, named without its password', async () => {
  const named = [
    ['redis://user:topsecret%zz@host:6379/0', 'redis://host:6379/0'],
    ['redis://topsecret%zz:x@host/0', 'redis://host/0'],
    ['postgres://user:topsecret@host/%zz', 'postgres://host/%zz'],
    ['postgres://user:topsecret%zz@/db', 'the store at postgres:'],
    ['redis://user:12/topsecret%ff@host', 'the store at redis:'],
  ];
  const runs = await Promise.all(named.map(([store = '']) => cli(['keys', 'list', '--json'], { store })));
  for (const [at, { code, stdout, stderr }] of runs.entries()) {
    const message = `--store: ${named[at]![1]!} has a % that encodes nothing; write %25 for a % itself`;
    const error = { code: 'ERR_RPC_GUARD_USAGE', message };
    expect([code, stdout, JSON.parse(stderr)]).toEqual([2, '', { error }]);
  }
});

test('an unreachable or silent server ends with 1 within seconds, and no password is printed', async () => {
  const silent = await tcpBridge();
  const stores = ['redis', 'postgres'].flatMap((scheme) => [
    [`${scheme}://user:topsecret@127.0.0.1:1/0`, `${scheme}://127.0.0.1:1/0 cannot be used: connect ECONNREFUSED`],
    [`${scheme}://user:topsecret@127.0.0.1:${silent}/0`, `${scheme}://127.0.0.1:${silent}/0 cannot be used: `],
    [`${scheme}://user:top/sec@ret@127.0.0.1:1/0`, ''],
  ]);
  const began = performance.now();
  const run = (store = '') => cli(['keys', 'list', '--json'], { store, apart: store.includes(`:${silent}/`) });
  const runs = await Promise.all(stores.map(([store]) => run(store)));
  expect(performance.now() - began).toBeLessThan(15_000);
  for (const [at, { code, stdout, stderr }] of runs.entries()) {
    expect([code === 0, stdout]).toEqual([false, '']);
    expect((JSON.parse(stderr) as { error: { message: string } }).error.message).toContain(stores[at]![1]);
    expect(stderr).not.toMatch(/topsecret|sec@ret/);
  }
});

/** What a guard's process tells the store that it has spent is what `keys show` tells of the limits. */
async function expectUseShown(store: string, { limits }: { readonly limits: LimitStore }): Promise<void> {
  await cliJson(['keys', 'create', '--api-key', 'limited-key', '--per-second', '50', '--per-day', '20k'], { store });
  const day = new Date().toISOString().slice(0, 10);
  const row = { apiKey: 'limited-key', day, level: -12, at: Date.now() + 1000 };
  for (const [instance, credits] of [
    ['a', 40],
    ['b', 156],
  ] as const)
    await limits.exchange([{ ...row, instance, credits }]);
  const shown = await cliJson<{ limits: LimitsInUse }>(['keys', 'show', 'limited-key'], { store });
  expect(shown.limits).toMatchObject({
    second: { limit: 50, burst: 100 },
    day: { limit: 20_000, used: 196 },
    instances: 2,
  });
  expect((await cli(['keys', 'show', 'limited-key'], { store })).stdout).toMatch(
    /of 100 left now; 196 of 20,000 used today/,
  );
}

describeRedis('Redis', () => {
  const server = redisServer();
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  async function redis(...args: readonly string[]): Promise<unknown> {
    const client = createClient({ socket: { path: server.socket, tls: false } });
    await client.connect();
    const reply = await client.sendCommand([...args]);
    client.destroy();
    return reply;
  }

  test('keeps keys under its prefix, or that of ?prefix=', async () => {
    const store = `redis://127.0.0.1:${await tcpBridge(server.socket)}`;
    await cliJson(['keys', 'create', '--api-key', KEY], { store });
    await cliJson(['keys', 'create', '--api-key', KEY, '--name', 'other'], { store: `${store}/0?prefix=other:` });
    expect(await redis('EXISTS', `{rpc-guard}:key:${KEY}`)).toBe(1);
    expect(await redis('EXISTS', `other:key:${KEY}`)).toBe(1);
    expect((await cliJson<KeyPage>(['keys', 'list'], { store })).keys).toMatchObject([{ apiKey: KEY, name: '' }]);
    expect((await cliJson<{ key: KeyView }>(['keys', 'disable', KEY], { store })).key.enabled).toBe(false);
  });

  test('tells how much of a key’s limits is used', async () => {
    const client = createClient({ socket: { path: server.socket, tls: false } });
    await client.connect();
    endAfterTest(() => client.destroy());
    const store = `redis://127.0.0.1:${await tcpBridge(server.socket)}`;
    await expectUseShown(store, new RedisStore({ client }));
  });

  test('is opened with a password, and a wrong one is not printed', async () => {
    await redis('ACL', 'SETUSER', 'manager', 'on', '>topsecret', 'allkeys', 'allchannels', 'allcommands');
    const port = await tcpBridge(server.socket);
    const right = `redis://manager:topsecret@127.0.0.1:${port}/0?prefix=locked:`;
    await cliJson(['keys', 'create', '--api-key', KEY], { store: right });
    const { stderr, ...wrong } = await cli(['keys', 'list'], { store: right.replace('topsecret', 'notsecret') });
    expect(wrong).toMatchObject(OFF);
    expect(stderr).toMatch(/^rpc-guard: redis:\/\/127\.0\.0\.1:\d+\/0 cannot be used: .*WRONGPASS/);
    expect(stderr).not.toContain('notsecret');
  });

  test('two commands at once lose nothing', async () => {
    const store = `redis://127.0.0.1:${await tcpBridge(server.socket)}/0?prefix=busy:`;
    await expectNothingLost(store);
  });

  test('is used through ioredis where redis is not installed; without either, the message has the line to install one', async () => {
    const store = `redis://127.0.0.1:${await tcpBridge(server.socket)}/0?prefix=io:`;
    const { script, modules } = installedAlone();
    const neither = await cli(['keys', 'list'], { store, script, cwd: dirname(modules) });
    expect(neither).toMatchObject(OFF);
    expect(neither.stderr).toMatch(/needs a client: npm install redis\n$/);

    symlinkSync(join(ROOT, 'node_modules/ioredis'), join(modules, 'ioredis'));
    const options = { store, script, cwd: dirname(modules) };
    await cliJson(['keys', 'create', '--api-key', KEY], options);
    expect((await cliJson<KeyPage>(['keys', 'list'], options)).keys).toMatchObject([{ apiKey: KEY }]);
    const gone = await cli(['keys', 'list'], { ...options, store: 'redis://user:topsecret@127.0.0.1:1' });
    expect(gone).toMatchObject(OFF);
    expect(gone.stderr).toMatch(/cannot be used: connect ECONNREFUSED/);
  });
});

describePostgres('PostgreSQL', () => {
  const server = postgresServer();
  const { host } = server.connection;
  const store = `postgres://postgres@/postgres?host=${encodeURIComponent(host)}`;
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  test('keeps keys in its table, or in that of ?schema= and ?table=', async () => {
    await cliJson(['keys', 'create', '--api-key', KEY], { store });
    await cliJson(['keys', 'create', '--api-key', KEY, '--name', 'other'], { store: `${store}&schema=ops&table=keys` });
    const pool = new Pool(server.connection);
    const { rows } = await pool.query('SELECT api_key FROM rpc_guard_keys UNION ALL SELECT api_key FROM ops.keys');
    await pool.end();
    expect(rows).toEqual([{ api_key: KEY }, { api_key: KEY }]);
    expect((await cliJson<KeyPage>(['keys', 'list'], { store })).keys).toMatchObject([{ apiKey: KEY, name: '' }]);
    expect(await cliJson(['keys', 'delete', KEY, '--yes'], { store })).toEqual({ deleted: KEY });
  });

  test('tells how much of a key’s limits is used', async () => {
    const pool = new Pool(server.connection);
    endAfterTest(() => pool.end());
    await expectUseShown(store, new PostgresStore({ pool }));
  });

  test('a table name that is not plain is refused with 2', async () => {
    const { code, stderr } = await cli(['keys', 'list'], { store: `${store}&table=a-b` });
    expect([code, stderr]).toEqual([2, expect.stringContaining('table: got "a-b"; it takes a plain name')]);
  });

  test('two commands at once lose nothing', async () => {
    await expectNothingLost(`${store}&table=busy`);
  });

  test('what the server says of a failure is printed', async () => {
    const { stderr, ...run } = await cli(['keys', 'list'], { store: store.replace('/postgres?', '/nowhere?') });
    expect(run).toMatchObject(OFF);
    expect(stderr).toMatch(/cannot be used: database "nowhere" does not exist/);
  });

  test('without pg, the message has the line to install it', async () => {
    const { script, modules } = installedAlone();
    const { stderr, ...run } = await cli(['keys', 'list'], { store, script, cwd: dirname(modules) });
    expect(run).toMatchObject(OFF);
    expect(stderr).toMatch(/needs a client: npm install pg\n$/);
  });
});

test('two commands at once on one file lose nothing', async () => {
  await expectNothingLost(newFile());
});

/** Commands that change one key, all at once. */
async function expectNothingLost(store: string): Promise<void> {
  await cliJson(['keys', 'create', '--api-key', KEY], { store });
  const entries = ['eth_a', 'eth_b'];
  const apart = { store, apart: true };
  const [first, second] = await Promise.all([
    cliJson<MadeSecret>(['secrets', 'add', KEY], apart),
    cliJson<MadeSecret>(['secrets', 'add', KEY], apart),
    ...entries.map((entry) => cliJson(['allow', 'add', KEY, 'methods', entry], apart)),
  ]);
  const { key } = await cliJson<{ key: KeyView }>(['keys', 'show', KEY], { store });
  expect([...key.allowlists.methods].sort()).toEqual(entries);
  expect(key.secrets.map(({ id }) => id).sort()).toEqual([first, second].map((made) => made.secretId).sort());
  expect(key.version).toBe(5);
}

/** rpc-guard in a project of its own, beside what it depends on and nothing else. */
function installedAlone(): { readonly script: string; readonly modules: string } {
  const modules = join(temporary(), 'node_modules');
  const home = join(modules, 'rpc-guard');
  const manifest = readFileSync(join(ROOT, 'package.json'), 'utf8');
  cpSync(dirname(dirname(CLI)), join(home, 'dist'), { recursive: true });
  writeFileSync(join(home, 'package.json'), manifest);
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  return { script: join(home, 'dist/cli/index.js'), modules };
}
