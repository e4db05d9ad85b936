import { gzipSync } from 'node:zlib';
import express from 'express';
import type { RequestHandler } from 'express';
import express4 from 'express-4';
import { MemoryStore, hashSecret, rpcGuard } from '../../lib';
import type { KeySettingsInput, SettingsStore } from '../../lib';
import { ByteBudget } from '../../lib/http/byte-budget';
import { endAfterTest } from '../support/cleanup';
import { KEY, basic, call, guardedApp } from '../support/guarded-app';
import type { GuardedAppOptions } from '../support/guarded-app';
import { proxyUnderTest } from '../support/proxy-under-test';
import { expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import type { Reply } from '../support/reply';
import { serve } from '../support/serve';
import { recordingUpstream } from '../support/upstream';
import { chunked, exchange, openWire, requestBytes } from '../support/wire';
import type { WireAnswer } from '../support/wire';
import { SECRET, CONTRACT, CALL, keyWith, CASES, appFor, requestOf, caseTitle, postTo } from '../support/refusal-cases';

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

  test('does not let an absolute-form target bypass the path', async () => {
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

  test('serves a target in absolute form, and checks it like any other', async () => {
    for (const expressVersion of [4, 5] as const) {
      for (const mount of ['/', '/rpc']) {
        const off = KEY.replace('0', 'f');
        const app = await guardedApp({
          mount,
          expressVersion,
          keys: [{ apiKey: KEY }, { apiKey: off, enabled: false }],
        });
        const base = mount === '/' ? '' : mount;
        for (const origin of ['http://guard.test', 'HTTPS://other.test:8080', 'http://[::1]:80']) {
          const answer = await postTo(app, `${origin}${base}/v3/${KEY}?x=http://a/v3/b`);
          expect([origin, answer.status]).toEqual([origin, 200]);
        }
        expectRefusal(await postTo(app, `http://guard.test${base}/v3/${off}`), 'KEY_DISABLED');
        expectRefusal(await postTo(app, `http://guard.test${base}/v3/`), 'KEY_REQUIRED');
        expect(app.upstream.seen).toHaveLength(3);
      }
    }
  });

  test('distinguishes upper and lower case in a key', async () => {
    const app = await guardedApp();
    expectRefusal(await postTo(app, `/v3/${KEY.toUpperCase()}`), 'KEY_UNKNOWN', { upstream: app.upstream });
  });

  test('looks up keys of 8 to 128 characters, and no others', async () => {
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

describe('the id of a request that is refused before its body is read', () => {
  const target = '/v3/fedcba9876543210fedcba9876543210';
  /** The answer to a request whose first `sent` bytes of body come with its headers, and no more. */
  async function answerTo(body: unknown, headers: readonly string[] = [], sent?: number): Promise<WireAnswer> {
    const app = await guardedApp();
    const bytes = requestBytes({ target, body: body as object, headers });
    const wire = await openWire(app.port);
    wire.write(sent === undefined ? bytes : bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4 + sent));
    const answer = await wire.answer();
    expect(app.upstream.seen).toEqual([]);
    return answer;
  }

  test('is given where its body came with the headers, digit for digit', async () => {
    for (const id of ['7', '"seven"', '1700000000000000001', '0.5', 'null']) {
      const answer = await answerTo(`{"jsonrpc":"2.0","id":${id},"method":"eth_a"}`);
      expect(answer.text).toContain(`"id":${id},"error":{"code":-32001`);
      expect(answer.status).toBe(401);
    }
  });

  test('is given for each call of a batch that is owed an answer', async () => {
    const batch = [call('eth_a', [], 1), { jsonrpc: '2.0', method: 'eth_n' }, 7, call('eth_b', [], 'two')];
    const { status, json } = await answerTo(batch);
    expect(status).toBe(401);
    expect(json).toMatchObject([1, null, 'two'].map((id) => ({ id, error: { code: -32001 } })));
    expect((await answerTo([{ jsonrpc: '2.0', method: 'eth_n' }])).json).toMatchObject({ id: null });
  });

  test('is null, and nothing is waited for, where the body is not there, long, encoded or no JSON', async () => {
    const body = call('eth_a', [], 7);
    const long = call('eth_a', ['x'.repeat(65 * 1024)], 7);
    const none = [
      await answerTo(body, [], 0),
      await answerTo(body, [], 10),
      await answerTo(long),
      await answerTo(gzipSync(JSON.stringify(body)), ['Content-Encoding: gzip']),
      await answerTo('{"id":7'),
      await answerTo(Array.from({ length: 1001 }, () => call('eth_a', [], 7))),
    ];
    for (const { json, status } of none) expect([status, json.id]).toEqual([401, null]);
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
    expectRefusal(await wire.answer(), 'KEY_REQUIRED', { id: 3 });
    expectRefusal(await wire.answer(), 'PARSE_ERROR');
    expect((await wire.answer()).json).toEqual({ jsonrpc: '2.0', id: 5, result: 'eth_b' });
    const methods = app.upstream.seen.map(({ body }) => (JSON.parse(body) as { method: string }).method);
    expect(methods.sort()).toEqual(['eth_a', 'eth_b']);
  });

  test('have one error in place of one a call where no more answers may wait in memory', async () => {
    const app = await guardedApp(keyWith({ allowlists: { methods: ['eth_a'] } }));
    const refused = [call('eth_x', [], 1), call('eth_x', [], 2)];
    const pipelined = async (): Promise<Reply[]> => {
      const wire = await openWire(app.port);
      wire.write(
        Buffer.concat([
          requestBytes({ target: `/v3/${KEY}`, body: call('eth_a', [], 1) }),
          requestBytes({ target: `/v3/${KEY}x`, body: refused }),
          requestBytes({ target: `/v3/${KEY}`, body: refused }),
        ]),
      );
      return [(await wire.answer()).json, (await wire.answer()).json, (await wire.answer()).json];
    };
    const each = (reason: string) => [1, 2].map((id) => ({ id, error: { data: { reason } } }));
    expect(await pipelined()).toMatchObject([{ result: 'eth_a' }, each('KEY_UNKNOWN'), each('METHOD_NOT_ALLOWED')]);
    const take = jest.spyOn(ByteBudget.prototype, 'take').mockReturnValue(false);
    expect(await pipelined()).toMatchObject([
      { result: 'eth_a' },
      { id: null, error: { data: { reason: 'KEY_UNKNOWN' } } },
      { id: null, error: { data: { reason: 'UPSTREAM_UNAVAILABLE' } } },
    ]);
    take.mockRestore();
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
