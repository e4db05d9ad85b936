import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import cors from 'cors';
import express from 'express';
import type { RequestHandler } from 'express';
import express4 from 'express-4';
import helmet from 'helmet';
import { MemoryStore, hashSecret, rpcGuard } from '../lib';
import type { Decision, KeySettingsInput, Logger, RpcGuard, SettingsStore } from '../lib';
import { endAfterTest } from './support/cleanup';
import { KEY, basic, call, guardedApp } from './support/guarded-app';
import type { GuardedApp, GuardedAppOptions } from './support/guarded-app';
import { proxyUnderTest } from './support/proxy-under-test';
import { rawUpstream } from './support/raw-upstream';
import { REFUSAL_TABLE, errorOf, expectRefusal } from './support/refusal-table';
import type { TabledReason } from './support/refusal-table';
import { post } from './support/reply';
import type { Reply } from './support/reply';
import { serve } from './support/serve';
import { recordingUpstream } from './support/upstream';
import { chunked, exchange, openWire, requestBytes } from './support/wire';

const SECRET = 'a-secret-brought-along-from-elsewhere';
const CONTRACT = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const CALL = call('eth_blockNumber');
const LATER = new Date(Date.now() + 86_400_000).toISOString();

interface Asked extends SettingsStore {
  readonly asked: string[];
}

/** A store that remembers which keys it was asked for. */
function askedStore(keys: readonly KeySettingsInput[] = [{ apiKey: KEY }]): Asked {
  const store = new MemoryStore(keys);
  const asked: string[] = [];
  return {
    asked,
    get: (apiKey) => {
      asked.push(apiKey);
      return store.get(apiKey);
    },
  };
}

function postTo(app: { readonly port: number }, target: string, headers: readonly string[] = []) {
  return exchange(app.port, requestBytes({ target, headers, body: CALL }));
}

/** The parts of guarded apps that differ between what a guard can be mounted in. */
const MOUNTINGS: readonly GuardedAppOptions[] = [
  { expressVersion: 4 },
  { expressVersion: 5 },
  { expressVersion: 4, mount: '/rpc' },
  { expressVersion: 5, mount: '/rpc/mainnet' },
];

function titleOf({ expressVersion, mount = '/' }: GuardedAppOptions): string {
  return `on Express ${String(expressVersion)} under ${mount}`;
}

describe('the route', () => {
  for (const mounting of MOUNTINGS) {
    test(`forwards a call ${titleOf(mounting)}, with or without a trailing slash, whatever the query string says`, async () => {
      const app = await guardedApp(mounting);
      const base = `${mounting.mount ?? ''}/v3/${KEY}`;
      const targets = [base, `${base}/`, `${base}?`, `${base}?apiKey=other`, `${base}/?a=/../x`, `${base}?%zz`];
      for (const target of targets) {
        const answer = await postTo(app, target);
        expect([target, answer.json]).toEqual([target, { jsonrpc: '2.0', id: 1, result: 'eth_blockNumber' }]);
      }
      expect(app.upstream.seen).toHaveLength(targets.length);
    });

    test(`refuses a missing key ${titleOf(mounting)}`, async () => {
      const app = await guardedApp(mounting);
      const base = `${mounting.mount ?? ''}/v3`;
      for (const target of [base, `${base}/`, `${base}?${KEY}`, `${base}/?apiKey=${KEY}`]) {
        expectRefusal(await postTo(app, target), 'KEY_REQUIRED', { upstream: app.upstream });
      }
    });

    test(`hands a path that is not the guard's on untouched, ${titleOf(mounting)}`, async () => {
      const { mount = '' } = mounting;
      const upstream = await recordingUpstream();
      const guard = rpcGuard({ upstream: upstream.url, store: new MemoryStore([{ apiKey: KEY }]), ...proxyUnderTest });
      endAfterTest(() => guard.close());
      const app = mounting.expressVersion === 4 ? express4() : express();
      app.use(mounting.mount ?? '/', guard);
      app.use(((req, res) => {
        const chunks: Buffer[] = [];
        req.on('data', (chunk: Buffer) => chunks.push(chunk));
        req.on('end', () => res.json({ url: req.originalUrl, body: Buffer.concat(chunks).toString() }));
      }) as RequestHandler);
      const { port } = await serve(app);
      const paths = ['/', '/v3x', `/v2/${KEY}`, `/v3/${KEY}/x`, `/v30/${KEY}`, '/ws/v3', `/x/v3/${KEY}`];
      for (const target of paths.map((path) => mount + path)) {
        const answer = await exchange(port, requestBytes({ target, body: 'kept' }));
        expect(answer.json).toEqual({ url: target, body: 'kept' });
        expect(answer.headers.has('x-request-id')).toBe(false);
        expect(answer.headers.has('access-control-allow-origin')).toBe(false);
      }
      expect(upstream.seen).toEqual([]);
    });
  }

  test('knows one spelling of a key, and asks the store for no other', async () => {
    const store = askedStore([{ apiKey: KEY }, { apiKey: 'Key_with-all.kinds'.replace('.', '_') }]);
    const app = await guardedApp({ store });
    const spellings = [
      `/v3/%30${KEY.slice(1)}`,
      `/v3/${KEY.slice(0, -1)}%66`,
      `//v3/${KEY}`,
      `/v3//${KEY}`,
      `//guard.test/v3/${KEY}`,
      `/V3/${KEY}`,
      `/v%33/${KEY}`,
      `/%76%33/${KEY}`,
      `/v3%2f${KEY}`,
      `/v3\\${KEY}`,
      `/v3/${KEY}/..`,
      `/v3/${KEY}/.`,
      `/v3/./${KEY}`,
      `/v3/x/../${KEY}`,
      `/./v3/${KEY}`,
      `/v3/${KEY}//`,
      `/v3/${KEY};x`,
      `/v3/${KEY};`,
      `/v3/${KEY}%00`,
      `/v3/${KEY}%20`,
      `/v3/%20${KEY}`,
      `/v3/${KEY}%0a`,
      `/v3/${KEY}%2f`,
      `/v3/${KEY}%3f`,
      `/v3/${KEY}#`,
      `/v3/${KEY}#x`,
      `/v3/${KEY}.`,
      `/v3/${KEY},`,
      `/v3/${KEY}*`,
      `/v3/:${KEY}`,
      `/v3/${KEY}%`,
      `/v3/${KEY}\\`,
      `/v3/${KEY}\xe9`,
      `/v3/:apiKey`,
      `*`,
    ];
    for (const target of spellings) {
      const answer = await exchange(app.port, requestBytes({ target, body: CALL }));
      // Either it is no key at all, or not the guard's path, or no HTTP.
      expect([target, answer.status]).toEqual([target, expect.any(Number)]);
      expect([401, 404, 400]).toContain(answer.status);
      if (answer.status === 401) expectRefusal(answer, 'KEY_UNKNOWN');
    }
    expect(store.asked).toEqual([]);
    expect(app.upstream.seen).toEqual([]);
  });

  test('does not take an absolute-form target for a way around the path', async () => {
    const store = askedStore();
    const app = await guardedApp({ store, mount: '/rpc' });
    const other = KEY.replace('0', 'f');
    for (const target of [
      `http://guard.test/rpc/v3/${other}`,
      `http://guard.test//rpc/v3/${KEY}`,
      `http://guard.test/rpc//v3/${KEY}`,
      `http://guard.test/rpc/v3/${KEY}/../${other}`,
      `http://rpc/v3/${KEY}`,
      `http://guard.test/v3/${KEY}`,
      `x://y/rpc/v3/%30${KEY.slice(1)}`,
      `/rpc/v3/${other}://rpc/v3/${KEY}`,
      `/x://y/rpc/v3/${KEY}`,
      `/rpc/x://y/v3/${KEY}`,
    ]) {
      const answer = await postTo(app, target);
      expect([target, [400, 401, 404].includes(answer.status)]).toEqual([target, true]);
    }
    expect(store.asked.filter((key) => key !== other)).toEqual([]);
    expect(app.upstream.seen).toEqual([]);
  });

  test('checks an absolute-form target like any other, if it serves it at all', async () => {
    for (const mount of ['/', '/rpc']) {
      const app = await guardedApp({ mount, keys: [{ apiKey: KEY, enabled: false }] });
      const answer = await postTo(app, `http://guard.test${mount === '/' ? '' : mount}/v3/${KEY}`);
      expect([403, 404]).toContain(answer.status);
      expect(app.upstream.seen).toEqual([]);
    }
  });

  test('tells upper from lower case in a key', async () => {
    const app = await guardedApp();
    expectRefusal(await postTo(app, `/v3/${KEY.toUpperCase()}`), 'KEY_UNKNOWN', { upstream: app.upstream });
  });

  test('takes keys of 8 to 128 characters to the store, and no others', async () => {
    const lengths = [1, 7, 8, 128, 129, 4000];
    const store = askedStore(lengths.filter((n) => n >= 8 && n <= 128).map((n) => ({ apiKey: 'k'.repeat(n) })));
    const app = await guardedApp({ store });
    for (const length of lengths) {
      const answer = await postTo(app, `/v3/${'k'.repeat(length)}`);
      expect([length, answer.status]).toEqual([length, length >= 8 && length <= 128 ? 200 : 401]);
      if (answer.status === 401) expectRefusal(answer, 'KEY_UNKNOWN');
    }
    expect(store.asked.map(({ length }) => length)).toEqual([8, 128]);
    expect(app.upstream.seen).toHaveLength(2);
  });

  test('treats keys named like members of objects as unknown', async () => {
    const app = await guardedApp();
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__defineGetter__', 'prototype']) {
      expectRefusal(await postTo(app, `/v3/${name}`), 'KEY_UNKNOWN', { upstream: app.upstream });
    }
  });

  test('finds the key where the path option says', async () => {
    const app = await guardedApp({ options: { path: '/net/:apiKey/rpc' } });
    expect((await postTo(app, `/net/${KEY}/rpc`)).status).toBe(200);
    expect((await postTo(app, `/net/${KEY}/rpc/`)).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(2);
    for (const target of [`/v3/${KEY}`, `/net/${KEY}`, `/net/${KEY}/rpc/x`, `/net/${KEY}/RPC`, `/net/x/${KEY}/rpc`]) {
      expect([target, (await postTo(app, target)).status]).toEqual([target, 404]);
    }
    expectRefusal(await postTo(app, `/net/x${KEY.slice(0, -1)}/rpc`), 'KEY_UNKNOWN');
    expect(app.upstream.seen).toHaveLength(2);
  });

  test('refuses every method but POST and OPTIONS with 405, whatever the key and the body', async () => {
    const app = await guardedApp();
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'SEARCH', 'M-SEARCH']) {
      for (const target of [`/v3/${KEY}`, '/v3']) {
        const headers = ['X-HTTP-Method-Override: POST', 'X-HTTP-Method: POST'];
        const answer = await exchange(app.port, requestBytes({ method, target, headers, body: CALL }), method);
        expect([method, answer.status]).toEqual([method, 405]);
        expect(answer.headers.get('allow')?.split(/, */)).toEqual(expect.arrayContaining(['POST']));
        if (method !== 'HEAD') expectRefusal(answer, 'METHOD_NOT_POST', { upstream: app.upstream });
      }
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('does not let a query or a header turn a GET into a POST', async () => {
    const app = await guardedApp();
    const target = `/v3/${KEY}?_method=POST&body=${encodeURIComponent(JSON.stringify(CALL))}`;
    expectRefusal(await exchange(app.port, requestBytes({ method: 'GET', target })), 'METHOD_NOT_POST', {
      upstream: app.upstream,
    });
  });
});

describe('headers that hops disagree on', () => {
  const values: Readonly<Record<string, readonly [string, string]>> = {
    Host: ['guard.test', 'other.test'],
    Authorization: [basic(SECRET).Authorization ?? '', basic('x').Authorization ?? ''],
    Origin: ['https://a.example.com', 'https://b.example.com'],
    'User-Agent': ['curl/8', 'evil'],
    'Content-Type': ['application/json', 'text/plain'],
    'Content-Encoding': ['identity', 'gzip'],
  };

  test('are refused when they come twice, in any case and order, also with one value', async () => {
    const app = await guardedApp({ keys: [{ apiKey: KEY, secrets: [{ hash: hashSecret(SECRET) }] }] });
    for (const [name, [first, second]] of Object.entries(values)) {
      const pairs = [
        [`${name}: ${first}`, `${name}: ${second}`],
        [`${name.toLowerCase()}: ${second}`, `${name.toUpperCase()}: ${first}`],
        [`${name}: ${first}`, `X-Between: 1`, `${name}: ${first}`],
        [`${name}: ${first}`, `${name}:`],
        [`${name}: ${first}`, `${name}: ${first}`, `${name}: ${first}`],
      ];
      for (const headers of pairs) {
        const request = requestBytes({ target: `/v3/${KEY}`, headers, body: CALL });
        const answer = await exchange(app.port, request);
        // The parser of some versions of Node has refused it before.
        if (answer.status !== 400 || answer.text !== '') {
          expectRefusal(answer, 'DUPLICATE_HEADER', { upstream: app.upstream });
        }
      }
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('are fine when they come once', async () => {
    const app = await guardedApp({ keys: [{ apiKey: KEY, secrets: [{ hash: hashSecret(SECRET) }] }] });
    const headers = Object.entries(values)
      .filter(([name]) => name !== 'Host')
      .map(([name, [first]]) => `${name}: ${first}`);
    expect((await postTo(app, `/v3/${KEY}`, headers)).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('are the only ones: what may be a list may come twice', async () => {
    const app = await guardedApp();
    const headers = ['Accept: application/json', 'Accept: */*', 'X-Any: 1', 'X-Any: 2', 'Cookie: a=1', 'Cookie: b=2'];
    expect((await postTo(app, `/v3/${KEY}`, headers)).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('cannot be hidden in a folded line or a trailer', async () => {
    const app = await guardedApp({
      keys: [{ apiKey: KEY, requireSecret: true, secrets: [{ hash: hashSecret(SECRET) }] }],
    });
    const { Authorization: good = '' } = basic(SECRET);
    const folded = [
      [`X-Any: 1\r\n Authorization: ${good}`],
      [`X-Any: 1\r\n\tAuthorization: ${good}`],
      [`Authorization: Basic\r\n x`],
    ];
    for (const headers of folded) {
      const answer = await postTo(app, `/v3/${KEY}`, headers);
      expect([headers, [400, 401].includes(answer.status)]).toEqual([headers, true]);
    }
    const body = chunked(JSON.stringify(CALL), 7, [`Authorization: ${good}`]);
    const headers = ['Transfer-Encoding: chunked', 'Trailer: Authorization'];
    const answer = await exchange(app.port, requestBytes({ target: `/v3/${KEY}`, headers, body }));
    expectRefusal(answer, 'SECRET_REQUIRED', { upstream: app.upstream });
  });
});

interface Case {
  readonly reason: TabledReason;
  readonly given?: GuardedAppOptions | (() => GuardedAppOptions | Promise<GuardedAppOptions>);
  readonly target?: string;
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer | object;
  readonly id?: unknown;
  /** Decided before the body has been read. */
  readonly early?: boolean;
  /** Refused by the hand-off, so the upstream may have seen the call. */
  readonly late?: boolean;
  readonly message?: RegExp;
}

const keyWith = (settings: Omit<KeySettingsInput, 'apiKey'>): GuardedAppOptions => ({
  keys: [{ apiKey: KEY, ...settings }],
});
const line = (headers: Record<string, string>) => Object.entries(headers).map(([name, value]) => `${name}: ${value}`);

const CASES: readonly Case[] = [
  { reason: 'KEY_REQUIRED', target: '/v3/', early: true },
  { reason: 'KEY_UNKNOWN', target: `/v3/${KEY}x`, early: true },
  { reason: 'KEY_UNKNOWN', target: '/v3/short', early: true },
  { reason: 'KEY_UNKNOWN', target: `/v3/${KEY}x`, headers: line(basic(SECRET)), early: true },
  { reason: 'KEY_DISABLED', given: keyWith({ enabled: false }), early: true },
  {
    reason: 'KEY_DISABLED',
    given: keyWith({ enabled: false, overrideAllowlists: true, secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: line(basic(SECRET)),
    early: true,
  },
  ...['wrong', '', `${SECRET} `, SECRET.toUpperCase(), `:${SECRET}`].map((secret): Case => ({
    reason: 'SECRET_INVALID',
    given: keyWith({ secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: line(basic(secret)),
    early: true,
  })),
  ...[
    'Basic',
    'Basic ',
    'Basic !!!!',
    `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}!`,
    `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}==x`,
    `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}, Basic eA==`,
    `Basic ${Buffer.from(SECRET).toString('base64')}`,
    `Basic ${Buffer.from(`other:${SECRET}`).toString('base64')}`,
    `Basic ${Buffer.from(`${KEY}x:${SECRET}`).toString('base64')}`,
    `Bearer ${SECRET}`,
    SECRET,
    '',
  ].map((value): Case => ({
    reason: 'SECRET_INVALID',
    given: keyWith({ secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: [`Authorization: ${value}`],
    early: true,
  })),
  {
    reason: 'SECRET_INVALID',
    given: keyWith({ secrets: [{ hash: hashSecret(SECRET), expiresAt: '2020-01-01T00:00:00Z' }] }),
    headers: line(basic(SECRET)),
    early: true,
  },
  { reason: 'SECRET_INVALID', headers: line(basic(SECRET)), early: true },
  {
    reason: 'SECRET_REQUIRED',
    given: keyWith({ requireSecret: true, secrets: [{ hash: hashSecret(SECRET) }] }),
    early: true,
  },
  { reason: 'SECRET_REQUIRED', given: keyWith({ requireSecret: true }), early: true },
  {
    reason: 'SECRET_INVALID',
    given: keyWith({
      requireSecret: true,
      secrets: [{ hash: hashSecret(SECRET), expiresAt: '2020-01-01T00:00:00Z' }],
    }),
    headers: line(basic(SECRET)),
    early: true,
  },
  {
    reason: 'USER_AGENT_NOT_ALLOWED',
    given: keyWith({ allowlists: { userAgents: ['Android'] } }),
    headers: ['User-Agent: android'],
    early: true,
  },
  { reason: 'USER_AGENT_NOT_ALLOWED', given: keyWith({ allowlists: { userAgents: ['Android'] } }), early: true },
  {
    reason: 'ORIGIN_NOT_ALLOWED',
    given: keyWith({ allowlists: { origins: ['https://*.example.com'] } }),
    headers: ['Origin: https://example.com'],
    early: true,
  },
  { reason: 'ORIGIN_NOT_ALLOWED', given: keyWith({ allowlists: { origins: ['https://'] } }), early: true },
  {
    reason: 'CONTRACT_ADDRESS_NOT_ALLOWED',
    given: keyWith({ allowlists: { contractAddresses: [CONTRACT] } }),
    body: call('eth_call', [{ to: CONTRACT.replace('f', 'e') }, 'latest'], 7),
    id: 7,
  },
  {
    reason: 'METHOD_NOT_ALLOWED',
    given: keyWith({ allowlists: { methods: ['eth_get*', 'eth_call'] } }),
    body: call('eth_Call', [], 'seven'),
    id: 'seven',
  },
  { reason: 'METHOD_BLOCKED', body: call('admin_peers', [], null) },
  {
    reason: 'METHOD_BLOCKED',
    given: keyWith({ overrideAllowlists: true, secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: line(basic(SECRET)),
    body: call('admin_peers', [], 3),
    id: 3,
  },
  { reason: 'PARSE_ERROR', body: '{"jsonrpc":"2.0"' },
  { reason: 'PARSE_ERROR', body: '' },
  { reason: 'INVALID_REQUEST', body: '{}' },
  { reason: 'INVALID_REQUEST', body: '[]' },
  { reason: 'INVALID_REQUEST', body: { jsonrpc: '1.0', id: 4, method: 'eth_blockNumber' }, id: 4 },
  { reason: 'BODY_TOO_LARGE', given: { options: { maxBodyBytes: 61 } }, body: 'x'.repeat(62), message: /\b61\b/ },
  {
    reason: 'BATCH_TOO_LARGE',
    given: { options: { maxBatchSize: 2 } },
    body: [CALL, CALL, CALL],
    message: /\b2\b/,
  },
  { reason: 'UNSUPPORTED_ENCODING', headers: ['Content-Encoding: zstd'] },
  { reason: 'METHOD_NOT_POST', method: 'PUT', early: true },
  {
    reason: 'DUPLICATE_HEADER',
    headers: ['Origin: https://a.example.com', 'Origin: https://a.example.com'],
    early: true,
  },
  { reason: 'SETTINGS_UNAVAILABLE', given: { store: brokenStore(), options: { logger: silent() } }, early: true },
  {
    reason: 'SETTINGS_UNAVAILABLE',
    given: {
      store: { get: () => ({ apiKey: KEY, allowlists: { origins: ['not an origin/'] } }) },
      options: { logger: silent() },
    },
    early: true,
  },
  {
    reason: 'UPSTREAM_UNAVAILABLE',
    given: async () => {
      const gone = await recordingUpstream();
      await gone.close();
      return { options: { upstream: `http://user:pass@127.0.0.1:${gone.port}/hidden-path` } };
    },
    late: true,
  },
  {
    reason: 'UPSTREAM_TIMEOUT',
    given: async () => {
      const { port } = await rawUpstream(() => undefined);
      return { options: { upstreamTimeoutMs: 50, upstream: `http://user:pass@127.0.0.1:${port}/hidden-path` } };
    },
    late: true,
  },
];

function brokenStore(): SettingsStore {
  return { get: () => Promise.reject(new Error('postgres://user:hunter2@db.internal is down')) };
}

function silent(): Logger {
  return { info: () => undefined, warn: () => undefined, error: () => undefined };
}

async function appFor({ given = {} }: Case, more: GuardedAppOptions['options'] = {}): Promise<GuardedApp> {
  const options = typeof given === 'function' ? await given() : given;
  return guardedApp({ ...options, options: { ...options.options, ...more } });
}

function requestOf({ target = `/v3/${KEY}`, method = 'POST', headers = [], body = CALL }: Case): Buffer {
  return requestBytes({ target, method, headers, body });
}

function caseTitle(index: number, { reason, target, method, headers = [], body }: Case): string {
  const told = [method, target, ...headers, body === undefined ? undefined : JSON.stringify(body)];
  const what = told.filter((part) => part !== undefined).join(' ');
  return `${String(index)} ${reason} ${what.slice(0, 100)}`;
}

describe('the refusal table', () => {
  for (const [index, it] of CASES.entries()) {
    test(`row ${caseTitle(index, it)}`, async () => {
      const app = await appFor(it);
      const answer = await exchange(app.port, requestOf(it), it.method);
      expectRefusal(answer, it.reason, { upstream: app.upstream, id: it.id ?? (it.late === true ? 1 : null) });
      const { headers } = answer;
      expect(headers.get('x-request-id')).toBe(answer.json.error.data.requestId);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-expose-headers')).toMatch(/X-Request-Id/i);
      expect(headers.get('access-control-expose-headers')).toMatch(/Retry-After/i);
      const challenge = answer.status === 401 ? 'Basic realm="rpc-guard", charset="UTF-8"' : undefined;
      expect(headers.get('www-authenticate')).toBe(challenge);
      expect(headers.has('allow')).toBe(answer.status === 405);
      expect(headers.has('retry-after')).toBe(answer.status === 503);
      if (answer.status === 503) expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      if (it.message !== undefined) expect(answer.json.error.message).toMatch(it.message);
      expect(answer.text).not.toMatch(
        /hidden-path|user:|pass@|127\.0\.0\.1|hunter2|postgres|fe05a3|Android|example\.com/,
      );
    });

    test(`without exposeReason, row ${caseTitle(index, it)} names none`, async () => {
      const app = await appFor(it, { exposeReason: false });
      const answer = await exchange(app.port, requestOf(it), it.method);
      expect(answer.json.error.data).toEqual({ requestId: answer.headers.get('x-request-id') });
      expect(answer.text).not.toContain(it.reason);
      expect(app.upstream.seen).toEqual([]);
    });
  }

  test('covers every reason', () => {
    // A slow body has a test of its own below.
    const covered = new Set([...CASES.map(({ reason }) => reason), 'BODY_TIMEOUT']);
    expect([...covered].sort()).toEqual(Object.keys(REFUSAL_TABLE).sort());
  });

  test('answers -32602 for params that are not an array', async () => {
    const app = await guardedApp();
    for (const params of [{}, { to: CONTRACT }, 'latest', 1, true]) {
      const answer = await post(app.rpcUrl, { ...CALL, id: 'p', params });
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({ jsonrpc: '2.0', id: 'p', error: { code: -32602 } });
    }
    expect(app.upstream.seen).toEqual([]);
  });

  test('names the blocked method in its message as it was sent', async () => {
    const app = await guardedApp({ options: { blockedMethods: ['debug_*', 'eth_sign'] } });
    for (const method of ['debug_', 'debug_"quoted"', 'eth_sign']) {
      const answer = await post(app.rpcUrl, call(method, [], 5));
      expect(answer.status).toBe(403);
      expect(answer.json.error).toMatchObject({
        code: -32601,
        message: `the method ${method} does not exist/is not available`,
      });
      expect(answer.json.id).toBe(5);
    }
    expect(app.upstream.seen).toEqual([]);
    for (const method of ['Debug_x', 'eth_signTransaction', 'admin_peers']) {
      expect((await post(app.rpcUrl, call(method))).json.result).toBe(method);
    }
  });

  test('tells a wrong secret of a key from an unknown key by its message alone', async () => {
    const app = await guardedApp(keyWith({ secrets: [{ hash: hashSecret(SECRET) }] }));
    const wrong = await post(app.rpcUrl, CALL, basic('wrong'));
    const unknown = await post(`${app.rpcUrl}x`, CALL, basic('wrong'));
    const names = (headers: Headers) => [...headers.keys()].filter((name) => name !== 'content-length');
    expect(names(wrong.headers)).toEqual(names(unknown.headers));
    expect(wrong.status).toBe(unknown.status);
    expect(app.upstream.seen).toEqual([]);
  });
});

describe('the secret', () => {
  const SECRETS: KeySettingsInput['secrets'] = [
    { hash: hashSecret(SECRET), expiresAt: LATER },
    { hash: hashSecret(`${SECRET}:with:colons`) },
    { hash: hashSecret('ünïcødé-secret-of-32-characters-or-more') },
  ];

  test('opens a key that requires one, with an empty user or the key as the user, and is never forwarded', async () => {
    const app = await guardedApp(keyWith({ requireSecret: true, secrets: SECRETS }));
    const good = [
      basic(SECRET),
      basic(SECRET, KEY),
      basic(`${SECRET}:with:colons`),
      basic('ünïcødé-secret-of-32-characters-or-more'),
      { Authorization: (basic(SECRET).Authorization ?? '').replace('Basic', 'bAsIC') },
    ];
    for (const headers of good) expect((await post(app.rpcUrl, CALL, headers)).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(good.length);
    for (const { rawHeaders } of app.upstream.seen) expect(rawHeaders.join('\n')).not.toMatch(/authorization|basic/i);
  });

  test('that overrides allowlists passes all four, and a request without it none', async () => {
    const allowlists = {
      contractAddresses: [CONTRACT],
      userAgents: ['Android'],
      origins: ['https://a.example.com'],
      methods: ['eth_call'],
    };
    const app = await guardedApp(keyWith({ overrideAllowlists: true, secrets: SECRETS, allowlists }));
    expectRefusal(await post(app.rpcUrl, call('eth_getBalance', [KEY])), 'USER_AGENT_NOT_ALLOWED', {
      upstream: app.upstream,
    });
    const answer = await post(app.rpcUrl, call('eth_getBalance', [KEY]), basic(SECRET));
    expect(answer.json.result).toBe('eth_getBalance');
  });

  test('is dead at the instant of its expiry', async () => {
    const store = new MemoryStore([{ apiKey: KEY, secrets: [{ hash: hashSecret(SECRET), expiresAt: LATER }] }]);
    const app = await guardedApp({ store });
    expect((await post(app.rpcUrl, CALL, basic(SECRET))).status).toBe(200);
    const now = jest.spyOn(Date, 'now').mockReturnValue(Date.parse(LATER));
    endAfterTest(() => now.mockRestore());
    app.upstream.seen.length = 0;
    expectRefusal(await post(app.rpcUrl, CALL, basic(SECRET)), 'SECRET_INVALID', { upstream: app.upstream });
    now.mockReturnValue(Date.parse(LATER) - 1);
    expect((await post(app.rpcUrl, CALL, basic(SECRET))).status).toBe(200);
  });
});

describe('X-Request-Id', () => {
  test("is the caller's when it is sane, on answers and refusals, and goes to the upstream", async () => {
    const app = await guardedApp();
    for (const id of ['abc', '7', 'A-b_c.1', 'x'.repeat(64)]) {
      const passed = await postTo(app, `/v3/${KEY}`, [`X-Request-Id: ${id}`]);
      expect(passed.headers.get('x-request-id')).toBe(id);
      expect(app.upstream.seen.at(-1)?.headers['x-request-id']).toBe(id);
      const refused = await postTo(app, '/v3', [`X-Request-Id: ${id}`]);
      expect(refused.headers.get('x-request-id')).toBe(id);
      expect(refused.json.error.data.requestId).toBe(id);
    }
  });

  test('is a fresh one in place of one that is not sane', async () => {
    const app = await guardedApp();
    const seen = new Set<string | undefined>();
    const insane = ['', 'a b', 'a"b', '<script>', 'x'.repeat(2000), 'é', 'a,b', '${jndi:x}', 'a\tb', 'a;b'];
    for (const id of insane) {
      const answer = await postTo(app, '/v3', [`X-Request-Id: ${id}`]);
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      seen.add(answer.headers.get('x-request-id'));
    }
    const twice = await postTo(app, '/v3', ['X-Request-Id: a', 'X-Request-Id: b']);
    expect(twice.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(seen.size).toBe(insane.length);
  });

  test("is not the upstream's to change", async () => {
    const upstream = await recordingUpstream((_req, res) => {
      res.setHeader('X-Request-Id', 'of-the-upstream').end('{}');
    });
    const app = await guardedApp({ upstream });
    expect((await postTo(app, `/v3/${KEY}`, ['X-Request-Id: mine'])).headers.get('x-request-id')).toBe('mine');
  });
});

describe('cheap checks first', () => {
  for (const [index, it] of CASES.entries()) {
    if (it.early !== true) continue;
    test(`answers before the body has been sent: ${caseTitle(index, it)}`, async () => {
      const app = await appFor(it);
      const wires = await Promise.all([openWire(app.port), openWire(app.port)]);
      const framings = ['Content-Length: 1000', 'Transfer-Encoding: chunked'];
      for (const [n, wire] of wires.entries()) {
        const headers = [...(it.headers ?? []), framings[n] ?? ''];
        wire.write(requestOf({ ...it, headers, body: '' }));
        expectRefusal(await wire.answer(it.method), it.reason, { upstream: app.upstream });
      }
    });
  }

  test('a body that is announced too large is refused before it is sent', async () => {
    const app = await guardedApp({ options: { maxBodyBytes: 1000 } });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: `/v3/${KEY}`, headers: ['Content-Length: 1001'], body: '' }));
    expectRefusal(await wire.answer(), 'BODY_TOO_LARGE', { upstream: app.upstream });
  });

  test('a refused body that never ends does not keep its connection', async () => {
    const app = await guardedApp();
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: '/v3', headers: ['Content-Length: 1000000'], body: '' }));
    const timer = setInterval(() => wire.write(' '), 5);
    try {
      expectRefusal(await wire.answer(), 'KEY_REQUIRED', { upstream: app.upstream });
      await wire.closed;
    } finally {
      clearInterval(timer);
    }
  });

  test('a refused body that does come leaves the connection to the next request', async () => {
    const app = await guardedApp();
    const wire = await openWire(app.port);
    const bodies = requestBytes({ target: '/v3', body: CALL });
    wire.write(bodies, requestBytes({ target: `/v3/${KEY}`, body: call('eth_chainId') }));
    expectRefusal(await wire.answer(), 'KEY_REQUIRED');
    expect((await wire.answer()).json.result).toBe('eth_chainId');
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('what stands in the body of a refused request is no request', async () => {
    const app = await guardedApp();
    const wire = await openWire(app.port);
    const inner = requestBytes({ target: `/v3/${KEY}`, body: call('eth_inner') }).toString();
    wire.write(requestBytes({ target: '/v3', body: inner }), requestBytes({ target: '/v3', body: CALL }));
    expectRefusal(await wire.answer(), 'KEY_REQUIRED');
    expectRefusal(await wire.answer(), 'KEY_REQUIRED', { upstream: app.upstream });
  });
});

describe('pipelined requests on one connection', () => {
  test('are answered in their order, each by its own verdict', async () => {
    const app = await guardedApp(keyWith({ allowlists: { methods: ['eth_a', 'eth_b'] } }));
    const wire = await openWire(app.port);
    const target = `/v3/${KEY}`;
    wire.write(
      Buffer.concat([
        requestBytes({ target, body: call('eth_a', [], 1) }),
        requestBytes({ target, body: call('eth_x', [], 2) }),
        requestBytes({ target: '/v3', body: call('eth_a', [], 3) }),
        requestBytes({ target, body: '{' }),
        requestBytes({ target, body: call('eth_b', [], 5) }),
      ]),
    );
    expect((await wire.answer()).json).toEqual({ jsonrpc: '2.0', id: 1, result: 'eth_a' });
    expectRefusal(await wire.answer(), 'METHOD_NOT_ALLOWED', { id: 2 });
    expectRefusal(await wire.answer(), 'KEY_REQUIRED');
    expectRefusal(await wire.answer(), 'PARSE_ERROR');
    expect((await wire.answer()).json).toEqual({ jsonrpc: '2.0', id: 5, result: 'eth_b' });
    const methods = app.upstream.seen.map(({ body }) => (JSON.parse(body) as { method: string }).method);
    expect(methods.sort()).toEqual(['eth_a', 'eth_b']);
  });

  test('with both framings at once never become two requests', async () => {
    const app = await guardedApp();
    const inner = requestBytes({ target: `/v3/${KEY}`, body: call('eth_smuggled') });
    for (const headers of [
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Content-Length: 5'],
      ['Transfer-Encoding: identity', 'Content-Length: 5'],
      ['Transfer-Encoding: xchunked'],
      ['Transfer-Encoding: chunked, identity'],
      ['Content-Length: 5', 'Content-Length: 6'],
      ['Content-Length: +5'],
      ['Content-Length : 5'],
    ]) {
      const wire = await openWire(app.port);
      wire.write(requestBytes({ target: '/v3', headers, body: Buffer.concat([Buffer.from('0\r\n\r\n'), inner]) }));
      expect((await wire.answer()).status).toBe(400);
      await wire.closed;
    }
    expect(app.upstream.seen).toEqual([]);
  });
});

describe('onDecision', () => {
  interface Told {
    readonly decisions: Decision[];
    readonly onDecision: (decision: Decision) => void;
  }

  function told(): Told {
    const decisions: Decision[] = [];
    return { decisions, onDecision: (decision) => decisions.push(decision) };
  }

  test('is told an allowed request once', async () => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ options: { onDecision } });
    const answer = await post(app.rpcUrl, [call('eth_a'), call('eth_b')]);
    expect(decisions).toEqual([
      {
        allowed: true,
        reason: undefined,
        keyHint: expect.any(String) as unknown,
        methods: ['eth_a', 'eth_b'],
        requestId: answer.headers.get('x-request-id'),
        milliseconds: expect.any(Number) as unknown,
      },
    ]);
    expect(KEY.startsWith(decisions[0]?.keyHint?.replace(/\W+$/, '') ?? 'none')).toBe(true);
    expect(decisions[0]?.keyHint?.length).toBeLessThan(KEY.length / 2);
  });

  for (const [index, it] of CASES.entries()) {
    if (it.late === true) continue;
    test(`is told once: ${caseTitle(index, it)}`, async () => {
      const { decisions, onDecision } = told();
      const app = await appFor(it, { onDecision });
      const answer = await exchange(app.port, requestOf(it), it.method);
      expect(decisions).toHaveLength(1);
      expect(decisions[0]).toMatchObject({
        allowed: false,
        reason: it.reason,
        requestId: answer.headers.get('x-request-id'),
      });
      expect(app.upstream.seen).toEqual([]);
    });
  }

  test('is told each verdict of a mixed batch once, with the methods it was given to', async () => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ ...keyWith({ allowlists: { methods: ['eth_a'] } }), options: { onDecision } });
    await post(app.rpcUrl, [call('eth_a'), call('eth_x'), call('eth_a'), call('admin_y'), 1, call('eth_z')]);
    const verdicts = decisions.map(({ allowed, reason, methods }) => ({ allowed, reason, methods }));
    expect(verdicts).toHaveLength(4);
    expect(verdicts).toEqual(
      expect.arrayContaining([
        { allowed: true, reason: undefined, methods: ['eth_a', 'eth_a'] },
        { allowed: false, reason: 'METHOD_NOT_ALLOWED', methods: ['eth_x', 'eth_z'] },
        { allowed: false, reason: 'METHOD_BLOCKED', methods: ['admin_y'] },
        { allowed: false, reason: 'INVALID_REQUEST', methods: [] },
      ]),
    );
  });

  test('is not told of a preflight', async () => {
    const { decisions, onDecision } = told();
    const app = await guardedApp({ options: { onDecision } });
    await exchange(app.port, requestBytes({ method: 'OPTIONS', target: `/v3/${KEY}` }));
    expect(decisions).toEqual([]);
  });

  test('cannot change a verdict', async () => {
    const onDecision = (decision: Decision) => Object.assign(decision, { allowed: true, reason: undefined });
    const app = await guardedApp({ options: { onDecision } });
    expectRefusal(await post(`${app.url}/v3`, CALL), 'KEY_REQUIRED', { upstream: app.upstream });
  });

  test('harms nothing when it throws, rejects, or never settles', async () => {
    const listeners: readonly (() => unknown)[] = [
      () => {
        throw new Error('of the listener');
      },
      () => Promise.reject(new Error('of the listener')),
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the hostile case
      () => Promise.reject(undefined),
      () => new Promise<void>(() => undefined),
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- the hostile case
        throw undefined;
      },
    ];
    for (const onDecision of listeners) {
      const app = await guardedApp({ options: { onDecision } });
      expect((await post(app.rpcUrl, CALL)).json.result).toBe('eth_blockNumber');
      expectRefusal(await post(`${app.url}/v3`, CALL), 'KEY_REQUIRED');
      expect(app.upstream.seen).toHaveLength(1);
    }
  });
});

describe('the logger', () => {
  test("is never told a key, a secret, or the upstream's credentials", async () => {
    const lines: string[] = [];
    const write = (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { info: write, warn: write, error: write };
    const gone = await recordingUpstream();
    await gone.close();
    const token = 'upstream-token-9f3b';
    const upstream = {
      url: `http://upstream-user:upstream-pass@127.0.0.1:${gone.port}/upstream-path-key?q=upstream-query`,
      headers: { 'X-Token': token },
    };
    const other = 'otherkey-otherkey-otherkey';
    const store: SettingsStore = {
      get: (apiKey) => {
        if (apiKey === other) throw new Error(`no row for ${apiKey} at postgres://u:hunter2@db`);
        if (apiKey.startsWith('bad')) return { apiKey, enabled: 'yes' } as never;
        return apiKey === KEY ? { apiKey: KEY, secrets: [{ hash: hashSecret(SECRET) }] } : undefined;
      },
    };
    const app = await guardedApp({ store, options: { logger, upstream } });
    const bad = 'badkey-badkey-badkey-badkey';
    await post(app.rpcUrl, CALL, basic(SECRET));
    await post(app.rpcUrl, CALL, basic(`${SECRET}wrong`));
    await post(app.rpcUrl, `not json ${SECRET}`);
    await post(app.rpcUrl, [CALL, call('admin_peers')], basic(SECRET));
    await post(`${app.url}/v3/${KEY}unknown`, CALL, basic(SECRET));
    await post(`${app.url}/v3/${bad}`, CALL, basic(SECRET));
    await post(`${app.url}/v3/${other}`, CALL, basic(SECRET));
    expect(lines.length).toBeGreaterThan(6);
    const log = lines.join('\n');
    const encoded = Buffer.from(`:${SECRET}`).toString('base64');
    const secrets = [KEY, bad, other, SECRET, encoded, hashSecret(SECRET), token, 'hunter2'];
    for (const text of [...secrets, 'upstream-user', 'upstream-pass', 'upstream-path', 'upstream-query']) {
      expect([text, log.includes(text)]).toEqual([text, false]);
    }
    expect(log).toContain('UPSTREAM_UNAVAILABLE');
  });
});

describe('beside other middleware', () => {
  const anything = { type: () => true, limit: '4mb' };
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
    ['express.urlencoded()', [express.urlencoded({ extended: true })], 'application/json'],
    ['express.json() and express.urlencoded()', [express.json(), express.urlencoded()], 'application/json'],
    ["Express 4's express.json()", [express4.json()], 'application/json'],
    ["Express 4's express.json() that skips the form type", [express4.json()], 'application/x-www-form-urlencoded'],
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

  test('a guard sits beside other routes, in a router, and none sees what is the other’s', async () => {
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
  async function closable(store: SettingsStore, upstreamUrl: string): Promise<{ guard: RpcGuard; url: string }> {
    const guard = rpcGuard({ upstream: upstreamUrl, store, ...proxyUnderTest });
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
});
