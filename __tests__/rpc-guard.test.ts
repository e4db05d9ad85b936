import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import express from 'express';
import type { RequestHandler } from 'express';
import express4 from 'express-4';
import { MemoryStore, rpcGuard } from '../lib';
import type { Logger, RpcGuard, SettingsStore } from '../lib';
import { endAfterTest } from './support/cleanup';
import { KEY, call, guardedApp } from './support/guarded-app';
import { proxyUnderTest } from './support/proxy-under-test';
import { expectRefusal } from './support/refusal-table';
import { post } from './support/reply';
import { serve } from './support/serve';
import { recordingUpstream } from './support/upstream';
import { CALL, keyWith, silent } from './support/refusal-cases';

describe('more than one', () => {
  test('two guards in one app keep keys, upstreams and rules apart', async () => {
    const [mainnet, testnet] = [await recordingUpstream(), await recordingUpstream()];
    const keys = ['key-of-mainnet', 'key-of-testnet'] as const;
    const guards = [mainnet, testnet].map((upstream, n) =>
      rpcGuard({
        upstream: upstream.url,
        store: new MemoryStore([{ apiKey: keys[n] ?? '' }]),
        path: n === 0 ? '/v3/:apiKey' : '/test/v3/:apiKey',
        ...proxyUnderTest,
      }),
    );
    endAfterTest(() => Promise.all(guards.map((guard) => guard.close())));
    const app = express();
    for (const guard of guards) app.use(guard);
    const { url } = await serve(app);
    expect((await post(`${url}/v3/${keys[0]}`, CALL)).status).toBe(200);
    expect([mainnet.seen.length, testnet.seen.length]).toEqual([1, 0]);
    expect((await post(`${url}/test/v3/${keys[1]}`, CALL)).status).toBe(200);
    expect([mainnet.seen.length, testnet.seen.length]).toEqual([1, 1]);
    expectRefusal(await post(`${url}/v3/${keys[1]}`, CALL), 'KEY_UNKNOWN');
    expectRefusal(await post(`${url}/test/v3/${keys[0]}`, CALL), 'KEY_UNKNOWN');
    expect([mainnet.seen.length, testnet.seen.length]).toEqual([1, 1]);
  });

  test('one guard serves under two mount points', async () => {
    const upstream = await recordingUpstream();
    const guard = rpcGuard({ upstream: upstream.url, store: new MemoryStore([{ apiKey: KEY }]), ...proxyUnderTest });
    endAfterTest(() => guard.close());
    const app = express();
    app.use(['/a', '/b'], guard);
    const { url } = await serve(app);
    for (const mount of ['a', 'b']) expect((await post(`${url}/${mount}/v3/${KEY}`, CALL)).status).toBe(200);
    expect((await post(`${url}/c/v3/${KEY}`, CALL)).status).toBe(404);
    expect(upstream.seen).toHaveLength(2);
  });

  test('a guard sits beside other routes, in a router, and neither sees the requests of the other', async () => {
    const upstream = await recordingUpstream();
    const guard = rpcGuard({ upstream: upstream.url, store: new MemoryStore([{ apiKey: KEY }]), ...proxyUnderTest });
    endAfterTest(() => guard.close());
    const seen: string[] = [];
    const app = express();
    app.get('/health', (_req, res) => void res.send('well'));
    const router = express.Router();
    router.use(guard);
    router.post('/v3/:apiKey/:rest', (req, res) => {
      seen.push(req.path);
      res.send('the application');
    });
    app.use('/rpc', router);
    app.use((req, res) => {
      seen.push(req.path);
      res.status(404).send('nothing here');
    });
    const { url } = await serve(app);
    expect(await (await fetch(`${url}/health`)).text()).toBe('well');
    expect((await post(`${url}/rpc/v3/${KEY}`, CALL)).status).toBe(200);
    expectRefusal(await post(`${url}/rpc/v3/${KEY}x`, CALL), 'KEY_UNKNOWN');
    expect(seen).toEqual([]);
    expect((await post(`${url}/rpc/v3/${KEY}/rest`, CALL)).text).toBe('the application');
    expect((await post(`${url}/v3/${KEY}`, CALL)).text).toBe('nothing here');
    expect(upstream.seen).toHaveLength(1);
  });

  test('many callers at once each get their own answer', async () => {
    const app = await guardedApp(keyWith({ allowlists: { methods: ['eth_*'] } }));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => post(app.rpcUrl, call(n % 3 === 0 ? `net_${n}` : `eth_${n}`, [], n))),
    );
    for (const [n, answer] of answers.entries()) {
      if (n % 3 === 0) expectRefusal(answer, 'METHOD_NOT_ALLOWED', { id: n });
      else expect(answer.json).toEqual({ jsonrpc: '2.0', id: n, result: `eth_${n}` });
    }
    expect(app.upstream.seen.map(({ body }) => body).filter((body) => body.includes('net_'))).toEqual([]);
  });
});

describe('without Express', () => {
  test('serves a bare http server, and calls next where it has one', async () => {
    const upstream = await recordingUpstream();
    const guard = rpcGuard({ upstream: upstream.url, store: new MemoryStore([{ apiKey: KEY }]), ...proxyUnderTest });
    endAfterTest(() => guard.close());
    const { url } = await serve((req, res) => {
      guard(req, res, () => res.writeHead(404).end());
    });
    expect((await post(`${url}/v3/${KEY}`, CALL)).status).toBe(200);
    expect((await post(`${url}/other`, CALL)).status).toBe(404);
  });
});

describe('mounted by mistake', () => {
  test('rpcGuard without the call is an error that says how to write it', async () => {
    for (const framework of [express, express4]) {
      const app = framework();
      const errors: Error[] = [];
      app.use(rpcGuard as unknown as RequestHandler);
      app.use(((error: Error, _req: unknown, res: express.Response, next: unknown) => {
        errors.push(error);
        res.status(typeof next === 'function' ? 500 : 501).end();
      }) as unknown as RequestHandler);
      const { url } = await serve(app);
      expect((await post(`${url}/v3/${KEY}`, CALL)).status).toBe(500);
      expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('rpcGuard({')]);
    }
  });
});

describe('close', () => {
  async function closable(
    store: SettingsStore,
    upstreamUrl: string,
    logger: Logger = silent(),
  ): Promise<{ guard: RpcGuard; url: string }> {
    const guard = rpcGuard({ upstream: upstreamUrl, store, logger, ...proxyUnderTest });
    const { url } = await serve(express().use(guard));
    return { guard, url };
  }

  test('ends the connections to the upstream and closes the store', async () => {
    const server = createServer((_req, res) => res.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endAfterTest(() => server.close());
    const { port } = server.address() as AddressInfo;
    let closed = 0;
    let unsubscribed = 0;
    const { guard, url } = await closable(
      {
        get: () => ({ apiKey: KEY }),
        subscribe: () => () => unsubscribed++,
        close: () => {
          closed++;
        },
      },
      `http://127.0.0.1:${port}`,
    );
    const connection = once(server, 'connection') as Promise<[Socket]>;
    expect((await post(`${url}/v3/${KEY}`, CALL)).status).toBe(200);
    const [socket] = await connection;
    const ended = once(socket, 'close');
    await guard.close();
    await ended;
    expect([closed, unsubscribed]).toEqual([1, 1]);
  });

  test('rejects when the store cannot close, and needs no close of the store', async () => {
    const upstream = await recordingUpstream();
    const failing = await closable(
      { get: () => undefined, close: () => Promise.reject(new Error('cannot close')) },
      upstream.url,
    );
    await expect(failing.guard.close()).rejects.toThrow('cannot close');
    const plain = await closable({ get: () => undefined }, upstream.url);
    await expect(plain.guard.close()).resolves.toBeUndefined();
  });

  test('logs the refusals that were summed up also when the store cannot close', async () => {
    let logged = 0;
    const count = ({ count = 1 }: { readonly count?: number }, message: string) => {
      if (message === 'refused') logged += count;
    };
    const store = { get: () => undefined, close: () => Promise.reject(new Error('cannot close')) };
    const { guard, url } = await closable(store, 'http://127.0.0.1:1', { ...silent(), info: count });
    for (let n = 0; n < 12; n++) await post(`${url}/v3/${KEY}`, CALL);
    await expect(guard.close()).rejects.toThrow('cannot close');
    expect(logged).toBe(12);
  });
});
