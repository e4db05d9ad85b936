import { KeyManager, MemoryStore, generateSecret, hashSecret } from '../../lib';
import type { KeySettingsInput } from '../../lib';
import { warningsOf } from '../../lib/keys/warnings';
import type { Warning } from '../../lib/keys/warnings';
import { compileCredits } from '../../lib/limits/credits';
import type { Credits } from '../../lib/limits/credits';
import { KEY } from '../support/pieces';

const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const MULTICALL3 = '0xcA11bde05977b3631167028862bE2a173976CA11';
const DAY_MS = 86_400_000;
const NOW = Date.parse('2030-01-01T00:00:00Z');

beforeEach(() => {
  jest.spyOn(Date, 'now').mockReturnValue(NOW);
});
afterEach(() => {
  jest.restoreAllMocks();
});

const active = () => ({ hash: hashSecret(generateSecret()) });
const expiring = (inMs: number) => ({ ...active(), expiresAt: new Date(NOW + inMs).toISOString() });

async function warned(settings: Partial<KeySettingsInput>): Promise<readonly Warning[]> {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, ...settings }]));
  return warningsOf((await manager.get(KEY))!);
}

const codes = async (settings: Partial<KeySettingsInput>) => (await warned(settings)).map(({ code }) => code);

test('a key that requires a secret and has one that does not expire gets no warning', async () => {
  expect(await warned({ requireSecret: true, secrets: [active()] })).toEqual([]);
});

test('a key with a list and without a secret gets no warning', async () => {
  for (const allowlists of [{ methods: ['eth_call'] }, { contractAddresses: [LISTED] }, { userAgents: ['Android'] }]) {
    expect(await warned({ allowlists })).toEqual([]);
  }
});

test.each([
  ['none at all', []],
  ['one that expires this very moment', [expiring(0)]],
  ['expired ones alone', [expiring(-1), expiring(-DAY_MS)]],
])('a key that requires a secret and has %s refuses everything', async (_what, secrets) => {
  expect(await warned({ requireSecret: true, secrets })).toEqual([
    {
      code: 'NO_ACTIVE_SECRET',
      at: 'secrets',
      message: 'A secret is required and none is active: every request is refused.',
    },
  ]);
});

describe('the last active secret’s expiry', () => {
  test('gives a warning in its last seven days, with the time from which there is none', async () => {
    const secrets = [expiring(DAY_MS), expiring(7 * DAY_MS - 1), expiring(2 * DAY_MS), expiring(-DAY_MS)];
    expect(await warned({ requireSecret: true, secrets })).toEqual([
      {
        code: 'SECRETS_EXPIRE_SOON',
        at: 'secrets',
        message: 'From 2030-01-07T23:59:59Z on, no secret is active.',
      },
    ]);
  });

  test('gives no warning where it is seven days away or more, where another does not expire, where none is required', async () => {
    expect(await warned({ requireSecret: true, secrets: [expiring(1), expiring(7 * DAY_MS)] })).toEqual([]);
    expect(await warned({ requireSecret: true, secrets: [expiring(1), active()] })).toEqual([]);
    expect(await codes({ secrets: [expiring(1)], allowlists: { methods: ['eth_call'] } })).toEqual([]);
  });
});

describe('override', () => {
  const allowlists = { methods: ['eth_call'] };

  test.each([
    ['no secret', []],
    ['expired ones alone', [expiring(0)]],
  ])('has no effect with %s', async (_what, secrets) => {
    expect(await warned({ overrideAllowlists: true, secrets, allowlists })).toEqual([
      {
        code: 'OVERRIDE_WITHOUT_SECRET',
        at: 'settings',
        message: 'Override has no effect: there is no active secret to override with.',
      },
    ]);
  });

  test('has one with an active secret', async () => {
    expect(await warned({ overrideAllowlists: true, secrets: [active()], allowlists })).toEqual([]);
  });
});

describe('a key that is enough to call with', () => {
  const open = [
    {
      code: 'OPEN_TO_ALL',
      at: 'settings',
      message: 'No secret is required and no list is in force: whoever has the key can call.',
    },
  ];

  test('requires no secret and has no list, whether it has secrets or not', async () => {
    expect(await warned({})).toEqual(open);
    expect(await warned({ secrets: [active()], overrideAllowlists: true })).toEqual(open);
    expect(await warned({ secrets: [{ ...active(), allowlists: { methods: ['eth_call'] } }] })).toEqual(open);
  });

  test('is not one with a required secret', async () => {
    expect(await codes({ requireSecret: true, secrets: [active()] })).toEqual([]);
    expect(await codes({ requireSecret: true })).not.toContain('OPEN_TO_ALL');
  });
});

describe('a list of origins', () => {
  const allowlists = { origins: ['https://a.example'] };
  const needed = [
    {
      code: 'ORIGIN_NEEDED',
      at: 'origins',
      message: 'Requests without an Origin header are refused: servers, scripts and mobile apps send none.',
    },
  ];

  test('refuses those who send none', async () => {
    expect(await warned({ allowlists })).toEqual(needed);
    expect(await warned({ allowlists, requireSecret: true, secrets: [active()] })).toEqual(needed);
  });

  test('is overridden with an active secret, and only then', async () => {
    expect(await codes({ allowlists, overrideAllowlists: true, secrets: [active()] })).toEqual([]);
    expect(await codes({ allowlists, overrideAllowlists: true, secrets: [expiring(0)] })).toEqual([
      'OVERRIDE_WITHOUT_SECRET',
      'ORIGIN_NEEDED',
    ]);
  });

  test('with null in it lets any website in', async () => {
    const nulls = await warned({ allowlists: { origins: ['https://a.example', 'null'] } });
    expect(nulls.slice(1)).toEqual([
      {
        code: 'NULL_ORIGIN_LISTED',
        at: 'origins',
        message: 'Any website can send the origin "null", from a sandboxed frame.',
      },
    ]);
    expect(await codes({ allowlists: { origins: ['https://null.example'] } })).toEqual(['ORIGIN_NEEDED']);
  });
});

test.each([MULTICALL3, MULTICALL3.toLowerCase(), `0x${MULTICALL3.slice(2).toUpperCase()}`])(
  'Multicall3 on the list of contracts opens it to all others: %s',
  async (address) => {
    expect(await warned({ allowlists: { contractAddresses: [LISTED, address] } })).toEqual([
      {
        code: 'MULTICALL_LISTED',
        at: 'contractAddresses',
        message: 'Multicall3 is listed: it calls any contract for its caller, so the list does not limit reading.',
      },
    ]);
  },
);

describe('an entry that may not do what is meant', () => {
  const doubts = async (allowlists: NonNullable<KeySettingsInput['allowlists']>) =>
    (await warned({ allowlists })).filter(({ code }) => code === 'ENTRY_DOUBTFUL');
  const CHECKSUMMED = '0x52908400098527886E0F7030069857D2E4169EE7';
  const MIXED = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

  test.each([
    ['methods', 'eth_blokNumber', 'allows no known method; did you mean "eth_blockNumber"?'],
    ['methods', 'ETH_CALL', 'allows no known method; did you mean "eth_call"?'],
    ['methods', 'net_verison', 'allows no known method; did you mean "net_version"?'],
    ['methods', 'eth_', 'stands for a method of this very name: write "eth_*" for all that begin so'],
    ['methods', 'ETH_get*', 'allows no known method; did you mean "eth_get*"?'],
    ['methods', 'eth_blok*', 'allows no known method; did you mean "eth_blob*"?'],
    ['methods', 'admin_peers', 'is blocked for every key, unless the guard’s blockedMethods says otherwise'],
    ['methods', 'debug_setHead', 'is blocked for every key, unless the guard’s blockedMethods says otherwise'],
    ['userAgents', '*', 'stands for a header with a * in it: write a part of the header alone, such as "Android"'],
    ['origins', 'localhost', 'stands for the port of the scheme alone, 80 or 443: write "localhost:*" for any port'],
    [
      'origins',
      'http://127.0.0.1',
      'stands for the port of the scheme alone, 80 or 443: write "http://127.0.0.1:*" for any port',
    ],
    ['origins', '*.com', 'lets in whoever has a name under com'],
    ['origins', 'https://*.vercel.app', 'lets in whoever has a name under vercel.app'],
    [
      'contractAddresses',
      MIXED.replace('5aAe', '5AAe'),
      'has upper and lower case that do not fit its digits (EIP-55): compare it; in lower case it is taken as it is',
    ],
  ] as const)('gives a warning at its list: %s %s', async (at, entry, message) => {
    const quoted = `The entry ${JSON.stringify(entry)} ${message}`;
    expect(await doubts({ [at]: [entry] })).toEqual([{ code: 'ENTRY_DOUBTFUL', at, message: quoted }]);
  });

  test('in a secret’s own lists gives a warning at the secret', async () => {
    const own = { ...active(), label: 'reports', allowlists: { methods: ['eth_calll'] } };
    expect(await warned({ requireSecret: true, secrets: [own] })).toEqual([
      {
        code: 'ENTRY_DOUBTFUL',
        at: 'secrets',
        message: 'The secret reports: The entry "eth_calll" allows no known method; did you mean "eth_call"?',
      },
    ]);
  });

  test('is not among the usual entries', async () => {
    const right = {
      methods: [
        'eth_call',
        'eth_*',
        'eth_getB*',
        'eth*',
        'debug_*',
        'debug_traceCall',
        'acme_balance',
        'acme_*',
        'web3_sha3',
      ],
      userAgents: ['Android', 'Mozilla/5.0'],
      origins: [
        'localhost:*',
        'http://localhost:3000',
        '*.localhost:*',
        '*.example.com',
        'https://a.vercel.app',
        'null',
        'https://',
      ],
      contractAddresses: [LISTED, CHECKSUMMED, MIXED, MULTICALL3],
    };
    expect(await doubts(right)).toEqual([]);
  });
});

describe('a list that only reports', () => {
  const given = { requireSecret: true, secrets: [active()], allowlists: { origins: ['https://a.example'] } };
  const since = (days: number) => ({ origins: new Date(Date.now() - days * DAY_MS).toISOString() });

  test('refuses nobody, and leaves the key open', async () => {
    const reporting = { reportOnly: ['origins'] as const, reportOnlySince: since(1) };
    expect(await codes({ ...given, ...reporting })).toEqual([]);
    expect(await codes({ allowlists: given.allowlists, ...reporting })).toEqual(['OPEN_TO_ALL']);
  });

  test('gives a warning after 30 days', async () => {
    const reporting = (days: number) => codes({ ...given, reportOnly: ['origins'], reportOnlySince: since(days) });
    expect(await reporting(29)).toEqual([]);
    expect(await reporting(30)).toEqual(['REPORT_ONLY_FOR_LONG']);
    const byHand = (days: number) =>
      codes({ ...given, reportOnly: ['origins'], createdAt: since(days).origins, updatedAt: since(days).origins });
    expect([await byHand(29), await byHand(30)]).toEqual([[], ['REPORT_ONLY_FOR_LONG']]);
  });
});

test('several warnings come at once, and none holds a secret, a hash or the key', async () => {
  const secret = generateSecret();
  const settings: Partial<KeySettingsInput> = {
    requireSecret: true,
    overrideAllowlists: true,
    secrets: [{ hash: hashSecret(secret), hint: secret.slice(0, 8), expiresAt: '2029-12-31T00:00:00Z' }],
    allowlists: { origins: ['null'], contractAddresses: [MULTICALL3] },
  };
  expect(await codes(settings)).toEqual([
    'NO_ACTIVE_SECRET',
    'OVERRIDE_WITHOUT_SECRET',
    'ORIGIN_NEEDED',
    'NULL_ORIGIN_LISTED',
    'MULTICALL_LISTED',
  ]);
  const text = JSON.stringify(await warned(settings));
  for (const hidden of [secret.slice(0, 8), hashSecret(secret), KEY]) expect(text).not.toContain(hidden);
});

describe('a burst', () => {
  const locked = { allowlists: { methods: ['eth_*', 'trace_*', 'acme_work'] } };
  const of = (limits: KeySettingsInput['limits'], more: Partial<KeySettingsInput> = {}, credits: Credits = {}) =>
    limited({ ...locked, limits, ...more }, credits);

  async function limited(settings: Partial<KeySettingsInput>, credits: Credits): Promise<readonly string[]> {
    const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, ...settings }]));
    const warnings = warningsOf((await manager.get(KEY))!, compileCredits(credits));
    return warnings.filter(({ at }) => at === 'limits').map(({ code, message }) => `${code} ${message}`);
  }

  test('below 30 gives a warning, whether given or by default', async () => {
    const warning = (burst: number) =>
      `BURST_BELOW_PAGE The burst of ${String(burst)} is small: a page load of 30 calls would be refused.`;
    expect(await of({ perSecond: 14 })).toEqual([warning(28)]);
    expect(await of({ perSecond: 50, burst: 29 })).toEqual([warning(29)]);
    for (const limits of [{ perSecond: 15 }, { perDay: 5 }, { perAddress: { perSecond: 1 } }, undefined]) {
      expect(await of(limits)).toEqual([]);
    }
  });

  test('below the price of a method that the list allows gives a warning that names the dearest', async () => {
    const credits = { eth_getLogs: 200, 'trace_*': 300, trace_block: 1, acme_work: 5000, 'debug_*': 6000 };
    const limits = { perSecond: 40, burst: 100 };
    const told = async (...methods: string[]) =>
      (await of(limits, { allowlists: { methods } }, credits)).map((text) => text.split(/[:,] /)[0]);
    const dearer = (method: string) => [`BURST_BELOW_COST The burst of 100 is less than ${method} costs`];
    expect(await told()).toEqual(dearer('debug_*'));
    expect(await told('eth_*', 'acme_*')).toEqual(dearer('acme_work'));
    expect(await told('eth_*')).toEqual(dearer('eth_getLogs'));
    expect(await told('trace_call')).toEqual(dearer('trace_call'));
    expect(await told('trace_block', 'eth_call')).toEqual([]);
  });
});
