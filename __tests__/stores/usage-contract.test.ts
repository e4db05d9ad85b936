import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, appendFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore, hashSecret } from '../../lib';
import type { WritableSettingsStore } from '../../lib';
import { basicAuthAdmin, hashPassword } from '../../lib/admin';
import { usageContract } from '../../lib/stores/store-contract';
import { UsageRows } from '../../lib/stores/usage-rows';
import type { UsageRow } from '../../lib/stores/usage-store';
import { adminApp } from '../support/admin-app';
import { endAfterTest } from '../support/cleanup';
import { describeEachStore } from '../support/each-store';
import { basic, call, post } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import type { GuardedSockets } from '../support/guarded-sockets';
import { KEY, basicHeader } from '../support/pieces';
import { until } from '../support/until';

const WALL_AT = Date.parse('2027-01-31T12:00:00Z');

/** A process that counts; each of its actions is done when the promise resolves. Ended after the test. */
async function countingProcess(where: object) {
  const argument = JSON.stringify({ ...where, apiKey: KEY, wallAt: WALL_AT });
  const child = fork(join(__dirname, '../support/counting-instance.cjs'), [argument], { execArgv: [] });
  const exited = once(child, 'exit');
  endAfterTest(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const ended = exited.then(([code, signal]) => Promise.reject(new Error(`ended with ${String(code ?? signal)}`)));
  ended.catch(() => undefined);
  await Promise.race([once(child, 'message'), ended]);
  return {
    async act(action: 'count' | 'pass' | 'close', times?: number): Promise<void> {
      const done = once(child, 'message');
      child.send([action, times]);
      await Promise.race([done, ended]);
    },
    async die(turns: number): Promise<void> {
      child.send(['die', turns]);
      await exited;
    },
  };
}

/** What nobody may find in what is stored of their requests. */
const PRIVATE = {
  wrongSecret: 'a-wrong-secret-that-was-sent',
  wrongAuthorization: basicHeader('a-wrong-secret-that-was-sent').slice('Basic '.length),
  param: 'deadbeefcafe4711',
  from: '12'.repeat(20),
  userAgent: 'build-4712',
  address: '203.0.113.',
  localAddress: '127.0.0.1',
  path: 'token-in-the-path',
  origin: 'user:password@',
  madeUpKey: 'a-key-that-was-made-up',
  madeUpMethod: 'a_method_that_was_made_up',
  brokenBody: 'what-stands-in-a-broken-body',
  password: 'a-password-that-was-mistyped',
  wrongPassword: Buffer.from('ann:a-password-that-was-mistyped').toString('base64'),
  wrongName: 'a-name-that-nobody-has',
};

/** As operators do: makes secrets, replaces one, mistypes a password. @returns the secrets. */
async function workOn(store: WritableSettingsStore): Promise<readonly string[]> {
  const right = 'correct horse battery';
  const hash = await hashPassword(right);
  const authorize = basicAuthAdmin({ users: { ann: hash, bob: { hash, role: 'viewer' } } });
  const app = await adminApp({ options: { store, authorize } });
  const as = (name: string, password: string) => ({
    Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
    'X-Forwarded-For': `${PRIVATE.address}8`,
    'User-Agent': PRIVATE.userAgent,
  });
  const ann = as('ann', right);
  const lists = { allowlists: { methods: ['eth_call'], userAgents: ['ethers'] }, reportOnly: ['userAgents'] };
  const first = await app.api('POST', 'keys', { apiKey: KEY, ...lists, secret: {} }, ann);
  const second = await app.api('POST', `keys/${KEY}/secrets/${first.json.secretId}/rotate`, { graceMs: 0 }, ann);
  const third = await app.api('POST', `keys/${KEY}/secrets`, { label: 'server' }, ann);
  await app.api('DELETE', `keys/${KEY}/secrets/${third.json.secretId}`, undefined, ann);
  await app.api('GET', 'keys', undefined, as('ann', PRIVATE.password));
  await app.api('GET', 'keys', undefined, as(PRIVATE.wrongName, PRIVATE.password));
  await app.api('POST', 'keys', { name: PRIVATE.param }, as('bob', right));
  const actions = async () => (await store.audit!.list({ limit: 9 })).map(({ action }) => action);
  await until(async () => (await actions()).filter((it) => it === 'admin.login-failed').length === 2);
  return [first, third, second].map(({ json }) => json.secret);
}

/** Requests of every kind that hold all of it. */
async function sendPrivateRequests(app: GuardedSockets, secret: string): Promise<void> {
  const { url, rpcUrl } = app;
  const { wrongSecret, param, from, userAgent, address, path, origin, madeUpKey } = PRIVATE;
  const headers = {
    'User-Agent': `ethers/6.1 (${userAgent})`,
    'X-Forwarded-For': `${address}9`,
    Origin: `https://${origin}a`,
  };
  const to = `0x${'ab'.repeat(20)}`;
  const params = [{ from: `0x${from}`, to, data: `0x${param}` }, 'latest'];
  const calls = ['eth_call', 'eth_estimateGas', PRIVATE.madeUpMethod, 'eth_call'].map((method, id) => ({
    ...call(method, id === 3 ? [param] : params),
    id,
  }));
  for (const one of calls) await post(`${rpcUrl}?${path}=1`, one, { ...headers, ...basic(secret) });
  await post(rpcUrl, calls, { ...headers, ...basic(secret) });
  await post(rpcUrl, calls[0], { ...headers, ...basic(wrongSecret) });
  await post(`${rpcUrl}/${path}`, calls[0], headers);
  await post(`${url}/v3/${madeUpKey}`, calls, headers);
  await post(rpcUrl, `{"jsonrpc":"2.0","${PRIVATE.brokenBody}`, headers);
  const peer = await app.open({ headers: { ...headers, ...basic(secret) } });
  for (const message of [...calls, calls]) peer.socket.send(JSON.stringify(message));
  peer.socket.send(PRIVATE.brokenBody);
  await until(() => peer.messages.some((text) => text.includes('-32700')));
}

describeEachStore((fresh, isShared) => {
  const testShared = isShared ? test : () => undefined;

  testShared('of two processes one that is killed loses 10 s at most, and nothing counts twice', async () => {
    const shelf = fresh();
    const [killed, other] = await Promise.all([countingProcess(shelf.where!), countingProcess(shelf.where!)]);
    const { usage } = await shelf.open();
    const calls = async (kind: UsageRow['kind']) => {
      const rows = await usage!.read({ from: '2027-01-31T12:00:00Z', to: '2027-01-31T13:00:00Z', kinds: [kind] });
      return rows.reduce((sum, row) => sum + row.calls, 0);
    };
    await Promise.all([killed.act('count', 100), other.act('count', 1000)]);
    await Promise.all([killed.act('pass', 10_000), other.act('pass', 10_000)]);
    expect(await calls('total')).toBe(1100);
    await killed.act('count', 30);
    await killed.act('pass', 9_999);
    expect(await calls('total')).toBe(1100);
    await killed.die(2);
    const left = await calls('total');
    expect([1100, 1130]).toContain(left);
    for (const kind of ['method', 'wire', 'origin', 'userAgent'] as const) expect(await calls(kind)).toBe(left);
    await other.act('count', 5);
    await other.act('close');
    expect(await calls('total')).toBe(left + 5);
  });

  test('nothing is stored of secrets, params, senders, callers, whole user agents and paths', async () => {
    const shelf = fresh();
    const store = await shelf.open();
    await store.init?.();
    const secrets = await workOn(store);
    const app = await guardedSockets({ store, options: { trustProxy: true } });
    await sendPrivateRequests(app, secrets.at(-1)!);
    await app.guard.close({ graceMs: 0 });
    const stored = [...(await shelf.dump())].filter(([name]) => !shelf.isSettings(name)).join('\n');
    for (const told of ['ethers', 'METHOD_NOT_ALLOWED', 'SECRET_INVALID', 'KEY_UNKNOWN', 'PARSE_ERROR', 'webSocket']) {
      expect(stored).toContain(told);
    }
    for (const told of ['key.create', 'secret.rotate', 'secret.revoke', 'admin.denied', 'admin.login-failed']) {
      expect(stored).toContain(told);
    }
    const forms = (secret: string) => [secret, hashSecret(secret), basicHeader(secret).slice('Basic '.length)];
    const texts = [...Object.values(PRIVATE), ...secrets.flatMap(forms)];
    expect(texts.filter((text) => stored.includes(text))).toEqual([]);
  });

  usageContract(test, async () => {
    const shelf = fresh();
    const [writer, reader] = [await shelf.open(), await shelf.open()];
    let rolls = 0;
    // Written over one connection and read over another, as by two processes; days are made by both in turn.
    return {
      usage: {
        write: (rows, sequence) => (rows[0]?.instance === 'b' ? reader : writer).usage!.write(rows, sequence),
        read: (query) => reader.usage!.read(query),
        roll: (before) => (rolls++ % 2 === 0 ? writer : reader).usage!.roll(before),
      },
    };
  });
});

describe('over a store of somebody else:', () => {
  usageContract(test, () => {
    const rows = new UsageRows();
    const usage = {
      write: (it: readonly UsageRow[], sequence?: number) =>
        rows.write(JSON.parse(JSON.stringify(it)) as UsageRow[], sequence),
      read: rows.read.bind(rows),
      roll: rows.roll.bind(rows),
    };
    return Promise.resolve({ usage });
  });
});

describe('a file store', () => {
  const ALL = { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' };
  const ROW: UsageRow = {
    apiKey: 'first-key',
    hour: '2027-01-31T12:00:00Z',
    instance: 'before',
    kind: 'wire',
    name: 'http',
    outcome: 'allowed',
    calls: 1,
    credits: 1,
    bytesIn: 0,
    bytesOut: 0,
    upstreamErrors: 0,
    lastAt: 1,
  };

  function open(): { readonly path: string; readonly store: FileStore } {
    const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
    endAfterTest(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'keys.json');
    const store = new FileStore(path);
    endAfterTest(() => store.close());
    return { path, store };
  }

  test('keeps usage in files that only their owner reads, and makes none when it is only read', async () => {
    const { path, store } = open();
    expect(await store.usage.read(ALL)).toEqual([]);
    await store.usage.roll('2027-02-08T00:00:00Z');
    expect(() => readdirSync(`${path}.usage`)).toThrow('ENOENT');
    await store.usage.write([ROW]);
    expect(readdirSync(`${path}.usage`)).toEqual(['2027-01-31-before.jsonl']);
    expect(statSync(`${path}.usage`).mode & 0o777).toBe(0o700);
    expect(statSync(join(`${path}.usage`, '2027-01-31-before.jsonl')).mode & 0o777).toBe(0o600);
  });

  test('skips a line that is not whole', async () => {
    const { path, store } = open();
    await store.usage.write([ROW]);
    appendFileSync(join(`${path}.usage`, '2027-01-31-before.jsonl'), '{"apiKey":"first-key","ho');
    expect(await store.usage.read(ALL)).toEqual([ROW]);
  });

  test('does not let its files grow by rows that are written again and again', async () => {
    const { path, store } = open();
    const rows = Array.from({ length: 100 }, (_, n) => ({ ...ROW, name: `name-${String(n)}` }));
    for (let calls = 1; calls <= 200; calls++) await store.usage.write(rows.map((row) => ({ ...row, calls })));
    const { size } = statSync(join(`${path}.usage`, '2027-01-31-before.jsonl'));
    expect(size).toBeLessThan(5500 * 250);
    expect((await store.usage.read(ALL)).every(({ calls }) => calls === 200)).toBe(true);
  });

  test('counts hours once that a killed process left beside their day', async () => {
    const { path, store } = open();
    await store.usage.write([ROW]);
    await store.usage.roll('2027-02-01T00:00:00Z');
    writeFileSync(join(`${path}.usage`, '2027-01-31-before.jsonl'), `${JSON.stringify(ROW)}\n`);
    expect(await store.usage.read(ALL)).toMatchObject([{ calls: 1, instance: '(day)' }]);
    await store.usage.roll('2027-02-01T00:00:00Z');
    expect(await store.usage.read(ALL)).toMatchObject([{ calls: 1, instance: '(day)' }]);
    expect(readdirSync(`${path}.usage`)).toEqual(['2027-01-31.jsonl']);
  });
});
