import { KeyManager, MemoryStore, hashSecret } from '../../lib';
import type { KeySettingsInput, RpcGuardOptions } from '../../lib';
import { dryRun } from '../../lib/explain/dry-run';
import type { DryRun } from '../../lib/explain/dry-run';
import { parseRequestOptions } from '../../lib/options/request-options';
import { call, guardedApp, post } from '../support/guarded-app';
import { KEY, basicHeader } from '../support/pieces';
import { until } from '../support/until';

const SECRET = 'a-secret-brought-along-from-elsewhere';
const TODAY = new Date().toISOString().slice(0, 10);

interface Told {
  readonly credits: number;
  readonly level?: number;
  readonly secretId?: string;
}

/** A store with a key, of which another process has told what is spent. */
async function storeWith(settings: Omit<KeySettingsInput, 'apiKey'>, ...told: Told[]): Promise<MemoryStore> {
  const store = new MemoryStore([{ apiKey: KEY, ...settings }]);
  const at = Date.now() + 60_000; // so that nothing is gained since
  const rows = told.map((row) => ({ apiKey: KEY, day: TODAY, instance: 'a1', at, ...row }));
  await store.limits.exchange(rows);
  return store;
}

interface Asked {
  readonly store: MemoryStore;
  readonly body?: unknown;
  readonly secret?: string;
  readonly options?: Pick<RpcGuardOptions, 'credits' | 'limitWaitMs'>;
}

async function ask({ store, body = call('eth_call'), secret, options = {} }: Asked): Promise<DryRun> {
  const headers = secret === undefined ? [] : [['Authorization', basicHeader(secret)] as const];
  const request = { apiKey: KEY, headers, body: JSON.stringify(body) };
  const rules = parseRequestOptions('check', { limitWaitMs: 0, ...options });
  return dryRun(request, await store.get(KEY), rules, store.limits);
}

const SLOW = { perSecond: 1, burst: 100, perDay: 20_000 };

test('shows the room that the processes have reported, and charges nothing', async () => {
  const store = await storeWith({ limits: SLOW }, { credits: 196, level: 57 });
  const why = 'has room: 57 of 100, 19,804 of 20,000 today';
  for (const run of [await ask({ store }), await ask({ store })]) {
    expect(run).toMatchObject({ allowed: true, limits: { step: 'limits', outcome: 'pass', entry: null, why } });
  }
  expect((await new KeyManager(store).limits(KEY)).day?.used).toBe(196);
});

test('refuses what the guard refuses, in its words, when the guard itself has spent the burst', async () => {
  const limits = { perSecond: 1, burst: 600 };
  const store = await storeWith({ limits, allowlists: { methods: ['eth_call'] } });
  const { rpcUrl, upstream } = await guardedApp({ store, options: { limitWaitMs: 0 } });
  await post(
    rpcUrl,
    Array.from({ length: 590 }, () => call('eth_call')),
  );
  const manager = new KeyManager(store);
  await until(async () => Number((await manager.limits(KEY)).second?.level) < 100);
  upstream.seen.length = 0;
  const body = [
    ...Array.from({ length: 99 }, (_, id) => call('eth_call', [], id)),
    call('eth_sign', [], 'listed'),
    call('eth_chainId', [], 'unlisted'),
  ];
  const run = await ask({ store, body });
  expect(run).toMatchObject({ allowed: false, status: 429, reason: 'RATE_LIMITED', forwarded: null });
  expect(run.limits).toMatchObject({ outcome: 'refuse', reason: 'RATE_LIMITED', entry: 'limits.perSecond' });
  expect(run.limits?.why).toMatch(/^costs 99; has no room: 1\d of 600$/);
  const answer = await post(rpcUrl, body);
  const answered = answer.json as readonly { readonly error: { readonly data: { readonly reason: string } } }[];
  expect(answer.status).toBe(run.status);
  expect(answered.map(({ error }) => error.data.reason)).toEqual(run.calls.map(({ reason }) => reason));
  expect(upstream.seen).toEqual([]);
});

test('refuses a body that costs more than is left of the day, by the prices of calls', async () => {
  const store = await storeWith({ limits: SLOW }, { credits: 19_990, level: 100 });
  const options = { credits: { 'eth_get*': 11, eth_chainId: 0 } };
  const refused = await ask({ store, body: call('eth_getLogs'), options });
  const why = 'costs 11; has no room: 100 of 100, 10 of 20,000 today';
  expect(refused).toMatchObject({
    status: 402,
    reason: 'DAILY_LIMIT_REACHED',
    limits: { entry: 'limits.perDay', why },
  });
  expect((await ask({ store, options })).allowed).toBe(true);
  const free = await ask({ store, body: call('eth_chainId'), options });
  expect(free).toMatchObject({ allowed: true, limits: { outcome: 'skip', why: 'it costs nothing' } });
});

test('says how long a charge would wait for room', async () => {
  const store = await storeWith({ limits: { perSecond: 5, burst: 10 } }, { credits: 12, level: -1 });
  const waits = await ask({ store, options: { limitWaitMs: 1000 } });
  expect(waits.allowed).toBe(true);
  expect(waits.limits?.why).toBe('has room in 400 ms: 0 of 10');
  expect((await ask({ store, options: { limitWaitMs: 50 } })).reason).toBe('RATE_LIMITED');
});

test('shows the tighter of key and secret, and the secret’s spending by itself', async () => {
  const secrets = [{ id: 's1', hash: hashSecret(SECRET), hint: 'a-', limits: { perDay: 300 } }];
  const store = await storeWith(
    { limits: SLOW, secrets },
    { credits: 500, level: 90 },
    { credits: 299, secretId: 's1' },
  );
  expect((await ask({ store })).limits?.why).toBe('has room: 90 of 100, 19,500 of 20,000 today');
  expect((await ask({ store, secret: SECRET })).limits?.why).toBe('has room: 90 of 100, 1 of 300 today');
  const two = await ask({ store, secret: SECRET, body: [call('eth_call'), call('eth_call', [], 2)] });
  expect(two.reason).toBe('DAILY_LIMIT_REACHED');
});

test('says of a store that does not count that only the limits are known', async () => {
  const store = Object.assign(await storeWith({ limits: SLOW }), { limits: undefined as never });
  const why = 'has room: 100 of 100, 20,000 of 20,000 today, if nothing is spent: the store does not tell';
  expect((await ask({ store })).limits?.why).toBe(why);
  const byAddress = await storeWith({ limits: { perAddress: { perSecond: 1 } } });
  expect((await ask({ store: byAddress })).limits?.why).toMatch(/^has room: by address alone/);
});

test('is skipped without limits, and for calls that are refused for another reason', async () => {
  expect((await ask({ store: await storeWith({}) })).limits).toMatchObject({ outcome: 'skip', why: 'no limits' });
  const store = await storeWith({ limits: SLOW }, { credits: 20_000, level: 0 });
  expect(await ask({ store, body: call('admin_peers') })).toMatchObject({ reason: 'METHOD_BLOCKED', limits: null });
});
