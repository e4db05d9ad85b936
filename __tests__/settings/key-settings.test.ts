import fc from 'fast-check';
import { RpcGuardError } from '../../lib/errors';
import { PASSES_ALL, compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { KeySettings } from '../../lib/settings/key-settings';
import { hashSecret } from '../../lib/settings/secret';
import { KEY, thrownBy } from '../support/pieces';

const SECRET = 'rgs_a-secret-that-must-not-be-shown-anywhere-0123456789';
const HASH = hashSecret(SECRET);
const ADDRESS = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';

/** The message that settings are refused with. It never shows what must stay secret. */
function problemOf(settings: unknown): string {
  const error = thrownBy(() => parseKeySettings(settings));
  expect(error).toBeInstanceOf(RpcGuardError);
  expect(error.code).toBe('ERR_RPC_GUARD_SETTINGS');
  for (const hidden of [HASH, SECRET, KEY, HASH.toUpperCase()]) expect(error.message).not.toContain(hidden);
  return error.message;
}

const withSecret = (secret: object) => ({ apiKey: KEY, secrets: [{ hash: HASH, ...secret }] });
const withLists = (allowlists: object) => ({ apiKey: KEY, allowlists });

describe('settings of a key alone', () => {
  const settings = parseKeySettings({ apiKey: KEY });

  test('get every default', () => {
    const { createdAt, updatedAt, ...rest } = settings;
    expect(rest).toEqual({
      apiKey: KEY,
      name: '',
      enabled: true,
      requireSecret: false,
      overrideAllowlists: false,
      secrets: [],
      allowlists: { contractAddresses: [], userAgents: [], origins: [], methods: [] },
      reportOnly: [],
      version: 1,
    });
    expect(new Date(createdAt).toISOString()).toBe(createdAt);
    expect(updatedAt).toBe(createdAt);
  });

  test('parse to themselves', () => {
    expect(parseKeySettings(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
    expect(parseKeySettings(settings)).toBe(settings);
  });

  test('let everything pass', () => {
    const { allowlists, secrets } = compileKeySettings(settings);
    expect(allowlists).toEqual(PASSES_ALL);
    expect(secrets).toEqual([]);
  });
});

describe('settings of a secret', () => {
  test('get every default', () => {
    const { secrets, createdAt } = parseKeySettings(withSecret({}));
    expect(secrets).toEqual([{ id: expect.any(String) as string, hash: HASH, hint: '', label: '', createdAt }]);
  });

  test('get distinct ids', () => {
    const { secrets } = parseKeySettings({ apiKey: KEY, secrets: [{ hash: HASH }, { hash: HASH }, { hash: HASH }] });
    expect(new Set(secrets.map(({ id }) => id)).size).toBe(3);
  });

  test('keep all that is given', () => {
    const given = {
      id: 's1',
      hash: HASH,
      hint: 'rgs_a-',
      label: 'server',
      createdAt: '2026-01-31T00:00:00Z',
      expiresAt: '2027-01-31T00:00:00.500Z',
      allowlists: { contractAddresses: [ADDRESS], userAgents: ['x'], origins: ['null'], methods: ['eth_*'] },
    };
    expect(parseKeySettings(withSecret(given)).secrets).toEqual([given]);
  });

  test('may hold some of the allowlists; the others are empty', () => {
    const { secrets } = parseKeySettings(withSecret({ allowlists: { methods: ['eth_call'] } }));
    expect(secrets[0]?.allowlists).toEqual({
      contractAddresses: [],
      userAgents: [],
      origins: [],
      methods: ['eth_call'],
    });
  });

  test.each([
    ['2027-01-31T00:00:00Z', Date.UTC(2027, 0, 31)],
    ['2027-01-31T00:00:00.001Z', Date.UTC(2027, 0, 31, 0, 0, 0, 1)],
    ['2028-02-29T23:59:59Z', Date.UTC(2028, 1, 29, 23, 59, 59)],
    ['1999-12-31T23:59:59.999Z', Date.UTC(1999, 11, 31, 23, 59, 59, 999)],
  ])('expire at %s', (expiresAt, milliseconds) => {
    const { secrets } = compileKeySettings(parseKeySettings(withSecret({ expiresAt })));
    expect(secrets[0]?.expiresAtMs).toBe(milliseconds);
  });

  test('never expire without a time', () => {
    expect(compileKeySettings(parseKeySettings(withSecret({}))).secrets[0]?.expiresAtMs).toBe(Infinity);
  });

  test('never hold a time that Date cannot read', () => {
    const number = fc.integer({ min: 0, max: 99 }).map((n) => String(n).padStart(2, '0'));
    const time = fc.tuple(fc.integer({ min: 0, max: 9999 }), number, number, number, number, number);
    fc.assert(
      fc.property(time, ([year, ...rest]) => {
        const [month, day, hour, minute, second] = rest;
        const expiresAt = `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}Z`;
        let settings: KeySettings;
        try {
          settings = parseKeySettings(withSecret({ expiresAt }));
        } catch {
          return;
        }
        const { expiresAtMs = NaN } = compileKeySettings(settings).secrets[0] ?? {};
        expect(new Date(expiresAtMs).toISOString()).toBe(expiresAt.replace('Z', '.000Z'));
      }),
      { numRuns: 500 },
    );
  });
});

describe('lists that only report', () => {
  test('are kept once each, in the order of the lists', () => {
    const { reportOnly } = parseKeySettings({ apiKey: KEY, reportOnly: ['methods', 'origins', 'methods'] });
    expect(reportOnly).toEqual(['origins', 'methods']);
  });

  test.each([[['method']], [['secrets']], ['methods'], [{ methods: true }], [[7]], [null]])(
    'cannot be %j',
    (reportOnly) => {
      expect(() => parseKeySettings({ apiKey: KEY, reportOnly })).toThrow(/^reportOnly(\.0)?: is not /);
    },
  );
});

describe('an allowlist', () => {
  const entries: Record<string, (n: number) => string> = {
    contractAddresses: (n) => `0x${n.toString(16).padStart(40, '0')}`,
    userAgents: (n) => `agent ${String(n)}`,
    origins: (n) => `https://app-${String(n)}.example.com`,
    methods: (n) => `eth_method${String(n)}`,
  };

  test.each(Object.keys(entries))('of %s may have 30 entries and not 31', (type) => {
    const list = Array.from({ length: 31 }, (_, n) => entries[type]?.(n));
    expect(parseKeySettings(withLists({ [type]: list.slice(0, 30) })).allowlists).toMatchObject({
      [type]: list.slice(0, 30),
    });
    expect(problemOf(withLists({ [type]: list }))).toContain(`allowlists.${type}`);
    expect(problemOf(withSecret({ allowlists: { [type]: list } }))).toContain(`secrets.0.allowlists.${type}`);
  });

  test.each(Object.keys(entries))('of %s with the same entry 31 times is too long', (type) => {
    expect(problemOf(withLists({ [type]: Array(31).fill(entries[type]?.(1)) }))).toContain(`allowlists.${type}`);
  });

  test.each(Object.keys(entries))('of %s is no list when it is []', (type) => {
    const { allowlists } = compileKeySettings(parseKeySettings(withLists({ [type]: [] })));
    expect(allowlists).toEqual(PASSES_ALL);
  });

  test.each([
    ['contractAddresses', '0x00'],
    ['contractAddresses', ADDRESS.slice(2)],
    ['contractAddresses', ` ${ADDRESS}`],
    ['contractAddresses', 'vitalik.eth'],
    ['userAgents', ''],
    ['origins', 'https://*'],
    ['origins', 'https://example.com/'],
    ['origins', ''],
    ['methods', ''],
    ['methods', 'eth_*call'],
    ['methods', 'eth call'],
  ])('of %s refuses the entry %j, says where it is and quotes it', (type, entry) => {
    const good = entries[type]?.(1);
    const message = problemOf(withLists({ [type]: [good, entry] }));
    expect(message).toContain(`allowlists.${type}.1`);
    expect(message).toContain(JSON.stringify(entry));
    expect(problemOf(withSecret({ allowlists: { [type]: [good, entry] } }))).toContain(
      `secrets.0.allowlists.${type}.1`,
    );
  });

  test('reports every bad entry at once', () => {
    const message = problemOf(withLists({ methods: ['a b', 'eth_call', 'c d'], origins: ['e f'] }));
    for (const place of ['methods.0', 'methods.2', 'origins.0']) expect(message).toContain(place);
    expect(message).not.toContain('methods.1');
  });

  test.each([null, 'eth_call', 7, {}, { 0: 'eth_call', length: 1 }, ['eth_call', null], ['eth_call', 7], [[]]])(
    'is refused when it is %j',
    (list) => {
      expect(problemOf(withLists({ methods: list }))).toContain('allowlists.methods');
    },
  );

  test('is refused when it has a hole', () => {
    expect(problemOf(withLists({ methods: ['eth_call', , 'eth_chainId'] }))).toContain('allowlists.methods.1');
  });

  test('applies when it is compiled', () => {
    const { allowlists } = compileKeySettings(
      parseKeySettings(
        withLists({
          contractAddresses: [ADDRESS],
          userAgents: ['Android'],
          origins: ['a.example'],
          methods: ['eth_*'],
        }),
      ),
    );
    expect(allowlists.userAgents?.matches('Android 14')).toBe(true);
    expect(allowlists.origins?.matches('https://b.example')).toBe(false);
    expect(allowlists.methods?.matches('eth_call')).toBe(true);
    expect(allowlists.methods?.matches('net_version')).toBe(false);
    expect(allowlists.contractAddresses?.matches(ADDRESS)).toBe(true);
  });
});

describe('settings are refused, and the place is named,', () => {
  const wrongTimes = [
    '',
    'tomorrow',
    'never',
    '2027-01-31',
    '2027-01-31 00:00:00Z',
    '2027-01-31T00:00:00',
    '2027-01-31T00:00:00+01:00',
    '2027-01-31T00:00:00-00:00',
    '2027-02-29T00:00:00Z',
    '2027-13-01T00:00:00Z',
    '2027-01-32T00:00:00Z',
    '2027-01-31T25:00:00Z',
    '2027-01-31T00:60:00Z',
    '2027-01-31T23:59:60Z',
    ' 2027-01-31T00:00:00Z',
    '2027-01-31T00:00:00Z\n',
    '+002027-01-31T00:00:00Z',
    '20270131T000000Z',
    1_800_000_000_000,
    null,
    false,
    {},
  ];
  const cases: readonly (readonly [place: string, settings: unknown])[] = [
    ['apiKey', {}],
    ['apiKey', { name: 'x' }],
    ...[
      '',
      'short',
      'a'.repeat(7),
      'a'.repeat(129),
      `${KEY} `,
      ` ${KEY}`,
      `${KEY}\n`,
      `${KEY}/x`,
      `${KEY}%00`,
      'ключключ',
    ].map((apiKey) => ['apiKey', { apiKey }] as const),
    ...[null, 7, true, [], {}, [KEY], 12345678n].map((apiKey) => ['apiKey', { apiKey }] as const),
    ...['false', 'true', 0, 1, null, {}, []].flatMap((value) =>
      ['enabled', 'requireSecret', 'overrideAllowlists'].map((name) => [name, { apiKey: KEY, [name]: value }] as const),
    ),
    ...[null, 7, {}, ['x'], 'x'.repeat(10_000)].map((name) => ['name', { apiKey: KEY, name }] as const),
    ...[0, -1, 1.5, '1', null, NaN, Infinity, 2 ** 53, 1n].map(
      (version) => ['version', { apiKey: KEY, version }] as const,
    ),
    ...wrongTimes.flatMap((time) => [
      ['createdAt', { apiKey: KEY, createdAt: time }] as const,
      ['updatedAt', { apiKey: KEY, updatedAt: time }] as const,
      ['secrets.0.createdAt', withSecret({ createdAt: time })] as const,
      ['secrets.0.expiresAt', withSecret({ expiresAt: time })] as const,
    ]),
    ...[null, {}, 'x', { 0: { hash: HASH } }, HASH].map((secrets) => ['secrets', { apiKey: KEY, secrets }] as const),
    ...[null, HASH, SECRET, 7, []].map(
      (secret) => ['secrets.1', { apiKey: KEY, secrets: [{ hash: HASH }, secret] }] as const,
    ),
    ...[
      undefined,
      null,
      '',
      SECRET,
      HASH.toUpperCase(),
      HASH.slice(1),
      `${HASH}0`,
      `0x${HASH}`,
      `${HASH}\n`,
      ` ${HASH}`,
      Buffer.from(HASH, 'hex'),
      [HASH],
    ].map((hash) => ['secrets.0.hash', withSecret({ hash })] as const),
    ...['', 7, null].map((id) => ['secrets.0.id', withSecret({ id })] as const),
    ...[7, null, []].map((label) => ['secrets.0.label', withSecret({ label })] as const),
    ...[7, null, SECRET].map((hint) => ['secrets.0.hint', withSecret({ hint })] as const),
    ...[null, [], 'x'].map((lists) => ['secrets.0.allowlists', withSecret({ allowlists: lists })] as const),
    ...[null, [], 'x'].map((lists) => ['allowlists', withLists(lists as object)] as const),
    [
      'secrets',
      {
        apiKey: KEY,
        secrets: [
          { hash: HASH, id: 'a' },
          { hash: hashSecret('b'), id: 'a' },
        ],
      },
    ],
    ['secrets', { apiKey: KEY, secrets: [{ hash: HASH, id: 'secret-2' }, { hash: hashSecret('b') }] }],
  ];

  test.each(cases)('%s', (place, settings) => {
    expect(problemOf(settings)).toMatch(new RegExp(`(?:^|; )${place.replaceAll('.', '\\.')}[:.]`));
  });

  test.each([undefined, null, 7, '', KEY, true, [], [{ apiKey: KEY }], () => ({ apiKey: KEY })])(
    'when they are not settings at all: %p',
    (settings) => {
      expect(problemOf(settings)).not.toBe('');
    },
  );

  test('every problem in one message', () => {
    const message = problemOf({
      apiKey: 'x',
      enabled: 'no',
      secrets: [{ hash: 'x' }],
      allowlists: { origins: ['a b'] },
    });
    for (const place of ['apiKey', 'enabled', 'secrets.0.hash', 'allowlists.origins.0']) {
      expect(message).toContain(place);
    }
  });
});

test.each([
  [[], 'settings: is not an object; write { "apiKey": "my-first-key" }'],
  [{ apiKey: KEY, requireSecret: 'yes' }, 'requireSecret: is not true or false'],
  [{ apiKey: KEY, name: 7 }, 'name: is not text of up to 200 characters'],
  [
    { apiKey: KEY, secrets: [SECRET] },
    'secrets.0: is not an object; write { "hash": … } with what hashSecret(secret) returns',
  ],
  [
    { apiKey: KEY, secrets: SECRET },
    'secrets: is not an array; write [{ "hash": … }] with what hashSecret(secret) returns',
  ],
  [
    withLists({ methods: 'eth_call' }),
    'allowlists.methods: is not an array of entries; write ["eth_getBalance","eth_get*"]',
  ],
  [withLists({ origins: [null] }), 'allowlists.origins.0: is not a string'],
  [{ apiKey: KEY, allowlists: [] }, 'allowlists: is not an object of lists; write { "methods": ["eth_*"] }'],
  [{ apiKey: KEY, version: 0 }, 'version: is not a whole number of 1 or more'],
])('the message for a value of the wrong type says what to write: %#', (settings: unknown, message) => {
  expect(problemOf(settings)).toBe(message);
});

describe('limits', () => {
  test('are kept as written; compiling adds their defaults', () => {
    const limits = { perSecond: 50, perDay: 1_000_000, perAddress: { perSecond: 5 } };
    const settings = parseKeySettings({
      apiKey: KEY,
      limits,
      secrets: [{ hash: HASH, limits: { perSecond: 1, burst: 7 } }],
    });
    expect(settings.limits).toEqual(limits);
    const { limits: compiled, secrets } = compileKeySettings(settings);
    expect(compiled).toEqual({
      second: { perSecond: 50, burst: 100 },
      perDay: 1_000_000,
      perAddress: { perSecond: 5, burst: 10 },
    });
    expect(secrets[0]?.limits).toEqual({
      second: { perSecond: 1, burst: 7 },
      perDay: undefined,
      perAddress: undefined,
    });
  });

  test.each([[undefined], [{}]])('%j are no limits', (limits) => {
    const settings = parseKeySettings({ apiKey: KEY, limits, secrets: [{ hash: HASH, limits }] });
    const key = compileKeySettings(settings);
    expect([key.limits, key.secrets[0]?.limits]).toEqual([undefined, undefined]);
  });

  test.each<[limits: unknown, problem: string]>([
    [{ perSecond: 0 }, 'limits.perSecond: is 0; write a whole number from 1, or leave it out for no limit'],
    [{ perSecond: -1 }, 'limits.perSecond: is -1; write a whole number from 1, or leave it out for no limit'],
    [{ perDay: 1.5 }, 'limits.perDay: is 1.5; write a whole number from 1, or leave it out for no limit'],
    [{ perDay: NaN }, 'limits.perDay: is NaN; write a whole number from 1, or leave it out for no limit'],
    [
      { perDay: 1_000_000_001 },
      'limits.perDay: is 1000000001; write a whole number up to 1000000000, or leave it out for no limit',
    ],
    [{ perSecond: '50' }, 'limits.perSecond: is no number; write a whole number from 1, or leave it out for no limit'],
    [{ perSecond: null }, 'limits.perSecond: is no number; write a whole number from 1, or leave it out for no limit'],
    [{ burst: 5 }, 'limits.burst: needs perSecond; add it, or leave burst out'],
    [{ perSecond: 5, burst: 0 }, 'limits.burst: is 0; write a whole number from 1, or leave it out for no limit'],
    [{ perAddress: {} }, 'limits.perAddress.perSecond: is missing; write a whole number from 1'],
    [{ perAddress: 5 }, 'limits.perAddress: is not an object; write { "perSecond": 5 }'],
    [{ persecond: 5 }, 'limits: persecond: does not exist; did you mean perSecond?'],
    [5, 'limits: is not an object; write { "perSecond": 50, "perDay": 1000000 }'],
    [null, 'limits: is not an object; write { "perSecond": 50, "perDay": 1000000 }'],
  ])('%j do not parse', (limits, problem) => {
    expect(problemOf({ apiKey: KEY, limits })).toBe(problem);
  });

  test('of a secret have no perAddress', () => {
    const limits = { perAddress: { perSecond: 5 } };
    expect(problemOf({ apiKey: KEY, secrets: [{ hash: HASH, limits }] })).toMatch(
      /^secrets\.0\.limits: perAddress: does not exist; there are perSecond, burst, perDay$/,
    );
  });
});

describe('an unknown member is refused, and the right ones of that object are named', () => {
  test.each([
    ['requiresecret', '', { apiKey: KEY, requiresecret: true }],
    ['requireSecrets', '', { apiKey: KEY, requireSecrets: true }],
    ['allowlist', '', { apiKey: KEY, allowlist: {} }],
    ['__proto__', '', JSON.parse(`{"apiKey":"${KEY}","__proto__":{"requireSecret":true}}`)],
    ['constructor', '', { apiKey: KEY, constructor: {} }],
    ['expires', 'secrets.0', withSecret({ expires: '2027-01-31T00:00:00Z' })],
    ['secret', 'secrets.0', withSecret({ secret: SECRET })],
    ['__proto__', 'secrets.0', { apiKey: KEY, secrets: [JSON.parse(`{"hash":"${HASH}","__proto__":{}}`)] }],
    ['Origins', 'allowlists', withLists({ Origins: [] })],
    ['ips', 'allowlists', withLists({ ips: [] })],
    ['method', 'secrets.0.allowlists', withSecret({ allowlists: { method: ['eth_call'] } })],
    ['__proto__', 'allowlists', withLists(JSON.parse('{"__proto__":["x"]}') as object)],
  ])('%s in %j', (name, place, settings: unknown) => {
    const message = problemOf(settings);
    expect(message).toContain(`${place === '' ? 'settings' : place}: ${name}: does not exist; `);
    expect(message).toMatch(/did you mean \w+\?$|there are \w+(?:, \w+)+$/);
  });

  test.each([
    [{ apiKey: KEY, requireSecrets: true }, 'settings: requireSecrets: does not exist; did you mean requireSecret?'],
    [withLists({ method: [] }), 'allowlists: method: does not exist; did you mean methods?'],
    [
      withLists({ ips: [] }),
      'allowlists: ips: does not exist; there are contractAddresses, userAgents, origins, methods',
    ],
  ])('in whole words: %#', (settings: unknown, message) => {
    expect(problemOf(settings)).toBe(message);
  });

  test.each([
    ['a key', { [KEY]: { enabled: true } }],
    ['a key beside its settings', { apiKey: KEY, [KEY]: {} }],
    ['a hash', withSecret({ [HASH]: '' })],
    ['a secret', withSecret({ [SECRET]: HASH })],
  ])('but %s in its place is not shown', (_, settings) => {
    expect(problemOf(settings)).not.toBe('');
  });
});

describe('parsed settings', () => {
  const input = {
    apiKey: KEY,
    secrets: [{ hash: HASH, allowlists: { methods: ['eth_call'] } }],
    allowlists: { origins: ['https://a.example'] },
  };
  const settings = parseKeySettings(input);

  test('are frozen through and through', () => {
    const open: string[] = [];
    const visit = (value: unknown, place: string) => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value)) open.push(place);
      for (const [name, member] of Object.entries(value)) visit(member, `${place}.${name}`);
    };
    visit(settings, 'settings');
    expect(open).toEqual([]);
  });

  test('do not follow the object that they were read from', () => {
    const mutable = structuredClone(input);
    const before = parseKeySettings(mutable);
    const copy = structuredClone(before);
    mutable.apiKey = 'changed-key';
    mutable.secrets[0]?.allowlists.methods.push('*');
    mutable.secrets.push({ hash: hashSecret('intruder'), allowlists: { methods: [] } });
    mutable.allowlists.origins.length = 0;
    expect(before).toEqual(copy);
  });

  test('are compiled once', () => {
    expect(compileKeySettings(settings)).toBe(compileKeySettings(settings));
  });

  test('are read again from an object that has changed', () => {
    const mutable = structuredClone(input);
    parseKeySettings(mutable);
    mutable.allowlists.origins = ['not an origin'];
    expect(problemOf(mutable)).toContain('allowlists.origins.0');
  });

  test('do not open for a frozen object that only looks like them', () => {
    expect(problemOf(Object.freeze({ ...settings, requireSecret: 'yes' }))).toContain('requireSecret');
  });
});
