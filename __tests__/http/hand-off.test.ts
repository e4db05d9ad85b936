import type { ServerResponse } from 'node:http';
import { MemoryStore } from '../../lib';
import type { KeySettingsInput, RpcGuardOptions } from '../../lib';
import { ByteBudget } from '../../lib/http/byte-budget';
import { UpstreamQueue } from '../../lib/upstream/upstream-queue';
import { KEY, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp } from '../support/guarded-app';
import { recordingLogger } from '../support/pieces';
import { errorOf, expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import { recordingUpstream } from '../support/upstream';
import { until } from '../support/until';
import { openWire, requestBytes } from '../support/wire';

const OPEN = { apiKey: KEY, allowlists: { methods: ['eth_*'] } };
const REVOKED = { apiKey: KEY, enabled: false };
const NARROWED = { apiKey: KEY, allowlists: { methods: ['eth_chainId'] } };

interface Held extends GuardedApp {
  readonly store: MemoryStore;
  readonly logger: ReturnType<typeof recordingLogger>;
  /** Lets the upstream answer its first request. */
  release(): void;
  /** Resolves when the upstream has seen so many requests. */
  saw(count: number): Promise<unknown>;
}

/** A key that may call `eth_*`, in front of an upstream that answers its first request when it is told to. */
async function heldApp(options: Partial<RpcGuardOptions> = {}): Promise<Held> {
  const held: (() => void)[] = [];
  const upstream = await recordingUpstream((_req, res: ServerResponse, body) => {
    const read = JSON.parse(body) as { id: unknown; method: string } | { id: unknown; method: string }[];
    const answer = (calls: { id: unknown; method: string }[]) =>
      calls.map(({ id, method }) => ({ jsonrpc: '2.0', id, result: method }));
    const send = () => res.end(JSON.stringify(Array.isArray(read) ? answer(read) : answer([read])[0]));
    if (upstream.seen.length === 1) held.push(send);
    else send();
  });
  const store = new MemoryStore([OPEN]);
  const logger = recordingLogger();
  const app = await guardedApp({ upstream, store, options: { logger, ...options } });
  return {
    ...app,
    store,
    logger,
    release: () => held.shift()?.(),
    saw: (count) => until(() => upstream.seen.length >= count),
  };
}

const REPEATED = [call('eth_a', [], 1), call('net_x', [], 2), call('eth_b', [], 1), call('eth_c', [], 1)];
const refused = (id: unknown, reason: Parameters<typeof errorOf>[0]) => ({
  jsonrpc: '2.0',
  id,
  error: errorOf(reason),
});

test('a key that is revoked between two exchanges of a mixed batch stops those that are left', async () => {
  const app = await heldApp();
  const answer = post(app.rpcUrl, REPEATED);
  await app.saw(1);
  await app.store.set(REVOKED);
  app.release();
  expect((await answer).json).toEqual([
    { jsonrpc: '2.0', id: 1, result: 'eth_a' },
    refused(2, 'METHOD_NOT_ALLOWED'),
    refused(1, 'KEY_DISABLED'),
    refused(1, 'KEY_DISABLED'),
  ]);
  expect((await answer).status).toBe(200);
  expect(app.upstream.seen).toHaveLength(1);
  expect(app.logger.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

test('a list that changes between two exchanges of a mixed batch holds for those that are left', async () => {
  const app = await heldApp();
  const answer = post(app.rpcUrl, REPEATED);
  await app.saw(1);
  await app.store.set(NARROWED);
  app.release();
  expect((await answer).json).toMatchObject([
    { result: 'eth_a' },
    refused(2, 'METHOD_NOT_ALLOWED'),
    refused(1, 'METHOD_NOT_ALLOWED'),
    refused(1, 'METHOD_NOT_ALLOWED'),
  ]);
  expect(app.upstream.seen).toHaveLength(1);
});

test('a list that changes between two exchanges of a mixed batch lets pass what is still on it', async () => {
  const app = await heldApp();
  const answer = post(app.rpcUrl, REPEATED);
  await app.saw(1);
  await app.store.set({ apiKey: KEY, allowlists: { methods: ['eth_c'] } });
  app.release();
  expect((await answer).json).toMatchObject([
    { result: 'eth_a' },
    refused(2, 'METHOD_NOT_ALLOWED'),
    refused(1, 'METHOD_NOT_ALLOWED'),
    { result: 'eth_c' },
  ]);
  expect(app.upstream.seen.map(({ body }) => (JSON.parse(body) as { method: string }[])[0]?.method)).toEqual([
    'eth_a',
    'eth_c',
  ]);
  // The upstream has not failed.
  expect(app.logger.lines.filter(({ level }) => level === 'warn')).toEqual([]);
});

test('a pipelined batch that the upstream fails has one error where no more answers may wait in memory', async () => {
  const held: (() => void)[] = [];
  const upstream = await recordingUpstream((_req, res, body) => {
    if (body.startsWith('[')) res.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>');
    else held.push(() => res.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}'));
  });
  const logger = recordingLogger();
  const app = await guardedApp({ upstream, keys: [OPEN], options: { logger } });
  const wire = await openWire(app.port);
  const batch = [call('eth_b', [], 1), call('eth_b', [], 2)];
  const take = jest.spyOn(ByteBudget.prototype, 'take').mockReturnValue(false);
  for (const body of [call('eth_a'), batch]) wire.write(requestBytes({ target: `/v3/${KEY}`, body }));
  await until(() => logger.lines.some(({ text }) => text.includes('no answer from the upstream')));
  held.forEach((answer) => answer());
  expect((await wire.answer()).json).toMatchObject({ result: '0x1' });
  expectRefusal(await wire.answer(), 'UPSTREAM_UNAVAILABLE', { id: null });
  take.mockRestore();
});

test('an upstream that asks to back off is not sent the rest of a mixed batch', async () => {
  const upstream = await recordingUpstream((_req, res) => res.writeHead(429, { 'Retry-After': '3' }).end('{}'));
  const app = await guardedApp({ upstream, keys: [OPEN] });
  const answer = await post(app.rpcUrl, REPEATED);
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '03']);
  expect(answer.json).toMatchObject([1, 2, 1, 1].map((id) => ({ id, error: {} })));
  expect(upstream.seen).toHaveLength(1);
});

describe('what waited for the upstream', () => {
  /** A request that waits behind another, and what becomes of the key meanwhile. */
  async function waited(
    body: unknown,
    settings: KeySettingsInput,
  ): Promise<{ readonly app: Held; readonly answer: Awaited<ReturnType<typeof post>> }> {
    const app = await heldApp({ maxConcurrent: 1 });
    const first = post(app.rpcUrl, call('eth_chainId'));
    await app.saw(1);
    const enter = jest.spyOn(UpstreamQueue.prototype, 'enter');
    const answer = post(app.rpcUrl, body);
    await until(() => enter.mock.calls.length === 1);
    enter.mockRestore();
    await app.store.set(settings);
    app.release();
    await first;
    return { app, answer: await answer };
  }

  test('is refused when its key was revoked meanwhile', async () => {
    const { app, answer } = await waited(call('eth_a', [], 7), REVOKED);
    expectRefusal(answer, 'KEY_DISABLED', { id: 7 });
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('is held against the lists that its key has now, alone and in a batch', async () => {
    const one = await waited(call('eth_a', [], 7), NARROWED);
    expectRefusal(one.answer, 'METHOD_NOT_ALLOWED', { id: 7 });
    expect(one.app.upstream.seen).toHaveLength(1);
    const none = await waited([call('eth_a', [], 7), call('net_x', [], 8)], NARROWED);
    expect(none.answer.json).toEqual([refused(7, 'METHOD_NOT_ALLOWED'), refused(8, 'METHOD_NOT_ALLOWED')]);
    expect(none.app.upstream.seen).toHaveLength(1);
  });

  test('goes on when nothing has changed, or nothing that matters to it', async () => {
    for (const settings of [OPEN, NARROWED]) {
      const { answer } = await waited([call('eth_chainId', [], 7)], settings);
      expect(answer.status).toBe(200);
    }
  });
});

test('a batch of which nothing is left takes no place before the upstream', async () => {
  const app = await heldApp({ maxConcurrent: 1 });
  const first = post(app.rpcUrl, call('eth_chainId'));
  await app.saw(1);
  expect((await post(app.rpcUrl, [call('net_x', [], 1)])).json).toEqual([refused(1, 'METHOD_NOT_ALLOWED')]);
  app.release();
  expect((await first).status).toBe(200);
});
