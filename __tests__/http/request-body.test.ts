import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, constants as zlib } from 'node:zlib';
import type { RequestHandler } from 'express';
import fc from 'fast-check';
import type { Decision, RpcGuardOptions } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp, GuardedAppOptions } from '../support/guarded-app';
import { readLikeGo, readLikeGoAt } from '../support/go-reader';
import { expectRefusal } from '../support/refusal-table';
import { post } from '../support/reply';
import { recordingUpstream } from '../support/upstream';
import { chunked, exchange, openWire, requestBytes } from '../support/wire';

const CALL = call('eth_blockNumber');
const TEXT = JSON.stringify(CALL);
const TARGET = `/v3/${KEY}`;
const MIB = 1024 * 1024;

function send(app: GuardedApp, body: string | Buffer, ...headers: readonly string[]) {
  return exchange(app.port, requestBytes({ target: TARGET, headers, body }));
}

/** An app, and the next verdict of its guard. */
async function toldApp(options: Partial<RpcGuardOptions> = {}, more: GuardedAppOptions = {}) {
  const waiting: ((decision: Decision) => void)[] = [];
  const onDecision = (decision: Decision) => waiting.shift()?.(decision);
  const app = await guardedApp({ ...more, options: { ...options, onDecision } });
  return { app, verdict: () => new Promise<Decision>((resolve) => waiting.push(resolve)) };
}

describe('the Content-Type', () => {
  test('does not matter', async () => {
    const app = await guardedApp();
    const types = [
      'application/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'multipart/form-data',
      'text/plain',
      'text/html',
      'application/octet-stream',
      'application/json-rpc',
      'image/png',
      '',
      ';',
      ';;;=',
      'nonsense',
      '*/*',
      'application/json; boundary="a;b"',
      '__proto__',
    ];
    for (const type of types) {
      const answer = await send(app, TEXT, `Content-Type: ${type}`);
      expect([type, answer.json.result]).toEqual([type, 'eth_blockNumber']);
    }
    expect((await send(app, TEXT)).json.result).toBe('eth_blockNumber');
    expect(app.upstream.seen).toHaveLength(types.length + 1);
    expect(new Set(app.upstream.seen.map(({ headers }) => headers['content-type']))).toEqual(
      new Set(['application/json']),
    );
  });

  test('may say UTF-8 in any spelling', async () => {
    const app = await guardedApp();
    for (const charset of ['utf-8', 'UTF-8', 'utf8', '"utf-8"', '"UTF8"']) {
      for (const type of [`application/json; charset=${charset}`, `text/plain;Charset=${charset};x=y`]) {
        expect([type, (await send(app, TEXT, `Content-Type: ${type}`)).status]).toEqual([type, 200]);
      }
    }
  });

  test('that says another charset is refused with 415', async () => {
    const app = await guardedApp();
    for (const charset of [
      'utf-16',
      'utf-16le',
      'utf-32',
      'utf-7',
      'iso-8859-1',
      'latin1',
      'us-ascii',
      'utf-8x',
      'xutf-8',
      'windows-1252',
      '"utf-16"',
      'utf-8;charset=utf-16',
      'utf-16;charset=utf-8',
    ]) {
      for (const type of [
        `application/json; charset=${charset}`,
        `application/x-www-form-urlencoded;CHARSET=${charset}`,
        `text/plain;\tcharset=${charset}`,
      ]) {
        expectRefusal(await send(app, TEXT, `Content-Type: ${type}`), 'UNSUPPORTED_ENCODING', app);
      }
    }
  });
});

describe('the bytes', () => {
  test('of a body that is not UTF-8 are refused with -32700', async () => {
    const app = await guardedApp();
    const inMethod = (...bytes: readonly number[]) =>
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":1,"method":"eth_a","params":["'),
        Buffer.from(bytes),
        Buffer.from('"]}'),
      ]);
    const hostile: readonly Buffer[] = [
      inMethod(0xff),
      inMethod(0x80),
      inMethod(0xc0, 0xaf),
      inMethod(0xc1, 0x81),
      inMethod(0xe0, 0x80, 0xaf),
      inMethod(0xed, 0xa0, 0x80),
      inMethod(0xed, 0xb0, 0x80),
      inMethod(0xf0, 0x80, 0x80, 0xaf),
      inMethod(0xf4, 0x90, 0x80, 0x80),
      inMethod(0xf8, 0x88, 0x80, 0x80, 0x80),
      inMethod(0xe2, 0x82),
      inMethod(0xe9),
      Buffer.from(TEXT, 'utf16le'),
      Buffer.from(`\ufeff${TEXT}`, 'utf16le'),
      Buffer.from(`\ufeff${TEXT}`),
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(TEXT)]),
      Buffer.concat([Buffer.from(TEXT), Buffer.from([0])]),
      Buffer.concat([Buffer.from([0]), Buffer.from(TEXT)]),
      Buffer.from(TEXT.replace('2.0', '2.0\u0000')),
      Buffer.from(`\u00a0${TEXT}`),
      Buffer.from(`${TEXT}\u2028`),
    ];
    for (const bytes of hostile) expectRefusal(await send(app, bytes), 'PARSE_ERROR', app);
  });

  test('of any script arrive as they were', async () => {
    const app = await guardedApp();
    const text = 'é ß 漢字 🦄 \u2028 \ufeff \u0000 "\\/ \u007f';
    expect((await post(app.rpcUrl, call('eth_a', [text]))).status).toBe(200);
    expect(JSON.parse(app.upstream.seen[0]?.body ?? '')).toEqual(call('eth_a', [text]));
  });

  test('of a character may come in two chunks', async () => {
    const app = await guardedApp();
    const body = chunked(JSON.stringify(call('eth_a', ['🦄é🦄'])), 1);
    expect((await send(app, body, 'Transfer-Encoding: chunked')).status).toBe(200);
    expect(JSON.parse(app.upstream.seen[0]?.body ?? '')).toEqual(call('eth_a', ['🦄é🦄']));
  });
});

const BROTLI_FAST = { params: { [zlib.BROTLI_PARAM_QUALITY]: 4 } };
const ENCODERS: readonly (readonly [string, (data: string | Buffer) => Buffer])[] = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', (data) => brotliCompressSync(data, BROTLI_FAST)],
];

describe('the Content-Encoding', () => {
  test('may be gzip, deflate, br or identity, in any case, and never reaches the upstream', async () => {
    const app = await guardedApp();
    const plain = (data: string | Buffer) => Buffer.from(data);
    const encoders = [...ENCODERS, ['identity', plain] as const, ['', plain] as const];
    for (const [name, encode] of encoders) {
      for (const value of [name, name.toUpperCase(), ` ${name} `]) {
        const answer = await send(app, encode(TEXT), `Content-Encoding:${value}`);
        expect([value, answer.json.result]).toEqual([value, 'eth_blockNumber']);
      }
    }
    expect(app.upstream.seen).toHaveLength(3 * encoders.length);
    for (const { headers, body } of app.upstream.seen) {
      expect(headers['content-encoding']).toBeUndefined();
      expect(body).toBe('{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}');
    }
  });

  test('works with chunked framing', async () => {
    const app = await guardedApp();
    for (const [name, encode] of ENCODERS) {
      const body = chunked(encode(TEXT), 3);
      expect((await send(app, body, `Content-Encoding: ${name}`, 'Transfer-Encoding: chunked')).status).toBe(200);
    }
  });

  test('that is unknown or stacked is refused with 415', async () => {
    const app = await guardedApp();
    const values = [
      'zstd',
      'compress',
      'gzip, gzip',
      'gzip,gzip',
      'gzip, identity',
      'identity, gzip',
      'identity,identity',
      'deflate, br',
      'gzip;q=1',
      '"gzip"',
      'gzip2',
      'xgzip',
      'x-deflate',
      'brotli',
      '*',
      'chunked',
      'aes128gcm',
      ',',
      'gzip,',
      'constructor',
      '__proto__',
      'utf-8',
    ];
    for (const value of values) {
      for (const body of [TEXT, gzipSync(TEXT), gzipSync(gzipSync(TEXT))]) {
        expectRefusal(await send(app, body, `Content-Encoding: ${value}`), 'UNSUPPORTED_ENCODING', app);
      }
    }
  });

  test('that the body is not in is refused with 400', async () => {
    const app = await guardedApp();
    for (const [name, encode] of ENCODERS) {
      const whole = encode(TEXT);
      const flipped = Buffer.from(whole);
      flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 0xff;
      const broken = [
        Buffer.from(TEXT),
        Buffer.alloc(0),
        whole.subarray(0, -1),
        whole.subarray(0, whole.length >> 1),
        whole.subarray(0, 1),
        whole.subarray(1),
        flipped,
        encode(whole),
      ];
      for (const body of broken) {
        const answer = await send(app, body, `Content-Encoding: ${name}`);
        expect([name, body.toString('hex'), answer.status]).toEqual([name, body.toString('hex'), 400]);
        expectRefusal(answer, 'PARSE_ERROR', app);
      }
    }
    for (const [name, body] of [
      ['gzip', deflateSync(TEXT)],
      ['deflate', gzipSync(TEXT)],
      ['deflate', deflateRawSync(TEXT)],
      ['br', gzipSync(TEXT)],
      ['identity', gzipSync(TEXT)],
      ['', gzipSync(TEXT)],
    ] as const) {
      expectRefusal(await send(app, body, `Content-Encoding: ${name}`), 'PARSE_ERROR', app);
    }
  });

  for (const [name, encode] of ENCODERS) {
    test(`${name} that ends before the body does is refused with 400`, async () => {
      const app = await guardedApp();
      for (const rest of ['garbage', JSON.stringify(call('admin_peers'))]) {
        const body = Buffer.concat([encode(TEXT), Buffer.from(rest)]);
        expectRefusal(await send(app, body, `Content-Encoding: ${name}`), 'PARSE_ERROR', app);
      }
    });
  }

  test('may have several gzip members, which are one body', async () => {
    const app = await guardedApp();
    const members = [gzipSync(TEXT.slice(0, 20)), gzipSync(TEXT.slice(20))];
    expect((await send(app, Buffer.concat(members), 'Content-Encoding: gzip')).json.result).toBe('eth_blockNumber');
    app.upstream.seen.length = 0;
    const twice = Buffer.concat([gzipSync(TEXT), gzipSync(JSON.stringify(call('admin_peers')))]);
    expectRefusal(await send(app, twice, 'Content-Encoding: gzip'), 'PARSE_ERROR', app);
  });
});

describe('a bomb', () => {
  const spaces = Buffer.alloc(32 * MIB, ' ');

  for (const [name, encode] of ENCODERS) {
    test(`of ${name} is refused with 413`, async () => {
      const app = await guardedApp();
      const bomb = encode(spaces);
      expect(bomb.length).toBeLessThan(MIB);
      expectRefusal(await send(app, bomb, `Content-Encoding: ${name}`), 'BODY_TOO_LARGE', app);
    });
  }

  test('of three gzip members, each within the limit, is refused with 413', async () => {
    const app = await guardedApp();
    const member = gzipSync(spaces.subarray(0, MIB));
    for (const members of [
      [member, member, member],
      [gzipSync(TEXT), member, member],
      [member, member, gzipSync(TEXT)],
    ]) {
      expectRefusal(await send(app, Buffer.concat(members), 'Content-Encoding: gzip'), 'BODY_TOO_LARGE', app);
    }
  });

  test('in a bomb is not inflated twice', async () => {
    const app = await guardedApp();
    expectRefusal(await send(app, gzipSync(gzipSync(spaces)), 'Content-Encoding: gzip'), 'PARSE_ERROR', app);
  });

  test('thrown by many at once is refused to each', async () => {
    const app = await guardedApp();
    const bomb = gzipSync(spaces);
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(app, bomb, 'Content-Encoding: gzip')));
    for (const answer of answers) expectRefusal(answer, 'BODY_TOO_LARGE', app);
  });
});

describe('the size limit', () => {
  const padded = (size: number) => TEXT + ' '.repeat(size - TEXT.length);

  test('is 2 MiB by default, to the byte', async () => {
    const app = await guardedApp();
    expect((await send(app, padded(2 * MIB))).json.result).toBe('eth_blockNumber');
    app.upstream.seen.length = 0;
    const answer = await send(app, padded(2 * MIB + 1));
    expectRefusal(answer, 'BODY_TOO_LARGE', app);
    expect(answer.json.error.message).toContain(String(2 * MIB));
  });

  test('counts bytes, not characters, before and after inflating, with and without a Content-Length', async () => {
    const app = await guardedApp({ options: { maxBodyBytes: 200 } });
    const euros = (count: number) => JSON.stringify(call('eth_a', ['€'.repeat(count)]));
    const room = Math.floor((200 - Buffer.byteLength(euros(0))) / 3);
    const fits: readonly (string | Buffer)[] = [padded(200), euros(room)];
    const exceeds: readonly (string | Buffer)[] = [padded(201), euros(room + 1)];
    const ways: readonly (readonly [(body: string | Buffer) => string | Buffer, readonly string[]])[] = [
      [(body) => body, []],
      [(body) => chunked(body, 50), ['Transfer-Encoding: chunked']],
      ...ENCODERS.map(([name, encode]) => [encode, [`Content-Encoding: ${name}`]] as const),
      ...ENCODERS.map(
        ([name, encode]) =>
          [
            (body: string | Buffer) => chunked(encode(body)),
            [`Content-Encoding: ${name}`, 'Transfer-Encoding: chunked'],
          ] as const,
      ),
    ];
    for (const [frame, headers] of ways) {
      for (const body of fits)
        expect([headers, (await send(app, frame(body), ...headers)).status]).toEqual([headers, 200]);
      app.upstream.seen.length = 0;
      for (const body of exceeds) expectRefusal(await send(app, frame(body), ...headers), 'BODY_TOO_LARGE', app);
    }
  });

  test('holds before inflating too', async () => {
    const app = await guardedApp({ options: { maxBodyBytes: 100 } });
    const stored = gzipSync(padded(100), { level: 0 });
    expect(stored.length).toBeGreaterThan(100);
    expectRefusal(await send(app, stored, 'Content-Encoding: gzip'), 'BODY_TOO_LARGE', app);
  });

  test('ends an endless chunked body, and the connection with it', async () => {
    const app = await guardedApp({ options: { maxBodyBytes: 1000 } });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, headers: ['Transfer-Encoding: chunked'], body: '' }));
    const chunk = Buffer.concat([Buffer.from('400\r\n'), Buffer.alloc(1024, ' '), Buffer.from('\r\n')]);
    const timer = setInterval(() => wire.write(chunk), 1);
    try {
      expectRefusal(await wire.answer(), 'BODY_TOO_LARGE', app);
      await wire.closed;
    } finally {
      clearInterval(timer);
    }
  });
});

describe('the framing', () => {
  test('may be chunks of any size, with extensions and trailers, which stay here', async () => {
    const app = await guardedApp();
    const body = Buffer.concat([
      Buffer.from(`1;name=value\r\n{\r\n`),
      chunked(TEXT.slice(1), 5, ['X-Trailer: t', 'Authorization: Basic x']),
    ]);
    const headers = ['Transfer-Encoding: chunked', 'Trailer: X-Trailer', 'TE: trailers', 'Connection: TE, Trailer'];
    expect((await send(app, body, ...headers)).json.result).toBe('eth_blockNumber');
    const { rawHeaders = [], body: sent = '' } = app.upstream.seen[0] ?? {};
    expect(rawHeaders.join('\n')).not.toMatch(/trailer|transfer-encoding|authorization|^te$/im);
    expect(sent).toBe('{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}');
  });

  test('of HTTP/1.0 works, with the connection closed after it', async () => {
    const app = await guardedApp();
    const wire = await openWire(app.port);
    wire.write(requestBytes({ version: '1.0', target: TARGET, body: TEXT }));
    expect((await wire.answer()).json.result).toBe('eth_blockNumber');
    await wire.closed;
  });

  test('of HTTP/1.0 works for answers whose length nobody knows', async () => {
    const app = await guardedApp({
      upstream: await recordingUpstream((_req, res) => {
        for (const part of ['{"jsonrpc":"2.0",', '"id":1,', '"result":"0x1"}']) res.write(part);
        res.end();
      }),
    });
    const answer = await exchange(app.port, requestBytes({ version: '1.0', target: TARGET, body: TEXT }));
    expect(answer.headers.get('transfer-encoding')).toBeUndefined();
    expect(answer.json).toEqual({ jsonrpc: '2.0', id: 1, result: '0x1' });
  });

  test('without a body is refused with -32700', async () => {
    const app = await guardedApp();
    for (const headers of [['Content-Length: 0'], ['Transfer-Encoding: chunked'], []]) {
      const body = headers[0]?.startsWith('Transfer') === true ? chunked('') : '';
      const request = `POST ${TARGET} HTTP/1.1\r\nHost: guard.test\r\n${headers.map((it) => `${it}\r\n`).join('')}\r\n`;
      expectRefusal(
        await exchange(app.port, Buffer.concat([Buffer.from(request), Buffer.from(body)])),
        'PARSE_ERROR',
        app,
      );
    }
  });
});

describe('a body cut short', () => {
  // Each is a whole call already: what counts is that more was announced.
  const cut: readonly (readonly [string, Buffer])[] = [
    [
      'after fewer bytes than its Content-Length',
      requestBytes({ target: TARGET, headers: [`Content-Length: ${TEXT.length + 1}`], body: TEXT }),
    ],
    [
      'before its last chunk',
      requestBytes({ target: TARGET, headers: ['Transfer-Encoding: chunked'], body: chunked(TEXT).subarray(0, -5) }),
    ],
    [
      'within its trailers',
      requestBytes({ target: TARGET, headers: ['Transfer-Encoding: chunked'], body: chunked(TEXT).subarray(0, -2) }),
    ],
    [
      'within its gzip',
      requestBytes({
        target: TARGET,
        headers: ['Content-Encoding: gzip', 'Content-Length: 1000'],
        body: gzipSync(TEXT),
      }),
    ],
    ['before its first byte', requestBytes({ target: TARGET, headers: ['Content-Length: 10'], body: '' })],
  ];

  for (const [when, bytes] of cut) {
    for (const [how, end] of [
      ['a reset', (wire: Awaited<ReturnType<typeof openWire>>) => wire.socket.resetAndDestroy()],
      ['an end', (wire: Awaited<ReturnType<typeof openWire>>) => wire.socket.end()],
    ] as const) {
      test(`${when} by ${how} forwards nothing`, async () => {
        const arrived: (() => void)[] = [];
        const tellArrival: RequestHandler = (_req, _res, next) => {
          arrived.shift()?.();
          next();
        };
        const { app, verdict } = await toldApp({}, { before: [tellArrival] });
        const decided = verdict();
        const hasArrived = new Promise<void>((resolve) => arrived.push(resolve));
        const wire = await openWire(app.port);
        wire.write(bytes);
        await hasArrived;
        end(wire);
        expect(await decided).toMatchObject({ allowed: false, methods: [] });
        expect((await send(app, TEXT)).status).toBe(200);
        expect(app.upstream.seen).toHaveLength(1);
      });
    }
  }

  test('does not take the next request of the connection for its end', async () => {
    const app = await guardedApp();
    const wire = await openWire(app.port);
    const next = requestBytes({ target: TARGET, body: call('eth_chainId') });
    const length = TEXT.length + next.length;
    wire.write(requestBytes({ target: TARGET, headers: [`Content-Length: ${length}`], body: TEXT }), next);
    expectRefusal(await wire.answer(), 'PARSE_ERROR', app);
  });
});

describe('a slow body', () => {
  test('is refused with 408 once bodyTimeoutMs have passed, however it is framed', async () => {
    const app = await guardedApp({ options: { bodyTimeoutMs: 100 } });
    for (const headers of [
      ['Content-Length: 1000'],
      ['Transfer-Encoding: chunked'],
      ['Content-Length: 9', 'Content-Encoding: gzip'],
    ]) {
      const wire = await openWire(app.port);
      wire.write(requestBytes({ target: TARGET, headers, body: '' }));
      expectRefusal(await wire.answer(), 'BODY_TIMEOUT', app);
    }
  });

  test('gains no time by dripping', async () => {
    const app = await guardedApp({ options: { bodyTimeoutMs: 200 } });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, headers: ['Content-Length: 100000'], body: '' }));
    const timer = setInterval(() => wire.write(' '), 5);
    try {
      expectRefusal(await wire.answer(), 'BODY_TIMEOUT', app);
    } finally {
      clearInterval(timer);
    }
  });

  test('that ends in time is forwarded', async () => {
    const app = await guardedApp();
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, headers: [`Content-Length: ${TEXT.length}`], body: '' }));
    for (const character of TEXT) {
      wire.write(character);
      await new Promise(setImmediate);
    }
    expect((await wire.answer()).json.result).toBe('eth_blockNumber');
  });

  test('that comes after its refusal is not forwarded', async () => {
    const app = await guardedApp({ options: { bodyTimeoutMs: 50 } });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: TARGET, headers: [`Content-Length: ${TEXT.length}`], body: TEXT.slice(0, 5) }));
    expectRefusal(await wire.answer(), 'BODY_TIMEOUT', app);
    wire.write(TEXT.slice(5), requestBytes({ target: TARGET, body: '{' }));
    expectRefusal(await wire.answer(), 'PARSE_ERROR', app);
  });
});

describe('Expect: 100-continue', () => {
  for (const before of [[], undefined] as const) {
    test(`works${before === undefined ? '' : ' on Express 4'} and stays here`, async () => {
      const app = await guardedApp(before === undefined ? {} : { expressVersion: 4 });
      const wire = await openWire(app.port);
      const headers = [`Content-Length: ${TEXT.length}`, 'Expect: 100-continue'];
      wire.write(requestBytes({ target: TARGET, headers, body: '' }));
      await wire.receives('100 Continue\r\n\r\n');
      wire.write(TEXT);
      expect((await wire.answer()).json.result).toBe('eth_blockNumber');
      expect(wire.continues).toBe(1);
      expect(app.upstream.seen).toHaveLength(1);
      expect(app.upstream.seen[0]?.headers['expect']).toBeUndefined();
    });
  }

  test('changes nothing in what is checked, stripped and refused', async () => {
    const app = await guardedApp({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }] });
    const expecting = ['Expect: 100-continue', 'Cookie: a=b', 'X-Forwarded-For: 1.2.3.4', 'X-Any: thing'];
    expect((await send(app, JSON.stringify(call('eth_a')), ...expecting)).json.result).toBe('eth_a');
    const names = (app.upstream.seen[0]?.rawHeaders ?? []).filter((_, n) => n % 2 === 0).map((it) => it.toLowerCase());
    for (const name of ['expect', 'cookie', 'x-forwarded-for', 'x-any']) expect(names).not.toContain(name);
    app.upstream.seen.length = 0;
    expectRefusal(await send(app, JSON.stringify(call('eth_b')), ...expecting), 'METHOD_NOT_ALLOWED', {
      ...app,
      id: 1,
    });
    expectRefusal(await send(app, '{', ...expecting), 'PARSE_ERROR', app);
    const refused = await exchange(app.port, requestBytes({ target: '/v3', headers: expecting, body: TEXT }));
    expectRefusal(refused, 'KEY_REQUIRED', app);
  });

  test('in another spelling does not reach the upstream either', async () => {
    const app = await guardedApp();
    for (const value of ['100-Continue', '100-continue, 100-continue', 'x', '']) {
      const answer = await send(app, TEXT, `Expect: ${value}`);
      expect([value, [200, 417].includes(answer.status)]).toEqual([value, true]);
    }
    for (const { headers } of app.upstream.seen) expect(headers['expect']).toBeUndefined();
  });
});

describe('JSON', () => {
  test('that is malformed is refused with -32700', async () => {
    const app = await guardedApp();
    const hostile = [
      '',
      ' ',
      '{',
      '}',
      '[',
      'nul',
      'undefined',
      'NaN',
      'Infinity',
      "{'jsonrpc':'2.0'}",
      `${TEXT}${TEXT}`,
      `${TEXT}x`,
      `${TEXT},`,
      `${TEXT}\n${TEXT}`,
      `[${TEXT},]`,
      `[${TEXT}`,
      `${TEXT.slice(0, -1)},}`,
      `/* */${TEXT}`,
      `${TEXT}//`,
      TEXT.replace('"id":1', '"id":01'),
      TEXT.replace('"id":1', '"id":+1'),
      TEXT.replace('"id":1', '"id":.1'),
      TEXT.replace('"id":1', '"id":1.'),
      TEXT.replace('"id":1', '"id":0x1'),
      TEXT.replace('"id":1', '"id":1n'),
      TEXT.replace('"id":1', '"id":"\u0001"'),
      TEXT.replace('"id":1', '"id":"\\x41"'),
      TEXT.replace('"id":1', '"id":"\\u12"'),
      TEXT.replace('"id":1', '"id":"\n"'),
      TEXT.replace('"id":1', 'id:1'),
      TEXT.replace('"id":1', '"id":1 1'),
      `)]}'\n${TEXT}`,
      `body=${TEXT}`,
      encodeURIComponent(TEXT),
      '['.repeat(100_000),
      '{"a":'.repeat(100_000),
    ];
    for (const text of hostile) {
      const answer = await send(app, text);
      expect([text.slice(0, 80), answer.json.error.code]).toEqual([text.slice(0, 80), -32700]);
      expectRefusal(answer, 'PARSE_ERROR', app);
    }
  });

  test('that stops being JSON long after it has broken a rule is refused with -32600, and read no further', async () => {
    const app = await guardedApp();
    const answer = await send(app, `${'['.repeat(1_000_000)}${']'.repeat(999_999)}`);
    expectRefusal(answer, 'INVALID_REQUEST', app);
  });

  test('that two readers could read differently, or that is too much, is refused with -32600', async () => {
    const app = await guardedApp();
    const params = (text: string) => `{"jsonrpc":"2.0","id":1,"method":"eth_a","params":${text}}`;
    const hostile = [
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","method":"eth_a"}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","\\u006dethod":"admin_peers"}`,
      `{"jsonrpc":"2.0","id":1,"id":2,"method":"eth_a"}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","params":[],"params":[1]}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","x":1,"x":1}`,
      params('[{"to":"0x1","to":"0x2"}]'),
      params('[{"to":"0x1","\\u0074o":"0x2"}]'),
      params('[{"":1,"":2}]'),
      params('[{"__proto__":{"to":"0x1"}}]'),
      params('[{"\\u005f_proto__":1}]'),
      params('["\\ud800"]'),
      params('["\\udc00\\ud800"]'),
      params('[{"\\ud800":1}]'),
      params('["\\ud83e"]'),
      params('[1e400]'),
      params('[-1e400]'),
      params('[1e999999999]'),
      params(`[1${'0'.repeat(400)}]`),
      params('['.repeat(32) + ']'.repeat(32)),
      params(`[${'['.repeat(5000)}${']'.repeat(5000)}]`),
      params(`[${'1,'.repeat(20_000)}1]`),
      params(`[${'[],'.repeat(20_000)}1]`),
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","METHOD":"admin_peers"}`,
      `{"jsonrpc":"2.0","id":1,"Method":"admin_peers","method":"eth_a"}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","ID":2}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","Params":[]}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","param\u017f":[]}`,
      `{"jsonrpc":"2.0","id":1,"method":"eth_a","j\u017fonrpc":"2.0"}`,
      `{"JSONRPC":"2.0","id":1,"method":"eth_a"}`,
    ];
    for (const text of hostile) {
      const answer = await send(app, text);
      expect([text.slice(0, 80), answer.json.error.code]).toEqual([text.slice(0, 80), -32600]);
      expect(answer.status).toBe(400);
      expect(app.upstream.seen).toEqual([]);
    }
  });

  test('nested 32 deep and with thousands of values is forwarded', async () => {
    const app = await guardedApp();
    const deep = `{"jsonrpc":"2.0","id":1,"method":"eth_a","params":${'['.repeat(31)}${']'.repeat(31)}}`;
    const wide = `{"jsonrpc":"2.0","id":1,"method":"eth_a","params":[${Array(19_900).fill('1').join(',')}]}`;
    for (const text of [deep, wide]) {
      expect((await send(app, text)).json.result).toBe('eth_a');
      expect(app.upstream.seen.pop()?.body).toBe(text);
    }
    const tooDeep = deep.replace('[[', '[[[').replace(']]', ']]]');
    expectRefusal(await send(app, tooDeep), 'INVALID_REQUEST', app);
    expectRefusal(await send(app, `[${deep}]`), 'INVALID_REQUEST', app);
  });

  test('with spaces, escapes and members that nobody knows is sent on without them', async () => {
    const app = await guardedApp();
    const text = ` \t\r\n{ "x" : [ {} ] , "method" : "eth\\u005fa" , "auth":"s", "constructor": 1, "id" : "\\u0041\\/" ,
      "jsonrpc" : "2.0" , "params" : [ { "b" : 1 , "a" : [ ] , "1" : null } , "\\u00e9" ] } \n`;
    const answer = await send(app, text);
    expect(answer.json).toEqual({ jsonrpc: '2.0', id: 'A/', result: 'eth_a' });
    const sent = app.upstream.seen[0]?.body ?? '';
    expect(JSON.parse(sent)).toEqual({
      jsonrpc: '2.0',
      id: 'A/',
      method: 'eth_a',
      params: [{ b: 1, a: [], 1: null }, 'é'],
    });
    expect(sent).not.toMatch(/\s|auth|constructor|"x"/);
  });
});

describe('a call', () => {
  test('is an object with jsonrpc, method and perhaps params and id; anything else is refused', async () => {
    const app = await guardedApp();
    const calls: readonly (readonly [unknown, unknown])[] = [
      [null, null],
      [1, null],
      [true, null],
      ['eth_a', null],
      [{}, null],
      [{ id: 1 }, 1],
      [{ ...CALL, jsonrpc: '1.0' }, 1],
      [{ ...CALL, jsonrpc: 2 }, 1],
      [{ ...CALL, jsonrpc: ['2.0'] }, 1],
      [{ ...CALL, jsonrpc: undefined }, 1],
      [{ ...CALL, jsonrpc: '2.0 ' }, 1],
      [{ ...CALL, method: '' }, 1],
      [{ ...CALL, method: 1 }, 1],
      [{ ...CALL, method: null }, 1],
      [{ ...CALL, method: ['eth_a'] }, 1],
      [{ ...CALL, method: { toString: 'eth_a' } }, 1],
      [{ ...CALL, method: 'eth a' }, 1],
      [{ ...CALL, method: ' eth_a' }, 1],
      [{ ...CALL, method: 'eth_a\n' }, 1],
      [{ ...CALL, method: 'eth_a\u0000' }, 1],
      [{ ...CALL, method: 'eth_é' }, 1],
      [{ ...CALL, method: 'eth\u200b_a' }, 1],
      [{ ...CALL, method: 'ｅth_a' }, 1],
      [{ ...CALL, method: 'x'.repeat(129) }, 1],
      [{ ...CALL, id: {} }, null],
      [{ ...CALL, id: [] }, null],
      [{ ...CALL, id: [1] }, null],
      [{ ...CALL, id: true }, null],
      [{ ...CALL, id: 'x'.repeat(1025) }, null],
      [{ ...CALL, id: 'é'.repeat(513) }, null],
      [{ jsonrpc: '2.0', id: 1, result: 'eth_a' }, 1],
      [{ jsonrpc: '2.0', id: 1, error: { code: 1, message: 'x' } }, 1],
      [{ jsonrpc: '2.0', id: 1 }, 1],
    ];
    for (const [body, id] of calls) {
      expectRefusal(await post(app.rpcUrl, JSON.stringify(body)), 'INVALID_REQUEST', { ...app, id });
    }
    for (const text of ['{"jsonrpc":"2.0","id":1e2,"method":"a"}', '{"jsonrpc":"2.0","id":1.0,"method":"a"}']) {
      const answer = await post(app.rpcUrl, text);
      expect([200, 400]).toContain(answer.status);
    }
  });

  test('may have no params, null params or none at all, and an id of each kind', async () => {
    const app = await guardedApp();
    const ids = ['0', '1', '-1', '""', '"1"', '"é"', 'null', `"${'x'.repeat(1024)}"`];
    for (const id of ids) {
      for (const [params, sent] of [
        ['', ''],
        [',"params":null', ''],
        [',"params":[]', ',"params":[]'],
        [',"params":[null]', ',"params":[null]'],
      ] as const) {
        const answer = await post(app.rpcUrl, `{"jsonrpc":"2.0","id":${id},"method":"eth_a"${params}}`);
        expect(answer.text).toBe(`{"jsonrpc":"2.0","id":${id},"result":"eth_a"}`);
        const text = app.upstream.seen.at(-1)?.body ?? '';
        // A `null` may be sent on or be left out: both mean none.
        expect([sent, params]).toContain(text.replace(`{"jsonrpc":"2.0","id":${id},"method":"eth_a"`, '').slice(0, -1));
      }
    }
  });

  test('without an id is forwarded without one, and checked alike', async () => {
    const app = await guardedApp({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }] });
    await post(app.rpcUrl, { jsonrpc: '2.0', method: 'eth_a' });
    expect(app.upstream.seen.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { jsonrpc: '2.0', method: 'eth_a' },
    ]);
    app.upstream.seen.length = 0;
    const refused = await post(app.rpcUrl, { jsonrpc: '2.0', method: 'eth_b' });
    expect(refused.status).toBe(403);
    expect(app.upstream.seen).toEqual([]);
  });

  test('keeps the digits of its numbers, there and back', async () => {
    const app = await guardedApp();
    const ids = ['1700000000000000001', '-1700000000000000001', '9007199254740993', `1${'0'.repeat(40)}1`];
    for (const id of ids) {
      const answer = await post(app.rpcUrl, `{"jsonrpc":"2.0","id":${id},"method":"eth_a"}`);
      expect(answer.text).toBe(`{"jsonrpc":"2.0","id":${id},"result":"eth_a"}`);
      const refused = await post(app.rpcUrl, `{"jsonrpc":"2.0","id":${id},"method":"admin_peers"}`);
      expect(refused.text).toContain(`"id":${id},`);
    }
    const numbers = '[1.0,1e2,1E+2,0.10,-0,-0.0,123456789012345678901234567890,1e-400,0.1000000000000000055511151]';
    await post(app.rpcUrl, `{"jsonrpc":"2.0","id":1,"method":"eth_a","params":${numbers}}`);
    expect(app.upstream.seen.at(-1)?.body).toContain(`"params":${numbers}`);
  });
});

describe('for any body', () => {
  const MEMBERS = ['jsonrpc', 'id', 'method', 'params'];

  /** A JSON string that says `text`, some of it in escapes. */
  const escaped = (text: string) =>
    fc
      .subarray(
        Array.from({ length: Math.min(text.length, 20) }, (_, n) => n),
        { maxLength: Math.min(text.length, 3) },
      )
      .map((positions) => {
        const units = Array.from({ length: text.length }, (_, n) =>
          positions.includes(n) ? `\\u${text.charCodeAt(n).toString(16).padStart(4, '0')}` : text.charAt(n),
        );
        return `"${units.join('')}"`;
      });
  const oneOf = (...texts: readonly string[]) => fc.constantFrom(...texts).chain(escaped);
  const name = fc.oneof(
    { weight: 3, arbitrary: oneOf('x', 'data', 'constructor', 'toJSON', 'length', '') },
    {
      weight: 2,
      arbitrary: oneOf('Method', 'METHOD', 'Params', 'param\u017f', 'ID', 'Id', 'JsonRpc', 'j\u017fonrpc', '__proto__'),
    },
    { weight: 1, arbitrary: oneOf(...MEMBERS) },
  );
  const scalar = fc.oneof(
    fc.constantFrom('null', 'true', '1', '-0', '1.0', '1e2', '9007199254740993', '""', '"\\ud83e\\udd84"', '[]', '{}'),
    oneOf('eth_a', 'admin_peers', 'latest'),
  );
  const spaced = (text: string) => fc.constantFrom(text, ` ${text}`, `${text}\n`);
  const member = (names: fc.Arbitrary<string>, values: fc.Arbitrary<string>) =>
    fc.tuple(names, values).map(([key, value]) => `${key}:${value}`);
  const objectOf = (members: readonly fc.Arbitrary<string>[], extra: fc.Arbitrary<string>) =>
    fc
      .tuple(fc.tuple(...members), fc.array(extra, { maxLength: 2 }))
      .chain(([own, more]) => fc.shuffledSubarray([...own, ...more], { minLength: own.length }))
      .chain((members) => spaced(`{${members.join(',')}}`));

  const params = fc.array(fc.oneof(scalar, objectOf([], member(name, scalar))), { maxLength: 3 });
  const anyCall = objectOf(
    [
      member(escaped('jsonrpc'), fc.constant('"2.0"')),
      member(escaped('id'), fc.oneof(fc.integer().map(String), fc.constantFrom('null', '"a"', '9007199254740993'))),
      member(escaped('method'), oneOf('eth_a', 'eth_b', 'admin_peers')),
      member(
        escaped('params'),
        params.map((items) => `[${items.join(' , ')}]`),
      ),
    ],
    member(name, scalar),
  );
  const anyBody = fc.oneof(
    { weight: 3, arbitrary: anyCall },
    { weight: 1, arbitrary: fc.array(anyCall, { minLength: 1, maxLength: 3 }).map((calls) => `[${calls.join(',')}]`) },
  );

  const pick = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(pick);
    const object = value as Record<string, unknown>;
    return Object.fromEntries(MEMBERS.filter((it) => Object.hasOwn(object, it)).map((it) => [it, object[it]]));
  };

  test('what the upstream reads, exactly or like Go, is what the guard has read', async () => {
    let told: readonly string[] = [];
    const onDecision = ({ allowed, methods }: Decision) => {
      if (allowed) told = methods;
    };
    const app = await guardedApp({ options: { onDecision } });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(anyBody, async (text) => {
        app.upstream.seen.length = 0;
        told = [];
        const answer = await post(app.rpcUrl, text);
        expect([200, 400, 403]).toContain(answer.status);
        if (app.upstream.seen.length === 0) return;
        accepted++;
        const methods: unknown[] = [];
        for (const { body } of app.upstream.seen) {
          const read = JSON.parse(body) as unknown;
          expect(readLikeGo(body, MEMBERS)).toEqual(read);
          expect(pick(read)).toEqual(read);
          methods.push(...[read].flat().map((it) => (it as { method: unknown }).method));
          // A batch may have lost calls that were refused; a call has lost nothing that counts.
          if (Array.isArray(read)) continue;
          for (const asked of [pick(JSON.parse(text)), readLikeGo(text, MEMBERS)] as { params?: unknown }[]) {
            // `null` counts as no params.
            expect({ ...asked, params: asked.params ?? undefined }).toEqual(read);
          }
        }
        expect(methods).toEqual(told);
        expect(told).not.toContain('admin_peers');
      }),
      { numRuns: 600 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  test('no reader finds an address that the list does not hold', async () => {
    const listed = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
    const other = '0x00000000000000000000000000000000deadbeef';
    const app = await guardedApp({ keys: [{ apiKey: KEY, allowlists: { contractAddresses: [listed] } }] });
    const address = fc.oneof(
      { weight: 3, arbitrary: escaped(listed) },
      { weight: 1, arbitrary: escaped(`0x${listed.slice(2).toUpperCase()}`) },
      { weight: 1, arbitrary: escaped(other) },
      { weight: 1, arbitrary: scalar },
    );
    const addressName = (...names: readonly string[]) =>
      fc.oneof({ weight: 4, arbitrary: escaped(names[0] ?? '') }, { weight: 1, arbitrary: oneOf(...names) });
    const transaction = objectOf(
      [],
      member(fc.oneof(addressName('to', 'TO', 'To', 'tO'), oneOf('data', 'from')), address),
    );
    const filter = objectOf(
      [],
      member(
        fc.oneof(addressName('address', 'Address', 'ADDRESS', 'addre\u017fs', 'addres\u017f'), oneOf('topics')),
        fc.oneof(
          address,
          fc.array(address, { maxLength: 2 }).map((items) => `[${items.join(',')}]`),
        ),
      ),
    );
    const query = fc.oneof(
      fc.tuple(fc.constant('eth_call'), transaction),
      fc.tuple(fc.constant('eth_getLogs'), filter),
      fc.tuple(fc.constant('eth_getBalance'), address),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(query, fc.boolean(), async ([method, param], inBatch) => {
        app.upstream.seen.length = 0;
        const text = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":[${param}]}`;
        await post(app.rpcUrl, inBatch ? `[${text},1]` : text);
        const [sent] = app.upstream.seen;
        if (sent === undefined) return;
        accepted++;
        const path = inBatch ? [0, 'params', 0] : ['params', 0];
        const own = ([JSON.parse(sent.body)].flat() as { params: unknown[] }[])[0]?.params[0];
        const like = readLikeGoAt(sent.body, path, ['to', 'address']);
        const queried =
          typeof own === 'string'
            ? [own]
            : [Object(own) as Record<string, unknown>, like].flatMap((it) => [it['to'] ?? it['address']].flat());
        expect(queried.length).toBeGreaterThan(0);
        expect(queried.map((it) => String(it).toLowerCase())).toEqual(queried.map(() => listed));
      }),
      { numRuns: 600 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});

test('a body of one-byte chunks costs at most twice maxBodyBytes', async () => {
  const maxBodyBytes = 64 * 1024;
  const app = await guardedApp({ options: { maxBodyBytes } });
  const body = JSON.stringify(call('eth_a', ['x'.repeat(maxBodyBytes - 1000)]));
  const alloc = jest.spyOn(Buffer, 'alloc');
  endAfterTest(() => alloc.mockRestore());
  const wire = await openWire(app.port);
  const headers = ['Transfer-Encoding: chunked'];
  wire.write(requestBytes({ target: `/v3/${KEY}`, headers, body: chunked(body, 1) }));
  expect((await wire.answer()).json.result).toBe('eth_a');
  // Of the buffers that were made for it two are alive at a time, while one is copied into the next.
  const sizes = alloc.mock.calls.map(([size]) => size).filter((size) => size > 0);
  const pairs = sizes.map((size, n) => size + (sizes[n - 1] ?? 0));
  expect(Math.max(...pairs)).toBeLessThanOrEqual(2 * maxBodyBytes);
  expect(sizes.length).toBeLessThan(40);
});
