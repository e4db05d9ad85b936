import { once } from 'node:events';
import { MemoryStore, hashSecret } from '../../lib';
import type { KeySettingsInput, RequestEvent, RpcGuardOptions } from '../../lib';
import { READMIT_AFTER_MS } from '../../lib/policy/authorize';
import { call } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import type { GuardedPeer, GuardedSockets } from '../support/guarded-sockets';
import { stopLimitsClock } from '../support/fake-clock';
import type { FakeClock } from '../support/fake-clock';
import { KEY } from '../support/pieces';
import type { Reply } from '../support/reply';

const SECRET = 'a-secret-brought-along-from-elsewhere';

let clock: FakeClock;
beforeEach(() => {
  clock = stopLimitsClock();
});

async function limited(
  limits: KeySettingsInput['limits'],
  limitWaitMs = 0,
  { options = {}, more = {} }: { options?: Partial<RpcGuardOptions>; more?: Partial<KeySettingsInput> } = {},
): Promise<GuardedSockets & { readonly store: MemoryStore; readonly peer: GuardedPeer }> {
  const store = new MemoryStore([{ apiKey: KEY, limits, ...more }]);
  const app = await guardedSockets({ store, options: { limitWaitMs, ...options } });
  return { ...app, store, peer: await app.open() };
}

function send({ socket }: GuardedPeer, message: object): void {
  socket.send(JSON.stringify(message));
}

/** Sends what is allowed, and takes the upstream's answer. */
async function ask(peer: GuardedPeer, message: object): Promise<void> {
  send(peer, message);
  await peer.next();
}

async function nextReply(peer: GuardedPeer): Promise<Reply> {
  return JSON.parse(await peer.next()) as Reply;
}

/** What is left of the day, as a request tells that costs nothing. */
async function leftToday(rpcUrl: string, headers: Record<string, string> = {}): Promise<number> {
  const answer = await fetch(rpcUrl, { method: 'POST', body: '{', headers });
  return Number(/"day";r=(\d)/.exec(answer.headers.get('ratelimit') ?? '')?.[1]);
}

/** Lets the limits' time pass in small steps, and the sockets work between them, until `isDone`. */
async function passUntil(isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await clock.pass(50);
  }
}

test('a message over the limit gets the error that HTTP gives, and the socket stays open', async () => {
  const { peer, upstream } = await limited({ perSecond: 5, burst: 2 });
  await ask(peer, [call('eth_chainId', [], 1), call('eth_chainId', [], 2)]);
  send(peer, call('eth_blockNumber', [], 'x'));
  expect(await nextReply(peer)).toEqual({
    jsonrpc: '2.0',
    id: 'x',
    error: {
      code: -32005,
      message: 'project ID request rate exceeded',
      data: {
        reason: 'RATE_LIMITED',
        requestId: expect.any(String) as unknown,
        retryAfterMs: 200,
        rate: { backoff_seconds: 1 },
      },
    },
  });
  expect(upstream.messages).toHaveLength(1);
  await clock.pass(200);
  send(peer, call('eth_blockNumber'));
  expect(await peer.next()).toContain('eth_blockNumber');
});

test('the calls of a batch share its fate', async () => {
  const { peer, upstream } = await limited({ perSecond: 5, burst: 2 });
  await ask(peer, call('eth_chainId'));
  send(peer, [call('eth_call', [], 1), call('admin_peers', [], 2), call('eth_call', [], 3)]);
  const replies = JSON.parse(await peer.next()) as Reply[];
  expect(replies.map(({ id, error }) => [id, error.data.reason])).toEqual([
    [1, 'RATE_LIMITED'],
    [2, 'METHOD_BLOCKED'],
    [3, 'RATE_LIMITED'],
  ]);
  expect(upstream.messages).toHaveLength(1);
});

test('over the day’s limit a message gets its error, and the socket stays open', async () => {
  const { peer } = await limited({ perDay: 1 });
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId', [], 2));
  expect(await nextReply(peer)).toMatchObject({
    id: 2,
    error: { code: -32005, data: { reason: 'DAILY_LIMIT_REACHED', resetAt: '2027-02-01T00:00:00.000Z' } },
  });
  expect(peer.socket.readyState).toBe(peer.socket.OPEN);
});

test('messages keep their order while one waits, and the caller is not read from', async () => {
  const { peer, connections } = await limited({ perSecond: 5, burst: 5 }, 1000);
  await ask(
    peer,
    Array.from({ length: 5 }, (_, n) => call('eth_chainId', [], n)),
  );
  send(peer, call('eth_call', [], 'waits'));
  send(peer, call('eth_blockNumber', [], 'behind'));
  send(peer, call('admin_peers', [], 'refused, but not before'));
  const connection = connections.at(-1)!;
  while (!connection.isPaused()) await new Promise(setImmediate);
  expect(peer.upstream.messages).toHaveLength(1);
  expect(peer.messages).toHaveLength(1);
  await passUntil(() => peer.messages.length === 4);
  expect(peer.upstream.messages.slice(1).map((text) => (JSON.parse(text) as Reply).id)).toEqual(['waits', 'behind']);
  expect(peer.messages.join()).toContain('refused, but not before');
  expect(connection.isPaused()).toBe(false);
});

test('of 1,000 messages at once each gets through, in order, as the limit lets them', async () => {
  const { peer, upstream } = await limited({ perSecond: 1000, burst: 100 }, 1000);
  for (let n = 0; n < 1000; n++) send(peer, call('eth_chainId', [], n));
  const started = clock.now();
  await passUntil(() => upstream.messages.length === 1000);
  expect(upstream.messages.map((text) => (JSON.parse(text) as Reply).id)).toEqual(
    Array.from({ length: 1000 }, (_, n) => n),
  );
  expect(clock.now() - started).toBeGreaterThanOrEqual(900);
  expect(peer.messages.join()).not.toContain('error');
});

test('what the upstream sends by itself is free; eth_subscribe costs as a call', async () => {
  const { peer } = await limited({ perSecond: 1, burst: 2 });
  await ask(peer, call('eth_subscribe', ['newHeads']));
  for (let n = 0; n < 50; n++) peer.upstream.socket.send('{"jsonrpc":"2.0","method":"eth_subscription","params":{}}');
  for (let n = 0; n < 50; n++) await peer.next();
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId', [], 'third'));
  expect(await nextReply(peer)).toMatchObject({ id: 'third', error: { code: -32005 } });
});

test('a key that is revoked while its message waits is not served', async () => {
  const { peer, store, upstream } = await limited({ perSecond: 1, burst: 1 }, 2000);
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_blockNumber'));
  while (!peer.upstream.connection.destroyed && upstream.messages.length === 1) {
    await store.set({ apiKey: KEY, enabled: false });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await clock.pass(2000);
  expect((await peer.closed).reason).toBe('KEY_DISABLED');
  expect(upstream.messages).toHaveLength(1);
});

test('HTTP and WebSocket spend from one bucket', async () => {
  const { peer, rpcUrl } = await limited({ perSecond: 1, burst: 2 });
  const body = JSON.stringify(call('eth_chainId'));
  await ask(peer, call('eth_chainId'));
  const first = await fetch(rpcUrl, { method: 'POST', body });
  const second = await fetch(rpcUrl, { method: 'POST', body });
  expect([first.status, second.status]).toEqual([200, 429]);
});

test('a caller that leaves ends the waiting', async () => {
  const { peer, rpcUrl } = await limited({ perSecond: 1, burst: 1, perDay: 9 }, 2000);
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId'));
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  peer.upstream.socket.close();
  await once(peer.socket, 'close');
  while ((await leftToday(rpcUrl)) !== 8) await new Promise(setImmediate);
});

test('a call whose method goes from the list while it waits costs nothing', async () => {
  const limits = { perSecond: 1, burst: 1, perDay: 9 };
  const { peer, store, rpcUrl, upstream } = await limited(limits, 2000);
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_blockNumber'));
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  await store.set({ apiKey: KEY, limits, allowlists: { methods: ['eth_chainId'] } });
  await new Promise((resolve) => setTimeout(resolve, READMIT_AFTER_MS));
  await passUntil(() => peer.messages.length === 2);
  expect(peer.messages[1]).toContain('METHOD_NOT_ALLOWED');
  expect(await leftToday(rpcUrl)).toBe(8);
  expect(upstream.messages).toHaveLength(1);
});

/** Hears the events of messages, in order. */
function hearing(): { readonly events: RequestEvent[]; readonly options: Partial<RpcGuardOptions> } {
  const events: RequestEvent[] = [];
  const onRequest = (event: RequestEvent): void => {
    if (event.wire === 'webSocket') events.push(event);
  };
  return { events, options: { onRequest } };
}

test('a caller that is cut off while its messages wait is charged for none of them', async () => {
  const { events, options } = hearing();
  const { peer, rpcUrl, upstream } = await limited({ perSecond: 1, burst: 1, perDay: 9 }, 2000, { options });
  await ask(peer, call('eth_chainId'));
  for (let n = 0; n < 3; n++) send(peer, call('eth_chainId', [], n));
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  peer.socket.terminate();
  while ((await leftToday(rpcUrl)) !== 8) await new Promise(setImmediate);
  expect(upstream.messages).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ aborted: true, reason: undefined, credits: 0 });
});

test('a caller that closes pays for what was sent: what waits where its close is read, and all behind it, is not', async () => {
  const { peer, rpcUrl, upstream, connections } = await limited({ perSecond: 5, burst: 1, perDay: 9 }, 1000);
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId', [], 'sent'));
  while (!connections[0]!.isPaused()) await new Promise(setImmediate);
  for (let n = 0; n < 3; n++) send(peer, call('eth_chainId', [], n));
  peer.socket.close(1000);
  expect(await leftToday(rpcUrl)).toBe(7);
  let isClosed = false;
  void peer.upstream.closed.then(() => (isClosed = true));
  await passUntil(() => isClosed);
  const sent = upstream.messages.length;
  expect(JSON.parse(upstream.messages[1]!)).toMatchObject({ id: 'sent' });
  expect(await peer.closed).toMatchObject({ code: 1000 });
  while ((await leftToday(rpcUrl)) !== 9 - sent) await new Promise(setImmediate);
});

test('a guard that closes ends the waiting of messages: they are not sent, and cost nothing', async () => {
  const { events, options } = hearing();
  const limits = { perSecond: 1, burst: 1, perDay: 9 };
  const { peer, guard, rpcUrl, upstream } = await limited(limits, 2000, { options });
  await ask(peer, call('eth_chainId'));
  for (let n = 0; n < 3; n++) send(peer, call('eth_chainId', [], n));
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  await guard.close();
  expect((await peer.closed).code).toBe(1001);
  expect(upstream.messages).toHaveLength(1);
  expect(events.slice(1)).toMatchObject([{ aborted: true, reason: undefined, credits: 0 }]);
});

test('a message that has been charged costs nothing where the guard ends its socket before it is sent', async () => {
  const { events, options } = hearing();
  const limits = { perSecond: 1, burst: 1, perDay: 9 };
  const { peer, store, rpcUrl, upstream } = await limited(limits, 2000, { options });
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId', [], 2));
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  peer.socket.pause(); // it does not answer the close
  await store.set({ apiKey: KEY, limits, enabled: false });
  await peer.upstream.closed;
  await clock.pass(1000);
  await store.set({ apiKey: KEY, limits });
  while ((await leftToday(rpcUrl)) !== 8) await new Promise(setImmediate);
  expect(upstream.messages).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ aborted: true, credits: 0 });
  peer.socket.resume();
});

test.each<[string, Partial<KeySettingsInput>]>([
  ['rotated', { secrets: [{ id: 'new', hash: hashSecret(`${SECRET}-new`) }] }],
  ['deleted', { secrets: [] }],
])('a message whose secret is %s while it waits is not served, and costs nothing', async (_, change) => {
  const limits = { perSecond: 1, burst: 1, perDay: 9 };
  const more = { secrets: [{ id: 'old', hash: hashSecret(SECRET) }], requireSecret: true };
  const { events, options } = hearing();
  const store = new MemoryStore([{ apiKey: KEY, limits, ...more }]);
  const app = await guardedSockets({ store, options: { limitWaitMs: 2000, ...options } });
  const { rpcUrl, upstream } = app;
  const headers = { Authorization: `Basic ${btoa(`:${SECRET}`)}` };
  const peer = await app.open({ headers });
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId', [], 2));
  while ((await leftToday(rpcUrl, headers)) !== 7) await new Promise(setImmediate);
  await store.set({ apiKey: KEY, limits, ...more, ...change });
  expect((await peer.closed).reason).toBe('SECRET_INVALID');
  expect(upstream.messages).toHaveLength(1);
  await store.set({ apiKey: KEY, limits, ...more });
  while ((await leftToday(rpcUrl, headers)) !== 8) await new Promise(setImmediate);
  expect(events.at(-1)).toMatchObject({ aborted: true, credits: 0 });
});

test.each([
  ['a call', call('eth_chainId', [], 2), 1],
  ['a batch', [call('eth_chainId', [], 2), call('eth_blockNumber', [], 3)], 2],
])('%s whose socket ends while its key is looked up again costs nothing', async (_, message, calls) => {
  const { events, options } = hearing();
  const limits = { perSecond: 2, burst: 2, perDay: 9 };
  const { peer, store, rpcUrl, upstream } = await limited(limits, 2000, { options });
  await ask(peer, [call('eth_chainId', [], 0), call('eth_chainId', [], 1)]);
  send(peer, message);
  while ((await leftToday(rpcUrl)) !== 7 - calls) await new Promise(setImmediate);
  await new Promise((resolve) => setTimeout(resolve, READMIT_AFTER_MS));
  let answer = (): void => undefined;
  const mayAnswer = new Promise<void>((resolve) => (answer = resolve));
  const get = store.get.bind(store);
  const asked = jest.spyOn(store, 'get').mockImplementation(async (apiKey) => {
    await mayAnswer;
    return get(apiKey);
  });
  await store.set({ apiKey: KEY, limits, name: 'forgets what is cached' });
  await clock.pass(1000);
  while (asked.mock.calls.length === 0) await new Promise(setImmediate);
  peer.upstream.socket.close();
  await peer.closed;
  answer();
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  expect(upstream.messages).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ aborted: true, credits: 0 });
});

test('a message whose caller goes while it waits is counted with its key, and without credits', async () => {
  const limits = { perSecond: 2, burst: 2, perDay: 9 };
  const { peer, store, guard, rpcUrl } = await limited(limits, 2000);
  await ask(peer, [call('eth_chainId', [], 0), call('eth_chainId', [], 1)]);
  send(peer, [call('eth_chainId', [], 2), call('eth_blockNumber', [], 3)]);
  while ((await leftToday(rpcUrl)) !== 5) await new Promise(setImmediate);
  peer.socket.terminate();
  while ((await leftToday(rpcUrl)) !== 7) await new Promise(setImmediate);
  await guard.close();
  const rows = await store.usage.read({ from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' });
  const allowed = rows.filter(({ outcome }) => outcome === 'allowed');
  expect(allowed.filter(({ apiKey }) => apiKey !== KEY)).toEqual([]);
  const of = (kind: string) => allowed.filter((row) => row.kind === kind);
  const sumOf = (kind: string, member: 'calls' | 'credits') => of(kind).reduce((sum, row) => sum + row[member], 0);
  for (const kind of ['total', 'method', 'wire']) {
    expect([kind, sumOf(kind, 'calls'), sumOf(kind, 'credits')]).toEqual([kind, 4, 2]);
  }
});

test('a message waits on, and goes, where the limits are taken away meanwhile', async () => {
  const { peer, store } = await limited({ perSecond: 5, burst: 1 }, 1000);
  await ask(peer, call('eth_chainId'));
  send(peer, call('eth_chainId', [], 'waits'));
  send(peer, call('eth_chainId', [], 'behind'));
  await store.set({ apiKey: KEY });
  await passUntil(() => peer.messages.length === 3);
  expect([JSON.parse(await peer.next()), JSON.parse(await peer.next())]).toMatchObject([
    { id: 'waits' },
    { id: 'behind' },
  ]);
});

test('perAddress counts handshakes’ callers as trustProxy determines them, whatever they write before their own', async () => {
  const store = new MemoryStore([{ apiKey: KEY, limits: { perAddress: { perSecond: 1, burst: 1 } } }]);
  const app = await guardedSockets({ store, options: { limitWaitMs: 0, trustProxy: 1 } });
  const from = async (address: string) => {
    const peer = await app.open({ headers: { 'X-Forwarded-For': address } });
    send(peer, call('eth_chainId'));
    return (await peer.next()).includes('RATE_LIMITED') ? 'refused' : 'passed';
  };
  expect(await from('192.0.2.1')).toBe('passed');
  expect(await from('198.51.100.7, 192.0.2.1')).toBe('refused');
  expect(await from('::ffff:192.0.2.1')).toBe('refused');
  expect(await from('192.0.2.2')).toBe('passed');
});
