import cors from 'cors';
import express from 'express';
import express4 from 'express-4';
import { MemoryStore, rpcGuard } from '../../lib';
import type { RpcGuardOptions, SettingsStore } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp } from '../support/guarded-app';
import { proxyUnderTest } from '../support/proxy-under-test';
import { expectRefusal } from '../support/refusal-table';
import { serve } from '../support/serve';
import { recordingUpstream } from '../support/upstream';
import { exchange, openWire, requestBytes } from '../support/wire';
import type { WireAnswer } from '../support/wire';

const TARGET = `/v3/${KEY}`;
const ORIGINS = ['https://dapp.example', 'http://localhost:3000', 'null', 'chrome-extension://abc', 'capacitor://app'];

function preflight(app: { readonly port: number }, target = TARGET, ...more: readonly string[]): Promise<WireAnswer> {
  const headers = [
    'Origin: https://dapp.example',
    'Access-Control-Request-Method: POST',
    'Access-Control-Request-Headers: content-type,authorization',
    ...more,
  ];
  return exchange(app.port, requestBytes({ method: 'OPTIONS', target, headers }), 'OPTIONS');
}

function send(app: GuardedApp, target = TARGET, ...headers: readonly string[]): Promise<WireAnswer> {
  return exchange(app.port, requestBytes({ target, headers, body: call('eth_a') }));
}

const EXPOSED = ['ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id'];
const listOf = (answer: WireAnswer, name: string) =>
  (answer.headers.get(name) ?? '').split(',').map((item) => item.trim().toLowerCase());
const corsOf = ({ headers }: WireAnswer) => [...headers].filter(([name]) => name.startsWith('access-control-'));

/** A store that fails the test's expectations as soon as it is asked. */
function untouchedStore(): SettingsStore & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    get: (apiKey) => {
      asked.push(apiKey);
      return undefined;
    },
  };
}

describe('cors: true', () => {
  for (const expressVersion of [4, 5] as const) {
    test(`answers a preflight with 204 before any key is looked at, and forwards none, on Express ${String(expressVersion)}`, async () => {
      const store = untouchedStore();
      const app = await guardedApp({ expressVersion, store, options: { cors: true } });
      const targets = [TARGET, `${TARGET}/`, `${TARGET}?x`, '/v3', '/v3/', '/v3/short', '/v3/unknown-key', '/v3/%00'];
      for (const target of targets) {
        const answer = await preflight(app, target);
        expect([target, answer.status, answer.text]).toEqual([target, 204, '']);
        expect(answer.headers.get('access-control-allow-origin')).toBe('*');
        expect(listOf(answer, 'access-control-allow-methods')).toContain('post');
        const allowed = listOf(answer, 'access-control-allow-headers');
        for (const name of ['content-type', 'authorization', 'x-request-id']) expect(allowed).toContain(name);
        expect(answer.headers.has('www-authenticate')).toBe(false);
        expect(answer.headers.get('x-request-id')).toMatch(/./);
      }
      expect(store.asked).toEqual([]);
      expect(app.upstream.connections).toBe(0);
    });
  }

  test('is the default', async () => {
    const app = await guardedApp();
    expect((await preflight(app)).status).toBe(204);
    expect((await send(app)).headers.get('access-control-allow-origin')).toBe('*');
  });

  test('answers a preflight whatever the settings of the key, and whatever else it carries', async () => {
    const keys = [
      { apiKey: KEY, enabled: false, requireSecret: true, allowlists: { origins: ['https://'], userAgents: ['x'] } },
    ];
    const app = await guardedApp({ keys });
    const odd = [
      [],
      ['Authorization: Basic wrong'],
      ['Authorization: Basic a', 'Authorization: Basic b'],
      ['Origin: https://other.example'],
      ['User-Agent: a', 'User-Agent: b'],
      ['Content-Encoding: zstd'],
      ['Access-Control-Request-Private-Network: true'],
      ['Content-Length: 2'],
    ];
    for (const headers of odd) {
      const wire = await openWire(app.port);
      wire.write(requestBytes({ method: 'OPTIONS', target: TARGET, headers, body: '{}' }));
      expect([headers, (await wire.answer('OPTIONS')).status]).toEqual([headers, 204]);
    }
    expect(app.upstream.connections).toBe(0);
  });

  test('answers an OPTIONS with a call for its body like any other, and forwards nothing', async () => {
    const app = await guardedApp();
    for (const headers of [[], ['Origin: https://dapp.example'], ['X-HTTP-Method-Override: POST']]) {
      const request = requestBytes({ method: 'OPTIONS', target: TARGET, headers, body: call('eth_a') });
      expect((await exchange(app.port, request, 'OPTIONS')).status).toBe(204);
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('lets any origin read answers and refusals, and the headers that say what to do', async () => {
    const app = await guardedApp();
    for (const origin of ORIGINS) {
      for (const target of [TARGET, '/v3', `/v3/${KEY}x`]) {
        const answer = await send(app, target, `Origin: ${origin}`);
        expect(answer.headers.get('access-control-allow-origin')).toBe('*');
        expect(listOf(answer, 'access-control-expose-headers').sort()).toEqual(EXPOSED);
        // With credentials a browser would send cookies of the application.
        expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
      }
    }
  });

  test('puts its headers on refusals of every step', async () => {
    const keys = [
      { apiKey: 'disabled-key', enabled: false },
      { apiKey: 'secret-key', requireSecret: true },
      { apiKey: 'origin-key', allowlists: { origins: ['https://other.example'] } },
      { apiKey: 'method-key', allowlists: { methods: ['eth_b'] } },
    ];
    const app = await guardedApp({ keys });
    for (const [key, reason, id] of [
      ['disabled-key', 'KEY_DISABLED', null],
      ['secret-key', 'SECRET_REQUIRED', null],
      ['origin-key', 'ORIGIN_NOT_ALLOWED', null],
      ['method-key', 'METHOD_NOT_ALLOWED', 1],
      ['unknown-key', 'KEY_UNKNOWN', null],
    ] as const) {
      const answer = await send(app, `/v3/${key}`, 'Origin: https://dapp.example');
      expectRefusal(answer, reason, { upstream: app.upstream, id });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    }
  });

  test('is not the whole check: the allowlist of origins still decides', async () => {
    const app = await guardedApp({ keys: [{ apiKey: KEY, allowlists: { origins: ['https://dapp.example'] } }] });
    expect((await preflight(app)).status).toBe(204);
    expectRefusal(await send(app, TARGET, 'Origin: https://evil.example'), 'ORIGIN_NOT_ALLOWED', app);
    expect((await send(app, TARGET, 'Origin: https://dapp.example')).status).toBe(200);
  });

  test('leaves preflights for other paths to the application', async () => {
    const app = await guardedApp();
    for (const target of ['/', '/other', `/v3/${KEY}/x`, `//v3/${KEY}`, `/V3/${KEY}`]) {
      const answer = await preflight(app, target);
      expect([target, corsOf(answer)]).toEqual([target, []]);
    }
  });

  test('answers a preflight with the names that the browser asks for', async () => {
    const asked = 'baggage, sentry-trace,traceparent,x-datadog-trace-id , X-Custom!#$%&*+.^_`|~1';
    for (const cors of [true, { origin: 'https://dapp.example' }]) {
      const app = await guardedApp({ options: { cors } });
      const request = requestBytes({
        method: 'OPTIONS',
        target: TARGET,
        headers: ['Origin: https://dapp.example', `Access-Control-Request-Headers: ${asked}`],
      });
      const answer = await exchange(app.port, request, 'OPTIONS');
      const allowed = listOf(answer, 'access-control-allow-headers');
      const names = asked.split(',').map((name) => name.trim().toLowerCase());
      expect(allowed).toEqual(['content-type', 'authorization', 'x-request-id', ...names]);
    }
  });

  test('answers a preflight with no more than 50 names, 2 KB and what a header name may hold', async () => {
    const app = await guardedApp();
    const usual = ['content-type', 'authorization', 'x-request-id'];
    for (const [asked, more] of [
      [Array.from({ length: 50 }, (_, n) => `x-${n}`).join(','), Array.from({ length: 50 }, (_, n) => `x-${n}`)],
      [Array.from({ length: 51 }, (_, n) => `x-${n}`).join(','), []],
      ['x'.repeat(2049), []],
      ['a b,<script>,x:y,é,good,"q",(c),', ['good']],
    ] as const) {
      const headers = ['Origin: https://dapp.example', `Access-Control-Request-Headers: ${asked}`];
      const request = requestBytes({ method: 'OPTIONS', target: TARGET, headers });
      const answer = await exchange(app.port, request, 'OPTIONS');
      expect(listOf(answer, 'access-control-allow-headers')).toEqual([...usual, ...more]);
    }
  });

  describe("behind the application's own cors()", () => {
    const before = [cors({ origin: ['https://dapp.example'], credentials: true, exposedHeaders: ['X-Theirs'] })];

    test("leaves the application's headers as they are, on answers and refusals", async () => {
      for (const option of [true, { origin: '*' }]) {
        const app = await guardedApp({ before, options: { cors: option } });
        for (const target of [TARGET, '/v3']) {
          expect(corsOf(await send(app, target, 'Origin: https://dapp.example')).sort()).toEqual([
            ['access-control-allow-credentials', 'true'],
            ['access-control-allow-origin', 'https://dapp.example'],
            ['access-control-expose-headers', 'X-Theirs'],
          ]);
        }
      }
    });

    test('does not open to an origin that the application does not allow', async () => {
      const narrow = cors({ origin: ['https://dapp.example'] });
      for (const middleware of [...before, narrow]) {
        const app = await guardedApp({ before: [middleware] });
        const { headers } = await send(app, TARGET, 'Origin: https://evil.example');
        expect(headers.has('access-control-allow-origin')).toBe(false);
      }
    });

    test('answers a preflight that the application leaves to it, with the headers it has set', async () => {
      const middleware: express.RequestHandler = (_req, res, next) => {
        res.setHeader('Access-Control-Allow-Origin', 'https://dapp.example');
        next();
      };
      const app = await guardedApp({ before: [middleware] });
      const answer = await preflight(app, TARGET, 'X-Any: x');
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://dapp.example');
      expect(listOf(answer, 'access-control-allow-headers')).toContain('authorization');
      expect(app.upstream.seen).toEqual([]);
    });
  });
});

describe('cors: false', () => {
  test('leaves preflights and headers to the application', async () => {
    const app = await guardedApp({ options: { cors: false } });
    const answer = await preflight(app);
    expect(corsOf(answer)).toEqual([]);
    expect(answer.status).not.toBe(204);
    for (const target of [TARGET, '/v3']) expect(corsOf(await send(app, target))).toEqual([]);
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('hands a preflight on to what comes after the guard', async () => {
    for (const framework of [express, express4]) {
      const upstream = await recordingUpstream();
      const store = untouchedStore();
      const guard = rpcGuard({ upstream: upstream.url, store, cors: false, ...proxyUnderTest });
      endAfterTest(() => guard.close());
      const app = framework();
      app.use(guard);
      app.use(cors({ origin: 'https://dapp.example' }));
      const answer = await preflight(await serve(app));
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, 'https://dapp.example']);
      expect(store.asked).toEqual([]);
      expect(upstream.connections).toBe(0);
    }
  });

  test("keeps the headers of the application's cors(), on answers and refusals, and withholds the upstream's", async () => {
    const upstream = await recordingUpstream((_req, res) => {
      res.setHeader('Access-Control-Allow-Origin', 'https://evil.example').end('{}');
    });
    const before = [cors({ origin: 'https://dapp.example', credentials: true })];
    const app = await guardedApp({ upstream, before, options: { cors: false } });
    expect((await preflight(app)).status).toBe(204);
    for (const target of [TARGET, '/v3']) {
      const { headers } = await send(app, target, 'Origin: https://dapp.example');
      expect(headers.get('access-control-allow-origin')).toBe('https://dapp.example');
      expect(headers.get('access-control-allow-credentials')).toBe('true');
    }
  });
});

describe('cors: { … }', () => {
  async function appWith(options: RpcGuardOptions['cors']): Promise<GuardedApp> {
    return guardedApp({ options: { cors: options! } });
  }

  test('is handed to the cors package', async () => {
    const app = await appWith({ origin: ['https://dapp.example'], credentials: true, maxAge: 7 });
    const allowed = await preflight(app);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://dapp.example');
    expect(allowed.headers.get('access-control-allow-credentials')).toBe('true');
    expect(allowed.headers.get('access-control-max-age')).toBe('7');
    expect(listOf(allowed, 'vary')).toContain('origin');
    const other = await send(app, TARGET, 'Origin: https://other.example');
    expect(other.headers.get('access-control-allow-origin')).toBeUndefined();
    for (const target of [TARGET, '/v3']) {
      const answer = await send(app, target, 'Origin: https://dapp.example');
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://dapp.example');
    }
  });

  test('keeps what it does not say', async () => {
    const app = await appWith({ origin: 'https://dapp.example' });
    const answer = await preflight(app);
    expect(listOf(answer, 'access-control-allow-methods')).toContain('post');
    expect(listOf(answer, 'access-control-allow-headers')).toEqual(
      expect.arrayContaining(['content-type', 'authorization', 'x-request-id']),
    );
    expect(listOf(await send(app), 'access-control-expose-headers').sort()).toEqual(EXPOSED);
  });

  test('decides on preflights by its own words, and none is forwarded', async () => {
    const app = await appWith({ optionsSuccessStatus: 200, allowedHeaders: ['X-Only'], exposedHeaders: ['X-Other'] });
    const answer = await preflight(app);
    expect(answer.status).toBe(200);
    expect(listOf(answer, 'access-control-allow-headers')).toEqual(['x-only']);
    expect(listOf(await send(app), 'access-control-expose-headers')).toEqual(['x-other']);
    const continued = await appWith({ preflightContinue: true });
    expect(listOf(await preflight(continued), 'access-control-allow-methods')).toContain('post');
    expect(app.upstream.seen).toHaveLength(1);
    expect(continued.upstream.seen).toEqual([]);
  });

  test('whose origin function denies an origin leaves out the headers, and the guard decides as ever', async () => {
    const app = await appWith({ origin: (_origin, done) => done(null, false) });
    for (const headers of [[], ['Origin: https://other.example']]) {
      const answer = await send(app, TARGET, ...headers);
      expect([answer.status, answer.headers.has('access-control-allow-origin')]).toEqual([200, false]);
    }
    expect(app.upstream.seen).toHaveLength(2);
  });

  test('whose origin function fails reaches neither the store nor the upstream', async () => {
    const store = untouchedStore();
    const origin = (_origin: unknown, done: (error: Error) => void) => {
      done(new Error('of the application'));
    };
    const upstream = await recordingUpstream();
    const guard = rpcGuard({ upstream: upstream.url, store, cors: { origin }, ...proxyUnderTest });
    endAfterTest(() => guard.close());
    const errors: unknown[] = [];
    const app = express().use(guard);
    app.use(((error: unknown, _req: unknown, res: express.Response, next: unknown) => {
      errors.push(error);
      res.status(typeof next === 'function' ? 500 : 501).end();
    }) as unknown as express.RequestHandler);
    const { port } = await serve(app);
    for (const method of ['OPTIONS', 'POST']) {
      const request = requestBytes({
        method,
        target: TARGET,
        headers: ['Origin: https://x.example'],
        body: call('eth_a'),
      });
      expect((await exchange(port, request, method)).status).toBe(500);
    }
    expect(errors).toEqual([new Error('of the application'), new Error('of the application')]);
    expect(store.asked).toEqual([]);
    expect(upstream.connections).toBe(0);
  });
});

test('two guards in one app answer preflights each for its own path', async () => {
  const upstream = await recordingUpstream();
  const store = new MemoryStore([{ apiKey: KEY }]);
  const app = express();
  for (const [path, origin] of [
    ['/a/:apiKey', 'https://a.example'],
    ['/b/:apiKey', 'https://b.example'],
  ] as const) {
    const guard = rpcGuard({ upstream: upstream.url, store, path, cors: { origin }, ...proxyUnderTest });
    endAfterTest(() => guard.close());
    app.use(guard);
  }
  const served = await serve(app);
  for (const name of ['a', 'b']) {
    const { headers } = await preflight(served, `/${name}/${KEY}`);
    expect(headers.get('access-control-allow-origin')).toBe(`https://${name}.example`);
  }
  expect(upstream.connections).toBe(0);
});
