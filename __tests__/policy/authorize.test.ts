import crypto from 'node:crypto';
import { addressTable } from '../../lib/allowlists/address-table';
import { methods } from '../../lib/allowlists/methods';
import { admissionOf, admit, checkCall } from '../../lib/policy/authorize';
import type { Admission } from '../../lib/policy/authorize';
import type { CallRules } from '../../lib/policy/check';
import { parseCalls } from '../../lib/json-rpc/call';
import { PASSES_ALL, compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { KeySettingsInput } from '../../lib/settings/key-settings';
import { DEFAULT_BLOCKED_METHODS } from '../../lib/allowlists/default-blocked-methods';
import { isRefusal } from '../../lib/policy/refusals';
import type { RequestFacts } from '../../lib/request/request-facts';
import { hashSecret } from '../../lib/settings/secret';
import type { CachedStore, Lookup } from '../../lib/stores/settings-cache';
import { KEY, basicHeader, factsOf, rpcCall } from '../support/pieces';

const SECRET = 'rgs_a-secret-without-lists-of-its-own-01';
const LIMITED = 'rgs_a-secret-with-lists-of-its-own-00002';
const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const OTHER = '0x1111111111111111111111111111111111111111';

const RULES: CallRules = {
  addressTable: addressTable({}),
  isBlocked: methods.compile(DEFAULT_BLOCKED_METHODS),
  blockedMethods: DEFAULT_BLOCKED_METHODS,
};

interface AskedStore extends CachedStore {
  readonly asked: string[];
}

/** A store that knows one key, or answers `lookup` to everything. */
function storeWith(settings: Partial<KeySettingsInput>, lookup?: Lookup): AskedStore {
  const key = compileKeySettings(parseKeySettings({ apiKey: KEY, ...settings }));
  const asked: string[] = [];
  return {
    asked,
    get(apiKey) {
      asked.push(apiKey);
      return lookup ?? (apiKey === KEY ? key : 'unknown');
    },
    isDown: false,
    close: () => Promise.resolve(),
  };
}

async function verdict(facts: Partial<RequestFacts>, store: CachedStore = storeWith({})): Promise<string> {
  const admission = await admit(factsOf(facts), store);
  return isRefusal(admission) ? admission.refused : 'admitted';
}

async function admitted(facts: Partial<RequestFacts>, store: CachedStore): Promise<Admission> {
  const admission = await admit(factsOf(facts), store);
  if (isRefusal(admission)) throw new Error(admission.refused);
  return admission;
}

/** The reason of a refusal, or 'passes'. */
function ruling(admission: Admission, method: string, params: readonly unknown[] = [], rules = RULES): string {
  return checkCall(admission, rpcCall(method, params), rules)?.refused ?? 'passes';
}

const everyList = {
  userAgents: ['Android'],
  origins: ['https://a.example'],
  contractAddresses: [LISTED],
  methods: ['eth_call', 'eth_getCode'],
};

test('a known key without rules is admitted', async () => {
  expect(await verdict({})).toBe('admitted');
});

describe('the order of the steps', () => {
  const strict = storeWith({
    requireSecret: true,
    secrets: [{ hash: hashSecret(SECRET) }],
    allowlists: { userAgents: ['Android'], origins: ['https://a.example'] },
  });
  const right = { authorization: basicHeader(SECRET), userAgent: 'Android', origin: 'https://a.example' };
  const allWrong = { authorization: basicHeader('x'), userAgent: 'curl', origin: 'https://evil.example' };

  test.each<readonly [string, string, Partial<RequestFacts>]>([
    ['a header that came twice', 'DUPLICATE_HEADER', { ...allWrong, apiKey: '', duplicateHeader: 'origin' }],
    ['a missing key', 'KEY_REQUIRED', { ...allWrong, apiKey: '' }],
    ['an unknown key', 'KEY_UNKNOWN', { ...allWrong, apiKey: 'unknown-key' }],
    ['a wrong secret', 'SECRET_INVALID', allWrong],
    ['a missing secret', 'SECRET_REQUIRED', { userAgent: 'curl', origin: 'https://evil.example' }],
    ['the User-Agent', 'USER_AGENT_NOT_ALLOWED', { ...allWrong, authorization: right.authorization }],
    ['the Origin', 'ORIGIN_NOT_ALLOWED', { ...right, origin: 'https://evil.example' }],
    ['nothing', 'admitted', right],
  ])('%s is the reason given', async (_, reason, facts) => {
    expect(await verdict(facts, strict)).toBe(reason);
  });

  test('a disabled key comes before its secret and lists', async () => {
    const disabled = storeWith({ enabled: false, requireSecret: true, allowlists: everyList });
    expect(await verdict(allWrong, disabled)).toBe('KEY_DISABLED');
    expect(await verdict({}, disabled)).toBe('KEY_DISABLED');
  });

  test('settings that are unavailable refuse every request', async () => {
    const down = storeWith({}, 'unavailable');
    for (const facts of [{}, right, allWrong]) expect(await verdict(facts, down)).toBe('SETTINGS_UNAVAILABLE');
  });

  test('contract addresses come before the method gate', async () => {
    const admission = await admitted(
      {},
      storeWith({ allowlists: { contractAddresses: [LISTED], methods: ['eth_call'] } }),
    );
    expect(ruling(admission, 'eth_getBalance', [OTHER])).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
    expect(ruling(admission, 'eth_getBalance', [LISTED])).toBe('METHOD_NOT_ALLOWED');
    expect(ruling(admission, 'eth_call', [{ to: LISTED }])).toBe('passes');
  });
});

describe('the store', () => {
  test.each([
    '',
    'short12',
    'a'.repeat(129),
    `${KEY}%00`,
    `${KEY};x`,
    `${KEY} `,
    `${KEY}\n`,
    `${KEY}.`,
    '%61bcdefgh',
    '*',
    'ключключ',
    'a\0bcdefgh',
  ])('is not asked for a malformed key: %j', async (apiKey) => {
    const store = storeWith({});
    expect(await verdict({ apiKey }, store)).toBe(apiKey === '' ? 'KEY_REQUIRED' : 'KEY_UNKNOWN');
    expect(store.asked).toEqual([]);
  });

  test('is not asked when a header is repeated', async () => {
    const store = storeWith({});
    await verdict({ duplicateHeader: 'authorization' }, store);
    expect(store.asked).toEqual([]);
  });

  test.each(['__proto__', 'constructor', 'hasOwnProperty', 'valueOf_'])(
    'is asked for a key named %s',
    async (apiKey) => {
      const store = storeWith({});
      expect(await verdict({ apiKey }, store)).toBe('KEY_UNKNOWN');
      expect(store.asked).toEqual([apiKey]);
    },
  );

  test('is asked for the key as it stands in the path, case and all', async () => {
    const store = storeWith({});
    expect(await verdict({ apiKey: KEY.toUpperCase() }, store)).toBe('KEY_UNKNOWN');
    expect(store.asked).toEqual([KEY.toUpperCase()]);
  });

  test('may answer now or later', async () => {
    const key = compileKeySettings(parseKeySettings({ apiKey: KEY }));
    const later: CachedStore = { get: () => Promise.resolve(key), isDown: false, close: () => Promise.resolve() };
    expect(await verdict({}, later)).toBe('admitted');
  });
});

describe('an unknown key', () => {
  test.each([undefined, basicHeader(SECRET), basicHeader(SECRET, KEY), 'Basic !!', ''])(
    'is refused in the same words whatever credentials come: %j',
    async (authorization) => {
      const refusal = await admit(factsOf({ apiKey: 'unknown-key', authorization }), storeWith({}));
      expect(refusal).toEqual({ refused: 'KEY_UNKNOWN' });
    },
  );

  test('costs the work of a known one, malformed or not', async () => {
    const compare = jest.spyOn(crypto, 'timingSafeEqual');
    const store = storeWith({ secrets: [{ hash: hashSecret(SECRET) }] });
    try {
      for (const apiKey of [KEY, 'unknown-key', 'a'.repeat(8), 'x'.repeat(500)]) {
        compare.mockClear();
        await verdict({ apiKey, authorization: basicHeader('wrong') }, store);
        expect(compare).toHaveBeenCalledTimes(1);
      }
    } finally {
      compare.mockRestore();
    }
  });
});

describe('overrideAllowlists', () => {
  const store = storeWith({
    overrideAllowlists: true,
    allowlists: everyList,
    secrets: [
      { hash: hashSecret(SECRET) },
      {
        hash: hashSecret(LIMITED),
        allowlists: { contractAddresses: [LISTED], methods: ['eth_getCode'], origins: ['https://b.example'] },
      },
    ],
  });

  test('lets a request with a valid secret pass all four lists', async () => {
    const admission = await admitted({ authorization: basicHeader(SECRET) }, store);
    expect(admission.allowlists).toEqual(PASSES_ALL);
    expect(ruling(admission, 'eth_sendRawTransaction', ['0x00'])).toBe('passes');
    expect(ruling(admission, 'eth_getBalance', [OTHER])).toBe('passes');
    expect(ruling(admission, 'acme_unknown', [{}])).toBe('passes');
  });

  test('does not let a request without a secret pass', async () => {
    expect(await verdict({}, store)).toBe('USER_AGENT_NOT_ALLOWED');
    expect(await verdict({ userAgent: 'Android' }, store)).toBe('ORIGIN_NOT_ALLOWED');
    const admission = await admitted({ userAgent: 'Android', origin: 'https://a.example' }, store);
    expect(ruling(admission, 'eth_call', [{ to: OTHER }])).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
    expect(ruling(admission, 'eth_blockNumber')).toBe('METHOD_NOT_ALLOWED');
  });

  test('does not let a wrong secret pass, with the right headers either', async () => {
    const facts = { authorization: basicHeader('wrong'), userAgent: 'Android', origin: 'https://a.example' };
    expect(await verdict(facts, store)).toBe('SECRET_INVALID');
  });

  test("does not widen a secret's own lists", async () => {
    const authorization = basicHeader(LIMITED);
    expect(await verdict({ authorization }, store)).toBe('ORIGIN_NOT_ALLOWED');
    expect(await verdict({ authorization, origin: 'https://a.example' }, store)).toBe('ORIGIN_NOT_ALLOWED');
    const admission = await admitted({ authorization, origin: 'https://b.example' }, store);
    expect(ruling(admission, 'eth_getCode', [LISTED])).toBe('passes');
    expect(ruling(admission, 'eth_getCode', [OTHER])).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
    expect(ruling(admission, 'eth_call', [{ to: LISTED }])).toBe('METHOD_NOT_ALLOWED');
  });

  test('does not lift what the operator blocks', async () => {
    const admission = await admitted({ authorization: basicHeader(SECRET) }, store);
    expect(ruling(admission, 'admin_peers')).toBe('METHOD_BLOCKED');
  });

  test('does nothing for a key without lists', async () => {
    const open = storeWith({ overrideAllowlists: true, secrets: [{ hash: hashSecret(SECRET) }] });
    expect(await verdict({}, open)).toBe('admitted');
    expect(await verdict({ authorization: basicHeader('wrong') }, open)).toBe('SECRET_INVALID');
  });
});

describe("a secret's own lists", () => {
  const store = storeWith({
    allowlists: everyList,
    secrets: [
      { hash: hashSecret(SECRET) },
      { hash: hashSecret(LIMITED), allowlists: { contractAddresses: [OTHER], methods: ['eth_getBalance'] } },
    ],
  });

  test("apply in place of the key's, wider or narrower", async () => {
    const admission = await admitted({ authorization: basicHeader(LIMITED) }, store);
    expect(ruling(admission, 'eth_getBalance', [OTHER])).toBe('passes');
    expect(ruling(admission, 'eth_getBalance', [LISTED])).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
    expect(ruling(admission, 'eth_getCode', [OTHER])).toBe('METHOD_NOT_ALLOWED');
  });

  test("do not apply to another secret or to none: the key's do", async () => {
    expect(await verdict({ authorization: basicHeader(SECRET) }, store)).toBe('USER_AGENT_NOT_ALLOWED');
    const headers = { userAgent: 'Android', origin: 'https://a.example' };
    for (const authorization of [basicHeader(SECRET), undefined]) {
      const admission = await admitted({ ...headers, authorization }, store);
      expect(ruling(admission, 'eth_getCode', [LISTED])).toBe('passes');
      expect(ruling(admission, 'eth_getBalance', [OTHER])).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
    }
  });

  test('that are empty are no lists', async () => {
    const open = storeWith({ allowlists: everyList, secrets: [{ hash: hashSecret(SECRET), allowlists: {} }] });
    const admission = await admitted({ authorization: basicHeader(SECRET) }, open);
    expect(ruling(admission, 'acme_unknown', [{}])).toBe('passes');
  });
});

describe('a call', () => {
  const key = compileKeySettings(parseKeySettings({ apiKey: KEY }));
  const free = admissionOf(key, undefined);

  test.each(blockedSpellings())('is refused by what the operator blocks: %s', (method) => {
    expect(checkCall(free, rpcCall(method), RULES)).toEqual({
      refused: 'METHOD_BLOCKED',
      message: `the method ${method} does not exist/is not available`,
    });
  });

  test.each([
    ['7', -32600],
    ['null', -32600],
    ['{"jsonrpc":"2.0","id":1}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{}}', -32602],
  ])('that is malformed is refused before any list: %s', (text, code) => {
    const read = parseCalls(text, 1);
    const [call] = read.ok ? read.calls : [];
    if (call === undefined) throw new Error('not read');
    for (const admission of [free, listed()]) {
      const refusal = checkCall(admission, call, RULES);
      expect(refusal?.refused).toBe('INVALID_REQUEST');
      expect(refusal?.code ?? -32600).toBe(code);
    }
  });

  test("of an operator's own method is held against the list", () => {
    const rules = { ...RULES, addressTable: addressTable({ acme_read: (params) => params[0] as string }) };
    const admission = listed();
    expect(ruling(admission, 'acme_read', [LISTED], rules)).toBe('passes');
    expect(ruling(admission, 'acme_read', [OTHER], rules)).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
    expect(ruling(admission, 'acme_read', [LISTED])).toBe('CONTRACT_ADDRESS_NOT_ALLOWED');
  });

  function listed(): Admission {
    const settings = parseKeySettings({ apiKey: KEY, allowlists: { contractAddresses: [LISTED] } });
    return admissionOf(compileKeySettings(settings), undefined);
  }

  function blockedSpellings(): readonly string[] {
    return DEFAULT_BLOCKED_METHODS.map((entry) => entry.replace('*', 'anything'));
  }
});
