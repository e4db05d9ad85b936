import fc from 'fast-check';
import {
  errorReply,
  parseCalls,
  serialiseBatch,
  serialiseCall,
  serialisePieces,
  readBatchAnswer,
} from '../../lib/json-rpc/call';
import type { InvalidCall, RpcCall } from '../../lib/json-rpc/call';

const MAX_BATCH = 1000;

type Item = RpcCall | InvalidCall;

function callsOf(text: string | Buffer, maxBatchSize = MAX_BATCH): readonly Item[] {
  const read = parseCalls(text, maxBatchSize);
  if (!read.ok) throw new Error(`refused: ${read.why}`);
  return read.calls;
}

function only(text: string | Buffer): Item {
  const [call, ...more] = callsOf(text);
  if (call === undefined || more.length > 0) throw new Error('not one call');
  return call;
}

function good(text: string | Buffer): RpcCall {
  const call = only(text);
  if ('invalid' in call) throw new Error(`invalid: ${call.why}`);
  return call;
}

/** 'ok', or what is broken: of the whole body, or of the one call in it. */
function verdict(text: string | Buffer, maxBatchSize = MAX_BATCH): string {
  const read = parseCalls(text, maxBatchSize);
  if (!read.ok) return `body: ${read.broken}`;
  const broken = read.calls.filter((call) => 'invalid' in call);
  return broken.length === 0 ? 'ok' : `call: ${broken.map(({ invalid }) => invalid).join()}`;
}

const withMember = (name: string, json: string) => {
  const members = { jsonrpc: '"2.0"', id: '1', method: '"eth_call"', params: '[]', [name]: json };
  return `{${Object.entries(members)
    .map(([member, value]) => `"${member}":${value}`)
    .join(',')}}`;
};

describe('a call', () => {
  test('has the name that is handed in for its method, and another only where it is valid', () => {
    const methodIn = (method: string) => {
      const read = parseCalls(withMember('method', JSON.stringify(method)), 1, new Map([['eth_call', 'handed in']]));
      return read.ok && read.calls.map((it) => ('method' in it ? it.method : it.why));
    };
    expect(methodIn('eth_call')).toEqual(['handed in']);
    expect(methodIn('eth_callMany')).toEqual(['eth_callMany']);
    expect(methodIn('eth call')).toEqual(['method must be up to 128 printable ASCII characters']);
  });

  test('is read with its id, method and params', () => {
    const text = '{"jsonrpc":"2.0","id":7,"method":"eth_call","params":[{"to":"0x1"},"latest"]}';
    expect(parseCalls(text, MAX_BATCH)).toMatchObject({
      ok: true,
      batch: false,
      calls: [{ id: '7', method: 'eth_call', params: [{ to: '0x1' }, 'latest'] }],
    });
  });

  test('may come as bytes or as text', () => {
    const text = '{"jsonrpc":"2.0","id":"é😀","method":"eth_call"}';
    expect(good(Buffer.from(text))).toEqual(good(text));
    expect(good(text).id).toBe('"é😀"');
  });

  test.each(['{"jsonrpc":"2.0","method":"x"}', '{"method":"x","jsonrpc":"2.0","params":[]}'])(
    'without an id is a notification: %s',
    (text) => {
      expect(good(text).id).toBeUndefined();
    },
  );

  test('has no params where they are missing or null', () => {
    expect(good('{"jsonrpc":"2.0","id":1,"method":"x"}').params).toBeUndefined();
    expect(good('{"jsonrpc":"2.0","id":1,"method":"x","params":null}').params).toBeUndefined();
  });

  test.each([
    'null',
    'true',
    'false',
    '0',
    '7',
    '1700000000000000001',
    '""',
    '"eth_call"',
    '{}',
    '{"id":1}',
    '{"method":"eth_call"}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","id":1,"result":"0x1"}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}',
    '{"jsonrpc":"2.0","id":1,"params":[]}',
  ])('is not %s', (text) => {
    expect(verdict(text)).toBe('call: request');
    expect(verdict(`[${text}]`)).toBe('call: request');
  });

  test.each(['["2.0",1,"eth_call",[]]', '[]', '[[]]', '[{"jsonrpc":"2.0","id":1,"method":"x"}]'])(
    'is not an array in a batch: %s',
    (text) => {
      expect(verdict(`[${text}]`)).toBe('call: request');
    },
  );

  test.each(['"1.0"', '"2"', '"2.00"', '" 2.0"', '2.0', '2', 'null', '["2.0"]', '{"a":"2.0"}', 'true', '""'])(
    'is not one of jsonrpc %s',
    (json) => {
      expect(verdict(withMember('jsonrpc', json))).toBe('call: request');
    },
  );

  test.each([
    'null',
    '7',
    '1.0',
    'true',
    '[]',
    '["eth_call"]',
    '{}',
    '""',
    '" "',
    '"eth_call "',
    '" eth_call"',
    '"eth call"',
    '"eth_call\\n"',
    '"eth\\u0000call"',
    '"\\u007f"',
    '"eth_cäll"',
    '"eth_call\\u200b"',
    '"ｅth_call"',
    '"\\ufeffeth_call"',
    `"${'a'.repeat(129)}"`,
  ])('has no method %s', (json) => {
    expect(verdict(withMember('method', json))).toBe('call: request');
  });

  test.each(['eth_call', 'a', '__proto__', 'constructor', '!~', 'a.b/c:d', 'a'.repeat(128)])(
    'may have the method %s',
    (method) => {
      expect(good(withMember('method', JSON.stringify(method))).method).toBe(method);
    },
  );

  test('has the method that an escape stands for', () => {
    expect(good(withMember('method', '"eth\\u005fcall"')).method).toBe('eth_call');
  });

  test.each(['{}', '{"to":"0x1"}', '"[]"', '""', '7', '0', 'true', 'false', '1700000000000000001'])(
    'may not have the params %s',
    (json) => {
      expect(only(withMember('params', json))).toMatchObject({ id: '1', invalid: 'params' });
    },
  );

  test('keeps its id when it is refused', () => {
    expect(only('{"jsonrpc":"1.0","id":"x","method":"eth_call"}')).toMatchObject({ id: '"x"', invalid: 'request' });
    expect(only('{"jsonrpc":"2.0","id":1700000000000000001}')).toMatchObject({ id: '1700000000000000001' });
  });

  describe('with the id', () => {
    test.each([
      '0',
      '7',
      '-7',
      '9007199254740991',
      '9007199254740993',
      '1700000000000000001',
      '-1700000000000000001',
      '123456789012345678901234567890',
      '1.5',
      '1.0',
      '0.5',
      '-0',
      '0.0',
      '1e3',
      '1E2',
      '1e-1',
      '0.8444218515250481',
      'null',
      '""',
      '"7"',
      '"é\\n\\"😀"',
      '"__proto__"',
    ])('%s keeps it digit for digit', (id) => {
      const call = good(withMember('id', id));
      expect(call.id).toBe(id);
      expect(serialiseCall(call)).toContain(`"id":${id},`);
    });

    test.each(['true', 'false', '[]', '[1]', '{}', '{"a":1}', `1.${'0'.repeat(1024)}`])(
      '%s is refused, and not given back',
      (id) => {
        expect(only(withMember('id', id))).toMatchObject({ id: undefined, invalid: 'request' });
      },
    );

    test('of 1 KiB passes, of more not', () => {
      const letters = (count: number, letter = 'a') => withMember('id', JSON.stringify(letter.repeat(count)));
      expect(verdict(letters(1024))).toBe('ok');
      expect(verdict(letters(1025))).toBe('call: request');
      expect(verdict(letters(512, 'é'))).toBe('ok');
      expect(verdict(letters(513, 'é'))).toBe('call: request');
      expect(verdict(letters(1024, '\0'))).toBe('ok');
    });
  });

  test.each([
    'Params',
    'PARAMS',
    'param\\u017f',
    'Method',
    'METHOD',
    'Id',
    'ID',
    'iD',
    'JSONRPC',
    'JsonRpc',
    'j\\u017fonrpc',
    'j\u017fonrpc',
  ])('with a member %s beside its own is refused', (name) => {
    expect(verdict(withMember(name, '"x"'))).toBe('call: request');
  });

  test.each(['__proto__', '\\u005f_proto__'])('with a member %s is refused', (name) => {
    expect(verdict(withMember(name, '{"method":"admin_peers"}'))).toBe('body: request');
  });

  test.each([
    '"method":"eth_blockNumber"',
    '"\\u006dethod":"eth_blockNumber"',
    '"id":1',
    '"params":null',
    '"jsonrpc":"2.0"',
  ])('with a member twice is refused: %s', (member) => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"admin_peers","params":[],${member}}`;
    expect(verdict(text)).toBe('body: request');
    expect(verdict(`[${text}]`)).toBe('body: request');
  });

  test('takes nothing from Object.prototype', () => {
    for (const name of ['constructor', 'toString', 'valueOf']) {
      expect(verdict(`{"jsonrpc":"2.0","id":1,"${name}":"eth_call"}`)).toBe('call: request');
    }
  });
});

describe('a body is refused', () => {
  test.each(['', ' ', 'x', '{', '{}{}', '{"a":1}x', 'undefined', '\0', '<html>', 'a=b&c=d', '{"jsonrpc":"2.0",}'])(
    'as no JSON: %j',
    (text) => {
      expect(verdict(text)).toBe('body: json');
      expect(verdict(Buffer.from(text))).toBe('body: json');
    },
  );

  const call = '{"jsonrpc":"2.0","id":1,"method":"x"}';
  test.each([
    ['a byte order mark', Buffer.from(`\ufeff${call}`)],
    ['UTF-16', Buffer.from(call, 'utf16le')],
    ['Latin-1', Buffer.from(call.replace('x', 'é'), 'latin1')],
    ['a byte that is none', Buffer.from([0xff])],
    [
      'an overlong slash',
      Buffer.concat([Buffer.from(call.slice(0, -2)), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
    ],
    ['an overlong NUL', Buffer.concat([Buffer.from('"'), Buffer.from([0xc0, 0x80]), Buffer.from('"')])],
    ['a surrogate in UTF-8', Buffer.concat([Buffer.from('"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"')])],
    [
      'a code point past the last',
      Buffer.concat([Buffer.from('"'), Buffer.from([0xf4, 0x90, 0x80, 0x80]), Buffer.from('"')]),
    ],
    ['a character cut off', Buffer.concat([Buffer.from('"'), Buffer.from([0xe2, 0x82]), Buffer.from('"')])],
  ])('as no UTF-8 without BOM: %s', (_, bytes) => {
    expect(verdict(bytes)).toBe('body: json');
  });

  test.each([
    ['a lone surrogate', '["\\ud800"]'],
    ['a lone surrogate as it is', '["\ud800"]'],
    ['a lone surrogate as it is, in a name', '[{"\udc00":1}]'],
    ['a number beyond a double', '[1e400]'],
    ['a name twice', '[{"to":"0x1","to":"0x2"}]'],
    ['a name twice after an escape', '[{"to":"0x1","t\\u006f":"0x2"}]'],
    ['__proto__', '[{"__proto__":{"to":"0x1"}}]'],
  ])('for %s anywhere in it', (_, params) => {
    expect(verdict(withMember('params', params))).toBe('body: request');
    expect(verdict(withMember('x', params))).toBe('body: request');
    expect(verdict(`[${withMember('params', params)},${call}]`)).toBe('body: request');
  });

  test('for a control character in a string, wherever it stands among the bytes', () => {
    const text = '{"jsonrpc":"2.0","method":"eth_a","params":["abcdefgh"]}';
    for (let at = text.indexOf('abcdefgh'); at < text.lastIndexOf('"'); at++) {
      for (let offset = 0; offset < 4; offset++) {
        const bytes = Buffer.from(' '.repeat(offset) + text).subarray(offset);
        expect(verdict(bytes)).toBe('ok');
        for (const control of [0x00, 0x0a, 0x1f]) {
          bytes[at] = control;
          expect(verdict(bytes)).toBe('body: json');
        }
      }
    }
  });

  test('for 1e400 as an id', () => {
    expect(verdict(withMember('id', '1e400'))).toBe('body: request');
  });

  test('for more than 32 levels', () => {
    const params = (depth: number) => withMember('params', '['.repeat(depth) + ']'.repeat(depth));
    expect(verdict(params(31))).toBe('ok');
    expect(verdict(params(32))).toBe('body: request');
    expect(verdict(`[${params(30)}]`)).toBe('ok');
    expect(verdict(`[${params(31)}]`)).toBe('body: request');
  });

  test('for more than 20000 values', () => {
    // The call, jsonrpc, id, method and params are five of them.
    const params = (count: number) => withMember('params', `[${Array(count).fill('0').join(',')}]`);
    expect(verdict(params(19_995))).toBe('ok');
    expect(verdict(params(19_996))).toBe('body: request');
  });

  test('and distinguished from text that is not JSON, past the limits too', () => {
    expect(verdict('['.repeat(50_000) + ']'.repeat(50_000))).toBe('body: request');
    expect(verdict('['.repeat(50_000))).toBe('body: json');
    expect(verdict(`[${'[0],'.repeat(50_000)}`, 1_000_000)).toBe('body: json');
  });
});

describe('a batch', () => {
  const call = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"x"}`;
  const batch = (size: number) => `[${Array.from({ length: size }, (_, n) => call(n)).join(',')}]`;

  test('is read in its order', () => {
    const read = parseCalls(batch(3), MAX_BATCH);
    expect(read.ok && read.batch).toBe(true);
    expect(callsOf(batch(3)).map(({ id }) => id)).toEqual(['0', '1', '2']);
  });

  test('of one call is a batch', () => {
    const read = parseCalls(batch(1), MAX_BATCH);
    expect(read.ok && read.batch).toBe(true);
  });

  test.each(['[]', '[ ]', ' [\n] '])('without calls is refused: %j', (text) => {
    expect(verdict(text)).toBe('body: request');
  });

  test('may hold as many calls as it is allowed to', () => {
    expect(verdict(batch(10), 10)).toBe('ok');
    expect(verdict(batch(11), 10)).toBe('body: batch-size');
    expect(verdict(batch(1000))).toBe('ok');
    expect(verdict(batch(1001))).toBe('body: batch-size');
    expect(verdict(batch(1), 1)).toBe('ok');
    expect(verdict(batch(2), 1)).toBe('body: batch-size');
  });

  test('is too large by its items, whatever they are', () => {
    expect(verdict(`[${Array(1001).fill('null').join(',')}]`)).toBe('body: batch-size');
    expect(verdict(`[${Array(30_000).fill('[]').join(',')}]`)).toBe('body: batch-size');
    expect(verdict(`[${Array(1001).fill('{"a":1,"a":2}').join(',')}]`)).toBe('body: batch-size');
  });

  test('is not counted by the arrays within it', () => {
    expect(verdict(`[${withMember('params', `[${Array(2000).fill('1').join(',')}]`)}]`)).toBe('ok');
    expect(verdict(withMember('params', `[${Array(2000).fill('1').join(',')}]`), 1)).toBe('ok');
  });

  test('keeps good calls beside bad ones', () => {
    const calls = callsOf(`[${call(1)},null,${call(2)},{"id":3},[],7,${withMember('params', '{}')}]`);
    expect(calls.map((it) => ('invalid' in it ? it.invalid : it.method))).toEqual([
      'x',
      'request',
      'x',
      'request',
      'request',
      'request',
      'params',
    ]);
    expect(calls.map(({ id }) => id)).toEqual(['1', undefined, '2', '3', undefined, undefined, '1']);
  });
});

describe('what is sent on', () => {
  test('is a fresh text of what was read, unknown members dropped', () => {
    const text =
      ' { "x" : {"to":1} , "params" : [ { "to" : "0x1" , "gas" : 1.0 } ] , "method" : "eth\\u005fcall" , "id" : 1700000000000000001 , "jsonrpc" : "2.0" } ';
    expect(serialiseCall(good(text))).toBe(
      '{"jsonrpc":"2.0","id":1700000000000000001,"method":"eth_call","params":[{"to":"0x1","gas":1.0}]}',
    );
  });

  test('has no id and no params where there were none', () => {
    expect(serialiseCall(good('{"jsonrpc":"2.0","method":"x"}'))).toBe('{"jsonrpc":"2.0","method":"x"}');
    expect(serialiseCall(good('{"jsonrpc":"2.0","id":null,"method":"x","params":null}'))).toBe(
      '{"jsonrpc":"2.0","id":null,"method":"x"}',
    );
  });

  test('is an array for a batch, of one call too', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"x"}';
    expect(serialiseBatch([good(text)])).toBe(`[${text}]`);
    expect(serialiseBatch([good(text), good(text)])).toBe(`[${text},${text}]`);
  });

  test('is read back as the very same call, whatever it is', () => {
    const id = fc.oneof(fc.string({ maxLength: 20 }), fc.integer(), fc.constant(null));
    const method = fc.stringMatching(/^[!-~]{1,128}$/);
    fc.assert(
      fc.property(id, method, fc.array(fc.jsonValue({ maxDepth: 4 })), (givenId, givenMethod, params) => {
        const text = JSON.stringify({ params, method: givenMethod, id: givenId, jsonrpc: '2.0' });
        fc.pre(verdict(text) === 'ok');
        const call = good(text);
        const sent = serialiseCall(call);
        expect(good(sent)).toEqual(call);
        expect(JSON.parse(sent)).toEqual(JSON.parse(text));
      }),
      { numRuns: 200 },
    );
  });

  test('passes on params as they were read only where it would write them so', () => {
    const space = fc.constantFrom('', '', '', ' ', '\n');
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }).map((it) => JSON.stringify(it)),
      fc.constantFrom(
        '"\\u0041"',
        '"\\/"',
        '{"2":1,"1":2}',
        '{"a":[1.0,-0,1e5]}',
        '"é"',
        '[ ]',
        '{"x":"\\n"}',
        '1700000000000000001',
      ),
    );
    const params = fc.array(value, { maxLength: 3 });
    let kept = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(params, space), { minLength: 1, maxLength: 3 }), fc.boolean(), (calls, isBatch) => {
        const texts = calls.map(
          ([items, gap]) => `{"jsonrpc":"2.0","method":"x",${gap}"params":[${items.join(`,${gap}`)}]}`,
        );
        const read = parseCalls(Buffer.from(isBatch ? `[${texts.join(',')}]` : texts[0]!), MAX_BATCH);
        if (!read.ok) return;
        for (const call of read.calls) {
          if ('invalid' in call) continue;
          if (call.paramsText !== undefined) kept++;
          expect(serialiseCall(call)).toBe(serialiseCall({ ...call, paramsText: undefined }));
        }
      }),
      { numRuns: 300 },
    );
    expect(kept).toBeGreaterThan(50);
  });

  test('passes on a whole body as it was read only where it would write it so', () => {
    const member = fc.constantFrom(
      ...['"jsonrpc":"2.0"', '"id":1', '"id":"a"', '"id":1.0', '"id":null', '"method":"eth_call"', '"method":"a\\"b"'],
      ...['"params":[]', '"params":[{"to":"0x1"},"é"]', '"params":[{"2":1,"1":2}]', '"params":[0, 1]', '"params":null'],
      ...['"params":{"id":1}', '"extra":{"id":1}', '"\\u0069d":1', '"method" :"x"', '"params":[[{"method":1}]]'],
    );
    const inOrder = fc.constantFrom(
      '"jsonrpc":"2.0","method":"x"',
      '"jsonrpc":"2.0","id":7,"method":"x"',
      '"jsonrpc":"2.0","id":"7","method":"x","params":[{"from":"0x1","to":"0x2"},"latest"]',
    );
    const members = fc.oneof(
      inOrder,
      fc.array(member, { minLength: 2, maxLength: 5 }).map((some) => some.join(',')),
      fc.tuple(inOrder, member).map((some) => some.join(',')),
    );
    let kept = 0;
    let written = 0;
    fc.assert(
      fc.property(fc.array(members, { minLength: 1, maxLength: 3 }), fc.boolean(), (calls, isBatch) => {
        const texts = calls.map((it) => `{${it}}`);
        const body = isBatch ? `[${texts.join(',')}]` : texts[0]!;
        for (const given of [body, Buffer.from(body)]) {
          const read = parseCalls(given, MAX_BATCH);
          if (!read.ok || read.calls.some((call) => 'invalid' in call)) continue;
          const made = read.calls.map((call) => serialiseCall({ ...(call as RpcCall), paramsText: undefined }));
          const whole = isBatch ? `[${made.join(',')}]` : made[0]!;
          expect(String(read.canonical ?? whole)).toBe(whole);
          if (read.canonical === undefined) written++;
          else kept++;
        }
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(kept, written)).toBeGreaterThan(100);
  });

  test.each([
    '{"jsonrpc":"2.0","method":"eth_call","params":[],"id":1}',
    '{"method":"eth_call","params":[{"to":"0x1"}],"jsonrpc":"2.0","id":1}',
    '{"params":[],"jsonrpc":"2.0","id":1,"method":"eth_call"}',
  ])('writes members anew that stand behind params: %s', (text) => {
    for (const body of [text, `[${text}]`]) {
      for (const given of [body, Buffer.from(body)]) {
        expect(parseCalls(given, MAX_BATCH)).toMatchObject({ ok: true, canonical: undefined });
      }
    }
  });

  test('passes on a long body as the bytes that were read', () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x${'1f'.repeat(20_000)}"]}`;
    for (const body of [Buffer.from(text), Buffer.from(`[${text},${text}]`)]) {
      const read = parseCalls(body, MAX_BATCH);
      expect(read.ok && read.canonical).toBe(body);
    }
  });

  test('passes on long params as the bytes that were read', () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x${'1f'.repeat(20_000)}"]}`;
    const read = parseCalls(Buffer.from(text), MAX_BATCH);
    const [call] = read.ok ? read.calls : [];
    const pieces = serialisePieces(call as RpcCall);
    expect(pieces).toHaveLength(3);
    expect(Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString()).toBe(text);
    expect(serialiseCall(call as RpcCall)).toBe(text);
  });

  test('means to any reader what was checked', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { minLength: 1, maxLength: 4 }), (items) => {
        const read = parseCalls(JSON.stringify(items), MAX_BATCH);
        if (!read.ok) return;
        for (const [n, item] of read.calls.entries()) {
          if ('invalid' in item) continue;
          expect(items[n]).toMatchObject(JSON.parse(serialiseCall(item)) as object);
        }
      }),
    );
  });

  test('never throws, whatever comes', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.json(),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(anything, (body) => typeof parseCalls(body, MAX_BATCH).ok === 'boolean'),
      { numRuns: 400 },
    );
  });
});

describe('an error reply', () => {
  test.each([
    ['7', '7'],
    ['"7"', '"7"'],
    ['1700000000000000001', '1700000000000000001'],
    ['null', 'null'],
    [undefined, 'null'],
  ])('to the id %s has the id %s', (id, text) => {
    expect(errorReply(id, '{"code":-32600,"message":"x"}')).toBe(
      `{"jsonrpc":"2.0","id":${text},"error":{"code":-32600,"message":"x"}}`,
    );
  });
});

describe("an upstream's answer to a batch", () => {
  const split = (text: string) => readBatchAnswer(Buffer.from(text))?.byId;

  test('is taken apart by ids, each answer as it came', () => {
    const answers = split('[ {"id":1, "result":1.0} ,{"id":"1","result":"é"},{"id":null,"error":{}}]');
    expect([...(answers ?? [])]).toEqual([
      ['1', ['{"id":1, "result":1.0}']],
      ['"1"', ['{"id":"1","result":"é"}']],
      ['null', ['{"id":null,"error":{}}']],
    ]);
  });

  test('keeps answers of one id in their order', () => {
    expect(split('[{"id":1,"result":"a"},{"id":1,"result":"b"}]')?.get('1')).toEqual([
      '{"id":1,"result":"a"}',
      '{"id":1,"result":"b"}',
    ]);
  });

  test('keeps ids digit for digit', () => {
    expect(split('[{"id":1700000000000000001},{"id":1700000000000000000}]')?.size).toBe(2);
  });

  test('may be deeper and larger than a request', () => {
    const deep = '['.repeat(1000) + ']'.repeat(1000);
    expect(split(`[{"id":1,"result":${deep}}]`)?.get('1')).toHaveLength(1);
    expect(split(`[{"id":1,"result":[${Array(50_000).fill('0').join(',')}]}]`)?.get('1')).toHaveLength(1);
  });

  test.each(['', 'x', '{}', '{"id":1,"result":1}', 'null', '"[]"', '[{"id":1]', '[{"id":1}]x', '<html></html>'])(
    'is not one when it is %j',
    (text) => {
      expect(split(text)).toBeUndefined();
    },
  );

  test('is not one when it is not UTF-8', () => {
    expect(readBatchAnswer(Buffer.from([0x5b, 0xff, 0x5d]))).toBeUndefined();
  });

  test('may be an error for the whole batch: one object, or the only item of an array without an id', () => {
    const error = '{"code":-32005,"message":"x","data":[1.0,1700000000000000001]}';
    const whole = (text: string) => readBatchAnswer(Buffer.from(text))?.whole;
    for (const id of ['', '"id":null,', '"id":1,']) expect(whole(`{${id}"error":${error}}`)).toBe(error);
    for (const id of ['', '"id":null,']) expect(whole(`[ {${id} "error" : ${error}} ]`)).toBe(error);
    const others = [
      `[{"id":1,"error":${error}}]`,
      `[{"error":${error}},{"error":${error}}]`,
      '[{"id":null,"result":1}]',
    ];
    for (const text of [...others, '[]', '[{"error":"x"}]', '[{"error":null}]']) expect(whole(text)).toBeUndefined();
    expect(readBatchAnswer(Buffer.from('{"error":"x"}'))).toBeUndefined();
  });

  test('skips items that are not responses', () => {
    expect([...(split('[null,7,[],{},"x",{"result":1},{"id":2}]') ?? [])]).toEqual([['2', ['{"id":2}']]]);
  });
});
