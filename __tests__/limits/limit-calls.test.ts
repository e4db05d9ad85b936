import { MemoryStore, hashSecret } from '../../lib';
import type { KeySettingsInput, RequestEvent } from '../../lib';
import { basic, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp, GuardedAppOptions } from '../support/guarded-app';
import { UpstreamQueue } from '../../lib/upstream/upstream-queue';
import { stopLimitsClock } from '../support/fake-clock';
import { KEY, recordingLogger } from '../support/pieces';
import { post } from '../support/reply';
import { parseList } from '../support/structured-fields';
import { until } from '../support/until';
import { exchange, openWire, requestBytes } from '../support/wire';

const SECRET = 'a-secret-brought-along-from-elsewhere';
const CALL = call('eth_blockNumber');
const RATE_LIMITED = {
  code: -32005,
  message: 'project ID request rate exceeded',
  data: {
    reason: 'RATE_LIMITED',
    requestId: expect.any(String) as unknown,
    retryAfterMs: 200,
    rate: { backoff_seconds: 1 },
  },
};

function limited(
  limits: KeySettingsInput['limits'],
  more: Omit<KeySettingsInput, 'apiKey'> = {},
  options: GuardedAppOptions['options'] = {},
): Promise<GuardedApp> {
  return guardedApp({ keys: [{ apiKey: KEY, limits, ...more }], options: { limitWaitMs: 0, ...options } });
}

function calls(count: number, method = 'eth_blockNumber'): object[] {
  return Array.from({ length: count }, (_, n) => call(method, [], n));
}

beforeEach(() => {
  stopLimitsClock();
});

describe('what is charged and then not sent costs nothing:', () => {
  const LIMITS = { perSecond: 5, burst: 2, perDay: 2 };

  test('calls that find no room in front of the upstream', async () => {
    const { rpcUrl, upstream } = await limited(LIMITS);
    const enter = jest.spyOn(UpstreamQueue.prototype, 'enter').mockReturnValue(false);
    for (let turn = 0; turn < 3; turn++) {
      const { status, headers } = await post(rpcUrl, calls(2));
      expect([status, headers.get('ratelimit')]).toEqual([503, '"second";r=2;t=0, "day";r=2;t=43200']);
    }
    enter.mockRestore();
    expect(upstream.seen).toHaveLength(0);
    expect((await post(rpcUrl, calls(2))).status).toBe(200);
    expect((await post(rpcUrl, CALL)).status).toBe(402);
  });

  test.each([
    [1, '"second";r=2;t=0, "day";r=5;t=43200'],
    [3, '"second";r=0;t=1, "day";r=2;t=43200'],
  ])('those whose caller leaves while they wait there, unless they are above a burst: %i of 2', async (count, left) => {
    const events: RequestEvent[] = [];
    const onRequest = (event: RequestEvent) => events.push(event);
    const { rpcUrl, port, upstream } = await limited({ perSecond: 5, burst: 2, perDay: 5 }, {}, { onRequest });
    let settle: (isIn: boolean) => void = () => undefined;
    const entered = new Promise<boolean>((resolve) => (settle = resolve));
    const enter = jest.spyOn(UpstreamQueue.prototype, 'enter').mockReturnValueOnce(entered);
    const drop = jest.spyOn(UpstreamQueue.prototype, 'drop').mockImplementationOnce(() => settle(false));
    const wire = await openWire(port);
    wire.write(requestBytes({ target: `/v3/${KEY}`, body: calls(count) }));
    while (enter.mock.calls.length === 0) await new Promise(setImmediate);
    wire.socket.destroy();
    while (drop.mock.calls.length === 0) await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect((await post(rpcUrl, '{')).headers.get('ratelimit')).toBe(left);
    expect(upstream.seen).toHaveLength(0);
    expect(events[0]).toMatchObject({ aborted: true, outcome: 'allowed', reason: undefined });
    enter.mockRestore();
    drop.mockRestore();
  });

  test('those whose method has gone from the list while they waited there', async () => {
    const store = new MemoryStore([{ apiKey: KEY, limits: LIMITS }]);
    const { rpcUrl, upstream } = await guardedApp({ store });
    const enter = jest.spyOn(UpstreamQueue.prototype, 'enter').mockImplementationOnce(async () => {
      await store.set({ apiKey: KEY, limits: LIMITS, allowlists: { methods: ['eth_chainId'] } });
      return true;
    });
    expect((await post(rpcUrl, [CALL, call('eth_chainId', [], 2)])).json).toMatchObject([{ error: {} }, { id: 2 }]);
    enter.mockRestore();
    expect(upstream.seen).toHaveLength(1);
    expect((await post(rpcUrl, call('eth_chainId'))).status).toBe(200);
    expect((await post(rpcUrl, call('eth_chainId'))).status).toBe(402);
  });
});

describe('over the limit by the second', () => {
  test('a call is refused as clients understand it, and nothing reaches the upstream', async () => {
    const { rpcUrl, upstream } = await limited({ perSecond: 5, burst: 2 });
    expect((await post(rpcUrl, calls(2))).status).toBe(200);
    const { status, headers, json } = await post(rpcUrl, CALL);
    expect(status).toBe(429);
    expect(json).toEqual({ jsonrpc: '2.0', id: 1, error: RATE_LIMITED });
    expect(headers.get('retry-after')).toBe('01');
    expect(headers.get('ratelimit')).toBe('"second";r=0;t=1');
    expect(upstream.seen).toHaveLength(1);
  });

  test('the calls of a batch share its fate, and those refused otherwise keep their reason', async () => {
    const { rpcUrl, upstream } = await limited({ perSecond: 5, burst: 2 });
    await post(rpcUrl, calls(2));
    const notification = { jsonrpc: '2.0', method: 'eth_chainId' };
    const { status, headers, text } = await post(rpcUrl, [CALL, call('admin_peers', [], 2), notification, 7]);
    const [first, ...others] = JSON.parse(text) as { id: unknown; error: object }[];
    expect(status).toBe(429);
    expect(first).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { ...RATE_LIMITED, data: { ...RATE_LIMITED.data, retryAfterMs: 400 } },
    });
    expect(others).toMatchObject([
      { id: 2, error: { data: { reason: 'METHOD_BLOCKED' } } },
      { id: null, error: { data: { reason: 'INVALID_REQUEST' } } },
    ]);
    expect(headers.get('retry-after')).toBe('01');
    expect(upstream.seen).toHaveLength(1);
  });

  test.each([
    ['a notification', { jsonrpc: '2.0', method: 'eth_chainId' }],
    ['a batch of notifications', [{ jsonrpc: '2.0', method: 'eth_chainId' }]],
  ])('%s is refused with a null id', async (_name, body) => {
    const { rpcUrl } = await limited({ perSecond: 5, burst: 1 });
    await post(rpcUrl, CALL);
    const { status, json } = await post(rpcUrl, body);
    expect(status).toBe(429);
    expect(json).toEqual({ jsonrpc: '2.0', id: null, error: RATE_LIMITED });
  });

  test('a call waits for room within limitWaitMs', async () => {
    const clock = stopLimitsClock();
    const { rpcUrl, upstream } = await limited({ perSecond: 5, burst: 1 }, {}, { limitWaitMs: 1000 });
    await post(rpcUrl, CALL);
    const answers = [post(rpcUrl, CALL), post(rpcUrl, CALL)];
    let done = 0;
    for (const answer of answers) void answer.then(() => done++);
    while (done < 2) {
      await new Promise((resolve) => setImmediate(resolve));
      await clock.pass(10);
    }
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
    expect(upstream.seen).toHaveLength(3);
  });

  test('a caller that leaves while it waits gets its credits back', async () => {
    const events: RequestEvent[] = [];
    const logger = recordingLogger();
    const options = { limitWaitMs: 5000, logger, onRequest: (event: RequestEvent) => events.push(event) };
    const { rpcUrl, port, upstream } = await limited({ perSecond: 1, burst: 1, perDay: 3 }, {}, options);
    await post(rpcUrl, CALL);
    const wire = await openWire(port);
    wire.write(requestBytes({ target: `/v3/${KEY}`, body: CALL }));
    const left = async () => Number(/"day";r=(\d)/.exec((await post(rpcUrl, '{')).headers.get('ratelimit') ?? '')?.[1]);
    while ((await left()) !== 1) await new Promise(setImmediate);
    wire.socket.destroy();
    while ((await left()) !== 2) await new Promise(setImmediate);
    expect(upstream.seen).toHaveLength(1);
    // No limit has refused it: it has left.
    await until(() => events.some(({ aborted }) => aborted));
    expect(events.find(({ aborted }) => aborted)).toMatchObject({ outcome: 'allowed', reason: undefined, credits: 0 });
    expect(logger.lines.filter(({ text }) => text.includes('RATE_LIMITED'))).toEqual([]);
  });

  test('a key that is deleted while its call waits is not served', async () => {
    const clock = stopLimitsClock();
    const store = new MemoryStore([{ apiKey: KEY, limits: { perSecond: 5, burst: 1, perDay: 9 } }]);
    const { rpcUrl, upstream } = await guardedApp({ store, options: { limitWaitMs: 1000 } });
    await post(rpcUrl, CALL);
    let answer: Awaited<ReturnType<typeof post>> | undefined;
    void post(rpcUrl, CALL).then((it) => (answer = it));
    const isWaiting = async () => ((await post(rpcUrl, '{')).headers.get('ratelimit') ?? '').includes('"day";r=7');
    while (!(await isWaiting())) await new Promise(setImmediate);
    await store.delete(KEY);
    while (answer === undefined) {
      await new Promise(setImmediate);
      await clock.pass(10);
    }
    expect([answer.status, answer.json.error.data.reason]).toEqual([401, 'KEY_UNKNOWN']);
    expect(upstream.seen).toHaveLength(1);
  });

  test.each<[string, Partial<KeySettingsInput>, number, string, number]>([
    ['secret is rotated', { secrets: [{ hash: hashSecret(`${SECRET}-new`) }] }, 401, 'SECRET_INVALID', 8],
    ['secret is deleted', { secrets: [] }, 401, 'SECRET_INVALID', 8],
    ['key is switched off', { enabled: false }, 403, 'KEY_DISABLED', 8],
    ['limits are taken away', { limits: undefined }, 200, '"result"', 7],
    ['limits are tightened', { limits: { perSecond: 1, burst: 1, perDay: 9 } }, 200, '"result"', 7],
  ])('a call whose %s while it waits ends by what holds then', async (_what, change, status, told, left) => {
    const clock = stopLimitsClock();
    const settings = {
      apiKey: KEY,
      limits: { perSecond: 5, burst: 1, perDay: 9 },
      secrets: [{ hash: hashSecret(SECRET) }],
    };
    const store = new MemoryStore([settings]);
    const { rpcUrl, upstream } = await guardedApp({ store, options: { limitWaitMs: 1000 } });
    const leftToday = async () =>
      Number(/"day";r=(\d)/.exec((await post(rpcUrl, '{', basic(SECRET))).headers.get('ratelimit') ?? '')?.[1]);
    await post(rpcUrl, CALL, basic(SECRET));
    let answer: Awaited<ReturnType<typeof post>> | undefined;
    void post(rpcUrl, CALL, basic(SECRET)).then((it) => (answer = it));
    while ((await leftToday()) !== 7) await new Promise(setImmediate);
    await store.set({ ...settings, ...change });
    while (answer === undefined) {
      await new Promise(setImmediate);
      await clock.pass(10);
    }
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(told)]);
    expect(upstream.seen).toHaveLength(status === 200 ? 2 : 1);
    await store.set(settings);
    expect(await leftToday()).toBe(left);
  });

  test('calls that wait when the guard closes are answered, and then it is closed', async () => {
    const clock = stopLimitsClock();
    const { guard, rpcUrl, upstream } = await limited({ perSecond: 5, burst: 1, perDay: 9 }, {}, { limitWaitMs: 1000 });
    await post(rpcUrl, CALL);
    const answers = [post(rpcUrl, CALL), post(rpcUrl, CALL)];
    const isWaiting = async () => ((await post(rpcUrl, '{')).headers.get('ratelimit') ?? '').includes('"day";r=6');
    while (!(await isWaiting())) await new Promise(setImmediate);
    let closed = 0;
    void guard.close().then(() => closed++);
    while (closed === 0) {
      await new Promise(setImmediate);
      await clock.pass(10);
    }
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
    expect(upstream.seen).toHaveLength(3);
  });

  test('calls that wait still when a closing guard takes no longer are cut, and sent to nobody', async () => {
    const { guard, rpcUrl, upstream } = await limited({ perSecond: 1, burst: 1, perDay: 9 }, {}, { limitWaitMs: 5000 });
    await post(rpcUrl, CALL);
    const answer = post(rpcUrl, CALL).then(
      () => 'answered',
      () => 'cut',
    );
    const isWaiting = async () => ((await post(rpcUrl, '{')).headers.get('ratelimit') ?? '').includes('"day";r=7');
    while (!(await isWaiting())) await new Promise(setImmediate);
    await guard.close({ graceMs: 0 });
    expect(await answer).toBe('cut');
    expect(upstream.seen).toHaveLength(1);
  });

  test('a body that is refused in part costs what is sent of it, also where it waits', async () => {
    const clock = stopLimitsClock();
    const lists = { allowlists: { methods: ['eth_blockNumber'] } };
    const { rpcUrl, upstream } = await limited({ perSecond: 5, burst: 3, perDay: 9 }, lists, { limitWaitMs: 1000 });
    const body = [...calls(2), call('eth_call', [], 7), { jsonrpc: '2.0', method: 'eth_blockNumber' }, 8];
    expect((await post(rpcUrl, body)).headers.get('ratelimit')).toContain('"day";r=6');
    let answer: Awaited<ReturnType<typeof post>> | undefined;
    void post(rpcUrl, body).then((it) => (answer = it));
    while (answer === undefined) {
      await new Promise(setImmediate);
      await clock.pass(10);
    }
    expect(answer.headers.get('ratelimit')).toContain('"day";r=3');
    expect(answer.json).toMatchObject([{ id: 0 }, { id: 1 }, { id: 7, error: {} }, { id: null, error: {} }]);
    expect(upstream.seen).toHaveLength(2);
  });

  test('a batch above the burst goes when the bucket is full, and holds the key up until it is paid off', async () => {
    const clock = stopLimitsClock();
    const { rpcUrl } = await limited({ perSecond: 5, burst: 2 });
    expect((await post(rpcUrl, calls(7))).status).toBe(200);
    const { headers, json } = await post(rpcUrl, CALL);
    expect(headers.get('retry-after')).toBe('02');
    expect(json.error.data).toMatchObject({ retryAfterMs: 1200 });
    await clock.pass(1200);
    expect((await post(rpcUrl, CALL)).status).toBe(200);
  });

  test('a refused call costs nothing, and neither does a malformed body', async () => {
    const { rpcUrl } = await limited({ perSecond: 5, burst: 3 }, { allowlists: { methods: ['eth_blockNumber'] } });
    for (const body of [call('eth_call'), '{', [], [call('eth_call'), 7], calls(1001)]) await post(rpcUrl, body);
    const { headers } = await post(rpcUrl, [...calls(3), call('eth_call')]);
    expect(headers.get('ratelimit')).toBe('"second";r=0;t=1');
  });

  test('credits say what a call costs: exact before prefix, the longest prefix first, 0 is free', async () => {
    const credits = { 'eth_*': 2, 'eth_get*': 3, eth_getLogs: 10, eth_chainId: 0 };
    const { rpcUrl } = await limited({ perSecond: 1, burst: 30 }, {}, { credits });
    const left = async (method: string) =>
      Number(/r=(\d+)/.exec((await post(rpcUrl, call(method))).headers.get('ratelimit') ?? '')?.[1]);
    expect(await left('eth_call')).toBe(28);
    expect(await left('eth_getBalance')).toBe(25);
    expect(await left('eth_getLogs')).toBe(15);
    expect(await left('net_version')).toBe(14);
    expect((await post(rpcUrl, calls(7, 'eth_call'))).status).toBe(200);
    expect((await post(rpcUrl, CALL)).status).toBe(429);
    expect((await post(rpcUrl, call('eth_chainId'))).status).toBe(200);
  });

  test('a secret’s own limits hold beside the key’s', async () => {
    const secrets = [{ hash: hashSecret(SECRET), limits: { perSecond: 1, burst: 1 } }];
    const { rpcUrl } = await limited({ perSecond: 5, burst: 3 }, { secrets });
    expect((await post(rpcUrl, CALL, basic(SECRET))).headers.get('ratelimit-policy')).toBe('"second";q=1;w=1');
    expect((await post(rpcUrl, CALL, basic(SECRET))).status).toBe(429);
    expect((await post(rpcUrl, calls(2))).status).toBe(200);
    expect((await post(rpcUrl, CALL)).status).toBe(429);
  });

  test('perAddress counts by address, as trustProxy determines it', async () => {
    const { rpcUrl } = await limited({ perAddress: { perSecond: 1, burst: 1 } }, {}, { trustProxy: 1 });
    const from = async (address: string) => (await post(rpcUrl, CALL, { 'X-Forwarded-For': address })).status;
    expect(await from('192.0.2.1')).toBe(200);
    expect(await from('203.0.113.7, 192.0.2.1')).toBe(429);
    expect(await from('::ffff:192.0.2.1')).toBe(429);
    expect(await from('192.0.2.2')).toBe(200);
    expect(await from('2001:db8:1:2::1')).toBe(200);
    expect(await from('2001:db8:1:2::2')).toBe(429);
    expect(await from('nonsense')).toBe(200);
    expect(await from('other nonsense')).toBe(429);
  });

  test('perAddress behind a proxy that is not trusted says so once', async () => {
    const logger = recordingLogger();
    const { rpcUrl } = await limited({ perAddress: { perSecond: 1, burst: 9 } }, {}, { logger });
    await post(rpcUrl, CALL);
    const problems = () => logger.lines.filter(({ level }) => level !== 'info');
    expect(problems()).toEqual([]);
    for (let n = 0; n < 3; n++) await post(rpcUrl, CALL, { 'X-Forwarded-For': `192.0.2.${String(n)}` });
    expect(problems()).toHaveLength(1);
    expect(problems()[0]).toMatchObject({ level: 'error', text: expect.stringContaining('trustProxy') as unknown });
  });

  test('a long body is refused unread when there is no room, unless some calls are free', async () => {
    const { port, rpcUrl } = await limited({ perSecond: 1, burst: 1 });
    const headers = ['Content-Length: 100000', 'Content-Type: application/json'];
    const request = requestBytes({ target: `/v3/${KEY}`, headers });
    await post(rpcUrl, CALL);
    const refused = await exchange(port, request);
    expect(refused.status).toBe(429);
    expect(refused.json).toMatchObject({ id: null, error: { code: -32005 } });
    expect((await post(rpcUrl, call('eth_blockNumber', ['x'.repeat(1000)]))).status).toBe(429);

    const free = await limited({ perSecond: 1, burst: 1 }, {}, { credits: { eth_chainId: 0 } });
    await post(free.rpcUrl, CALL);
    const { status } = await post(free.rpcUrl, call('eth_chainId', ['x'.repeat(100_000)]));
    expect(status).toBe(200);
  });
});

describe('over the limit by the day', () => {
  test('a call is refused with 402 until midnight, and no Retry-After', async () => {
    const clock = stopLimitsClock(Date.parse('2027-01-31T12:00:00Z'));
    const { rpcUrl, upstream } = await limited({ perDay: 2 });
    await post(rpcUrl, calls(2));
    const { status, headers, json } = await post(rpcUrl, CALL);
    expect(status).toBe(402);
    expect(json).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: {
        code: -32005,
        message: 'daily request count exceeded, request rate limited',
        data: {
          reason: 'DAILY_LIMIT_REACHED',
          requestId: expect.any(String) as unknown,
          resetAt: '2027-02-01T00:00:00.000Z',
        },
      },
    });
    expect(headers.get('retry-after')).toBeNull();
    expect(headers.get('ratelimit')).toBe('"day";r=0;t=43200');
    await clock.pass(12 * 60 * 60 * 1000);
    expect((await post(rpcUrl, CALL)).status).toBe(200);
    expect(upstream.seen).toHaveLength(2);
  });
});

describe('RateLimit headers', () => {
  const LIMITS = { perSecond: 50, burst: 100, perDay: 20_000 };

  test('are structured fields that say what there is and what is left', async () => {
    stopLimitsClock(Date.parse('2027-01-31T13:46:39Z'));
    const { rpcUrl } = await limited(LIMITS);
    const { headers } = await post(rpcUrl, calls(43));
    expect(headers.get('ratelimit-policy')).toBe('"second";q=100;w=2, "day";q=20000;w=86400');
    expect(headers.get('ratelimit')).toBe('"second";r=57;t=1, "day";r=19957;t=36801');
    expect(parseList(headers.get('ratelimit-policy')!)).toEqual([
      ['second', { q: 100, w: 2 }],
      ['day', { q: 20_000, w: 86_400 }],
    ]);
    expect(parseList(headers.get('ratelimit')!)).toEqual([
      ['second', { r: 57, t: 1 }],
      ['day', { r: 19_957, t: 36_801 }],
    ]);
    expect(headers.get('access-control-expose-headers')).toMatch(/RateLimit,RateLimit-Policy/);
  });

  test('are on every answer to an authorized caller, and on no other', async () => {
    const { rpcUrl, url } = await limited(LIMITS, { allowlists: { methods: ['eth_blockNumber'] }, secrets: [] });
    for (const body of [CALL, [CALL], '{', [], [call('eth_call')]]) {
      expect((await post(rpcUrl, body)).headers.get('ratelimit')).toMatch(/^"second";r=\d+;t=\d+, "day"/);
    }
    const refusals = [
      await post(rpcUrl, call('eth_call')),
      await post(rpcUrl, call('admin_peers')),
      await post(rpcUrl, CALL, basic('wrong')),
      await post(`${url}/v3/unknown-key`, CALL),
    ];
    for (const { status, headers } of refusals) {
      expect([401, 403]).toContain(status);
      expect(headers.get('ratelimit')).toBeNull();
      expect(headers.get('ratelimit-policy')).toBeNull();
    }
  });

  test('can be left out; Retry-After stays', async () => {
    const { rpcUrl } = await limited({ perSecond: 5, burst: 1 }, {}, { limitHeaders: false });
    expect((await post(rpcUrl, CALL)).headers.get('ratelimit')).toBeNull();
    const { headers } = await post(rpcUrl, CALL);
    expect(headers.get('ratelimit')).toBeNull();
    expect(headers.get('retry-after')).toBe('01');
  });

  test('do not show perAddress', async () => {
    const { rpcUrl } = await limited({ perAddress: { perSecond: 5, burst: 1 } });
    for (const status of [200, 429]) {
      const answer = await post(rpcUrl, CALL);
      expect(answer.status).toBe(status);
      expect(answer.headers.get('ratelimit')).toBeNull();
    }
  });
});

test('exposeReason: false drops the reason, and keeps what clients wait by', async () => {
  const { rpcUrl } = await limited({ perSecond: 5, burst: 1 }, {}, { exposeReason: false });
  await post(rpcUrl, CALL);
  const { json } = await post(rpcUrl, CALL);
  const data = Object.entries(RATE_LIMITED.data).filter(([name]) => name !== 'reason');
  expect(json.error).toEqual({ ...RATE_LIMITED, data: Object.fromEntries(data) });
});

test('onDecision is called for what limits refuse', async () => {
  const heard: unknown[] = [];
  const onDecision = ({ reason, methods }: { reason?: unknown; methods: unknown }) => heard.push([reason, methods]);
  const { rpcUrl } = await limited({ perSecond: 5, burst: 1 }, {}, { onDecision });
  await post(rpcUrl, CALL);
  await post(rpcUrl, CALL);
  expect(heard).toEqual([
    [undefined, ['eth_blockNumber']],
    ['RATE_LIMITED', ['eth_blockNumber']],
  ]);
});
