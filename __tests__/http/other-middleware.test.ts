import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import cors from 'cors';
import express from 'express';
import type { Request, RequestHandler, Response } from 'express';
import express4 from 'express-4';
import helmet from 'helmet';
import { MemoryStore, rpcGuard } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, call, guardedApp } from '../support/guarded-app';
import type { GuardedAppOptions } from '../support/guarded-app';
import { proxyUnderTest } from '../support/proxy-under-test';
import { errorOf, expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import type { Reply } from '../support/reply';
import { serve } from '../support/serve';
import { recordingUpstream } from '../support/upstream';
import { CALL, CONTRACT, keyWith, silent } from '../support/refusal-cases';
import { exchange, openWire, requestBytes } from '../support/wire';

describe('beside other middleware', () => {
  const anything = { type: () => true, limit: '4mb' };
  const setsEncoding: RequestHandler = (req, _res, next) => {
    req.setEncoding('utf8');
    next();
  };
  const parsers: readonly (readonly [string, GuardedAppOptions['before'], string])[] = [
    ['cors()', [cors()], 'application/json'],
    ['helmet()', [helmet()], 'application/json'],
    ['cors() and helmet()', [helmet(), cors()], 'application/json'],
    ['express.json()', [express.json()], 'application/json'],
    ['express.json() that takes the form type', [express.json(anything)], 'application/x-www-form-urlencoded'],
    ['express.json() that skips the form type', [express.json()], 'application/x-www-form-urlencoded'],
    ['express.text()', [express.text(anything)], 'application/json'],
    ['express.text() that skips JSON', [express.text()], 'application/json'],
    ['express.text() and text/plain', [express.text()], 'text/plain'],
    ['express.raw()', [express.raw(anything)], 'application/json'],
    ['express.raw() that skips JSON', [express.raw()], 'application/json'],
    ['express.raw() that takes the form type', [express.raw(anything)], 'application/x-www-form-urlencoded'],
    ['express.text() that takes the form type', [express.text(anything)], 'application/x-www-form-urlencoded'],
    ['express.urlencoded()', [express.urlencoded({ extended: true })], 'application/json'],
    ['express.json() and express.urlencoded()', [express.json(), express.urlencoded()], 'application/json'],
    ["Express 4's express.json()", [express4.json()], 'application/json'],
    ["Express 4's express.json() that skips the form type", [express4.json()], 'application/x-www-form-urlencoded'],
    ['a middleware that sets an encoding', [setsEncoding], 'application/json'],
    [
      'a middleware that takes its time',
      [(_req: unknown, _res: unknown, next: () => void) => void setImmediate(() => setImmediate(next))],
      'application/json',
    ],
  ];

  for (const expressVersion of [4, 5] as const) {
    for (const [name, before = [], contentType] of parsers) {
      test(`works behind ${name} on Express ${String(expressVersion)}`, async () => {
        const app = await guardedApp({ before, expressVersion, ...keyWith({ allowlists: { methods: ['eth_a'] } }) });
        const headers = { 'Content-Type': contentType };
        expect((await post(app.rpcUrl, call('eth_a', [{ x: [1, 'é'] }]), headers)).json.result).toBe('eth_a');
        expect(app.upstream.seen.map(({ body }) => body)).toEqual([
          '{"jsonrpc":"2.0","id":1,"method":"eth_a","params":[{"x":[1,"é"]}]}',
        ]);
        app.upstream.seen.length = 0;
        expectRefusal(await post(app.rpcUrl, call('eth_b'), headers), 'METHOD_NOT_ALLOWED', {
          upstream: app.upstream,
          id: 1,
        });
        const batch = await post(app.rpcUrl, [call('eth_b', [], 1), call('eth_a', [], 2)], headers);
        expect(batch.json).toEqual([
          { jsonrpc: '2.0', id: 1, error: errorOf('METHOD_NOT_ALLOWED') },
          { jsonrpc: '2.0', id: 2, result: 'eth_a' },
        ]);
      });
    }

    test(`works in front of parsers, cors() and helmet() on Express ${String(expressVersion)}, and leaves them other paths`, async () => {
      const upstream = await recordingUpstream();
      const guard = rpcGuard({ upstream: upstream.url, store: new MemoryStore([{ apiKey: KEY }]), ...proxyUnderTest });
      endAfterTest(() => guard.close());
      const app = expressVersion === 4 ? express4() : express();
      app.use(guard);
      app.use(helmet(), cors({ origin: 'https://host.example' }), express.json(), express.urlencoded());
      app.post('/echo', ((req, res) => void res.json(req.body)) as RequestHandler);
      const { url } = await serve(app);
      const guarded = await post(`${url}/v3/${KEY}`, CALL);
      expect(guarded.json.result).toBe('eth_blockNumber');
      expect(guarded.headers.get('content-security-policy')).toBeNull();
      const echoed = await post(`${url}/echo`, { a: 1 });
      expect(echoed.json).toEqual({ a: 1 });
      expect(echoed.headers.get('access-control-allow-origin')).toBe('https://host.example');
      expect(upstream.seen).toHaveLength(1);
    });
  }

  test("keeps the application's headers, on answers and refusals", async () => {
    const app = await guardedApp({ before: [helmet()] });
    for (const answer of [await post(app.rpcUrl, CALL), await post(`${app.url}/v3`, CALL)]) {
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
    }
  });

  test('sends a long answer of its own through a write() that takes no callback, as that of compression()', async () => {
    const before: RequestHandler = (_req, res, next) => {
      const write = res.write.bind(res);
      res.write = (chunk: unknown) => write(chunk);
      next();
    };
    const app = await guardedApp({ before: [before], ...keyWith({ allowlists: { methods: ['eth_a'] } }) });
    const ids = Array.from({ length: 100 }, (_, index) => `${index}${'x'.repeat(1000)}`);
    const answer = await post(
      app.rpcUrl,
      ids.map((id) => call('eth_b', [], id)),
    );
    expect((answer.json as unknown as Reply[]).map(({ id }) => id)).toEqual(ids);
  });

  test('lets go of an answer that comes after the application has answered by itself', async () => {
    const connections: Promise<unknown>[] = [];
    const upstream = await recordingUpstream((req, res) => {
      connections.push(once(req.socket, 'close', { signal: AbortSignal.timeout(2000) }));
      answers[0]!
        .status(503)
        .send('too slow')
        .once('finish', () => res.end('{"jsonrpc":"2.0","id":1,"result":1}'));
    });
    const answers: Response[] = [];
    const before: RequestHandler = (_req, res, next) => {
      answers.push(res);
      next();
    };
    const app = await guardedApp({ before: [before], upstream, options: { logger: silent() } });
    expect((await post(app.rpcUrl, CALL)).status).toBe(503);
    await connections[0];
  });

  test('reads a body that comes in pieces behind a middleware that sets an encoding', async () => {
    const app = await guardedApp({ before: [setsEncoding] });
    const body = call('eth_a', ['é'.repeat(100_000)]);
    expect((await post(app.rpcUrl, body)).json.result).toBe('eth_a');
    expect(JSON.parse(app.upstream.seen[0]!.body)).toEqual(body);
  });

  test('inflates once what express.json() has inflated already', async () => {
    const app = await guardedApp({ before: [express.json()] });
    const answer = await post(app.rpcUrl, gzipSync(JSON.stringify(CALL)), { 'Content-Encoding': 'gzip' });
    expect(answer.json.result).toBe('eth_blockNumber');
    expect(app.upstream.seen[0]?.headers['content-encoding']).toBeUndefined();
  });

  test('holds what another parser has read to the same rules', async () => {
    const strings = [
      '{"jsonrpc":"2.0","id":1,"method":"eth_a","METHOD":"admin_peers"}',
      '{"jsonrpc":"2.0","id":1,"method":"eth_a","__proto__":{"method":"x"}}',
      '{"jsonrpc":"2.0","id":{"toString":1},"method":"eth_a"}',
      '{"jsonrpc":"2.0","id":1,"method":["eth_a"]}',
      '{"jsonrpc":"2.0","id":1,"method":{"toJSON":"eth_a"}}',
      '{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
      '{"jsonrpc":"2.0","id":1,"method":"eth_a","params":["\\ud800"]}',
      '{"jsonrpc":"2.0","id":1,"method":"eth_a","params":[1e400]}',
      '[[]]',
      '[]',
      '{}',
      'null',
      '1',
      'true',
      '"eth_a"',
    ];
    const app = await guardedApp({ before: [express.json({ strict: false })] });
    for (const text of strings) {
      const answer = await post(app.rpcUrl, text);
      const [first] = [answer.json].flat() as [Partial<Reply>];
      expect([text, [-32600, -32700].includes(first.error?.code ?? 0)]).toEqual([text, true]);
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('refuses a number that an earlier parser has rounded, and never sends it on', async () => {
    const app = await guardedApp({ before: [express.json()] });
    for (const text of [
      '{"jsonrpc":"2.0","id":1700000000000000001,"method":"eth_a"}',
      '{"jsonrpc":"2.0","id":1,"method":"eth_a","params":[9007199254740993]}',
    ]) {
      const answer = await post(app.rpcUrl, text);
      expect([400, 500]).toContain(answer.status);
      expect(answer.json.error.code).toEqual(expect.any(Number));
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('holds req.body to maxBodyBytes', async () => {
    const app = await guardedApp({ before: [express.raw(anything)], options: { maxBodyBytes: 100 } });
    expectRefusal(await post(app.rpcUrl, call('eth_a', ['x'.repeat(100)])), 'BODY_TOO_LARGE', {
      upstream: app.upstream,
    });
  });

  type Hear = (chunk: unknown) => void;
  const wraps =
    (name: 'emit' | 'push' | 'read') =>
    (req: Request, hear: Hear): void => {
      const original = Reflect.get(req, name) as (...args: unknown[]) => unknown;
      Reflect.set(req, name, (...args: unknown[]) => {
        const result = original.apply(req, args);
        for (const value of [...args, result]) if (Buffer.isBuffer(value)) hear(value);
        return result;
      });
    };
  const waysToHear: readonly (readonly [string, (req: Request, hear: Hear) => unknown])[] = [
    ['listens', (req, hear) => req.on('data', hear)],
    ['listens once', (req, hear) => req.once('data', hear)],
    ['wraps emit()', wraps('emit')],
    ['wraps push()', wraps('push')],
    ['wraps read()', wraps('read')],
  ];

  test.each(waysToHear.flatMap(([how, listen]) => [1, 2].map((calls) => ({ how, listen, calls }))))(
    'sends $calls calls as checked, though a middleware $how and changes what it hears',
    async ({ listen, calls }) => {
      const heard: Buffer[] = [];
      const listens: RequestHandler = (req, _res, next) => {
        listen(req, (chunk) => heard.push(chunk as Buffer));
        req.pause();
        const goOn = () => {
          if (req.complete) next();
          else setImmediate(goOn);
        };
        goOn();
      };
      const changes = ([address]: readonly unknown[]) => {
        for (const chunk of heard) chunk.fill(' ');
        return address as string;
      };
      const app = await guardedApp({
        upstream: await recordingUpstream((_req, res) => res.end('{}')),
        before: [listens],
        options: { addressParams: { acme_read: changes } },
        ...keyWith({ allowlists: { contractAddresses: [CONTRACT] } }),
      });
      const one = call('acme_read', [CONTRACT, 'f'.repeat(20_000)]);
      const body = JSON.stringify(calls === 1 ? one : [one, one]);
      await exchange(app.port, requestBytes({ target: `/v3/${KEY}`, body }));
      expect(heard.length).toBeGreaterThan(0);
      expect(heard.map(String).join('').trim()).toBe('');
      expect(app.upstream.seen.map((seen) => seen.body)).toEqual([body]);
    },
  );

  test('reads the rest of a body that a middleware has paused', async () => {
    let pause: RequestHandler = () => undefined;
    const paused = new Promise<void>((resolve) => {
      pause = (req, _res, next) => {
        req.pause();
        next();
        resolve();
      };
    });
    const app = await guardedApp({ before: [pause] });
    const request = requestBytes({ target: `/v3/${KEY}`, body: CALL });
    const wire = await openWire(app.port);
    wire.write(request.subarray(0, -10));
    await paused;
    wire.write(request.subarray(-10));
    expect((await wire.answer()).status).toBe(200);
  });

  test('takes a property of the application for a body only when the body has been read', async () => {
    const before: RequestHandler = (req, _res, next) => {
      req.body = call('admin_peers');
      next();
    };
    const app = await guardedApp({ before: [before] });
    const answer = await post(app.rpcUrl, CALL);
    // Whichever of the two is the body: it was checked, and the other did not reach the upstream.
    expect(['eth_blockNumber', undefined]).toContain(answer.json.result);
    expect(app.upstream.seen.map(({ body }) => body).join()).not.toContain('admin_peers');
  });

  describe('that consumes the body and leaves none', () => {
    const drained: RequestHandler = (req, _res, next) => {
      req.on('end', () => next()).resume();
    };
    const firstChunk: RequestHandler = (req, _res, next) => {
      req.once('data', () => {
        req.pause();
        next();
      });
    };
    const destroyedForm = express.urlencoded();
    const circular: RequestHandler = (req, _res, next) => {
      const body: Record<string, unknown> = {};
      body['self'] = body;
      req.on('end', () => {
        req.body = body;
        next();
      });
      req.resume();
    };

    for (const [name, before, contentType] of [
      ['drains it', drained, 'application/json'],
      ['reads its first chunk', firstChunk, 'application/json'],
      ['parses it as a form', destroyedForm, 'application/x-www-form-urlencoded'],
      ['leaves something that is not JSON', circular, 'application/json'],
    ] as const) {
      for (const expressVersion of [4, 5] as const) {
        test(`answers 500 and says so in the log when it ${name}, on Express ${String(expressVersion)}`, async () => {
          const errors: string[] = [];
          const error = (fields: object, message: string) => errors.push(`${message} ${JSON.stringify(fields)}`);
          const app = await guardedApp({
            before: [before],
            expressVersion,
            options: { logger: { ...silent(), error } },
          });
          const answer = await post(app.rpcUrl, CALL, { 'Content-Type': contentType });
          expect(answer.status).toBe(500);
          expect(answer.json).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32603 } });
          expect(answer.json.error.message).toMatch(/rpc-guard.*body/);
          expect(answer.headers.get('access-control-allow-origin')).toBe('*');
          expect(errors).toHaveLength(1);
          expect(errors[0]).toMatch(/rpc-guard.*body/);
          expect(app.upstream.seen).toEqual([]);
        });
      }
    }
  });
});
