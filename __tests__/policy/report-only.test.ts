import fc from 'fast-check';
import { MemoryStore, hashSecret } from '../../lib';
import type { Decision, KeySettingsInput } from '../../lib';
import { ALLOWLISTS, ALLOWLIST_TYPES } from '../../lib/allowlists';
import { addressTable } from '../../lib/allowlists/address-table';
import { DEFAULT_BLOCKED_METHODS } from '../../lib/allowlists/default-blocked-methods';
import { admitTo } from '../../lib/policy/authorize';
import { compileBlockedMethods } from '../../lib/policy/blocked-methods';
import { judgeBody } from '../../lib/policy/evaluate-body';
import { isRefusal } from '../../lib/policy/refusals';
import type { RequestFacts } from '../../lib/request/request-facts';
import { compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { AllowlistType } from '../../lib/settings/key-settings';
import { basic, call, guardedApp, post } from '../support/guarded-app';
import { guardedSockets, openSocket } from '../support/guarded-sockets';
import { KEY, OTHER_KEY, basicHeader, factsOf, recordingLogger } from '../support/pieces';
import { ask, expectAlive } from '../support/socket-session';
import { until } from '../support/until';

/** That of the same settings with all lists enforced. */
const ENFORCING_KEY = 'the-key-that-enforces-all-lists';
const SECRET = 'a-secret-brought-along-from-elsewhere';
const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const OTHER = '0x1111111111111111111111111111111111111111';
const ORIGIN = 'https://app.example.com';
const LISTS = {
  contractAddresses: [LISTED],
  userAgents: ['Android'],
  origins: [ORIGIN],
  methods: ['eth_call', 'eth_get*'],
};
const rules = {
  addressTable: addressTable({}),
  isBlocked: compileBlockedMethods(DEFAULT_BLOCKED_METHODS),
  blockedMethods: DEFAULT_BLOCKED_METHODS,
};
const SUBSETS = Array.from({ length: 2 ** ALLOWLIST_TYPES.length }, (_, bits) =>
  ALLOWLIST_TYPES.filter((_type, index) => (bits >> index) % 2 === 1),
);

type Settings = Omit<KeySettingsInput, 'apiKey'>;

/** The same settings, where these types have no list: neither the key's nor a secret's. */
function without(settings: Settings, types: readonly AllowlistType[]): Settings {
  const none = Object.fromEntries(types.map((type) => [type, []]));
  return {
    ...settings,
    reportOnly: [],
    allowlists: { ...settings.allowlists, ...none },
    secrets: (settings.secrets ?? []).map(({ allowlists, ...secret }) => ({
      ...secret,
      ...(allowlists && { allowlists: { ...allowlists, ...none } }),
    })),
  };
}

interface Ruling {
  readonly refused: string | undefined;
  readonly wouldRefuse: string | undefined;
}

/** What each call of a body gets. */
async function rulings(settings: Settings, facts: RequestFacts, calls: readonly unknown[]): Promise<readonly Ruling[]> {
  const key = compileKeySettings(parseKeySettings({ apiKey: KEY, ...settings }));
  const admission = await admitTo(key, facts);
  const judged = isRefusal(admission) ? admission : judgeBody(JSON.stringify(calls), 10, admission, rules);
  if (isRefusal(judged)) return calls.map(() => ({ refused: judged.refused, wouldRefuse: undefined }));
  return judged.calls.map(({ refusal, wouldRefuse }) => ({
    refused: refusal?.refused,
    wouldRefuse: wouldRefuse?.refused,
  }));
}

const listsOf = fc.record({
  contractAddresses: fc.subarray([LISTED]),
  userAgents: fc.subarray(['Android']),
  origins: fc.subarray([ORIGIN, 'null']),
  methods: fc.subarray(['eth_call', 'eth_get*']),
});
const secretOf = fc.oneof(fc.constant({}), fc.record({ allowlists: listsOf })).map((more) => ({
  hash: hashSecret(SECRET),
  ...more,
}));
const settingsOf: fc.Arbitrary<Settings> = fc.record({
  requireSecret: fc.boolean(),
  overrideAllowlists: fc.boolean(),
  allowlists: listsOf,
  secrets: fc.array(secretOf, { maxLength: 1 }),
  reportOnly: fc.subarray([...ALLOWLIST_TYPES]),
});
const headersOf = fc.record({
  origin: fc.constantFrom(undefined, ORIGIN, 'null', 'https://evil.example'),
  userAgent: fc.constantFrom(undefined, 'Android 15', 'curl/8'),
  authorization: fc.constantFrom(undefined, basicHeader(SECRET), basicHeader('wrong')),
});
const someCall = fc.constantFrom<unknown>(
  call('eth_call', [{ to: LISTED }, 'latest']),
  call('eth_call', [{ to: OTHER }, 'latest']),
  call('eth_getBalance', [OTHER, 'latest']),
  call('eth_blockNumber'),
  call('admin_peers'),
  call('acme_unknown', [{}]),
  { jsonrpc: '2.0' },
);

describe('with lists that only report', () => {
  test('the verdict is that of the settings without these lists, and wouldRefuse what they refuse when enforced', async () => {
    const property = fc.asyncProperty(
      settingsOf,
      headersOf,
      fc.array(someCall, { minLength: 1, maxLength: 4 }),
      async (settings, headers, calls) => {
        const facts = factsOf(headers);
        const reporting = await rulings(settings, facts, calls);
        const open = await rulings(without(settings, settings.reportOnly ?? []), facts, calls);
        const enforcing = await rulings({ ...settings, reportOnly: [] }, facts, calls);
        expect(reporting.map(({ refused }) => refused)).toEqual(open.map(({ refused }) => refused));
        expect(reporting.map(({ wouldRefuse }) => wouldRefuse)).toEqual(
          reporting.map(({ refused }, index) => (refused === undefined ? enforcing[index]?.refused : undefined)),
        );
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  test('a list that fails refuses nothing, and is logged as an error', async () => {
    const logger = recordingLogger();
    const keys = [{ apiKey: KEY, allowlists: { methods: ['eth_call'] }, reportOnly: ['methods'] as const }];
    const app = await guardedApp({ keys, options: { logger } });
    const reads = jest.spyOn(ALLOWLISTS.methods, 'reads').mockImplementation(() => {
      throw new Error('a bug');
    });
    try {
      expect(await post(app.rpcUrl, call('eth_call'))).toMatchObject({ status: 200, json: { result: 'eth_call' } });
    } finally {
      reads.mockRestore();
    }
    expect(logger.lines.slice(1)).toEqual([
      { level: 'error', text: expect.stringMatching(/would refuse.*INTERNAL_ERROR.*a bug/s) as unknown },
    ]);
  });
});

describe('exactly what is forwarded without the lists is forwarded with lists that only report', () => {
  const BODIES: readonly unknown[] = [
    call('eth_call', [{ to: LISTED }, 'latest']),
    call('eth_getBalance', [OTHER, 'latest']),
    call('eth_blockNumber'),
    [call('eth_blockNumber', [], 1), call('eth_getBalance', [LISTED, 'latest'], 2), call('admin_peers', [], 3)],
    [{ jsonrpc: '2.0', method: 'eth_blockNumber' }, call('eth_call', [{ to: OTHER }, 'latest'], 2)],
  ];
  const HEADERS: readonly Record<string, string>[] = [
    { Origin: ORIGIN, 'User-Agent': 'Android' },
    { Origin: 'https://evil.example', 'User-Agent': 'curl/8' },
    { Origin: ORIGIN, 'User-Agent': 'curl/8', ...basic(SECRET) },
  ];

  function store(types: readonly AllowlistType[]): MemoryStore {
    const secrets = [{ hash: hashSecret(SECRET), allowlists: { ...LISTS, methods: ['eth_blockNumber'] } }];
    const settings = { allowlists: LISTS, secrets };
    const reporting = { ...settings, apiKey: KEY, reportOnly: types };
    const open = { ...without(settings, types), apiKey: OTHER_KEY };
    return new MemoryStore([reporting, open, { ...settings, apiKey: ENFORCING_KEY }]);
  }

  /** What was decided on each method of a body, once it is told; of a request that came in no further, on all. */
  async function decided(decisions: Decision[], body: unknown): Promise<readonly (Decision | undefined)[]> {
    const methods = [body].flat().map((it) => (it as { method: string }).method);
    await until(() => {
      const told = decisions.flatMap((it) => it.methods);
      return (
        told.length === methods.length || decisions.some(({ allowed, methods: of }) => !allowed && of.length === 0)
      );
    }, 1);
    const all = decisions.splice(0);
    return methods.map(
      (method) => all.find((it) => it.methods.includes(method)) ?? all.find(({ allowed }) => !allowed),
    );
  }

  /** What is reported is the reason for which the settings would refuse with all lists enforced. */
  function expectReported(reporting: readonly (Decision | undefined)[], enforcing: readonly (Decision | undefined)[]) {
    expect(reporting.map((it) => it?.wouldRefuse)).toEqual(
      reporting.map((it, index) => (it?.allowed === true ? enforcing[index]?.reason : undefined)),
    );
    return reporting.filter((it) => it?.wouldRefuse !== undefined).length;
  }

  test('over HTTP, in batches, and by a secret with its own lists', async () => {
    let differs = 0;
    const enforcing = new Map<string, Awaited<ReturnType<typeof decided>>>();
    for (const types of SUBSETS) {
      const decisions: Decision[] = [];
      const options = { exposeReason: false, onDecision: (decision: Decision) => decisions.push(decision) };
      const app = await guardedApp({ store: store(types), options });
      const send = async (apiKey: string, body: unknown, headers: Record<string, string>) => {
        const answer = await post(app.rpcUrl.replace(KEY, apiKey), body, { ...headers, 'X-Request-Id': 'same' });
        const seen = app.upstream.seen.splice(0).map((request) => request.body);
        return { ...answer, seen, names: [...answer.headers.keys()], decided: await decided(decisions, body) };
      };
      for (const headers of HEADERS) {
        for (const body of BODIES) {
          const reporting = await send(KEY, body, headers);
          const open = await send(OTHER_KEY, body, headers);
          const asked = JSON.stringify([headers, body]);
          if (!enforcing.has(asked)) enforcing.set(asked, (await send(ENFORCING_KEY, body, headers)).decided);
          expect([types, reporting.status, reporting.text]).toEqual([types, open.status, open.text]);
          expect([reporting.seen, reporting.names]).toEqual([open.seen, open.names]);
          differs += expectReported(reporting.decided, enforcing.get(asked)!);
        }
      }
    }
    expect(differs).toBeGreaterThan(50);
  });

  test('over WebSocket, from the handshake on', async () => {
    let differs = 0;
    for (const types of SUBSETS) {
      const app = await guardedSockets({ store: store(types), options: { exposeReason: false } });
      const converse = async (apiKey: string, headers: Record<string, string>) => {
        const sent = { headers: { ...headers, 'X-Request-Id': 'same' } };
        const peer = await openSocket(app.socketUrl.replace(KEY, apiKey), sent).catch((error: unknown) =>
          String(error),
        );
        if (typeof peer === 'string') await until(() => app.decisions.length > 0, 1);
        const [handshake] = app.decisions.splice(0);
        const answers: unknown[] = [];
        const all: (Decision | undefined)[] = [];
        for (const body of BODIES) {
          if (typeof peer === 'string') {
            all.push(...[body].flat().map(() => handshake));
            continue;
          }
          answers.push(await ask(peer, body));
          all.push(...(await decided(app.decisions, body)));
        }
        const seen = app.upstream.messages.splice(0);
        return { told: { types, answers, seen, peer: typeof peer === 'string' && peer }, decided: all };
      };
      for (const headers of HEADERS) {
        const reporting = await converse(KEY, headers);
        const open = await converse(OTHER_KEY, headers);
        const enforcing = await converse(ENFORCING_KEY, headers);
        expect(reporting.told).toEqual(open.told);
        differs += expectReported(reporting.decided, enforcing.decided);
      }
    }
    expect(differs).toBeGreaterThan(50);
  });
});

test('a socket that a list no longer admits is closed once the list is enforced again', async () => {
  const store = new MemoryStore([{ apiKey: KEY, allowlists: { origins: [ORIGIN] }, reportOnly: ['origins'] }]);
  const app = await guardedSockets({ store });
  const [matching, other] = [
    await app.open({ headers: { Origin: ORIGIN } }),
    await app.open({ headers: { Origin: 'https://evil.example' } }),
  ];
  await expectAlive(other);
  expect(app.decisions.map(({ allowed, wouldRefuse, methods }) => [allowed, wouldRefuse, methods])).toEqual([
    [true, 'ORIGIN_NOT_ALLOWED', []],
    [true, 'ORIGIN_NOT_ALLOWED', ['eth_alive']],
  ]);
  await store.set({ apiKey: KEY, allowlists: { origins: [ORIGIN] } }, 1);
  const enforcedAt = performance.now();
  expect(await other.closed).toEqual({ code: 1008, reason: 'ORIGIN_NOT_ALLOWED' });
  expect(performance.now() - enforcedAt).toBeLessThan(1000);
  await expectAlive(matching);
});
