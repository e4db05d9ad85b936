import fc from 'fast-check';
import {
  ExactNumber,
  hasFoldedTwin,
  isJsonArray,
  isJsonObject,
  LongString,
  parseJson,
  stringifyJson,
} from '../../lib/json-rpc/strict-json';
import type { JsonLimits, JsonResult, JsonValue } from '../../lib/json-rpc/strict-json';

const LIMITS = { maxDepth: 32, maxValues: 20_000 };
const NO_LIMITS = { maxDepth: Infinity, maxValues: Infinity };

/** Reads text, and its bytes too where they are ASCII: the same must come of both. */
function read(text: string, limits: JsonLimits = LIMITS): JsonResult {
  const result = parseJson(text, limits);
  if (/^[\x00-\x7f]*$/.test(text) && text.length < 10_000) expect(parseJson(Buffer.from(text), limits)).toEqual(result);
  return result;
}

function verdict(text: string, limits?: JsonLimits): 'ok' | 'syntax' | 'rule' {
  const result = read(text, limits);
  return result.ok ? 'ok' : result.broken;
}

function valueOf(text: string, limits?: JsonLimits): JsonValue {
  const result = read(text, limits);
  if (!result.ok) throw new Error(`refused: ${text.slice(0, 100)}`);
  return result.value;
}

/** What JSON.parse makes of the same text. */
function plain(value: JsonValue): unknown {
  if (value instanceof ExactNumber) return Number(value.digits);
  if (value instanceof LongString) return value.toString();
  if (isJsonArray(value)) return value.map(plain);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function agreesWithJsonParse(text: string): void {
  const result: JsonResult = read(text, NO_LIMITS);
  expect(result.ok || result.broken === 'rule').toBe(isJson(text));
  if (result.ok) expect(plain(result.value)).toEqual(JSON.parse(text));
}

const spaced = fc.array(fc.constantFrom(' ', '\n', '\r', '\t'), { maxLength: 3 }).map((spaces) => spaces.join(''));
/** Text that is made of what JSON is made of. */
const jsonish = fc
  .array(
    fc.constantFrom(
      ...['{', '}', '[', ']', ',', ':', '"', '\\', '"a"', '"a":', '1', '0', '-', '.', 'e', 'E', '+', '1e5', 'true'],
      ...[
        'false',
        'null',
        'tru',
        ' ',
        '\n',
        '\t',
        '\u00a0',
        '\ufeff',
        '\0',
        '\\u',
        '\\u0061',
        '\\ud800',
        '\\udc00',
        '/',
      ],
      ...['é', '\u2028', '"__proto__":', '"\\u005f_proto__":', '{}', '[]', '""', '01', '-0', '1.0', '1e400'],
    ),
    { maxLength: 16 },
  )
  .map((parts) => parts.join(''));
const mutated = fc
  .tuple(fc.json(), fc.nat(), fc.nat({ max: 3 }), fc.oneof(fc.string({ maxLength: 3 }), jsonish))
  .map(([json, at, cut, put]) => {
    const start = at % (json.length + 1);
    return json.slice(0, start) + put + json.slice(start + cut);
  });

describe('the verdict on syntax is that of JSON.parse', () => {
  test.each([
    ['any text', fc.oneof(fc.string(), fc.string({ unit: 'binary' }))],
    ['text made of the parts of JSON', jsonish],
    ['JSON', fc.json({ maxDepth: 6 })],
    ['JSON that was changed somewhere', mutated],
    [
      'JSON with spaces',
      fc.tuple(spaced, fc.jsonValue(), spaced).map(([a, value, b]) => a + JSON.stringify(value, null, 1) + b),
    ],
  ])('for %s, and so is the value', (_, texts: fc.Arbitrary<string>) => {
    fc.assert(fc.property(texts, agreesWithJsonParse), { numRuns: 400 });
  });

  test.each([
    '',
    ' ',
    '{',
    '}',
    '[',
    ']',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1}',
    '{]',
    '{"a"',
    '{"a":',
    '{"a":}',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{,"a":1}',
    '{"a" 1}',
    '{a:1}',
    "{'a':1}",
    '{1:1}',
    '{"a":1 "b":2}',
    '"',
    '"a',
    '"\\"',
    '"\\x41"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\u{41}"',
    '"\t"',
    '"\n"',
    '"\0"',
    "'a'",
    '01',
    '-01',
    '+1',
    '-',
    '.5',
    '1.',
    '1.e5',
    '1e',
    '1e+',
    '0x10',
    '1_000',
    'NaN',
    'Infinity',
    '-Infinity',
    'undefined',
    'tru',
    'True',
    'nul',
    'nulll',
    '1 1',
    '{}{}',
    '{} x',
    '[]]',
    'null,',
    '\ufeff{}',
    '{}\ufeff',
    '\u00a0{}',
    '\u2028{}',
    '\v1',
    '\f1',
    '1\0',
    '{}\0',
    '// c\n1',
    '/* c */ 1',
    '1 // c',
    '#',
  ])('%j is not JSON', (text) => {
    expect(verdict(text)).toBe('syntax');
    expect(isJson(text)).toBe(false);
  });

  test.each([
    '{"a":1,"a":2',
    '[1e400',
    '[1e400,]',
    '{"__proto__":1,}',
    '["\\ud800"',
    '["\\ud800"]]',
    '{"a":1,"a":"\\x"}',
  ])('%j is not JSON, although it breaks a rule before that', (text) => {
    expect(verdict(text)).toBe('syntax');
  });

  test.each([
    ['[1,2', 4],
    ['{"a":1}}', 7],
    ['{"a":tru}', 5],
    ['  x', 2],
    ['', 0],
  ])('and it says where %j stops being JSON', (text, at) => {
    expect(read(text)).toEqual({ ok: false, broken: 'syntax', at });
  });
});

describe('long bytes', () => {
  const long = fc
    .tuple(
      fc.constantFrom('0x', '0x', '0x', '0x', '', ' ', '\\n', '\\u0041', '\n', '\\', '{"', '\\"'),
      fc.integer({ min: 16_380, max: 16_400 }),
    )
    .map(([start, length]) => start + 'ab'.repeat(length / 2));
  const short = fc.constantFrom(
    '"latest"',
    '0',
    '00',
    '-0',
    '1.0',
    '12',
    'true',
    'nul',
    'null',
    '[]',
    '{"to":"0x"}',
    '',
  );
  const many = fc.integer({ min: 0, max: 40 }).map((count) => `["",${'"a", '.repeat(count)}"\\u0041"]`);
  const value = fc.oneof(
    long.map((text) => `"${text}"`),
    short,
    many,
  );
  const name = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('params', 'data', 'id', 'a', 'b', 'gas', 'input', 'method') },
    { weight: 1, arbitrary: long },
  );
  const member = fc.tuple(name, value, fc.constantFrom('', '', ' ')).map(([key, its, gap]) => `"${key}":${gap}${its}`);
  const call = fc.array(member, { minLength: 1, maxLength: 4 }).map((members) => `{${members.join(',')}}`);
  const text = fc
    .tuple(call, fc.constantFrom('', '', '', ' ', '}', '\n'), fc.boolean())
    .map(([one, end, isBatch]) => (isBatch ? `[${one},${one}]` : one) + end);

  test('are read as their text is', () => {
    let [longStrings, refused] = [0, 0];
    const plainly = (result: JsonResult) => {
      if (!result.ok) return result;
      return { ...result, value: plain(result.value), params: result.params.map((it) => it?.toString()) };
    };
    fc.assert(
      fc.property(text, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(9), (whole, part, cut) => {
        const given = cut === 0 ? whole.slice(0, part * whole.length) : whole;
        const [ofText, ofBytes] = [parseJson(given, LIMITS), parseJson(Buffer.from(given), LIMITS)];
        expect(plainly(ofBytes)).toEqual(plainly(ofText));
        if (!ofText.ok || !ofBytes.ok) {
          refused++;
          return;
        }
        expect(stringifyJson(ofBytes.value)).toBe(stringifyJson(ofText.value));
        if (isJsonObject(ofBytes.value)) {
          longStrings += Object.values(ofBytes.value).filter((it) => it instanceof LongString).length;
        }
      }),
      { numRuns: 600 },
    );
    expect(longStrings).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(50);
  });

  test('are made no text where one call holds long data', () => {
    const body = Buffer.from(
      `{"jsonrpc":"2.0","id":0,"method":"eth_call","params":[{"data":"0x${'ab'.repeat(10_000)}"},"latest"]}`,
    );
    const made = jest.spyOn(body, 'toString');
    const result = parseJson(body, LIMITS);
    expect(result.ok && result.isCanonical).toBe(true);
    expect(made.mock.calls.map(([, from, to]) => Number(to) - Number(from))).toEqual([3, 8, 6]);
  });
});

describe('what JSON.parse would make harmless is refused:', () => {
  test.each([
    ['a name twice', '{"a":1,"a":1}'],
    ['a name twice, apart', '{"a":1,"b":{"a":1},"a":2}'],
    ['a name twice after an escape', '{"to":1,"t\\u006f":2}'],
    ['a name twice, both escaped', '{"\\u0074o":1,"t\\u006F":2}'],
    ['a name twice after a short escape', '{"a/b":1,"a\\/b":2}'],
    ['a name twice after an escaped pair', '{"😀":1,"\\ud83d\\ude00":2}'],
    ['the empty name twice', '{"":1,"":2}'],
    ['a name twice, a number', '{"1":1,"1":2}'],
    ['a name twice, deep', '[[{"x":[{"a":1,"a":2}]}]]'],
    ['a name twice, with null', '{"a":null,"a":null}'],
    ['a name twice, named like a member of Object', '{"constructor":1,"constructor":2}'],
    ['__proto__', '{"__proto__":1}'],
    ['__proto__ after an escape', '{"\\u005f_proto__":{}}'],
    ['__proto__, escaped throughout', '{"\\u005f\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f":null}'],
    ['__proto__, deep', '[{"a":{"__proto__":[]}}]'],
    ['a lone high surrogate', '"\\ud800"'],
    ['a lone low surrogate', '"\\udc00"'],
    ['surrogates the wrong way round', '"\\ude00\\ud83d"'],
    ['a high surrogate and a letter', '"\\ud83dx"'],
    ['two high surrogates and a low one', '"\\ud83d\\ud83d\\ude00"'],
    ['a lone surrogate in a name', '{"\\ud800":1}'],
    ['a lone surrogate that is not escaped', '"\ud800"'],
    ['a lone surrogate that is not escaped, in a name', '{"\udc00":1}'],
    ['1e400', '1e400'],
    ['-1e400', '[-1e400]'],
    ['1E+309', '{"a":1E+309}'],
    ['a number of 400 digits', '9'.repeat(400)],
    ['1.8e308', '1.8e308'],
  ])('%s', (_, text) => {
    expect(verdict(text)).toBe('rule');
    expect(isJson(text)).toBe(true);
  });

  test.each([
    ['the same name in two objects', '[{"a":1},{"a":2},{"a":{"a":3}}]'],
    ['names that differ by case', '{"a":1,"A":2}'],
    ['names that differ by normal form', '{"\u00e9":1,"e\u0301":2}'],
    [
      'names of members of Object',
      '{"constructor":1,"toString":2,"hasOwnProperty":3,"prototype":4,"__defineGetter__":5}',
    ],
    ['names that are almost __proto__', '{"__proto":1,"_proto__":2,"__PROTO__":3,"__proto__ ":4}'],
    ['a string that is __proto__', '["__proto__",{"a":"__proto__"}]'],
    ['a pair of surrogates, escaped', '"\\ud83d\\ude00"'],
    ['a pair of surrogates, half escaped', '"\\ud83d\ude00"'],
    ['an escaped NUL', '"\\u0000"'],
    ['line separators', '"\u2028\u2029"'],
    ['the largest double', '1.7976931348623157e308'],
    ['a number too small for a double', '1e-400'],
  ])('but not %s', (_, text) => {
    expect(verdict(text)).toBe('ok');
    expect(plain(valueOf(text))).toEqual(JSON.parse(text));
  });

  test('a member named like one of Object.prototype is a plain member, and none appears that was not sent', () => {
    const value = valueOf('{"constructor":"x"}') as Record<string, JsonValue>;
    expect(Object.hasOwn(value, 'constructor') && value['constructor']).toBe('x');
    expect(Object.keys(valueOf('{}') as object)).toEqual([]);
    expect(Object.prototype).not.toHaveProperty('x');
  });
});

describe('numbers keep their digits', () => {
  const digits = [
    '0',
    '-0',
    '1.0',
    '1e5',
    '1E5',
    '1e+05',
    '1e-400',
    '0.1',
    '0.10',
    '9007199254740993',
    '1700000000000000001',
    '-1700000000000000001',
    '123456789012345678901234567890',
    '100000000000000000000000',
    '0.1234567890123456789',
    '5e-324',
    '2.2250738585072011e-308',
  ];

  test.each(digits)('%s', (number) => {
    expect(stringifyJson(valueOf(number))).toBe(number);
    expect(stringifyJson(valueOf(`{"a":[ ${number} ]}`))).toBe(`{"a":[${number}]}`);
  });

  test('whatever they are', () => {
    const sign = fc.constantFrom('', '-');
    const whole = fc.oneof(fc.constant('0'), fc.bigInt({ min: 1n, max: 10n ** 30n }).map(String));
    const fraction = fc.oneof(fc.constant(''), fc.stringMatching(/^\.[0-9]{1,25}$/));
    const exponent = fc.oneof(fc.constant(''), fc.stringMatching(/^[eE][+-]?[0-9]{1,2}$/));
    const number = fc.tuple(sign, whole, fraction, exponent).map((parts) => parts.join(''));
    fc.assert(fc.property(number, (text) => stringifyJson(valueOf(text)) === text));
  });

  test('that are plain in JavaScript are numbers', () => {
    expect(valueOf('[0,1,-1,0.5,9007199254740991]')).toEqual([0, 1, -1, 0.5, 9007199254740991]);
  });
});

describe('stringifyJson', () => {
  test('gives back what was read', () => {
    const text = '{"b":[null,true,false,{"":"é\\n\\u0000😀"},[]],"a":{},"n":1700000000000000001}';
    expect(stringifyJson(valueOf(text))).toBe(text);
  });

  test('is read back as the same value, by JSON.parse too', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (json) => {
        const result = read(json);
        fc.pre(result.ok);
        const text = stringifyJson(result.value);
        expect(valueOf(text)).toEqual(result.value);
        expect(JSON.parse(text)).toEqual(JSON.parse(json));
      }),
      { numRuns: 400 },
    );
  });

  test('escapes what must not stand in a string', () => {
    expect(stringifyJson(valueOf('"\\u0022\\u005c\\u0000\\u001f"'))).toBe('"\\"\\\\\\u0000\\u001f"');
  });
});

describe('limits', () => {
  const nested = (depth: number, [open, close]: readonly [string, string]) => open.repeat(depth) + close.repeat(depth);
  const array = ['[', ']'] as const;
  const mixed = (depth: number) => '[{"a":'.repeat(depth / 2) + '1' + '}]'.repeat(depth / 2);

  test('32 containers may be open at once, 33 not', () => {
    expect(verdict(nested(32, array))).toBe('ok');
    expect(verdict(nested(33, array))).toBe('rule');
    expect(verdict(mixed(32))).toBe('ok');
    expect(verdict(`[${mixed(32)}]`)).toBe('rule');
    expect(verdict(`{"a":${nested(31, array)}}`)).toBe('ok');
    expect(verdict(`{"a":${nested(32, array)}}`)).toBe('rule');
  });

  test('containers that are closed again do not count', () => {
    const text = `[${Array(1000).fill(nested(31, array)).join(',')}]`;
    expect(verdict(text, { maxDepth: 32, maxValues: Infinity })).toBe('ok');
  });

  test('deep text that is not JSON is distinguished from deep JSON', () => {
    expect(verdict(nested(100_000, array))).toBe('rule');
    expect(verdict('['.repeat(100_000))).toBe('syntax');
    expect(verdict('['.repeat(100_000) + '}'.repeat(100_000))).toBe('syntax');
    expect(verdict('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000))).toBe('rule');
    expect(verdict('{"a":'.repeat(20_000) + '1' + '}'.repeat(19_999))).toBe('syntax');
  });

  test('text is read no further than 512 Ki characters past a broken rule', () => {
    const past = 512 * 1024;
    for (const broken of ['['.repeat(33), '{"a":1,"a":1,"b":', '["\\ud800",', '[1e400,', `[${'1,'.repeat(20_000)}`]) {
      expect([broken.slice(0, 20), verdict(`${broken}${' '.repeat(past - 40)}!`)]).toEqual([
        broken.slice(0, 20),
        'syntax',
      ]);
      expect([broken.slice(0, 20), verdict(`${broken}${'['.repeat(2 * past)}!`)]).toEqual([
        broken.slice(0, 20),
        'rule',
      ]);
    }
  });

  test.each([
    ['numbers', '0'],
    ['strings', '""'],
    ['nulls', 'null'],
    ['arrays', '[]'],
    ['objects', '{}'],
  ])('20000 values may be there, 20001 not: %s', (_, value) => {
    const list = (count: number) => `[${Array(count).fill(value).join(',')}]`;
    expect(verdict(list(19_999))).toBe('ok');
    expect(verdict(list(20_000))).toBe('rule');
  });

  test('20000 values may be there, 20001 not: members, whose names do not count', () => {
    const object = (count: number) => `{${Array.from({ length: count }, (__, n) => `"${String(n)}":1`).join(',')}}`;
    expect(verdict(object(19_999))).toBe('ok');
    expect(verdict(object(20_000))).toBe('rule');
  });

  test('items of the outermost array are found, and counted past a limit too', () => {
    const text = ' [ 1 , "a,b" ,[2,[3]],{"x":[4]} ,[]] ';
    const result = read(text);
    const limited = read(text, { maxDepth: 2, maxValues: 2 });
    if (!result.ok || limited.ok || limited.broken === 'syntax') throw new Error('read otherwise');
    const items = [0, 1, 2, 3, 4].map((n) => text.slice(result.spans[2 * n], result.spans[2 * n + 1]));
    expect(items).toEqual(['1', '"a,b"', '[2,[3]]', '{"x":[4]}', '[]']);
    expect(result.spans).toHaveLength(10);
    expect(limited.size).toBe(5);
  });

  test('nothing but an outermost array has items', () => {
    for (const text of ['{"a":[1,2]}', '1', '[]', '"[1,2]"']) {
      const result = read(text);
      expect(result.ok && result.spans).toEqual([]);
    }
    for (const text of ['{"a":[1,2],"a":1}', '1e400', '{"__proto__":[1]}']) {
      const result = read(text);
      expect(!result.ok && result.broken === 'rule' && result.size).toBe(0);
    }
  });
});

describe('hostile text costs work in proportion to its length', () => {
  const shapes: readonly (readonly [name: string, text: (n: number) => string])[] = [
    ['open arrays', (n) => '['.repeat(n)],
    ['arrays', (n) => '['.repeat(n / 2) + ']'.repeat(n / 2)],
    ['open objects', (n) => '{"a":'.repeat(n / 5)],
    ['numbers', (n) => `[${'1,'.repeat(n / 2)}1]`],
    ['digits', (n) => '1'.repeat(n)],
    ['digits and no end', (n) => `[${'1'.repeat(n)}`],
    ['minus signs', (n) => '-'.repeat(n)],
    ['exponents', (n) => `[${'1e400,'.repeat(n / 6)}1]`],
    ['spaces', (n) => ' '.repeat(n)],
    ['spaces within', (n) => `[${' '.repeat(n)}]`],
    ['one string', (n) => `"${'a'.repeat(n)}"`],
    ['a string without end', (n) => `"${'a'.repeat(n)}`],
    ['escapes', (n) => `"${'\\u0041'.repeat(n / 6)}"`],
    ['escapes without end', (n) => `"${'\\\\'.repeat(n / 2)}`],
    ['strings', (n) => `[${'"",'.repeat(n / 3)}""]`],
    ['the same name', (n) => `{${'"a":1,'.repeat(n / 6)}"a":1}`],
    ['names', (n) => `{${Array.from({ length: n / 10 }, (_, i) => `"${String(i)}":1`).join(',')}}`],
    ['a broken end', (n) => `[${'{"a":[1,"x"]},'.repeat(n / 14)}!`],
  ];

  test.each(shapes)('%s', (_, text) => {
    const looks = (length: number) => {
      const look = jest.spyOn(String.prototype, 'charCodeAt');
      try {
        read(text(length));
        return look.mock.calls.length;
      } finally {
        look.mockRestore();
      }
    };
    // A fixed number of looks at each character, however many characters there are.
    expect(looks(3000)).toBeLessThan(3000 * 4);
    expect(looks(24_000)).toBeLessThan(24_000 * 4);
  });

  test('past a limit nothing more is decoded', () => {
    const decode = jest.spyOn(JSON, 'parse');
    try {
      expect(verdict(`[${Array(5000).fill('"\\u0041"').join(',')}]`, { maxDepth: 32, maxValues: 10 })).toBe('rule');
      expect(decode.mock.calls.length).toBeLessThan(15);
    } finally {
      decode.mockRestore();
    }
  });

  test('a megabyte of each gets its verdict', () => {
    for (const [, text] of shapes) {
      const hostile = text(1024 * 1024);
      expect(['ok', 'syntax', 'rule']).toContain(verdict(hostile));
    }
  });
});

describe('a name that differs by case alone', () => {
  const twin = (member: string, ...names: readonly string[]) => hasFoldedTwin({ [member]: 1 }, names);

  test.each([
    ['TO', 'to'],
    ['To', 'to'],
    ['tO', 'to'],
    ['Address', 'address'],
    ['ADDRESS', 'address'],
    ['addre\u017fs', 'address'],
    ['addres\u017f', 'address'],
    ['addre\u017f\u017f', 'address'],
    ['ADDRE\u017fS', 'address'],
    ['para\u006d\u017f', 'params'],
    ['\u212aey', 'key'],
    ['\u212aEY', 'key'],
    ['bloc\u212a', 'block'],
    ['stateoverrides', 'stateOverrides'],
    ['\u017ftateOverride\u017f', 'stateOverrides'],
  ])('%j stands for %j', (member, name) => {
    expect(twin(member, name)).toBe(true);
    expect(twin(member, 'other', name)).toBe(true);
  });

  test.each(['to', 'too', 't', '', 'from', 't\u043e', 'to ', ' to', 'to\0', 'constructor'])(
    '%j does not stand for "to"',
    (member) => {
      expect(twin(member, 'to')).toBe(false);
    },
  );

  test('is found beside the name itself', () => {
    expect(hasFoldedTwin({ to: 1, To: 2 }, ['to'])).toBe(true);
  });
});
