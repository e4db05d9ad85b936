import fc from 'fast-check';
import { MemoryStore, generateSecret, hashSecret } from '../../lib';
import type { KeySettings, KeySettingsInput, RpcGuardOptions } from '../../lib';
import { dryRun } from '../../lib/explain/dry-run';
import type { DryRun, DryRunRequest, DryRunStep } from '../../lib/explain/dry-run';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { parseOptions } from '../../lib/options/options';
import { guardedApp } from '../support/guarded-app';
import type { GuardedApp } from '../support/guarded-app';
import { KEY, OTHER_KEY, basicHeader, recordingLogger } from '../support/pieces';
import { exchange, requestBytes } from '../support/wire';

const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const SECOND = '0x2222222222222222222222222222222222222222';
const OTHER = '0x1111111111111111111111111111111111111111';
const UPPER = `0x${LISTED.slice(2).toUpperCase()}`;

const secretOf = {
  server: generateSecret(),
  limited: generateSecret(),
  free: generateSecret(),
  expired: generateSecret(),
};
const recordOf = (name: keyof typeof secretOf) => ({
  id: name,
  hash: hashSecret(secretOf[name]),
  hint: secretOf[name].slice(0, 8),
});
const SECRETS = [
  { ...recordOf('server'), label: 'server' },
  {
    ...recordOf('limited'),
    label: 'phone',
    allowlists: { userAgents: ['Android'], contractAddresses: [SECOND], methods: ['eth_getCode', 'net_*'] },
  },
  { ...recordOf('free'), allowlists: {} },
  { ...recordOf('expired'), label: 'old', expiresAt: '2001-01-01T00:00:00Z' },
];

const OPTIONS: Partial<RpcGuardOptions> = {
  maxBatchSize: 4,
  maxBodyBytes: 1500,
  blockedMethods: ['admin_*', 'eth_sign', 'admin_peers'],
  addressParams: { acme_read: (params) => params[0] as string },
};
const LISTS = { userAgents: ['curl/8', 'Android'], origins: ['https://a.example', '*.b.example', 'null'] };

interface Bench {
  readonly app: GuardedApp;
  readonly store: MemoryStore;
  readonly options: ReturnType<typeof parseOptions>;
}

let bench: Bench;
async function openBench(more: Partial<RpcGuardOptions> = {}): Promise<Bench> {
  const store = new MemoryStore();
  const given = { ...OPTIONS, ...more, logger: recordingLogger() };
  const app = await guardedApp({ store, options: given });
  return { app, store, options: parseOptions({ ...given, store, upstream: app.upstream.url }) };
}
beforeEach(async () => {
  bench = await openBench();
});

const headersOf = (headers: Readonly<Record<string, string>>): DryRunRequest['headers'] => Object.entries(headers);
const bodyOf = (...calls: readonly unknown[]) => JSON.stringify(calls.length === 1 ? calls[0] : calls);
const rpc = (method: string, params: readonly unknown[] = [], id: unknown = 1) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});

const ROUTE = ['key', 'secret', 'userAgents', 'origins', 'body'];
const CALL_ROUTE = ['contractAddresses', 'blockedMethods', 'methods'];
const firstRefusal = (steps: readonly DryRunStep[]) =>
  steps.find(({ outcome }) => outcome === 'refuse')?.reason ?? null;

interface Answered {
  readonly id: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly data: { readonly reason: string } };
}

/** Whether an answer is owed to what stands in a batch: not to a notification. */
function isOwed(item: unknown): boolean {
  if (typeof item !== 'object' || item === null) return true;
  const { jsonrpc, method } = item as { readonly jsonrpc?: unknown; readonly method?: unknown };
  return Object.hasOwn(item, 'id') || jsonrpc !== '2.0' || typeof method !== 'string';
}

/** Asks the dry run and then the guard itself, holds what they say against each other, and returns the former. */
async function agreed(
  request: DryRunRequest,
  settings: Partial<KeySettingsInput> = {},
  { app, store, options }: Bench = bench,
): Promise<DryRun> {
  const stored = await store.set({ apiKey: KEY, ...settings });
  const { seen } = app.upstream;
  seen.length = 0;
  const dry = await dryRun(request, request.apiKey === KEY ? stored : undefined, options, store.limits);
  expect(seen).toEqual([]);
  expectNoSecrets(dry);
  expectOneStory(dry);

  const headers = request.headers.map(([name, value]) => `${name}: ${value}`);
  const target = `${options.path.before}${request.apiKey}${options.path.after}`;
  const answer = await exchange(app.port, requestBytes({ target, headers, body: request.body }));
  expect([answer.status, answer.text.slice(0, 300)]).toEqual([dry.status, expect.anything()]);
  if (dry.status !== 200) {
    // A batch gets the refusal once for each of its calls.
    const [{ error } = {}] = [answer.json].flat() as unknown as Partial<Answered>[];
    expect([error?.data.reason, error?.message]).toEqual([dry.reason, dry.message]);
    expect(seen).toEqual([]);
    expect(dry).toMatchObject({ allowed: false, forwarded: null });
    return dry;
  }
  const sent = JSON.parse(request.body.toString()) as unknown;
  if (dry.allowed) expect(seen.map(({ body }) => body)).toEqual([dry.forwarded]);
  else expect(seen.flatMap(({ body }) => JSON.parse(body) as unknown)).toEqual(JSON.parse(dry.forwarded ?? '[]'));
  const items: readonly unknown[] = Array.isArray(sent) ? sent : [sent];
  const owed = dry.calls
    .filter((_, n) => isOwed(items[n]))
    .map(({ id, reason, method }) => ({
      id: JSON.parse(id ?? 'null') as unknown,
      outcome: reason ?? `${String(method)} done`,
    }));
  const json = (answer.text === '' ? [] : answer.json) as unknown as Answered | readonly Answered[];
  const got = [json]
    .flat()
    .map(({ id, result, error }) => ({ id, outcome: error?.data.reason ?? `${String(result)} done` }));
  expect(got).toEqual(owed);
  return dry;
}

function expectNoSecrets(dry: DryRun): void {
  const text = JSON.stringify(dry);
  for (const secret of Object.values(secretOf)) {
    for (const hidden of [secret.slice(0, 9), hashSecret(secret), basicHeader(secret).slice(6)]) {
      expect(text.includes(hidden)).toBe(false);
    }
  }
}

/** The verdicts follow from the steps, which come in the order of the route. */
function expectOneStory(dry: DryRun): void {
  const { allowed, reason, status, steps, calls, forwarded } = dry;
  const isKnown = steps.length > 1;
  expect(steps.map(({ step }) => step)).toEqual(isKnown ? ROUTE : ['key']);
  const ofWhole = firstRefusal(steps);
  const reasons = calls.map((call) => call.reason);
  expect(reason).toBe(ofWhole ?? reasons.find((each) => each !== null) ?? null);
  expect(allowed).toBe(ofWhole === null && reasons.every((each) => each === null));
  expect(forwarded !== null).toBe(ofWhole === null && reasons.includes(null));
  if (ofWhole !== null || allowed) expect(status === 200).toBe(allowed);
  for (const call of calls) {
    expect(call.steps.map(({ step }) => step)).toEqual(call.method === null ? ['body'] : CALL_ROUTE);
    expect(call.reason).toBe(firstRefusal(call.steps));
    expect(call.allowed).toBe(call.reason === null);
  }
  for (const each of [...steps, ...calls.flatMap((call) => call.steps)]) {
    expect(each.why).not.toMatch(/^$|undefined|\[object/);
    expect(each.reason === null).toBe(each.outcome !== 'refuse');
  }
}

/** An account of the steps, to be read. */
function told({ steps, calls }: DryRun): readonly string[] {
  const line = ({ step, outcome, reason, entry, why }: DryRunStep) =>
    `${step} ${outcome}${reason === null ? '' : ` ${reason}`}${entry === null ? '' : ` by ${entry}`}: ${why}`;
  return [
    ...steps.map(line),
    ...calls.flatMap((call) => [
      `${String(call.method)} ${String(call.id)}`,
      ...call.steps.map((step) => `- ${line(step)}`),
    ]),
  ];
}

const request = (more: Partial<DryRunRequest> = {}): DryRunRequest => ({
  apiKey: KEY,
  headers: [],
  body: bodyOf(rpc('eth_blockNumber')),
  ...more,
});
const withSecret = (name: keyof typeof secretOf, more: Readonly<Record<string, string>> = {}) =>
  headersOf({ Authorization: basicHeader(secretOf[name]), ...more });
const body = (...calls: readonly unknown[]) => request({ body: bodyOf(...calls) });

/** The lines of the steps named so. */
const linesOf = (dry: DryRun, ...names: readonly string[]) =>
  told(dry).filter((line) => names.some((name) => line.replace(/^- /, '').startsWith(`${name} `)));

test('a request that no rule refuses is allowed, and every step says so', async () => {
  const dry = await agreed(request());
  expect(dry).toMatchObject({ allowed: true, reason: null, status: 200, message: 'allowed' });
  expect(dry.forwarded).toBe('{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}');
  expect(told(dry)).toEqual([
    'key pass: known and enabled',
    'secret pass: none was sent, and none is required',
    'userAgents skip: no list',
    'origins skip: no list',
    'body pass: one call',
    'eth_blockNumber 1',
    '- contractAddresses skip: no list',
    '- blockedMethods pass: not blocked',
    '- methods skip: no list',
  ]);
});

describe('key', () => {
  test.each([
    ['KEY_REQUIRED', ''],
    ['KEY_UNKNOWN', 'short'],
    ['KEY_UNKNOWN', OTHER_KEY],
    ['KEY_UNKNOWN', '__proto__'],
    ['KEY_UNKNOWN', KEY.toUpperCase()],
  ])('%s for %j is the last step', async (reason, apiKey) => {
    const dry = await agreed(request({ apiKey, headers: withSecret('server') }), { secrets: SECRETS });
    expect(dry).toMatchObject({ reason, status: 401, calls: [] });
    expect(dry.steps).toMatchObject([{ step: 'key', outcome: 'refuse', reason }]);
  });

  test('KEY_DISABLED, and the steps after it go on as if the key were enabled', async () => {
    const dry = await agreed(body(rpc('admin_peers')), {
      enabled: false,
      allowlists: { ...LISTS, methods: ['eth_*'] },
    });
    expect(dry).toMatchObject({ reason: 'KEY_DISABLED', status: 403 });
    expect(told(dry)).toEqual([
      'key refuse KEY_DISABLED: disabled',
      'secret pass: none was sent, and none is required',
      'userAgents refuse USER_AGENT_NOT_ALLOWED: there is no User-Agent header',
      'origins refuse ORIGIN_NOT_ALLOWED: there is no Origin header',
      'body pass: one call',
      'admin_peers 1',
      '- contractAddresses skip: no list',
      '- blockedMethods refuse METHOD_BLOCKED by admin_*: blocked for every key',
      '- methods refuse METHOD_NOT_ALLOWED: no entry matches',
    ]);
  });

  test.each(['Origin', 'User-Agent', 'AUTHORIZATION', 'content-type', 'Content-Encoding', 'host'])(
    'DUPLICATE_HEADER names the header that came twice: %s',
    async (name) => {
      // The request that the guard gets has a Host of its own.
      const once = name === 'host' ? [] : [[name.toLowerCase(), 'x'] as const];
      const headers = [...once, [name, 'x'] as const];
      const dry = name === 'host' ? undefined : await agreed(request({ headers }));
      const alone = await dryRun(
        request({ headers: [['host', 'a'], ...headers] }),
        parseKeySettings({ apiKey: KEY }),
        bench.options,
        undefined,
      );
      for (const { reason, steps } of [alone, dry ?? alone]) {
        expect(reason).toBe('DUPLICATE_HEADER');
        expect(steps[0]).toMatchObject({ step: 'key', outcome: 'refuse', why: `${name.toLowerCase()} was sent twice` });
      }
    },
  );
});

describe('secret', () => {
  const secrets = SECRETS;

  test('SECRET_REQUIRED where none was sent', async () => {
    const dry = await agreed(request(), { requireSecret: true, secrets });
    expect(dry).toMatchObject({ reason: 'SECRET_REQUIRED', status: 401 });
    expect(linesOf(dry, 'secret')).toEqual(['secret refuse SECRET_REQUIRED: a secret is required, and none was sent']);
  });

  test.each([
    ['another’s', basicHeader(generateSecret())],
    ['an expired one', basicHeader(secretOf.expired)],
    ['a user that is not the key', basicHeader(secretOf.server, 'root')],
    ['another scheme', `Bearer ${secretOf.server}`],
    ['Base64 that is none', 'Basic !!'],
    ['nothing in it', 'Basic'],
  ])('SECRET_INVALID of %s, whether one is required or not', async (_what, authorization) => {
    for (const requireSecret of [true, false]) {
      const dry = await agreed(request({ headers: headersOf({ authorization }) }), { requireSecret, secrets });
      expect(dry).toMatchObject({ reason: 'SECRET_INVALID', status: 401 });
      const why = 'the credentials are malformed, or hold no active secret of this key';
      expect(linesOf(dry, 'secret')).toEqual([`secret refuse SECRET_INVALID: ${why}`]);
    }
  });

  test('a valid one is named by its hint and its label', async () => {
    const named = await agreed(request({ headers: withSecret('server') }), { requireSecret: true, secrets });
    expect(linesOf(named, 'secret')).toEqual([`secret pass by ${secretOf.server.slice(0, 8)}: "server" is valid`]);
    const headers = headersOf({ AUTHORIZATION: basicHeader(secretOf.server, KEY) });
    expect((await agreed(request({ headers }), { secrets })).allowed).toBe(true);
    const nameless = await agreed(request({ headers: withSecret('server') }), { secrets: [recordOf('server')] });
    expect(linesOf(nameless, 'secret')).toEqual([`secret pass by ${secretOf.server.slice(0, 8)}: valid`]);
  });

  test('one that overrides the lists skips them all', async () => {
    const allowlists = { ...LISTS, methods: ['eth_call'], contractAddresses: [LISTED] };
    const dry = await agreed(
      { ...body(rpc('eth_getCode', [OTHER])), headers: withSecret('server') },
      { overrideAllowlists: true, secrets, allowlists },
    );
    expect(told(dry)).toEqual([
      'key pass: known and enabled',
      `secret pass by ${secretOf.server.slice(0, 8)}: "server" is valid, and overrides the lists`,
      'userAgents skip: overridden',
      'origins skip: overridden',
      'body pass: one call',
      'eth_getCode 1',
      '- contractAddresses skip: overridden',
      '- blockedMethods pass: not blocked',
      '- methods skip: overridden',
    ]);
  });

  test('one with lists of its own is held against these, override or not', async () => {
    for (const overrideAllowlists of [true, false]) {
      const dry = await agreed(
        {
          ...body(rpc('eth_getCode', [SECOND], 1), rpc('eth_getCode', [LISTED], 2), rpc('net_version', [], 3)),
          headers: withSecret('limited', { 'User-Agent': 'Android 14' }),
        },
        { overrideAllowlists, secrets, allowlists: { ...LISTS, methods: ['eth_call'], contractAddresses: [LISTED] } },
      );
      expect(told(dry)).toEqual([
        'key pass: known and enabled',
        `secret pass by ${secretOf.limited.slice(0, 8)}: "phone" is valid; its own lists hold in place of the key's`,
        'userAgents pass by Android: matches',
        'origins skip: no list',
        'body pass: a batch of 3',
        'eth_getCode 1',
        `- contractAddresses pass by ${SECOND}: every address is listed`,
        '- blockedMethods pass: not blocked',
        '- methods pass by eth_getCode: matches',
        'eth_getCode 2',
        `- contractAddresses refuse CONTRACT_ADDRESS_NOT_ALLOWED: not listed: ${LISTED}`,
        '- blockedMethods pass: not blocked',
        '- methods pass by eth_getCode: matches',
        'net_version 3',
        '- contractAddresses pass: the method takes no address',
        '- blockedMethods pass: not blocked',
        '- methods pass by net_*: matches',
      ]);
      expect(dry).toMatchObject({ allowed: false, status: 200, message: '2 of 3 calls are allowed' });
    }
  });

  test('one with empty lists of its own is free of the key’s', async () => {
    const dry = await agreed(request({ headers: withSecret('free') }), { secrets, allowlists: LISTS });
    expect(linesOf(dry, 'userAgents', 'origins')).toEqual(['userAgents skip: no list', 'origins skip: no list']);
  });
});

describe('userAgents and origins', () => {
  const allowed = { 'User-Agent': 'curl/8.1', Origin: 'https://a.example' };

  test.each<[string, Readonly<Record<string, string>>, string | null, readonly string[]]>([
    ['both match', allowed, null, ['userAgents pass by curl/8: matches', 'origins pass by https://a.example: matches']],
    [
      'a wildcard matches',
      { ...allowed, Origin: 'http://x.b.example' },
      null,
      ['userAgents pass by curl/8: matches', 'origins pass by *.b.example: matches'],
    ],
    [
      'null matches',
      { ...allowed, Origin: 'null' },
      null,
      ['userAgents pass by curl/8: matches', 'origins pass by null: matches'],
    ],
    [
      'the User-Agent does not',
      { ...allowed, 'User-Agent': 'CURL/8.1' },
      'USER_AGENT_NOT_ALLOWED',
      ['userAgents refuse USER_AGENT_NOT_ALLOWED: no entry matches', 'origins pass by https://a.example: matches'],
    ],
    [
      'the Origin does not',
      { ...allowed, Origin: 'https://a.example/' },
      'ORIGIN_NOT_ALLOWED',
      ['userAgents pass by curl/8: matches', 'origins refuse ORIGIN_NOT_ALLOWED: no entry matches'],
    ],
    [
      'there is no Origin',
      { 'user-agent': 'Android' },
      'ORIGIN_NOT_ALLOWED',
      ['userAgents pass by Android: matches', 'origins refuse ORIGIN_NOT_ALLOWED: there is no Origin header'],
    ],
    [
      'neither is there',
      {},
      'USER_AGENT_NOT_ALLOWED',
      [
        'userAgents refuse USER_AGENT_NOT_ALLOWED: there is no User-Agent header',
        'origins refuse ORIGIN_NOT_ALLOWED: there is no Origin header',
      ],
    ],
    [
      'both are empty',
      { 'User-Agent': '', Origin: '' },
      'USER_AGENT_NOT_ALLOWED',
      [
        'userAgents refuse USER_AGENT_NOT_ALLOWED: no entry matches',
        'origins refuse ORIGIN_NOT_ALLOWED: no entry matches',
      ],
    ],
  ])('%s', async (_what, headers, reason, lines) => {
    const dry = await agreed(request({ headers: headersOf(headers) }), { allowlists: LISTS });
    expect(dry.reason).toBe(reason);
    expect(linesOf(dry, 'userAgents', 'origins')).toEqual(lines);
  });
});

describe('body', () => {
  test.each<[string, string, string, string]>([
    ['', 'PARSE_ERROR', '400', 'the body is not JSON from character 0 on'],
    ['{"jsonrpc":', 'PARSE_ERROR', '400', 'the body is not JSON from character 11 on'],
    ['\ufeff{}', 'PARSE_ERROR', '400', 'the body is not JSON from character 0 on'],
    ['[]', 'INVALID_REQUEST', '400', 'an empty batch'],
    ['[1,1,1,1,1]', 'BATCH_TOO_LARGE', '413', 'a batch of 5 calls'],
  ])('%j is refused as a whole', async (text, reason, status, why) => {
    const dry = await agreed(request({ body: text }));
    expect([dry.reason, String(dry.status), dry.calls, dry.forwarded]).toEqual([reason, status, [], null]);
    expect(linesOf(dry, 'body')).toEqual([`body refuse ${reason}: ${why}`]);
  });

  test('is as large as it may be, and one byte larger', async () => {
    const longest = bodyOf(rpc('eth_blockNumber')).padEnd(1500);
    expect((await agreed(request({ body: longest }))).allowed).toBe(true);
    const dry = await agreed(request({ body: `${longest} ` }));
    expect(dry).toMatchObject({ reason: 'BODY_TOO_LARGE', status: 413, calls: [], forwarded: null });
    expect(linesOf(dry, 'body')).toEqual(['body refuse BODY_TOO_LARGE: request body larger than 1500 bytes']);
    const inBytes = bodyOf(rpc('eth_blockNumber', ['☃'.repeat(480)]));
    expect((await agreed(request({ body: inBytes }))).reason).toBe('BODY_TOO_LARGE');
  });

  test.each<[string, string, string]>([
    ['7', 'Invalid Request', 'a call must be an object'],
    ['null', 'Invalid Request', 'a call must be an object'],
    ['{}', 'Invalid Request', 'jsonrpc must be "2.0"'],
    [
      '{"jsonrpc":"2.0","id":true,"method":"eth_call"}',
      'Invalid Request',
      'id must be a short string, a number or null',
    ],
    ['{"jsonrpc":"2.0","method":"a b"}', 'Invalid Request', 'method must be up to 128 printable ASCII characters'],
    ['{"jsonrpc":"2.0","method":"eth_call","params":{}}', 'Invalid params', 'params must be an array'],
  ])('that is not a call is refused in the words of the guard: %s', async (text, message, why) => {
    const dry = await agreed(request({ body: text }));
    expect(dry).toMatchObject({ reason: 'INVALID_REQUEST', status: 400, message });
    expect(dry.calls).toMatchObject([
      { method: null, allowed: false, steps: [{ step: 'body', outcome: 'refuse', why }] },
    ]);
  });

  test('is reported even where an earlier step refuses', async () => {
    const dry = await agreed(request({ body: '[' }), { requireSecret: true });
    expect(dry).toMatchObject({ reason: 'SECRET_REQUIRED', status: 401 });
    expect(linesOf(dry, 'body')).toEqual(['body refuse PARSE_ERROR: the body is not JSON from character 1 on']);
  });
});

describe('contractAddresses', () => {
  const allowlists = { contractAddresses: [LISTED, SECOND] };
  const passes = (entry: string) => `- contractAddresses pass by ${entry}: every address is listed`;
  const fails = (why: string) => `- contractAddresses refuse CONTRACT_ADDRESS_NOT_ALLOWED: ${why}`;

  test.each<[string, readonly unknown[], string]>([
    ['eth_call', [{ to: LISTED }, 'latest'], passes(LISTED)],
    ['eth_getBalance', [UPPER, 'latest'], passes(LISTED)],
    ['eth_getLogs', [{ address: [SECOND, LISTED, SECOND] }], passes(`${LISTED} ${SECOND}`)],
    ['acme_read', [SECOND], passes(SECOND)],
    ['eth_chainId', [], '- contractAddresses pass: the method takes no address'],
    ['eth_getLogs', [{ address: [LISTED, OTHER] }], fails(`not listed: ${OTHER}`)],
    ['eth_getCode', ['vitalik.eth'], fails('not listed: vitalik.eth')],
    ['eth_getCode', [`0X${LISTED.slice(2)}`], fails(`not listed: 0X${LISTED.slice(2)}`)],
    ['eth_getCode', [], fails('it does not say plainly which addresses it queries')],
    ['eth_call', [{ TO: LISTED }], fails('it does not say plainly which addresses it queries')],
    [
      'eth_call',
      [{ to: LISTED }, 'latest', { [LISTED]: { code: '0x' } }],
      fails('it does not say plainly which addresses it queries'),
    ],
    ['acme_read', [], fails('it does not say plainly which addresses it queries')],
    ['acme_write', [LISTED], fails('the method is not in the table')],
    ['eth_getBalanse', [LISTED], fails('the method is not in the table; did you mean eth_getBalance?')],
  ])('%s %j', async (method, params, line) => {
    const dry = await agreed(body(rpc(method, params)), { allowlists });
    expect(linesOf(dry, 'contractAddresses')).toEqual([line]);
    expect(dry.reason).toBe(line.includes('refuse') ? 'CONTRACT_ADDRESS_NOT_ALLOWED' : null);
    if (!dry.allowed) expect(dry.status).toBe(403);
  });

  test.each<[string, unknown, string]>([
    ['an object', { to: LISTED }, `{"to":"${LISTED}"}`],
    ['null', null, 'null'],
    ['a big number', 1e21, '1e+21'],
    ['an array', [LISTED], `["${LISTED}"]`],
    ['a long text', 'x'.repeat(1000), 'x'.repeat(100)],
  ])('what stands in place of an address is named: %s', async (_what, value, words) => {
    const dry = await agreed(body(rpc('eth_getLogs', [{ address: [LISTED, value] }])), { allowlists });
    expect(linesOf(dry, 'contractAddresses')).toEqual([fails(`not listed: ${words}`)]);
  });
});

describe('blockedMethods and methods', () => {
  const allowlists = { methods: ['eth_get*', 'eth_getCode', 'net_version', 'admin_peers', 'eth_sign'] };

  test.each<[string, string | null, readonly string[]]>([
    ['eth_getCode', null, ['- blockedMethods pass: not blocked', '- methods pass by eth_get*: matches']],
    ['net_version', null, ['- blockedMethods pass: not blocked', '- methods pass by net_version: matches']],
    [
      'ETH_getCode',
      'METHOD_NOT_ALLOWED',
      [
        '- blockedMethods pass: not blocked',
        '- methods refuse METHOD_NOT_ALLOWED: no entry matches; did you mean eth_getCode?',
      ],
    ],
    [
      'admin_peers',
      'METHOD_BLOCKED',
      [
        '- blockedMethods refuse METHOD_BLOCKED by admin_*: blocked for every key',
        '- methods pass by admin_peers: matches',
      ],
    ],
    [
      'eth_sign',
      'METHOD_BLOCKED',
      [
        '- blockedMethods refuse METHOD_BLOCKED by eth_sign: blocked for every key',
        '- methods pass by eth_sign: matches',
      ],
    ],
    [
      'admin_x',
      'METHOD_BLOCKED',
      [
        '- blockedMethods refuse METHOD_BLOCKED by admin_*: blocked for every key',
        '- methods refuse METHOD_NOT_ALLOWED: no entry matches',
      ],
    ],
  ])('%s', async (method, reason, lines) => {
    const dry = await agreed(body(rpc(method)), { allowlists });
    expect(linesOf(dry, 'blockedMethods', 'methods')).toEqual(lines);
    expect([dry.reason, dry.status]).toEqual([reason, reason === null ? 200 : 403]);
    if (reason === 'METHOD_BLOCKED') expect(dry.message).toBe(`the method ${method} does not exist/is not available`);
  });

  test('no secret lifts what is blocked', async () => {
    const dry = await agreed(
      { ...body(rpc('admin_peers')), headers: withSecret('server') },
      { secrets: SECRETS, overrideAllowlists: true },
    );
    expect(dry.reason).toBe('METHOD_BLOCKED');
  });
});

describe('a batch', () => {
  const allowlists = { methods: ['eth_call', 'eth_chainId'], contractAddresses: [LISTED] };

  test('gets a verdict for each call, and what is left is what would be forwarded', async () => {
    const dry = await agreed(
      body(
        rpc('eth_chainId', [], 'a'),
        rpc('eth_call', [{ to: OTHER }], 2),
        { jsonrpc: '2.0', method: 'eth_chainId' },
        rpc('eth_gasPrice', [], null),
      ),
      { allowlists },
    );
    expect(dry.calls.map(({ id, method, reason }) => [id, method, reason])).toEqual([
      ['"a"', 'eth_chainId', null],
      ['2', 'eth_call', 'CONTRACT_ADDRESS_NOT_ALLOWED'],
      [null, 'eth_chainId', null],
      ['null', 'eth_gasPrice', 'METHOD_NOT_ALLOWED'],
    ]);
    expect(dry).toMatchObject({
      allowed: false,
      reason: 'CONTRACT_ADDRESS_NOT_ALLOWED',
      status: 200,
      message: '2 of 4 calls are allowed',
      forwarded:
        '[{"jsonrpc":"2.0","id":"a","method":"eth_chainId","params":[]},{"jsonrpc":"2.0","method":"eth_chainId"}]',
    });
  });

  test('of which nothing is allowed is answered with 200, and nothing is forwarded', async () => {
    const dry = await agreed(request({ body: '[1,{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice"}]' }), { allowlists });
    expect(dry).toMatchObject({ allowed: false, status: 200, forwarded: null, message: '0 of 2 calls are allowed' });
    expect(dry.calls.map(({ reason }) => reason)).toEqual(['INVALID_REQUEST', 'METHOD_NOT_ALLOWED']);
  });

  test('of one call is still a batch, and ids may repeat', async () => {
    const one = await agreed(request({ body: `[${bodyOf(rpc('eth_chainId'))}]` }));
    expect(one.forwarded).toMatch(/^\[.*\]$/);
    const repeated = body(
      rpc('eth_chainId'),
      rpc('eth_gasPrice'),
      rpc('eth_chainId'),
      rpc('eth_call', [{ to: LISTED }]),
    );
    expect(await agreed(repeated, { allowlists })).toMatchObject({ message: '3 of 4 calls are allowed' });
  });
});

test('a custom path makes no difference', async () => {
  const elsewhere = await openBench({ path: '/rpc/:apiKey/eth' });
  expect((await agreed(request(), {}, elsewhere)).allowed).toBe(true);
  expect((await agreed(request({ apiKey: 'unknown-key' }), {}, elsewhere)).reason).toBe('KEY_UNKNOWN');
});

describe('whatever key and request come,', () => {
  const chosen = <T>(...values: readonly T[]) => fc.constantFrom(...values);
  const rarely = <T>(value: T, often: T) =>
    fc.oneof({ weight: 1, arbitrary: fc.constant(value) }, { weight: 12, arbitrary: fc.constant(often) });
  const listOf = (...entries: readonly string[]) =>
    fc.oneof(fc.constant([]), fc.subarray([...entries], { minLength: 1 }));
  const lists = fc.record({
    userAgents: listOf('Android', 'curl/8', 'My App (x)'),
    origins: listOf('https://a.example', '*.b.example', 'null', 'https://', 'localhost:*'),
    contractAddresses: listOf(LISTED, SECOND, UPPER),
    methods: listOf('eth_call', 'eth_get*', 'net_version', 'admin_peers', 'acme_*', 'eth_chainId'),
  });
  const settings: fc.Arbitrary<Partial<KeySettingsInput>> = fc.record({
    enabled: rarely(false, true),
    requireSecret: fc.boolean(),
    overrideAllowlists: fc.boolean(),
    allowlists: lists,
    secrets: fc.subarray(SECRETS),
  });

  const authorization = chosen(
    undefined,
    undefined,
    ...Object.values(secretOf).map((secret) => basicHeader(secret)),
    basicHeader(secretOf.server, KEY),
    basicHeader(secretOf.server, 'root'),
    basicHeader(''),
    'Basic !!',
    '',
  );
  const userAgent = chosen(undefined, 'Android 14', 'xcurl/8', 'my app (x)', 'My App (x)');
  const origin = chosen(
    undefined,
    'https://a.example',
    'http://x.b.example',
    'null',
    'https://a.example/',
    'http://localhost:3000',
    'HTTPS://A.EXAMPLE:443',
  );
  const headers = fc
    .tuple(authorization, userAgent, origin, rarely(true, false), chosen('Origin', 'authorization', 'X-Other'))
    .map(([credentials, agent, from, isTwice, name]): DryRunRequest['headers'] => {
      const once = headersOf({
        ...(credentials === undefined ? {} : { Authorization: credentials }),
        ...(agent === undefined ? {} : { 'User-Agent': agent }),
        ...(from === undefined ? {} : { origin: from }),
      });
      return isTwice ? [...once, [name, 'x'], [name, 'x']] : once;
    });

  const address = chosen<unknown>(LISTED, UPPER, SECOND, OTHER, `0X${LISTED.slice(2)}`, '0x1', '', null, 7, {}, [
    LISTED,
  ]);
  const call = fc
    .tuple(
      chosen(
        'eth_call',
        'eth_getCode',
        'eth_getLogs',
        'eth_chainId',
        'net_version',
        'admin_peers',
        'acme_read',
        'acme_x',
        'eth_sign',
      ),
      address,
      address,
      fc.boolean(),
      chosen<unknown>(1, 1, 2, 'a', null, undefined),
    )
    .map(([method, one, two, isPlain, id]) => {
      const params: Record<string, readonly unknown[]> = {
        eth_call: [{ to: one }, 'latest', ...(isPlain ? [] : [{ [LISTED]: {} }])],
        eth_getLogs: [{ address: isPlain ? one : [one, two] }],
        eth_chainId: [],
        net_version: isPlain ? [] : [one],
      };
      return { jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params: params[method] ?? [one] };
    });
  const noCall = chosen<unknown>(
    7,
    null,
    'x',
    [],
    {},
    { jsonrpc: '1.0', id: 1, method: 'eth_call' },
    { ...rpc('eth_call'), params: {} },
    { ...rpc('a b') },
    { ...rpc('eth_call'), id: {} },
  );
  const item = fc.oneof({ weight: 6, arbitrary: call }, { weight: 1, arbitrary: noCall });
  const text = fc.oneof(
    { weight: 6, arbitrary: item.map((one) => JSON.stringify(one)) },
    { weight: 8, arbitrary: fc.array(item, { minLength: 1, maxLength: 5 }).map((all) => JSON.stringify(all)) },
    {
      weight: 1,
      arbitrary: chosen(
        '',
        '{',
        '[]',
        '[[]]',
        'null',
        '{"jsonrpc":"2.0","id":1,"id":1,"method":"eth_call"}',
        '{"__proto__":1}',
        ' '.repeat(1501),
        '"\\ud800"',
        '\u0000',
      ),
    },
  );
  const apiKey = fc.oneof(
    { weight: 30, arbitrary: fc.constant(KEY) },
    { weight: 1, arbitrary: chosen('', 'short', 'fedcba9876543210', '__proto__', KEY.toUpperCase()) },
  );
  const requests: fc.Arbitrary<DryRunRequest> = fc.record({ apiKey, headers, body: text });

  test('the dry run and the guard agree', async () => {
    const reasons = new Set<string | null>();
    await fc.assert(
      fc.asyncProperty(settings, requests, async (given, asked) => {
        const dry = await agreed(asked, given);
        for (const reason of [dry.reason, ...dry.calls.map((each) => each.reason)]) reasons.add(reason);
      }),
      { numRuns: 600 },
    );
    // What was drawn went everywhere.
    for (const reason of [null, 'SECRET_INVALID', 'ORIGIN_NOT_ALLOWED', 'METHOD_NOT_ALLOWED', 'INVALID_REQUEST']) {
      expect(reasons).toContain(reason);
    }
  });

  test('the entry that a step names decides alike when it is the only one', async () => {
    await fc.assert(
      fc.asyncProperty(settings, requests, async (given, asked) => {
        const key = parseKeySettings({ apiKey: KEY, ...given });
        const dry = await dryRun({ ...asked, apiKey: KEY }, key, bench.options, undefined);
        const all = [...dry.steps, ...dry.calls.flatMap((each) => each.steps)];
        for (const [n, step] of all.entries()) {
          if (step.entry === null) continue;
          const { alone, options } = leaving(key, step);
          const again = await dryRun({ ...asked, apiKey: KEY }, alone, options, undefined);
          const found = [...again.steps, ...again.calls.flatMap((each) => each.steps)][n];
          expect(found).toEqual(step);
        }
      }),
      { numRuns: 200 },
    );
  });

  /** The key and the options with no other entry or secret in the place of which the step speaks. */
  function leaving(key: KeySettings, { step, entry }: DryRunStep) {
    const { options } = bench;
    if (step === 'secret') {
      return {
        alone: parseKeySettings({ ...key, secrets: key.secrets.filter(({ hint }) => hint === entry) }),
        options,
      };
    }
    if (step === 'blockedMethods') {
      const { isBlocked } = parseOptions({
        ...OPTIONS,
        store: bench.store,
        upstream: 'http://127.0.0.1:1',
        blockedMethods: [entry!],
      });
      return { alone: key, options: { ...options, isBlocked, blockedMethods: [entry!] } };
    }
    const only = <T extends KeySettings['allowlists']>(of: T): T => ({
      ...of,
      [step]: entry!.split(' ').length > 1 && step === 'contractAddresses' ? entry!.split(' ') : [entry],
    });
    const secrets = key.secrets.map((secret) =>
      secret.allowlists === undefined || secret.id === 'free'
        ? secret
        : { ...secret, allowlists: only(secret.allowlists) },
    );
    return { alone: parseKeySettings({ ...key, allowlists: only(key.allowlists), secrets }), options };
  }
});
