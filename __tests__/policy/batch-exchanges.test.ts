import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as afterIo } from 'node:timers/promises';
import { runInThisContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { endAfterTest } from '../support/cleanup';
import { KEY, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp, GuardedAppOptions } from '../support/guarded-app';
import { CONTRACT } from '../support/pieces';
import { rawUpstream } from '../support/raw-upstream';
import { errorOf, expectRefusal } from '../support/refusal-table';
import type { TabledReason } from '../support/refusal-table';
import { post } from '../support/reply';
import { recordingUpstream } from '../support/upstream';
import { openWire, requestBytes } from '../support/wire';

/** A key that may call `eth_*` of one contract, in front of an upstream that answers as it is told. */
async function appWith(
  answer?: string | ((res: ServerResponse, body: string, req: IncomingMessage) => unknown),
  options: GuardedAppOptions['options'] = {},
): Promise<GuardedApp> {
  const upstream =
    answer === undefined
      ? await recordingUpstream()
      : await recordingUpstream((req, res, body) => {
          if (typeof answer === 'string') res.end(answer);
          else answer(res, body, req);
        });
  const keys = [{ apiKey: KEY, allowlists: { methods: ['eth_*'] } }];
  return guardedApp({ upstream, keys, options });
}

const allowed = (id: unknown, name = 'a') => call(`eth_${name}`, [], id);
const refused = (id: unknown) => call('net_x', [], id);
const notification = (method: string) => ({ jsonrpc: '2.0', method });
const answerTo = (id: unknown, result: unknown = 'eth_a') => ({ jsonrpc: '2.0', id, result });
const errorTo = (id: unknown, reason: TabledReason) => ({ jsonrpc: '2.0', id, error: errorOf(reason) });
const forwarded = ({ upstream }: GuardedApp) => upstream.seen.map(({ body }) => JSON.parse(body) as unknown);

describe('a mixed batch', () => {
  test('is answered in its order with HTTP 200, and only what is allowed is forwarded, in one batch', async () => {
    const app = await appWith();
    const calls = [refused(1), allowed(2), refused(3), allowed('4', 'b'), allowed(5, 'c'), refused('six')];
    const answer = await post(app.rpcUrl, calls);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.json).toEqual([
      errorTo(1, 'METHOD_NOT_ALLOWED'),
      answerTo(2),
      errorTo(3, 'METHOD_NOT_ALLOWED'),
      answerTo('4', 'eth_b'),
      answerTo(5, 'eth_c'),
      errorTo('six', 'METHOD_NOT_ALLOWED'),
    ]);
    expect(forwarded(app)).toEqual([[allowed(2), allowed('4', 'b'), allowed(5, 'c')]]);
  });

  test('carries one request id in its header and in each of its errors', async () => {
    const app = await appWith();
    const answer = await post(app.rpcUrl, [refused(1), allowed(2), 3], { 'X-Request-Id': 'mine' });
    expect(answer.headers.get('x-request-id')).toBe('mine');
    expect(answer.json).toMatchObject([
      { error: { data: { requestId: 'mine' } } },
      { result: 'eth_a' },
      { error: { data: { requestId: 'mine' } } },
    ]);
  });

  test('gives each refused call the error object it would get alone', async () => {
    const keys = [{ apiKey: KEY, allowlists: { methods: ['eth_*', 'admin_*'], contractAddresses: [CONTRACT] } }];
    const app = await guardedApp({ keys, options: { addressParams: { admin_peers: 'none', net_x: 'none' } } });
    const answer = await post(app.rpcUrl, [
      refused(1),
      call('admin_peers', [], 2),
      call('eth_getBalance', [KEY, 'latest'], 3),
      { jsonrpc: '1.0', id: 4, method: 'eth_chainId' },
      { jsonrpc: '2.0', id: 5, method: 'eth_chainId', params: {} },
      call('eth_getBalance', [CONTRACT, 'latest'], 6),
    ]);
    expect(answer.json).toEqual([
      errorTo(1, 'METHOD_NOT_ALLOWED'),
      errorTo(2, 'METHOD_BLOCKED'),
      errorTo(3, 'CONTRACT_ADDRESS_NOT_ALLOWED'),
      errorTo(4, 'INVALID_REQUEST'),
      expect.objectContaining({ id: 5, error: expect.objectContaining({ code: -32602 }) as unknown }),
      answerTo(6, 'eth_getBalance'),
    ]);
    expect(forwarded(app)).toEqual([[call('eth_getBalance', [CONTRACT, 'latest'], 6)]]);
  });

  test('names no reason without exposeReason', async () => {
    const app = await appWith(undefined, { exposeReason: false });
    const answer = await post(app.rpcUrl, [refused(1), allowed(2)]);
    expect(answer.text).not.toContain('METHOD_NOT_ALLOWED');
    expect(answer.json).toMatchObject([{ id: 1, error: { code: -32002 } }, answerTo(2)]);
  });

  test('answers what is no call with a null id each, and forwards none of it', async () => {
    const app = await appWith();
    const junk = [null, 1, 'x', true, {}, [], [allowed(1)], [[]], { id: {} }];
    const answer = await post(app.rpcUrl, [...junk, allowed(7), ...junk]);
    const errors = junk.map(() => errorTo(null, 'INVALID_REQUEST'));
    expect(answer.json).toEqual([...errors, answerTo(7), ...errors]);
    expect(forwarded(app)).toEqual([[allowed(7)]]);
  });

  test('of which one call is left is forwarded as a batch of one', async () => {
    const app = await appWith();
    expect((await post(app.rpcUrl, [allowed(1), refused(2)])).json).toEqual([
      answerTo(1),
      errorTo(2, 'METHOD_NOT_ALLOWED'),
    ]);
    expect(forwarded(app)).toEqual([[allowed(1)]]);
  });

  test('of which nothing is left does not call the upstream', async () => {
    const app = await appWith();
    for (const calls of [[refused(1)], [refused(1), 2, call('admin_x', [], 3)], [null]]) {
      const answer = await post(app.rpcUrl, calls);
      expect(answer.status).toBe(200);
      expect(answer.json).toHaveLength(calls.length);
      expect(app.upstream.seen).toEqual([]);
      expect(app.upstream.connections).toBe(0);
    }
  });

  test('asks for an answer that it can read', async () => {
    const app = await appWith();
    await post(app.rpcUrl, [allowed(1), refused(2)], { 'Accept-Encoding': 'br, gzip' });
    expect(app.upstream.seen[0]?.headers['accept-encoding'] ?? 'identity').toBe('identity');
  });

  test("withholds the headers of the upstream's answer that belong to its bytes", async () => {
    const app = await appWith((res) => {
      res.writeHead(200, { 'Set-Cookie': 'a=b', ETag: '"x"', 'Content-Type': 'text/plain', 'X-Request-Id': 'theirs' });
      res.end(JSON.stringify([answerTo(1)]));
    });
    const { headers, json, text } = await post(app.rpcUrl, [allowed(1), refused(2)]);
    expect(json).toEqual([answerTo(1), errorTo(2, 'METHOD_NOT_ALLOWED')]);
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('content-length')).toBe(String(Buffer.byteLength(text)));
    expect(headers.get('set-cookie')).toBeNull();
    expect(headers.get('etag')).toBeNull();
    expect(headers.get('x-request-id')).not.toBe('theirs');
  });

  test('of a thousand calls is put together', async () => {
    const app = await appWith((res, body) => {
      const calls = JSON.parse(body) as { id: number }[];
      res.end(JSON.stringify(calls.reverse().map(({ id }) => answerTo(id, id * 2))));
    });
    const calls = Array.from({ length: 1000 }, (_, id) => (id % 7 === 0 ? refused(id) : allowed(id)));
    expect((await post(app.rpcUrl, calls)).json).toEqual(
      calls.map((_, id) => (id % 7 === 0 ? errorTo(id, 'METHOD_NOT_ALLOWED') : answerTo(id, id * 2))),
    );
  });
});

describe('notifications', () => {
  test('are forwarded when allowed, and owed nothing when refused', async () => {
    const app = await appWith();
    const answer = await post(app.rpcUrl, [notification('eth_n'), refused(1), notification('net_n'), allowed(2)]);
    expect(answer.json).toEqual([errorTo(1, 'METHOD_NOT_ALLOWED'), answerTo(2)]);
    expect(forwarded(app)).toEqual([[notification('eth_n'), allowed(2)]]);
  });

  test('alone are forwarded, whatever little the upstream answers to them', async () => {
    for (const nothing of ['', '[]', 'null']) {
      const app = await appWith(nothing);
      const answer = await post(app.rpcUrl, [notification('eth_n'), refused(1)]);
      expect(answer.status).toBe(200);
      expect(answer.json).toEqual([errorTo(1, 'METHOD_NOT_ALLOWED')]);
      expect(forwarded(app)).toEqual([[notification('eth_n')]]);
    }
  });

  test('that are all refused are answered with HTTP 200 and nothing', async () => {
    const app = await appWith();
    const answer = await post(app.rpcUrl, [notification('net_n'), notification('admin_n')]);
    expect([answer.status, answer.text]).toEqual([200, '']);
    expect(app.upstream.seen).toEqual([]);
  });

  test('with a null id are calls: null is an id', async () => {
    const app = await appWith();
    const answer = await post(app.rpcUrl, [refused(null), allowed(null), refused(1)]);
    expect(answer.json).toEqual([
      errorTo(null, 'METHOD_NOT_ALLOWED'),
      answerTo(null),
      errorTo(1, 'METHOD_NOT_ALLOWED'),
    ]);
  });
});

describe('ids', () => {
  const IDS = [
    1,
    '1',
    0,
    '0',
    -1,
    null,
    'null',
    '',
    ' ',
    '__proto__',
    'constructor',
    'a"b',
    'é',
    '\u2028',
    '1.0',
    '01',
  ];

  test('of every kind find their answers, in whatever order these come', async () => {
    const orders: readonly ((answers: unknown[]) => unknown[])[] = [
      (answers) => answers,
      (answers) => answers.reverse(),
      (answers) => [...answers.slice(5), ...answers.slice(0, 5)],
    ];
    for (const order of orders) {
      const app = await appWith((res, body) => {
        const calls = JSON.parse(body) as { id: unknown; method: string }[];
        res.end(JSON.stringify(order(calls.map(({ id, method }) => answerTo(id, method)))));
      });
      const calls = IDS.flatMap((id, n) => [refused(id), allowed(id, String(n))]);
      expect((await post(app.rpcUrl, calls)).json).toEqual(
        IDS.flatMap((id, n) => [errorTo(id, 'METHOD_NOT_ALLOWED'), answerTo(id, `eth_${n}`)]),
      );
    }
  });

  test('are compared by what they say, not by how they are written', async () => {
    const app = await appWith('[{"jsonrpc":"2.0","id":"\\u0041\\/","result":1},{"jsonrpc":"2.0","id":"B","result":2}]');
    const text = `[${JSON.stringify(refused(1))},{"jsonrpc":"2.0","id":"A/","method":"eth_a"},{"jsonrpc":"2.0","id":"\\u0042","method":"eth_b"}]`;
    expect((await post(app.rpcUrl, text)).json).toMatchObject([{ id: 1 }, { result: 1 }, { result: 2 }]);
  });

  test('keep their digits there and back', async () => {
    const app = await appWith();
    const text = `[{"jsonrpc":"2.0","id":1700000000000000001,"method":"eth_a"},{"jsonrpc":"2.0","id":1700000000000000002,"method":"net_x"},{"jsonrpc":"2.0","id":1700000000000000003,"method":"eth_b"}]`;
    const answer = await post(app.rpcUrl, text);
    expect(answer.text).toContain('{"jsonrpc":"2.0","id":1700000000000000001,"result":"eth_a"}');
    expect(answer.text).toContain('"id":1700000000000000002,"error":');
    expect(answer.text).toContain('{"jsonrpc":"2.0","id":1700000000000000003,"result":"eth_b"}');
    expect(app.upstream.seen[0]?.body).toContain('"id":1700000000000000003,');
  });

  test('that a reader would round to one number are kept apart', async () => {
    const app = await appWith(
      '[{"jsonrpc":"2.0","id":9007199254740993,"result":"b"},{"jsonrpc":"2.0","id":9007199254740992,"result":"a"}]',
    );
    const text = `[{"jsonrpc":"2.0","id":9007199254740992,"method":"eth_a"},{"jsonrpc":"2.0","id":9007199254740993,"method":"eth_b"},1]`;
    expect((await post(app.rpcUrl, text)).json).toMatchObject([{ result: 'a' }, { result: 'b' }, { id: null }]);
  });

  test('that repeat get their answers in order', async () => {
    const app = await appWith();
    const answer = await post(app.rpcUrl, [
      allowed(1, 'a'),
      refused(1),
      allowed(1, 'b'),
      allowed('1', 'c'),
      allowed(1, 'd'),
    ]);
    expect(answer.json).toEqual([
      answerTo(1, 'eth_a'),
      errorTo(1, 'METHOD_NOT_ALLOWED'),
      answerTo(1, 'eth_b'),
      answerTo('1', 'eth_c'),
      answerTo(1, 'eth_d'),
    ]);
  });

  test('that repeat never get the answer of another call, in whatever order the upstream gives them', async () => {
    const app = await appWith((res, body) => {
      const calls = JSON.parse(body) as { id: unknown; method: string }[];
      res.end(JSON.stringify(calls.map(({ id, method }) => answerTo(id, method)).reverse()));
    });
    const { json } = await post(app.rpcUrl, [allowed(1, 'a'), refused(2), allowed(1, 'b')]);
    const [first, second, third] = json as unknown as { result?: string }[];
    // Its own answer or an error: which of the two is not said.
    expect(['eth_a', undefined]).toContain(first?.result);
    expect(second).toEqual(errorTo(2, 'METHOD_NOT_ALLOWED'));
    expect(['eth_b', undefined]).toContain(third?.result);
  });

  test('that repeat, with one answer missing, never shift the others', async () => {
    for (const missing of [0, 1, 2]) {
      const app = await appWith((res, body) => {
        const calls = JSON.parse(body) as { id: unknown; method: string }[];
        const answers = calls.map(({ id, method }) => answerTo(id, method));
        res.end(JSON.stringify(answers.filter((_, n) => n !== missing)));
      });
      const { json } = await post(app.rpcUrl, [allowed(1, 'a'), allowed(1, 'b'), refused(2), allowed(1, 'c')]);
      const replies = json as unknown as { id: unknown; result?: string; error?: object }[];
      expect(replies.map(({ id }) => id)).toEqual([1, 1, 2, 1]);
      for (const [n, own] of ['eth_a', 'eth_b', undefined, 'eth_c'].entries()) {
        expect([own, undefined]).toContain(replies[n]?.result);
      }
      expect(replies.filter(({ error, result }) => (error === undefined) === (result === undefined))).toEqual([]);
    }
  });

  test('that repeat many times are answered without a warning of the process', async () => {
    // The process that jest hands to tests is a copy, which hears no events.
    const main = runInThisContext('process') as NodeJS.Process;
    const warnings: string[] = [];
    const note = ({ name, message }: Error) => {
      // http-proxy-middleware 3 uses what newer versions of Node deprecate.
      if (name !== 'DeprecationWarning') warnings.push(message);
    };
    const app = await appWith();
    await post(app.rpcUrl, allowed(1));
    main.on('warning', note);
    endAfterTest(() => main.off('warning', note));
    const calls = Array.from({ length: 30 }, (_, n) => (n === 0 ? refused(1) : allowed(1, String(n))));
    const { json } = await post(app.rpcUrl, calls);
    expect(json).toEqual(calls.map((_, n) => (n === 0 ? errorTo(1, 'METHOD_NOT_ALLOWED') : answerTo(1, `eth_${n}`))));
    await afterIo();
    expect(warnings).toEqual([]);
  });

  test('of any mix come back in the order of the request', async () => {
    const app = await appWith((res, body) => {
      const calls = JSON.parse(body) as { id?: unknown; method: string }[];
      const answers = calls.filter((it) => 'id' in it).map(({ id, method }) => answerTo(id, method));
      res.end(JSON.stringify(answers));
    });
    const item = fc.record(
      { jsonrpc: fc.constant('2.0'), id: fc.constantFrom(...IDS), method: fc.constantFrom('eth_a', 'eth_b', 'net_x') },
      { requiredKeys: ['jsonrpc', 'method'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(item, { maxLength: 8 }), async (items) => {
        const calls = [...items, refused('last')];
        const expected = calls
          .filter((it) => 'id' in it)
          .map(({ id, method }) => (method === 'net_x' ? errorTo(id, 'METHOD_NOT_ALLOWED') : answerTo(id, method)));
        app.upstream.seen.length = 0;
        expect((await post(app.rpcUrl, calls)).json).toEqual(expected);
        expect(forwarded(app).flat()).toEqual(calls.filter(({ method }) => method !== 'net_x'));
      }),
      { numRuns: 100 },
    );
  });
});

describe("the upstream's answers", () => {
  const UNAVAILABLE = [
    errorTo(1, 'UPSTREAM_UNAVAILABLE'),
    errorTo(2, 'METHOD_NOT_ALLOWED'),
    errorTo(3, 'UPSTREAM_UNAVAILABLE'),
  ];
  const CALLS = [allowed(1), refused(2), allowed(3)];
  const whole = JSON.stringify([answerTo(1), answerTo(3)]);

  test('that are missing are errors of their calls alone', async () => {
    const app = await appWith(JSON.stringify([answerTo(3)]));
    expect((await post(app.rpcUrl, CALLS)).json).toEqual([UNAVAILABLE[0], UNAVAILABLE[1], answerTo(3)]);
  });

  test('to calls that nobody made are dropped', async () => {
    const strangers = [
      answerTo(2),
      answerTo('1'),
      answerTo('3'),
      answerTo(null),
      answerTo(4),
      answerTo([1]),
      answerTo({}),
    ];
    const junk = [1, null, 'x', [], {}, [answerTo(1)], { result: 1 }];
    const app = await appWith(JSON.stringify([...strangers, answerTo(3), ...junk, answerTo(1), ...strangers]));
    const { json } = await post(app.rpcUrl, CALLS);
    expect(json).toEqual([answerTo(1), errorTo(2, 'METHOD_NOT_ALLOWED'), answerTo(3)]);
  });

  test('that come twice give the call one of them or an error, and the others their own', async () => {
    const app = await appWith(JSON.stringify([answerTo(1, 'x'), answerTo(1, 'y'), answerTo(3)]));
    const { json } = await post(app.rpcUrl, CALLS);
    const replies = json as unknown as { result?: string }[];
    expect(replies).toHaveLength(3);
    expect(['x', 'y', undefined]).toContain(replies[0]?.result);
    expect(replies.slice(1)).toEqual([UNAVAILABLE[1], answerTo(3)]);
  });

  test('that are errors are passed on', async () => {
    const error = { code: 3, message: 'execution reverted', data: '0x08c379a0' };
    const app = await appWith(JSON.stringify([{ jsonrpc: '2.0', id: 3, error }, answerTo(1)]));
    expect((await post(app.rpcUrl, CALLS)).json).toEqual([
      answerTo(1),
      UNAVAILABLE[1],
      { jsonrpc: '2.0', id: 3, error },
    ]);
  });

  const asTheyCame: Readonly<Record<string, string>> = {
    'with big numbers': '{"jsonrpc":"2.0","id":1,"result":123456789012345678901234567890}',
    'with 1.0, -0 and exponents': '{"jsonrpc":"2.0","id":1,"result":[1.0,-0,1E5,1e-400,0.10]}',
    'with spaces and line breaks': '{ "jsonrpc" :\t"2.0",\n "result" : { "a" : [ 1 , 2 ] } , "id" : 1 }',
    'with members in another order and unknown ones': '{"x":{},"result":1,"id":1,"jsonrpc":"2.0","y":[]}',
    'with escapes': '{"jsonrpc":"2.0","id":1,"result":"\\u0041\\/\\u00e9\\n"}',
    'with raw characters': '{"jsonrpc":"2.0","id":1,"result":"é漢🦄\u2028\ufeff"}',
    'without a jsonrpc member': '{"id":1,"result":1}',
    'with a deep result': `{"jsonrpc":"2.0","id":1,"result":${'['.repeat(3000)}${']'.repeat(3000)}}`,
    'with a long result': `{"jsonrpc":"2.0","id":1,"result":"0x${'ab'.repeat(1_000_000)}"}`,
    'with many values': `{"jsonrpc":"2.0","id":1,"result":[${'1,'.repeat(100_000)}1]}`,
    'with brackets and quotes in strings': '{"jsonrpc":"2.0","id":1,"result":"],[{\\"id\\":3},\\\\"}',
    'with an id within its result': '{"jsonrpc":"2.0","result":{"id":3,"x":[{"id":3}]},"id":1}',
    'with a member name twice': '{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}',
    'with a member named __proto__': '{"jsonrpc":"2.0","id":1,"result":{"__proto__":1}}',
    'with a lone surrogate': '{"jsonrpc":"2.0","id":1,"result":"\\ud800"}',
    'with a number beyond a double': '{"jsonrpc":"2.0","id":1,"result":1e400}',
  };

  for (const [what, text] of Object.entries(asTheyCame)) {
    test(`${what} are passed on as they came`, async () => {
      const app = await appWith(` [ {"jsonrpc":"2.0","id":3,"result":3} , ${text}\n] `);
      const answer = await post(app.rpcUrl, CALLS);
      expect(answer.text.slice(0, text.length + 1)).toBe(`[${text}`);
      expect(answer.text.endsWith(',{"jsonrpc":"2.0","id":3,"result":3}]')).toBe(true);
    });
  }

  const none: Readonly<Record<string, string | ((res: ServerResponse) => unknown)>> = {
    nothing: '',
    'an object': JSON.stringify(answerTo(1)),
    null: 'null',
    'a string of the batch': JSON.stringify(whole),
    'an empty array': '[]',
    'an array of arrays': `[${whole}]`,
    'a broken array': whole.slice(0, -1),
    'an array with a comma too much': `${whole.slice(0, -1)},]`,
    'two arrays': whole + whole,
    'an array and more': `${whole}x`,
    'JSON lines': `${JSON.stringify(answerTo(1))}\n${JSON.stringify(answerTo(3))}`,
    HTML: '<html><body>Bad Gateway</body></html>',
    'bytes that are not UTF-8': (res) => res.end(Buffer.from(whole.replaceAll('eth_a', '\xff'), 'latin1')),
    'UTF-16': (res) => res.end(Buffer.from(whole, 'utf16le')),
    'gzip without saying so': (res) => res.end(gzipSync(whole)),
    'an HTML error': (res) => res.writeHead(500, { 'Content-Type': 'text/html' }).end('<h1>500</h1>'),
    'a redirect': (res) => res.writeHead(302, { Location: 'http://hidden.internal/' }).end(),
    'no content': (res) => res.writeHead(204).end(),
    'a cut answer with a length': (res) => {
      res.writeHead(200, { 'Content-Length': String(whole.length + 10) });
      res.write(whole, () => res.destroy());
    },
    'a cut answer in chunks': (res) => res.write(whole, () => res.destroy()),
    'a connection that is closed': (res) => res.destroy(),
  };

  for (const [what, answer] of Object.entries(none)) {
    test(`that are none – ${what} – give each forwarded call -32603`, async () => {
      const app = await appWith(answer);
      const { status, json, text, headers } = await post(app.rpcUrl, CALLS);
      expect(status).toBe(200);
      expect(json).toEqual(UNAVAILABLE);
      expect(text).not.toMatch(/hidden|127\.0\.0\.1/);
      expect(headers.get('location')).toBeNull();
      expect(app.upstream.seen).toHaveLength(1);
    });
  }

  test('with an error status count all the same', async () => {
    const app = await appWith((res) => res.writeHead(500).end(whole));
    const { status, json } = await post(app.rpcUrl, CALLS);
    expect(status).toBe(200);
    expect(json).toEqual([answerTo(1), UNAVAILABLE[1], answerTo(3)]);
  });

  test('of an upstream that is down, or no HTTP server, are -32603 each', async () => {
    const gone = await recordingUpstream();
    await gone.close();
    const garbage = await rawUpstream((socket) => socket.end('this is no HTTP\r\n\r\n'));
    for (const upstream of [gone.url, garbage.url]) {
      const app = await appWith(undefined, { upstream });
      expect((await post(app.rpcUrl, CALLS)).json).toEqual(UNAVAILABLE);
    }
  });

  test('that never begin are timeouts of the forwarded calls alone', async () => {
    const app = await appWith(() => undefined, { upstreamTimeoutMs: 50 });
    const { status, json } = await post(app.rpcUrl, CALLS);
    expect(status).toBe(200);
    expect(json).toEqual([errorTo(1, 'UPSTREAM_TIMEOUT'), UNAVAILABLE[1], errorTo(3, 'UPSTREAM_TIMEOUT')]);
  });

  test('that stop in the middle are -32603 each', async () => {
    const app = await appWith((res) => res.write(whole.slice(0, 20)), { upstreamTimeoutMs: 50 });
    const { json } = await post(app.rpcUrl, CALLS);
    expect(json).toMatchObject([{ id: 1, error: { code: -32603 } }, { id: 2 }, { id: 3, error: { code: -32603 } }]);
  });
});

describe('a batch of which nothing is refused', () => {
  test('gets the answer of the upstream as it is, whatever it is', async () => {
    const answers = [' [ {"id":2 , "result":1.0} ]\n', '[]', '{}', 'no JSON at all', '[1,', ''];
    for (const text of answers) {
      const app = await appWith((res) => res.writeHead(200, { 'Content-Type': 'text/plain' }).end(text));
      const answer = await post(app.rpcUrl, [allowed(1), allowed(2)]);
      expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([200, text, 'application/json']);
      expect(forwarded(app)).toEqual([[allowed(1), allowed(2)]]);
    }
  });

  test('streams: what the upstream has sent arrives before it has ended', async () => {
    let finish: () => void = () => undefined;
    const app = await appWith((res) => {
      res.write('[{"jsonrpc":"2.0","id":1,');
      finish = () => void res.end('"result":1}]');
    });
    const wire = await openWire(app.port);
    wire.write(requestBytes({ target: `/v3/${KEY}`, body: [allowed(1)] }));
    await wire.receives('"id":1,');
    finish();
    expect((await wire.answer()).text).toBe('[{"jsonrpc":"2.0","id":1,"result":1}]');
  });

  test('may be compressed', async () => {
    const app = await appWith((res) => {
      res.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('[]'));
    });
    const answer = await post(app.rpcUrl, [allowed(1)], { 'Accept-Encoding': 'gzip' });
    expect(answer.text).toBe('[]');
    expect(app.upstream.seen[0]?.headers['accept-encoding']).toBe('gzip');
  });
});

describe('the size of a batch', () => {
  test('is at least one call', async () => {
    const app = await appWith();
    for (const text of ['[]', ' [ ] ', '[\n]']) expectRefusal(await post(app.rpcUrl, text), 'INVALID_REQUEST', app);
  });

  test('is 1000 calls by default', async () => {
    const app = await appWith();
    expect((await post(app.rpcUrl, Array(1000).fill(allowed(1)))).json).toHaveLength(1000);
    app.upstream.seen.length = 0;
    const answer = await post(app.rpcUrl, Array(1001).fill(allowed(1)));
    expectRefusal(answer, 'BATCH_TOO_LARGE', app);
    expect(answer.json.error.message).toContain('1000');
  });

  test('is maxBatchSize items at most, whatever they are', async () => {
    const app = await appWith(undefined, { maxBatchSize: 3 });
    const items = [allowed(1), refused(1), notification('eth_a'), 1, null, [], {}, 'x'];
    for (const item of items) {
      expect((await post(app.rpcUrl, [item, item, item])).status).toBe(200);
      app.upstream.seen.length = 0;
      expectRefusal(await post(app.rpcUrl, [item, item, item, item]), 'BATCH_TOO_LARGE', app);
    }
    expect((await post(app.rpcUrl, allowed(1))).status).toBe(200);
  });
});

describe('two mixed batches at once', () => {
  test("never get each other's answers", async () => {
    const waiting: (() => void)[] = [];
    const app = await appWith((res, body) => {
      const calls = JSON.parse(body) as { id: number; method: string }[];
      waiting.push(() => res.end(JSON.stringify(calls.map(({ id, method }) => answerTo(id, method)))));
      if (waiting.length === 10) for (const end of waiting.reverse()) end();
    });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => post(app.rpcUrl, [refused(1), allowed(1, String(n))])),
    );
    for (const [n, { json }] of answers.entries()) {
      expect(json).toEqual([errorTo(1, 'METHOD_NOT_ALLOWED'), answerTo(1, `eth_${n}`)]);
    }
  });

  test('a client that goes away ends the request of its mixed batch at the upstream', async () => {
    for (const begun of [false, true]) {
      let arrived: (res: ServerResponse) => void = () => undefined;
      const seen = new Promise<ServerResponse>((resolve) => (arrived = resolve));
      const app = await appWith((res) => {
        if (begun) res.write('[');
        arrived(res);
      });
      const wire = await openWire(app.port);
      wire.write(requestBytes({ target: `/v3/${KEY}`, body: [allowed(1), refused(2)] }));
      const closed = once(await seen, 'close');
      wire.socket.destroy();
      await closed;
      expect((await seen).writableFinished).toBe(false);
    }
  }, 3000);
});
