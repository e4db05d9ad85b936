import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import timers from 'node:timers';
import { setImmediate as afterIo } from 'node:timers/promises';
import { runInThisContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import express from 'express';
import { MemoryStore, hashSecret } from '../../lib';
import type { RpcGuardOptions } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, basic, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp } from '../support/guarded-app';
import { recordingLogger } from '../support/pieces';
import { rawUpstream } from '../support/raw-upstream';
import { expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import { recordingUpstream } from '../support/upstream';
import type { SeenRequest } from '../support/upstream';
import { until } from '../support/until';
import { chunked, exchange, openWire, requestBytes } from '../support/wire';
import type { WireAnswer } from '../support/wire';

const TARGET = `/v3/${KEY}`;
const TEXT = JSON.stringify(call('eth_blockNumber'));
const SENT = '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}';

function send(app: GuardedApp, ...headers: readonly string[]): Promise<WireAnswer> {
  return exchange(app.port, requestBytes({ target: TARGET, headers, body: TEXT }));
}

/** The headers that a request came with, in lower case, each with all of its values. */
function headersOf({ rawHeaders }: SeenRequest): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (let n = 0; n < rawHeaders.length; n += 2) {
    (headers[(rawHeaders[n] ?? '').toLowerCase()] ??= []).push(rawHeaders[n + 1] ?? '');
  }
  return headers;
}

/** An app in front of an upstream that is scripted with the response it gets to write. */
async function appBefore(
  answer: (res: ServerResponse) => unknown,
  options: Partial<RpcGuardOptions> = {},
): Promise<GuardedApp> {
  return guardedApp({ upstream: await recordingUpstream((_req, res) => void answer(res)), options });
}

/** An app in front of an upstream that answers every request with the same bytes. */
async function appBeforeRaw(bytes: string, options: Partial<RpcGuardOptions> = {}): Promise<GuardedApp> {
  const { url } = await rawUpstream((socket) => socket.write(Buffer.from(bytes, 'latin1')));
  return guardedApp({ options: { upstream: url, ...options } });
}

/** A promise, and the function that settles it. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let settle: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (settle = resolve));
  return { promise, resolve: settle };
}

describe('the upstream', () => {
  const PASSING = [
    'Accept: application/json',
    'Accept-Encoding: gzip',
    'X-Request-Id: my-request',
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'tracestate: rojo=00f067aa0ba902b7',
  ];
  const HOSTILE = [
    'Cookie: session=secret',
    'Forwarded: for=1.2.3.4',
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Host: evil',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 1',
    'X-Forwarded-Prefix: /evil',
    'X-Real-IP: 1.2.3.4',
    'Via: 1.1 evil',
    'TE: trailers',
    'Trailer: X-T',
    'Keep-Alive: timeout=9',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic eA==',
    'X-HTTP-Method-Override: GET',
    'X-Original-URL: /admin',
    'X-Rewrite-URL: /admin',
    'Origin: https://dapp.example',
    'Referer: https://dapp.example/x',
    'User-Agent: evil/1',
    'Content-Type: text/evil; charset=utf-8',
    'Content-Encoding: identity',
    'Content-Language: de',
    'Content-MD5: x',
    'Range: bytes=0-1',
    'If-None-Match: "x"',
    'Max-Forwards: 1',
    'DNT: 1',
    'X-Api-Key: evil',
    'X-Anything: goes',
    '__proto__: x',
    'constructor: x',
  ];
  const FRAMINGS: readonly (readonly [string, readonly string[], string | Buffer])[] = [
    ['with a Content-Length', [], TEXT],
    ['in chunks', ['Transfer-Encoding: chunked'], chunked(TEXT, 5, ['X-T: trailer'])],
    ['with Expect', ['Expect: 100-continue'], TEXT],
    ['in chunks with Expect', ['Expect: 100-continue', 'Transfer-Encoding: chunked'], chunked(TEXT)],
  ];

  for (const expressVersion of [4, 5] as const) {
    for (const [how, framing, body] of FRAMINGS) {
      test(`sees these headers and no others, of a request ${how} on Express ${String(expressVersion)}`, async () => {
        const app = await guardedApp({ expressVersion, mount: '/rpc' });
        const target = `/rpc${TARGET}/?secret=query`;
        for (const version of ['1.1', '1.0'] as const) {
          if (version === '1.0' && framing.length > 0) continue;
          for (const connection of ['keep-alive', 'close', 'Upgrade, TE, X-Anything']) {
            const headers = [...HOSTILE, ...PASSING, ...framing, `Connection: ${connection}`];
            const answer = await exchange(app.port, requestBytes({ target, headers, body, version }));
            expect([connection, answer.json.result]).toEqual([connection, 'eth_blockNumber']);
            const [seen] = app.upstream.seen.splice(0);
            if (seen === undefined) throw new Error('nothing was forwarded');
            const { connection: hop, ...sent } = headersOf(seen);
            expect(sent).toEqual({
              host: [`127.0.0.1:${app.upstream.port}`],
              'content-type': ['application/json'],
              'content-length': [String(SENT.length)],
              accept: ['application/json'],
              'accept-encoding': ['gzip'],
              'x-request-id': ['my-request'],
              traceparent: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
              tracestate: ['rojo=00f067aa0ba902b7'],
            });
            expect(hop ?? ['keep-alive']).toEqual(['keep-alive']);
            expect([seen.method, seen.url, seen.body]).toEqual(['POST', '/', SENT]);
            expect(JSON.stringify([seen.rawHeaders, seen.url])).not.toContain(KEY);
          }
        }
      });
    }
  }

  test('sees no header that the caller has not sent, but a request id', async () => {
    const app = await guardedApp();
    expect((await send(app)).status).toBe(200);
    const names = app.upstream.seen.map((seen) => Object.keys(headersOf(seen)).filter((name) => name !== 'connection'));
    expect(names.map((it) => it.sort())).toEqual([['content-length', 'content-type', 'host', 'x-request-id']]);
  });

  test('sees no credentials of the caller, wherever they stand', async () => {
    const secret = 'a-secret-brought-along-from-elsewhere';
    const app = await guardedApp({
      keys: [{ apiKey: KEY, requireSecret: true, secrets: [{ hash: hashSecret(secret) }] }],
    });
    const { Authorization: credentials = '' } = basic(secret, KEY);
    const target = `${TARGET}?secret=${secret}`;
    const headers = [`Authorization: ${credentials}`, `Cookie: s=${secret}`];
    const answer = await exchange(app.port, requestBytes({ target, headers, body: TEXT }));
    expect(answer.status).toBe(200);
    const all = JSON.stringify(app.upstream.seen);
    for (const text of [KEY, secret, credentials.slice(6), 'uthorization']) expect(all).not.toContain(text);
  });

  test('sees its own URL: credentials, path and query', async () => {
    const upstream = await recordingUpstream();
    for (const [url, path, credentials] of [
      ['/', '/', undefined],
      ['', '/', undefined],
      ['?q', '/?q', undefined],
      ['/rpc/v1/key', '/rpc/v1/key', undefined],
      ['/rpc/', '/rpc/', undefined],
      ['/a%20b/%2F?k=%2f&u=http://x//y?z', '/a%20b/%2F?k=%2f&u=http://x//y?z', undefined],
      ['/rpc?u=http:/x', '/rpc?u=http:/x', undefined],
      ['/rpc?key=1&key=2', '/rpc?key=1&key=2', 'user:pass'],
      ['/rpc', '/rpc', ':only-a-password'],
      ['/rpc', '/rpc', 'only-a-user:'],
      ['/rpc', '/rpc', 'us%3Aer:p%40ss%2Fw%C3%B6rd'],
    ] as const) {
      const origin = `http://${credentials === undefined ? '' : `${credentials}@`}127.0.0.1:${upstream.port}`;
      const app = await guardedApp({ upstream, options: { upstream: origin + url } });
      expect((await send(app, 'Authorization-X: x')).status).toBe(200);
      const [seen] = upstream.seen.splice(0);
      expect([url, seen?.url]).toEqual([url, path]);
      const expected = credentials && `Basic ${Buffer.from(decodeURIComponent(credentials)).toString('base64')}`;
      expect([url, seen?.headers.authorization]).toEqual([url, expected]);
      expect(seen?.headers.host).toBe(`127.0.0.1:${upstream.port}`);
    }
  });

  test('sees the headers of { url, headers }, which no caller can change', async () => {
    const upstream = await recordingUpstream();
    const headers = {
      Authorization: 'Bearer upstream-token',
      'X-Api-Key': 'upstream-key',
      Host: 'node.internal',
      'User-Agent': 'our-gateway',
      Accept: 'application/json',
    };
    const app = await guardedApp({ upstream, options: { upstream: { url: `${upstream.url}/rpc`, headers } } });
    const answer = await send(app, 'X-API-KEY: theirs', 'User-Agent: theirs', 'Accept: text/theirs', 'Cookie: theirs');
    expect(answer.status).toBe(200);
    const { connection, ...sent } = headersOf(upstream.seen[0]!);
    expect(sent).toEqual({
      authorization: ['Bearer upstream-token'],
      'x-api-key': ['upstream-key'],
      host: ['node.internal'],
      'user-agent': ['our-gateway'],
      accept: ['application/json'],
      'content-type': ['application/json'],
      'content-length': [String(SENT.length)],
      'x-request-id': [answer.headers.get('x-request-id')],
    });
    expect(connection ?? ['keep-alive']).toEqual(['keep-alive']);
    expect(upstream.seen[0]?.url).toBe('/rpc');
  });

  test('is sent a large body whole', async () => {
    const app = await guardedApp();
    const params = [randomBytes(700_000).toString('hex'), '🦄'.repeat(1000)];
    expect((await post(app.rpcUrl, call('eth_a', params))).json.result).toBe('eth_a');
    expect(JSON.parse(app.upstream.seen[0]?.body ?? '')).toEqual(call('eth_a', params));
  });
});

describe('connections to the upstream', () => {
  test('are kept and used again', async () => {
    const app = await guardedApp();
    for (let n = 0; n < 20; n++) expect((await send(app)).status).toBe(200);
    expect(app.upstream.connections).toBe(1);
    await Promise.all(Array.from({ length: 10 }, () => send(app)));
    const after = app.upstream.connections;
    expect(after).toBeLessThanOrEqual(10);
    for (let n = 0; n < 10; n++) await send(app);
    expect(app.upstream.connections).toBe(after);
  });

  test('are not made for refused requests', async () => {
    const app = await guardedApp();
    await exchange(app.port, requestBytes({ target: '/v3', body: TEXT }));
    await exchange(app.port, requestBytes({ target: TARGET, body: JSON.stringify(call('admin_x')) }));
    expect(app.upstream.connections).toBe(0);
  });

  test('that the upstream has closed are not used again', async () => {
    for (const header of ['Connection: close\r\n', '']) {
      const sockets: Socket[] = [];
      const { url } = await rawUpstream((socket) => {
        sockets.push(socket);
        socket.end(`HTTP/1.1 200 OK\r\n${header}Content-Length: 2\r\n\r\n{}`);
      });
      const app = await guardedApp({ options: { upstream: url } });
      for (let n = 1; n <= 3; n++) {
        expect((await send(app)).text).toBe('{}');
        expect(sockets).toHaveLength(n);
        const socket = sockets[n - 1]!;
        if (!socket.closed) await once(socket, 'close');
      }
    }
  });

  test('on which more came than was asked for give no later request that answer', async () => {
    let count = 0;
    const { url } = await rawUpstream((socket) => {
      const own = `"own-${String(++count)}"`;
      const answer = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
      socket.write(answer(own) + answer('"evil"'));
    });
    const app = await guardedApp({ options: { upstream: url } });
    for (let n = 1; n <= 5; n++) {
      const answer = await send(app);
      if (answer.status === 502) continue;
      expect(answer.text).toBe(`"own-${n}"`);
    }
  });
});

describe('an upstream that fails', () => {
  const DEAD: Readonly<Record<string, (socket: Socket) => unknown>> = {
    'closes without a word': (socket) => socket.destroy(),
    'ends without a word': (socket) => socket.end(),
    'resets the connection': (socket) => socket.resetAndDestroy(),
    'stops in its status line': (socket) => socket.end('HTTP/1.1 20'),
    'stops in its headers': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Type: app'),
    'is no HTTP server': (socket) => socket.end('SSH-2.0-OpenSSH_9.2p1\r\n'),
    'speaks HTTP/2': (socket) => socket.end(Buffer.from('\0\0\x12\x04\0\0\0\0\0', 'latin1')),
    'speaks HTTP/0.9': (socket) => socket.end('{"jsonrpc":"2.0"}'),
    'frames its answer in two ways': (socket) =>
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
    'has two lengths': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x'),
    'sends a broken header': (socket) => socket.end('HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\n{}'),
    'sends an endless header': (socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(200_000)}`),
    'switches protocols': (socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
  };

  for (const [what, fail] of Object.entries(DEAD)) {
    test(`because it ${what} is a 502 that reveals nothing of it`, async () => {
      const { url, port } = await rawUpstream(fail);
      const upstream = url.replace('//', '//user:hidden-pass@') + '/hidden-path';
      const app = await guardedApp({ options: { upstream, upstreamTimeoutMs: 2000 } });
      const answer = await send(app);
      expectRefusal(answer, 'UPSTREAM_UNAVAILABLE', { id: 1 });
      expect(answer.text).not.toMatch(new RegExp(`hidden|127\\.0\\.0\\.1|:${port}|${KEY}|ECONN|HPE_`));
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    });
  }

  for (const line of ['099 Low', '000 Zero', '001 One']) {
    test(`with the status ${line} is a 502, and the process lives on`, async () => {
      const app = await appBeforeRaw(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\n\r\n{}`, { upstreamTimeoutMs: 1000 });
      expectRefusal(await send(app), 'UPSTREAM_UNAVAILABLE', { id: 1 });
    }, 3000);
  }

  test('does not affect the next request', async () => {
    let count = 0;
    const app = await appBefore((res) => (++count % 2 === 1 ? res.destroy() : res.end('{"result":"alive"}')));
    const writes = call('eth_sendRawTransaction', ['0x']); // what only reads would be sent once more
    for (let n = 0; n < 3; n++) {
      expectRefusal(await post(app.rpcUrl, writes), 'UPSTREAM_UNAVAILABLE', { id: 1 });
      expect((await post(app.rpcUrl, writes)).json.result).toBe('alive');
    }
  });

  const CUT: Readonly<Record<string, (socket: Socket) => unknown>> = {
    'before its length': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"jsonrpc":"2.0"'),
    'before its last chunk': (socket) =>
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"jsonrpc":"2.0"\r\n'),
    'by a reset': (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"jsonrpc":"2.0"\r\n', () => {
        setImmediate(() => socket.resetAndDestroy());
      });
    },
  };

  for (const [how, cut] of Object.entries(CUT)) {
    test(`in mid-answer, cut off ${how}, cuts off the caller’s answer too`, async () => {
      const { url } = await rawUpstream(cut);
      const app = await guardedApp({ options: { upstream: url } });
      const wire = await openWire(app.port);
      wire.write(requestBytes({ target: TARGET, body: TEXT }));
      await expect(wire.answer()).rejects.toThrow('closed before a whole response');
      await wire.closed;
      // Neither an end of the chunks nor an error after the answer has begun.
      expect(wire.received.toString()).not.toMatch(/\r\n0\r\n\r\n|-32603/);
    });
  }

  test('in mid-answer, sending a broken chunk, cuts off the caller’s answer too', async () => {
    const begun = deferred<Socket>();
    const { url } = await rawUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"jsonrpc":"2.0"\r\n');
      begun.resolve(socket);
    });
    const app = await guardedApp({ options: { upstream: url } });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, body: TEXT }));
    const socket = await begun.promise;
    await until(() => wire.received.includes('"jsonrpc"'));
    socket.write('zz\r\n');
    await wire.closed;
    expect(wire.received.toString()).not.toMatch(/\r\n0\r\n\r\n|-32603/);
  });

  test('that breaks its answer off together with its headers is a 502: nothing has been passed on', async () => {
    const { url } = await rawUpstream((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"jsonrpc":"2.0"\r\nzz\r\n'),
    );
    const app = await guardedApp({ options: { upstream: url } });
    expectRefusal(await send(app), 'UPSTREAM_UNAVAILABLE');
  });

  test('that answers before it has read the body gives its answer or a 502, no crash', async () => {
    const early = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}'));
    });
    await new Promise<void>((resolve) => early.listen(0, '127.0.0.1', resolve));
    endAfterTest(() => early.close());
    const { port } = early.address() as AddressInfo;
    const app = await guardedApp({ options: { upstream: `http://127.0.0.1:${port}` } });
    const answer = await post(app.rpcUrl, call('eth_a', ['x'.repeat(1_900_000)]));
    expect([413, 502]).toContain(answer.status);
  });
});

describe('an upstream that redirects', () => {
  for (const status of [300, 301, 302, 303, 304, 305, 307, 308]) {
    test(`with ${status} is a 502: it is not followed, and its target is not revealed`, async () => {
      const elsewhere = await recordingUpstream();
      const app = await appBefore((res) => {
        res.writeHead(status, { Location: `${elsewhere.url}/hidden`, Refresh: `0; url=${elsewhere.url}/hidden` });
        res.end(status === 304 ? undefined : `<a href="${elsewhere.url}/hidden">here</a>`);
      });
      const answer = await send(app);
      expectRefusal(answer, 'UPSTREAM_UNAVAILABLE', { id: 1 });
      expect(JSON.stringify([...answer.headers])).not.toContain('hidden');
      expect(elsewhere.connections).toBe(0);
    });
  }

  test('reveals its target to nobody, whatever its status', async () => {
    for (const status of [200, 201, 202, 403, 503]) {
      const app = await appBefore((res) => res.writeHead(status, { Location: 'http://hidden.internal/' }).end('{}'));
      expect((await send(app)).headers.has('location')).toBe(false);
    }
  });
});

describe("the upstream's answer", () => {
  test('of a status below 400 passes with its status and bytes, as application/json and nosniff', async () => {
    const bytes = Buffer.concat([Buffer.from('{"x":'), randomBytes(1000)]);
    const types = ['text/odd', 'application/xhtml+xml', 'image/svg+xml', 'application/json; charset=latin1', undefined];
    for (const status of [200, 201, 299]) {
      for (const type of types) {
        const app = await appBefore((res) => {
          res.writeHead(status, type === undefined ? {} : { 'Content-Type': type }).end(bytes);
        });
        const { headers, ...answer } = await send(app);
        expect([answer.status, answer.bytes.equals(bytes)]).toEqual([status, true]);
        expect(headers.get('content-type')).toBe('application/json');
        expect(headers.get('x-content-type-options')).toBe('nosniff');
      }
    }
  });

  test('of a status from 400 passes when it is JSON, however it is packed', async () => {
    const text = '{"jsonrpc":"2.0","id":17e2,"error":{"code":-32000,"message":"é"}}';
    for (const status of [400, 404, 413, 500, 502, 503, 599]) {
      const plain = await appBefore((res) => res.writeHead(status).end(text));
      const packed = await appBefore((res) => {
        res.writeHead(status, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' }).end(gzipSync(text));
      });
      for (const app of [plain, packed]) {
        const { headers, ...answer } = await send(app);
        expect([answer.status, answer.text]).toEqual([status, text]);
        expect(headers.get('content-type')).toBe('application/json');
        expect(headers.has('content-encoding')).toBe(false);
      }
    }
  });

  test('that is about the credentials of the guard, is HTML, or an error without JSON is UPSTREAM_UNAVAILABLE', async () => {
    const json = '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"hidden"}}';
    for (const [status, type, body] of [
      [401, 'application/json', json],
      [403, 'application/json', json],
      [407, 'application/json', json],
      [200, 'text/html', '<script>hidden</script>'],
      [200, 'Text/HTML; charset=utf-8', '<script>hidden</script>'],
      [200, 'text/html', json],
      [404, 'text/html', json],
      [404, 'text/plain', 'Cannot POST /hidden'],
      [404, 'application/json', 'Cannot POST /hidden'],
      [500, 'application/json', ''],
      [500, 'application/json', `${json}x`],
      [502, 'application/json', json.slice(1)],
    ] as const) {
      const app = await appBefore((res) => res.writeHead(status, { 'Content-Type': type }).end(body));
      for (const accepts of [[], ['Accept-Encoding: gzip']]) {
        const answer = await send(app, ...accepts);
        expectRefusal(answer, 'UPSTREAM_UNAVAILABLE', { id: 1 });
        expect(answer.text).not.toContain('hidden');
      }
    }
  });

  test('of a status from 400 that is longer than 1 MiB or never ends is no answer', async () => {
    const long = await appBefore((res) => res.writeHead(500).end(JSON.stringify('x'.repeat(1024 * 1024))));
    expectRefusal(await send(long), 'UPSTREAM_UNAVAILABLE', { id: 1 });
    const endless = await appBefore((res) => res.writeHead(500).write('{'), { upstreamTimeoutMs: 100 });
    expectRefusal(await send(endless), 'UPSTREAM_TIMEOUT', { id: 1 });
  });

  test('of 429 passes with its Retry-After, in seconds with a leading zero', async () => {
    const app = await appBefore((res) => {
      res.writeHead(429, { 'Retry-After': '17', 'X-RateLimit-Remaining': '0', 'Content-Type': 'application/json' });
      res.end('{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}');
    });
    const answer = await send(app);
    expect([answer.status, answer.headers.get('retry-after'), answer.json.error.code]).toEqual([429, '017', -32005]);
    expect(answer.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(answer.headers.get('access-control-expose-headers')).toMatch(/Retry-After/i);
  });

  test('of 429 or 503 without JSON keeps its status and Retry-After, for a call and for a batch', async () => {
    for (const [status, type, sent, told] of [
      [429, 'text/html', '9', '09'],
      [429, 'text/plain', 'Wed, 21 Oct 2026 07:28:00 GMT', 'Wed, 21 Oct 2026 07:28:00 GMT'],
      [503, 'text/html', '9', '09'],
      [503, 'text/plain', '120', '0120'],
    ] as const) {
      const app = await appBefore((res) => {
        res.writeHead(status, { 'Content-Type': type, 'Retry-After': sent }).end('<p>slow down, hidden');
      });
      const one = await send(app);
      const batch = await post(app.rpcUrl, [call('eth_a', [], 'a'), call('eth_b', [], 'b')]);
      for (const answer of [one, batch]) {
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([status, told]);
        expect(answer.text).not.toContain('hidden');
      }
      expect(one.json).toMatchObject({ id: 1, error: { code: -32603 } });
      expect(batch.json).toMatchObject([
        { id: 'a', error: { code: -32603 } },
        { id: 'b', error: { code: -32603 } },
      ]);
    }
  });

  test("of a status from 400 does not quote the upstream's own path, query and credentials", async () => {
    const upstream = await recordingUpstream((req, res) => {
      const { url = '', headers } = req;
      const { authorization = '' } = headers;
      const said = [url, url.replaceAll('/', '\\/'), encodeURIComponent(url), authorization, 'pa$$word', 'chain 1'];
      res.writeHead(404).end(`{"jsonrpc":"2.0","id":1.50,"error":{"message":"${said.join(' ')}"}}`);
    });
    const url = `http://user:pa$$word@127.0.0.1:${upstream.port}/v3/UPSTREAM-KEY?token=hidden-token&chain=1`;
    const app = await guardedApp({ options: { upstream: url } });
    const answer = await send(app);
    expect(answer.status).toBe(404);
    expect(answer.text).toBe('{"jsonrpc":"2.0","id":1.50,"error":{"message":"… … … … … chain 1"}}');
  });

  test('passes on the allowed headers alone, whatever its status', async () => {
    const passing = {
      'Cache-Control': 'no-store',
      'Retry-After': '017',
      RateLimit: '"second";r=1;t=1',
      'RateLimit-Policy': '"second";q=1;w=1',
      'X-RateLimit-Limit': '7',
      'Server-Timing': 'db',
      traceresponse: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    };
    const withheld = {
      'Access-Control-Allow-Origin': 'https://evil.example',
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': 'X-Evil',
      'Access-Control-Allow-Private-Network': 'true',
      'Set-Cookie': ['a=b; Path=/', 'c=d'],
      'WWW-Authenticate': 'Basic realm="upstream"',
      'Proxy-Authenticate': 'Basic realm="upstream"',
      'X-Accel-Redirect': '/internal/secrets',
      'X-Sendfile': '/etc/passwd',
      'X-Lighttpd-Send-File': '/etc/passwd',
      'X-Reproxy-URL': 'http://hidden.internal/',
      Refresh: '0; url=http://hidden.internal/',
      Link: '<http://hidden.internal/>; rel=preload',
      'Content-Disposition': 'attachment; filename=evil.html',
      'Content-Location': '/hidden',
      'Content-Security-Policy': "default-src 'none'",
      'Service-Worker-Allowed': '/',
      SourceMap: '/hidden',
      Location: 'http://hidden.internal/',
      Trailer: 'X-T',
      ETag: '"x"',
      'X-Any': 'x',
    };
    for (const status of [200, 400, 429]) {
      for (const cors of [true, false]) {
        const headers = { ...passing, ...withheld, 'Keep-Alive': 'timeout=77' };
        const app = await appBefore((res) => res.writeHead(status, headers).end('{}'), { cors });
        const got = (await send(app, 'Origin: https://dapp.example')).headers;
        for (const [name, value] of Object.entries(passing)) expect(got.get(name.toLowerCase())).toBe(value);
        expect(got.get('access-control-allow-origin')).toBe(cors ? '*' : undefined);
        expect(got.get('access-control-expose-headers') ?? '').not.toContain('X-Evil');
        const ours = ['access-control-allow-origin', 'access-control-expose-headers'];
        const names = Object.keys(withheld).map((name) => name.toLowerCase());
        expect(names.filter((name) => got.has(name) && !ours.includes(name))).toEqual([]);
        expect(got.get('keep-alive') ?? '').not.toContain('77');
      }
    }
  });

  test('passes compressed, as the caller has asked for it', async () => {
    const packed = gzipSync('{"jsonrpc":"2.0","id":1,"result":1}');
    const app = await appBefore((res) => res.writeHead(200, { 'Content-Encoding': 'gzip' }).end(packed));
    const answer = await send(app, 'Accept-Encoding: gzip');
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(answer.bytes.equals(packed)).toBe(true);
  });

  test('without a body, or without a length, passes', async () => {
    for (const [bytes, status, text] of [
      ['HTTP/1.1 204 No Content\r\n\r\n', 204, ''],
      ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200, ''],
      ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', 200, '{}'],
      ['HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', 200, '{}'],
      [
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\n{}\r\n0\r\nX-T: t\r\n\r\n',
        200,
        '{}',
      ],
    ] as const) {
      const app = await appBeforeRaw(bytes);
      const answer = await send(app);
      expect([bytes, answer.status, answer.text]).toEqual([bytes, status, text]);
    }
    const { url } = await rawUpstream((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\n{"until":"closed"}'));
    const app = await guardedApp({ options: { upstream: url } });
    expect((await send(app)).text).toBe('{"until":"closed"}');
  });

  test('arrives piece by piece while the upstream is still sending', async () => {
    const speaking = deferred<ServerResponse>();
    const app = await appBefore((res) => {
      res.write('first ');
      speaking.resolve(res);
    });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, body: TEXT }));
    await wire.receives('first ');
    const upstream = await speaking.promise;
    expect(upstream.writableEnded).toBe(false);
    for (const piece of ['second ', 'third ']) {
      upstream.write(piece);
      await wire.receives(piece);
    }
    upstream.end('last');
    expect((await wire.answer()).text).toBe('first second third last');
  });

  test('sends its status and headers on before its first byte', async () => {
    const speaking = deferred<ServerResponse>();
    const app = await appBefore((res) => {
      res.writeHead(200, { 'Server-Timing': 'early' }).flushHeaders();
      speaking.resolve(res);
    });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, body: TEXT }));
    const upstream = await speaking.promise;
    upstream.write(' ');
    await wire.receives('server-timing: early');
    upstream.end('{}');
    expect((await wire.answer()).text).toBe(' {}');
  });

  test('of 20 MiB arrives whole', async () => {
    const block = randomBytes(1024 * 1024);
    const app = await appBefore(async (res) => {
      for (let n = 0; n < 20; n++) if (!res.write(block)) await once(res, 'drain');
      res.end();
    });
    const response = await fetch(app.rpcUrl, { method: 'POST', body: TEXT });
    const hash = createHash('sha256');
    for await (const chunk of response.body ?? []) hash.update(chunk as Uint8Array);
    const expected = createHash('sha256');
    for (let n = 0; n < 20; n++) expected.update(block);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
  });
});

describe('a caller that reads slowly', () => {
  const BLOCK = Buffer.alloc(256 * 1024, 'x');
  const BLOCKS = 200;

  /** An app whose upstream has 50 MiB to say to `eth_blockNumber`, nothing to `eth_hang`, and little to all else. */
  async function talkative(options: Partial<RpcGuardOptions> = {}) {
    const talk: { res?: ServerResponse; blocks: number } = { blocks: 0 };
    const upstream = await recordingUpstream((_req, res, body) => {
      if (body.includes('eth_hang')) return;
      if (!body.includes('eth_blockNumber')) return void res.end('{}');
      talk.res = res;
      const say = () => {
        while (talk.blocks++ < BLOCKS) if (!res.write(BLOCK)) return;
        res.off('drain', say).end();
      };
      res.on('drain', say);
      say();
    });
    return { app: await guardedApp({ upstream, options }), talk };
  }

  /** The answer that a caller does not read, once the upstream has come to a standstill over it. */
  async function unread(app: GuardedApp, talk: { readonly blocks: number }): Promise<IncomingMessage> {
    const client = request(app.rpcUrl, { method: 'POST', agent: false });
    client.on('error', () => undefined).end(TEXT);
    const [answer] = (await once(client, 'response')) as [IncomingMessage];
    endAfterTest(() => client.destroy());
    for (let before = -1; before !== talk.blocks;) {
      before = talk.blocks;
      for (let n = 0; n < 20; n++) await post(app.rpcUrl, call('eth_a'));
    }
    return answer;
  }

  async function sizeOf(answer: IncomingMessage): Promise<number> {
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) size += chunk.length;
    return size;
  }

  test('slows the upstream down, and gets the whole answer', async () => {
    const { app, talk } = await talkative();
    const answer = await unread(app, talk);
    expect(talk.blocks).toBeLessThan(BLOCKS);
    expect(await sizeOf(answer)).toBe(BLOCKS * BLOCK.length);
  });

  test('is not taken for a silent upstream', async () => {
    const { app, talk } = await talkative({ upstreamTimeoutMs: 500 });
    const answer = await unread(app, talk);
    // Requests that time out one after the other: by then the pause is longer than the timeout.
    for (let n = 0; n < 2; n++) expectRefusal(await post(app.rpcUrl, call('eth_hang')), 'UPSTREAM_TIMEOUT', { id: 1 });
    expect(await sizeOf(answer)).toBe(BLOCKS * BLOCK.length);
  });

  test('and goes away ends the request at the upstream', async () => {
    const { app, talk } = await talkative();
    const answer = await unread(app, talk);
    const { res } = talk;
    const closed = once(res!, 'close');
    answer.destroy();
    await closed;
    expect(res?.writableFinished).toBe(false);
  });
});

describe('a caller that goes away', () => {
  test('before the answer has begun ends the request at the upstream', async () => {
    for (const body of [call('eth_a'), [call('eth_a'), call('eth_b', [], 2)]]) {
      const arrived = deferred<ServerResponse>();
      const app = await appBefore((res) => arrived.resolve(res));
      const wire = await openWire(app.port);
      wire.write(requestBytes({ target: TARGET, body }));
      const res = await arrived.promise;
      const closed = once(res, 'close');
      wire.socket.destroy();
      await closed;
      expect(res.writableFinished).toBe(false);
    }
  }, 3000);

  test('as the answer comes is no failure of the upstream', async () => {
    const logger = recordingLogger();
    const app = await appBefore((res) => res.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}'), { logger });
    const { setImmediate: later } = timers;
    let left = 0;
    const leaving = (work: (...given: unknown[]) => void, ...given: unknown[]) => {
      const [exchange] = given as { readonly abort?: () => void }[];
      if (exchange?.abort !== undefined) left++;
      exchange?.abort?.();
      return later(work, ...given);
    };
    const spy = jest.spyOn(timers, 'setImmediate').mockImplementation(leaving as never);
    await send(app).finally(() => spy.mockRestore());
    await afterIo();
    expect(left).toBe(1);
    expect(Object.values(app.guard.health().upstreams)).toEqual(['unknown']);
    expect(logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('in mid-answer ends it too', async () => {
    const arrived = deferred<ServerResponse>();
    const app = await appBefore((res) => {
      res.write('begun');
      arrived.resolve(res);
    });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, body: TEXT }));
    await wire.receives('begun');
    const res = await arrived.promise;
    const closed = once(res, 'close');
    wire.socket.resetAndDestroy();
    await closed;
    expect(res.writableFinished).toBe(false);
  }, 3000);

  test('ends all of its pipelined requests', async () => {
    const arrived: ServerResponse[] = [];
    const both = deferred<undefined>();
    const app = await appBefore((res) => {
      if (arrived.push(res) === 3) both.resolve(undefined);
    });
    const wire = await openWire(app.port);
    wire.write(Buffer.concat(Array<Buffer>(3).fill(requestBytes({ target: TARGET, body: TEXT }))));
    await both.promise;
    const closed = arrived.map((res) => once(res, 'close'));
    wire.socket.destroy();
    await Promise.all(closed);
    expect(arrived.map(({ writableFinished }) => writableFinished)).toEqual([false, false, false]);
  }, 3000);

  test('while its key is looked up leaves no request behind at the upstream', async () => {
    const asked = deferred<undefined>();
    const release = deferred<undefined>();
    const memory = new MemoryStore([{ apiKey: KEY }]);
    const store = {
      get: async (apiKey: string) => {
        asked.resolve(undefined);
        await release.promise;
        return memory.get(apiKey);
      },
    };
    const held: ServerResponse[] = [];
    const upstream = await recordingUpstream((_req, res, body) => {
      if (body.includes('eth_gone')) held.push(res);
      else res.end('{}');
    });
    const decided = deferred<unknown>();
    const options = { onDecision: decided.resolve };
    const app = await guardedApp({ upstream, store, before: [express.json()], options });
    const connected = once(app.server, 'connection') as Promise<[Socket]>;
    const wire = await openWire(app.port);
    const [serverSide] = await connected;
    const headers = ['Content-Type: application/json'];
    wire.write(requestBytes({ target: TARGET, headers, body: call('eth_gone') }));
    await asked.promise;
    const gone = once(serverSide, 'close');
    wire.socket.destroy();
    await gone;
    release.resolve(undefined);
    await decided.promise;
    // By the time that a later request has been answered, an earlier one has arrived, if it was sent at all.
    expect((await send(app)).status).toBe(200);
    for (const res of held) if (!res.closed) await once(res, 'close');
    expect(held.filter(({ writableFinished }) => writableFinished)).toEqual([]);
  }, 5000);

  test('takes nothing from others, a hundred times over', async () => {
    const app = await guardedApp();
    await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const wire = await openWire(app.port);
        wire.write(requestBytes({ target: TARGET, body: call('eth_a', [], n) }));
        if (n % 2 === 0) wire.socket.destroy();
        else expect((await wire.answer()).json).toEqual({ jsonrpc: '2.0', id: n, result: 'eth_a' });
      }),
    );
    expect((await send(app)).status).toBe(200);
  });
});

describe('upstreamTimeoutMs', () => {
  test('ends a request that is not answered with 504, and at the upstream', async () => {
    const arrived = deferred<ServerResponse>();
    const app = await appBefore((res) => arrived.resolve(res), { upstreamTimeoutMs: 100 });
    const answer = send(app);
    const res = await arrived.promise;
    const closed = once(res, 'close');
    expectRefusal(await answer, 'UPSTREAM_TIMEOUT', { id: 1 });
    await closed;
  });

  test('is not extended by headers that never end', async () => {
    const { url } = await rawUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write('X: y\r\n'), 10);
      socket.on('close', () => clearInterval(timer));
    });
    const app = await guardedApp({ options: { upstream: url, upstreamTimeoutMs: 100 } });
    expectRefusal(await send(app), 'UPSTREAM_TIMEOUT', { id: 1 });
  });

  test('cuts off an answer that falls silent, on both sides', async () => {
    const arrived = deferred<ServerResponse>();
    const app = await appBefore(
      (res) => {
        res.write('begun');
        arrived.resolve(res);
      },
      { upstreamTimeoutMs: 100 },
    );
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, body: TEXT }));
    const res = await arrived.promise;
    const closed = once(res, 'close');
    await expect(wire.answer()).rejects.toThrow('closed before a whole response');
    await wire.closed;
    await closed;
  });

  test('leaves an answer alone that takes longer in all but never falls silent', async () => {
    const app = await appBefore(
      (res) => {
        let count = 0;
        const timer = setInterval(() => {
          if (++count < 60) res.write('.');
          else {
            clearInterval(timer);
            res.end('!');
          }
        }, 10);
      },
      { upstreamTimeoutMs: 500 },
    );
    expect((await send(app)).text).toBe(`${'.'.repeat(59)}!`);
  });

  test('of one request does not affect another', async () => {
    const upstream = await recordingUpstream((_req, res, body) => {
      if (!body.includes('eth_hang')) res.end('{"result":"well"}');
    });
    const app = await guardedApp({ upstream, options: { upstreamTimeoutMs: 200 } });
    const [hung, well] = await Promise.all([post(app.rpcUrl, call('eth_hang')), post(app.rpcUrl, call('eth_a'))]);
    expectRefusal(hung, 'UPSTREAM_TIMEOUT', { id: 1 });
    expect(well.json.result).toBe('well');
  });
});

describe('upstreamTotalMs', () => {
  function dripping(): Promise<GuardedApp> {
    const options = { upstreamTimeoutMs: 5000, upstreamTotalMs: 150 };
    return appBefore((res) => {
      res.write('[');
      const timer = setInterval(() => res.write(' '), 10);
      res.on('close', () => {
        clearInterval(timer);
      });
    }, options);
  }

  test('ends an answer that never ends, on both sides', async () => {
    const app = await dripping();
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, body: TEXT }));
    await wire.closed;
    expect(wire.received.toString()).toContain('200 OK');
  });

  test('ends one that is put together with refusals', async () => {
    const app = await dripping();
    const answer = await post(app.rpcUrl, [call('eth_a', [], 1), call('admin_x', [], 2)]);
    expect(answer.json).toMatchObject([
      { id: 1, error: { code: -32603 } },
      { id: 2, error: { code: -32601 } },
    ]);
  });
});

test('the process emits no warning, however many requests share a connection', async () => {
  // The process that jest hands to tests is a copy, which hears no events.
  const main = runInThisContext('process') as NodeJS.Process;
  const warnings: string[] = [];
  const note = ({ name, message }: Error) => {
    // http-proxy-middleware 3 uses what newer versions of Node deprecate.
    if (name !== 'DeprecationWarning') warnings.push(message);
  };
  main.on('warning', note);
  endAfterTest(() => main.off('warning', note));

  const upstream = await recordingUpstream((_req, res, body) => {
    if (body.includes('eth_die')) res.destroy();
    else if (body.includes('eth_cut')) res.write('cut', () => res.destroy());
    else res.end('{}');
  });
  const app = await guardedApp({ upstream });
  const bodies = [
    TEXT,
    JSON.stringify(call('eth_die')),
    JSON.stringify([call('eth_a'), call('admin_x')]),
    '{',
    JSON.stringify(call('admin_x')),
  ];
  const wire = await openWire(app.port);
  for (let n = 0; n < 60; n++) {
    wire.write(requestBytes({ target: TARGET, body: bodies[n % bodies.length] ?? '' }));
    await wire.answer();
  }
  const pipelined = await openWire(app.port);
  pipelined.write(Buffer.concat(Array<Buffer>(60).fill(requestBytes({ target: TARGET, body: TEXT }))));
  for (let n = 0; n < 60; n++) expect((await pipelined.answer()).status).toBe(200);
  await Promise.all(
    Array.from({ length: 30 }, async () => {
      const cut = await openWire(app.port);
      cut.write(requestBytes({ target: TARGET, body: JSON.stringify(call('eth_cut')) }));
      await cut.closed;
    }),
  );
  await afterIo();
  expect(warnings).toEqual([]);
});
