import { connect } from 'node:net';
import { KeyManager, MemoryStore } from '../../lib';
import type { KeySettingsInput } from '../../lib';
import { addressTable } from '../../lib/allowlists/address-table';
import { compileCredits } from '../../lib/limits/credits';
import { Occurrence } from '../../lib/observe/request-event';
import { Usage } from '../../lib/observe/usage';
import { admissionOf } from '../../lib/policy/authorize';
import { judgeBody } from '../../lib/policy/evaluate-body';
import type { JudgedCalls } from '../../lib/policy/evaluate-body';
import type { RequestFacts } from '../../lib/request/request-facts';
import { compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { hashSecret } from '../../lib/settings/secret';
import { USAGE_KINDS } from '../../lib/stores/usage-store';
import type { UsageRow } from '../../lib/stores/usage-store';
import { endAfterTest } from '../support/cleanup';
import { fakeClock, stopLimitsClock } from '../support/fake-clock';
import { KEY, basic, call, guardedApp, post } from '../support/guarded-app';
import type { GuardedAppOptions } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { memoryKept } from '../support/memory-kept';
import { recordingLogger } from '../support/pieces';
import { recordingUpstream } from '../support/upstream';
import { until } from '../support/until';

const ALL = { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' };
const CONTRACT = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const SECRET = 'a-secret-that-nobody-may-find-in-what-is-stored';

async function countingApp(key: Omit<KeySettingsInput, 'apiKey'> = {}, given: GuardedAppOptions = {}) {
  const clock = stopLimitsClock();
  const store = new MemoryStore([{ apiKey: KEY, ...key }]);
  const app = await guardedApp({ ...given, store });
  return { ...app, store, counted: counted(clock, store) };
}

/** The rows once so many requests have been counted, as `kind name outcome calls`. */
function counted(clock: ReturnType<typeof stopLimitsClock>, store: MemoryStore) {
  return async (requests: number, apiKey = KEY): Promise<readonly UsageRow[]> => {
    let rows: readonly UsageRow[] = [];
    await until(async () => {
      await clock.pass(10_000);
      rows = await store.usage.read({ ...ALL, apiKey });
      return rows.reduce((sum, row) => sum + (row.requests ?? 0), 0) >= requests;
    });
    return rows;
  };
}

function brief(rows: readonly UsageRow[], ...kinds: readonly UsageRow['kind'][]): readonly string[] {
  return rows
    .filter(({ kind }) => kinds.includes(kind))
    .map(({ kind, name, outcome, calls }) => [kind, name, outcome, calls].filter((it) => it !== '').join(' '))
    .sort();
}

test('counts single calls by method, address, origin, product, secret and wire', async () => {
  const { rpcUrl, counted: rowsOf } = await countingApp({ secrets: [{ id: 's1', hash: hashSecret(SECRET) }] });
  const headers = { ...basic(SECRET), Origin: 'HTTPS://App.example.com:443', 'User-Agent': 'ethers/6.1 (node 20; x)' };
  await post(
    rpcUrl,
    call('eth_call', [{ to: CONTRACT.toUpperCase().replace('0X', '0x'), data: '0xdeadbeef' }]),
    headers,
  );
  await post(rpcUrl, call('eth_chainId'), headers);
  await post(rpcUrl, call('made_up'), { 'User-Agent': '(odd)', Origin: 'not an origin' });
  const rows = await rowsOf(3);
  expect(brief(rows, 'total', 'method', 'address', 'origin', 'userAgent', 'secret', 'wire')).toEqual(
    [
      'total allowed 3',
      'method eth_call allowed 1',
      'method eth_chainId allowed 1',
      'method (unknown) allowed 1',
      `address ${CONTRACT} allowed 1`,
      'origin https://app.example.com allowed 2',
      'origin (malformed) allowed 1',
      'userAgent ethers allowed 2',
      'userAgent (other) allowed 1',
      'secret s1 allowed 2',
      'wire http allowed 3',
    ].sort(),
  );
  const total = rows.find(({ kind }) => kind === 'total');
  expect(total).toMatchObject({ requests: 3, credits: 3, upstreamErrors: 0, peak: 3 });
  expect(total!.bytesIn).toBeGreaterThan(200);
  expect(total!.bytesOut).toBeGreaterThan(100);
  expect(total!.milliseconds!.reduce((sum, count) => sum + count)).toBe(3);
  const timed = rows.filter(({ milliseconds }) => milliseconds !== undefined);
  expect(new Set(timed.map(({ kind }) => kind))).toEqual(new Set(['total', 'method']));
});

test('counts in memory, and says so once, where the store keeps no usage', async () => {
  const store = new MemoryStore([{ apiKey: KEY }]);
  Object.assign(store, { usage: undefined });
  const logger = recordingLogger();
  const app = await guardedApp({ store, options: { logger } });
  for (let n = 0; n < 3; n++) await post(app.rpcUrl, call('eth_chainId'));
  await app.guard.close();
  const said = logger.lines.filter(({ text }) => text.includes('usage'));
  expect(said).toMatchObject([{ level: 'warn', text: expect.stringContaining('keeps no usage') as string }]);
  expect((await new KeyManager(store).usage(KEY)).rows).toMatchObject([{ name: 'eth_chainId', allowed: 3 }]);
});

test('counts each call of a batch by what became of it', async () => {
  const { rpcUrl, counted: rowsOf } = await countingApp(
    { allowlists: { methods: ['eth_call', 'eth_chainId'] } },
    { options: { credits: { eth_call: 10 } } },
  );
  const batch = [call('eth_call', [{ to: CONTRACT }]), call('eth_chainId'), call('eth_gasPrice'), 7];
  await post(rpcUrl, [...batch, call('admin_peers')]);
  const rows = await rowsOf(1);
  expect(brief(rows, 'total', 'method', 'wire')).toEqual([
    'method (unknown) METHOD_BLOCKED 1',
    'method eth_call allowed 1',
    'method eth_chainId allowed 1',
    'method eth_gasPrice METHOD_NOT_ALLOWED 1',
    'total INVALID_REQUEST 1',
    'total METHOD_BLOCKED 1',
    'total METHOD_NOT_ALLOWED 1',
    'total allowed 2',
    'wire http INVALID_REQUEST 1',
    'wire http METHOD_BLOCKED 1',
    'wire http METHOD_NOT_ALLOWED 1',
    'wire http allowed 2',
  ]);
  const ofKind = (kind: string, name: string) => rows.find((row) => row.kind === kind && row.name === name);
  expect(ofKind('method', 'eth_call')?.credits).toBe(10);
  expect(ofKind('total', '')?.credits).toBe(11);
  expect(rows.filter(({ requests = 0 }) => requests > 0)).toHaveLength(1);
});

test('counts what limits refuse as refused, and it costs nothing', async () => {
  const { rpcUrl, counted: rowsOf } = await countingApp(
    { limits: { perSecond: 1, burst: 1 } },
    { options: { limitWaitMs: 0 } },
  );
  await post(rpcUrl, [call('eth_chainId')]);
  await post(rpcUrl, [call('eth_chainId'), call('eth_gasPrice', [], 2)]);
  const rows = await rowsOf(2);
  expect(brief(rows, 'total')).toEqual(['total RATE_LIMITED 2', 'total allowed 1']);
  expect(rows.reduce((sum, { kind, credits }) => sum + (kind === 'total' ? credits : 0), 0)).toBe(1);
});

test('counts a batch whose allowed calls limits refuse by the reason of each', async () => {
  const {
    rpcUrl,
    upstream,
    counted: rowsOf,
  } = await countingApp(
    { limits: { perSecond: 1, burst: 1 }, allowlists: { methods: ['eth_chainId', 'eth_gasPrice'] } },
    { options: { limitWaitMs: 0 } },
  );
  await post(rpcUrl, [call('eth_chainId')]);
  const notification = { ...call('eth_gasPrice'), id: undefined };
  await post(rpcUrl, [call('eth_chainId'), notification, call('eth_call', [], 3), 7]);
  const rows = await rowsOf(2);
  expect(brief(rows, 'total')).toEqual([
    'total INVALID_REQUEST 1',
    'total METHOD_NOT_ALLOWED 1',
    'total RATE_LIMITED 2',
    'total allowed 1',
  ]);
  expect(rows.reduce((sum, { requests = 0 }) => sum + requests, 0)).toBe(2);
  expect(upstream.seen).toHaveLength(1);
});

test('counts a body that is refused before it is read under its key', async () => {
  const { rpcUrl, upstream, counted: rowsOf } = await countingApp({}, { options: { maxBodyBytes: 1000 } });
  await post(rpcUrl, call('eth_chainId', ['x'.repeat(2000)]));
  const rows = await rowsOf(1);
  expect(brief(rows, 'total', 'method')).toEqual(['total BODY_TOO_LARGE 1']);
  expect(rows.filter(({ kind }) => kind === 'refusal')).toMatchObject([{ outcome: 'BODY_TOO_LARGE', calls: 1 }]);
  expect(upstream.seen).toEqual([]);
});

test('counts refusals without a key that exists by their reason alone, and stores no key that was made up', async () => {
  const { url, store, upstream, counted: rowsOf } = await countingApp();
  for (const key of ['made-up-key-1', '', '%00']) await post(`${url}/v3/${key}`, call('eth_chainId'));
  await post(`${url}/v3/made-up-key-2`, call('eth_chainId'), { Origin: 'https://a.example' });
  const rows = await rowsOf(4, '(none)');
  expect(
    brief(
      rows.filter(({ kind }) => kind !== 'refusal'),
      ...USAGE_KINDS,
    ),
  ).toEqual(['total KEY_REQUIRED 1', 'total KEY_UNKNOWN 3']);
  // Their groups have all else, of which a thousand are kept, so that support finds whoever left out the key.
  expect(brief(rows, 'refusal')).toEqual([
    'refusal ["","(none)","node","","http",""] KEY_REQUIRED 1',
    'refusal ["","(none)","node","","http",""] KEY_UNKNOWN 2',
    'refusal ["","https://a.example","node","","http",""] KEY_UNKNOWN 1',
  ]);
  expect(JSON.stringify(await store.usage.read(ALL))).not.toContain('made-up-key');
  expect(upstream.seen).toEqual([]);
});

test('counts what a known key is refused before its body is read under that key', async () => {
  const { rpcUrl, upstream, counted: rowsOf } = await countingApp({ allowlists: { origins: ['https://a.example'] } });
  await post(rpcUrl, call('eth_chainId'), { Origin: 'https://b.example', 'X-Request-Id': 'support-has-this' });
  await post(rpcUrl, call('eth_chainId'), { ...basic('wrong'), Origin: 'https://a.example' });
  const rows = await rowsOf(2);
  expect(brief(rows, 'total', 'origin')).toEqual([
    'origin https://a.example SECRET_INVALID 1',
    'origin https://b.example ORIGIN_NOT_ALLOWED 1',
    'total ORIGIN_NOT_ALLOWED 1',
    'total SECRET_INVALID 1',
  ]);
  const group = rows.find(({ kind, outcome }) => kind === 'refusal' && outcome === 'ORIGIN_NOT_ALLOWED');
  expect(group).toMatchObject({ calls: 1, detail: { requestIds: ['support-has-this'] } });
  expect(upstream.seen).toEqual([]);
});

test('names the contract that is not listed in the group of its refusal', async () => {
  const { rpcUrl, counted: rowsOf } = await countingApp({ allowlists: { contractAddresses: [CONTRACT] } });
  const other = `0x${'AB'.repeat(20)}`;
  await post(rpcUrl, call('eth_getLogs', [{ address: [CONTRACT, other] }]));
  const [group] = (await rowsOf(1)).filter(({ kind }) => kind === 'refusal');
  expect(JSON.parse(group!.name)).toEqual(['eth_getLogs', '(none)', 'node', other.toLowerCase(), 'http', '']);
});

test('counts calls that a list of addresses would refuse whatever is on it', async () => {
  const { rpcUrl, counted: rowsOf } = await countingApp();
  const overriding = [{ to: CONTRACT }, 'latest', { [CONTRACT]: { code: '0x' } }];
  await post(rpcUrl, [
    call('eth_getLogs', [{}], 1),
    call('eth_getLogs', [{ address: [] }], 2),
    call('eth_call', overriding, 3),
    call('eth_getLogs', [{ address: [CONTRACT, '0x1'] }], 4),
    call('made_up', [CONTRACT], 5),
  ]);
  expect(brief(await rowsOf(1), 'address')).toEqual(['address (none) allowed 4', `address ${CONTRACT} allowed 1`]);
});

test('counts what a secret does that has lists of its own, call by call', async () => {
  const ids = { own: { allowlists: { methods: ['eth_call', 'made_up'] } }, none: {} };
  const secrets = Object.entries(ids).map(([id, more]) => ({ id, hash: hashSecret(`${SECRET} ${id}`), ...more }));
  const { rpcUrl, counted: rowsOf } = await countingApp({ secrets });
  const headers = { ...basic(`${SECRET} own`), Origin: 'https://a.example', 'User-Agent': 'ethers/6' };
  await post(rpcUrl, call('eth_call', [{ to: CONTRACT }]), headers);
  await post(
    rpcUrl,
    [call('eth_call', [{ to: CONTRACT }], 1), call('made_up', [], 2), call('eth_gasPrice', [], 3)],
    headers,
  );
  await post(rpcUrl, call('eth_chainId'), { ...headers, ...basic(`${SECRET} none`) });
  await post(rpcUrl, call('eth_chainId'), { Origin: 'https://a.example' });
  expect(brief(await rowsOf(4), 'ofSecret')).toEqual([
    'ofSecret address ' + CONTRACT + ' own allowed 2',
    'ofSecret method (unknown) own allowed 1',
    'ofSecret method eth_call own allowed 2',
    'ofSecret method eth_gasPrice own METHOD_NOT_ALLOWED 1',
    'ofSecret origin https://a.example own METHOD_NOT_ALLOWED 1',
    'ofSecret origin https://a.example own allowed 3',
    'ofSecret userAgent ethers own METHOD_NOT_ALLOWED 1',
    'ofSecret userAgent ethers own allowed 3',
  ]);
});

test('counts what the upstream failed at, and its error codes', async () => {
  const answers = [
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"header not found"}}',
    undefined,
    '{"jsonrpc":"2.0","id":1,"result":"0x1"}',
  ];
  const upstream = await recordingUpstream((_req, res) => {
    const answer = answers.shift();
    if (answer === undefined) res.destroy();
    else res.end(answer);
  });
  const { rpcUrl, counted: rowsOf } = await countingApp({}, { upstream });
  await post(rpcUrl, call('eth_chainId'));
  expect((await post(rpcUrl, call('eth_sendRawTransaction', ['0x00']))).status).toBe(502);
  await post(rpcUrl, call('eth_chainId'));
  const rows = await rowsOf(3);
  expect(brief(rows, 'total', 'code')).toEqual(['code -32000 allowed 1', 'total allowed 3']);
  expect(rows.find(({ kind }) => kind === 'total')?.upstreamErrors).toBe(1);
});

test('counts a caller that goes away before its answer once', async () => {
  const upstream = await recordingUpstream(() => undefined);
  const { port, counted: rowsOf } = await countingApp({}, { upstream });
  const body = JSON.stringify(call('eth_chainId'));
  const socket = connect(port, '127.0.0.1');
  socket.write(`POST /v3/${KEY} HTTP/1.1\r\nHost: x\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`);
  await until(() => upstream.seen.length === 1);
  socket.destroy();
  expect(brief(await rowsOf(1), 'total')).toEqual(['total allowed 1']);
});

test('counts what lists that only report would refuse, over HTTP, in batches and over WebSocket', async () => {
  const clock = stopLimitsClock(Date.now());
  const store = new MemoryStore([
    {
      apiKey: KEY,
      allowlists: { methods: ['eth_chainId'], origins: ['https://a.example'], contractAddresses: [CONTRACT] },
      reportOnly: ['methods', 'origins'],
    },
  ]);
  const app = await guardedSockets({ store });
  const { rpcUrl, upstream } = app;
  const headers = { Origin: 'https://a.example', 'X-Request-Id': 'of-http' };
  await post(rpcUrl, call('eth_gasPrice'), headers);
  await post(rpcUrl, call('eth_chainId'), { ...headers, Origin: 'https://b.example' });
  const batch = [call('eth_chainId'), call('eth_gasPrice', [], 2), call('eth_getBalance', [`0x${'1'.repeat(40)}`], 3)];
  await post(rpcUrl, batch, { ...headers, 'X-Request-Id': 'of-batch' });
  expect(upstream.seen).toHaveLength(3);
  const peer = await app.open({ headers });
  peer.socket.send(JSON.stringify(call('eth_gasPrice')));
  const rows = await counted(clock, store)(4);
  expect(brief(rows, 'total', 'method', 'wire')).toEqual(
    [
      'total allowed 1',
      'total wouldRefuse:METHOD_NOT_ALLOWED 3',
      'total wouldRefuse:ORIGIN_NOT_ALLOWED 1',
      'total CONTRACT_ADDRESS_NOT_ALLOWED 1',
      'method eth_chainId allowed 1',
      'method eth_chainId wouldRefuse:ORIGIN_NOT_ALLOWED 1',
      'method eth_gasPrice wouldRefuse:METHOD_NOT_ALLOWED 3',
      'method eth_getBalance CONTRACT_ADDRESS_NOT_ALLOWED 1',
      'wire http allowed 1',
      'wire http wouldRefuse:METHOD_NOT_ALLOWED 2',
      'wire http wouldRefuse:ORIGIN_NOT_ALLOWED 1',
      'wire http CONTRACT_ADDRESS_NOT_ALLOWED 1',
      'wire webSocket wouldRefuse:METHOD_NOT_ALLOWED 1',
    ].sort(),
  );
  const groups = await new KeyManager(store).refusals(KEY);
  expect(groups.map(({ reason, wouldBe, wire, count }) => [reason, wouldBe, wire, count].join(' ')).sort()).toEqual([
    'CONTRACT_ADDRESS_NOT_ALLOWED false http 1',
    'METHOD_NOT_ALLOWED true http 2',
    'METHOD_NOT_ALLOWED true webSocket 1',
    'ORIGIN_NOT_ALLOWED true http 1',
  ]);
});

test('counts each message of a WebSocket', async () => {
  const clock = stopLimitsClock();
  const store = new MemoryStore([{ apiKey: KEY, allowlists: { methods: ['eth_*'] } }]);
  const app = await guardedSockets({ store });
  const peer = await app.open({ headers: { 'User-Agent': 'viem/2' } });
  peer.socket.send(JSON.stringify(call('eth_chainId')));
  peer.socket.send(JSON.stringify(call('net_version')));
  peer.socket.send(JSON.stringify([call('net_version', [], 2), call('web3_sha3', [], 3)]));
  const rows = await counted(clock, store)(3);
  expect(brief(rows, 'total', 'wire', 'userAgent')).toEqual([
    'total METHOD_NOT_ALLOWED 3',
    'total allowed 1',
    'userAgent viem METHOD_NOT_ALLOWED 3',
    'userAgent viem allowed 1',
    'wire webSocket METHOD_NOT_ALLOWED 3',
    'wire webSocket allowed 1',
  ]);
});

test('leaves kinds out, and counts nothing where usage is off', async () => {
  const headers = { Origin: 'https://a.example' };
  const some = await countingApp({}, { options: { usage: { origins: false, userAgents: false } } });
  await post(some.rpcUrl, call('eth_getBalance', [CONTRACT, 'latest']), headers);
  const kinds = new Set((await some.counted(1)).map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual(['address', 'method', 'total', 'wire']);

  const store = new MemoryStore([{ apiKey: KEY }]);
  const none = await guardedApp({ store, options: { usage: false } });
  await post(none.rpcUrl, call('eth_chainId'), headers);
  await none.guard.close();
  expect(await store.usage.read(ALL)).toEqual([]);
});

test('stores no secret, param, whole user agent or address of a caller', async () => {
  const {
    rpcUrl,
    store,
    counted: rowsOf,
  } = await countingApp({
    secrets: [{ id: 's1', hash: hashSecret(SECRET) }],
    allowlists: { methods: ['eth_call'] },
  });
  const headers = { 'User-Agent': 'ethers/6.1 (build 4711)', 'X-Forwarded-For': '203.0.113.9' };
  const params = [{ from: `0x${'12'.repeat(20)}`, to: CONTRACT, data: '0xdeadbeefcafe' }, 'latest'];
  await post(rpcUrl, call('eth_call', params), { ...headers, ...basic(SECRET) });
  await post(rpcUrl, call('eth_estimateGas', params), { ...headers, ...basic(`${SECRET}x`) });
  await post(rpcUrl, [call('eth_estimateGas', params)], headers);
  await rowsOf(3);
  const stored = JSON.stringify(await store.usage.read(ALL));
  expect(stored).toContain('ethers');
  for (const private_ of [SECRET, hashSecret(SECRET), '4711', '6.1', 'deadbeef', '1212', '127.0.0.1', '203.0.113.9']) {
    expect(stored).not.toContain(private_);
  }
});

describe('in memory', () => {
  const admission = admissionOf(compileKeySettings(parseKeySettings({ apiKey: KEY })), undefined);
  const rules = { addressTable: addressTable({}), isBlocked: () => false, blockedMethods: [] };
  const judgedOf = (method: string, params: readonly unknown[]) =>
    judgeBody(Buffer.from(JSON.stringify(call(method, params))), 1, admission, rules);
  const allowed = { admission, judged: judgedOf('eth_chainId', []) };
  const refused = { admission, judged: { refused: 'ORIGIN_NOT_ALLOWED' } } as const;

  function counting() {
    const store = new MemoryStore();
    const clock = fakeClock();
    const usage = new Usage(
      { store, logger: recordingLogger(), prices: compileCredits({}), addressTable: rules.addressTable, clock },
      { origins: true, addresses: true, userAgents: true },
    );
    endAfterTest(() => usage.close());
    const count = (given: Partial<Occurrence>, facts: Partial<RequestFacts> = {}) => {
      const all = { apiKey: KEY, headers: {}, requestId: 'a', ...facts } as RequestFacts;
      usage.observe(Object.assign(new Occurrence(all, 'http', 0), given));
    };
    const rows = async (...kinds: readonly UsageRow['kind'][]) => {
      await usage.flush();
      return brief(await store.usage.read(ALL), ...kinds);
    };
    return { count, clock, rows };
  }

  test('counts who calls in turns with others, and what becomes of it, each by its own names', async () => {
    const { count, rows } = counting();
    const a = { origin: 'https://a.example', userAgent: 'ethers/6' };
    const b = { origin: 'https://b.example', userAgent: 'viem/2' };
    for (const facts of [a, a, b, a]) {
      count(allowed, facts);
      count(refused, facts);
    }
    count({ ...allowed, wire: 'webSocket' }, a);
    expect(await rows('total', 'origin', 'userAgent', 'wire')).toEqual([
      'origin https://a.example ORIGIN_NOT_ALLOWED 3',
      'origin https://a.example allowed 4',
      'origin https://b.example ORIGIN_NOT_ALLOWED 1',
      'origin https://b.example allowed 1',
      'total ORIGIN_NOT_ALLOWED 4',
      'total allowed 5',
      'userAgent ethers ORIGIN_NOT_ALLOWED 3',
      'userAgent ethers allowed 4',
      'userAgent viem ORIGIN_NOT_ALLOWED 1',
      'userAgent viem allowed 1',
      'wire http ORIGIN_NOT_ALLOWED 4',
      'wire http allowed 4',
      'wire webSocket allowed 1',
    ]);
  });

  test.each([
    ['allowed', allowed],
    ['ORIGIN_NOT_ALLOWED', refused],
  ])('counts who comes back after its origin has made room once: %s', async (outcome, given) => {
    const { count, rows } = counting();
    count(given, { origin: 'https://a.example' });
    for (let n = 0; n < 50; n++) for (let m = 0; m < 2; m++) count(given, { origin: `https://${String(n)}.example` });
    count(given, { origin: 'https://a.example' });
    const origins = await rows('origin');
    expect(origins).toContain(`origin https://a.example ${outcome} 1`);
    expect(origins.reduce((sum, row) => sum + Number(row.split(' ').at(-1)), 0)).toBe(102);
  });

  test('counts the first 50 addresses of a call, and the rest as one', async () => {
    const { count, rows } = counting();
    const secrets = [{ id: 's1', hash: hashSecret(SECRET), allowlists: { methods: ['eth_*'] } }];
    const key = compileKeySettings(parseKeySettings({ apiKey: KEY, secrets }));
    const address = Array.from({ length: 5000 }, (_, n) => `0x${n.toString(16).padStart(40, '0')}`);
    const judged = judgedOf('eth_getLogs', [{ address }]);
    for (let n = 0; n < 2; n++) count({ admission: admissionOf(key, key.secrets[0]), judged });
    const names = [...address.slice(0, 50), '(other)'];
    expect(await rows('address')).toEqual(names.map((name) => `address ${name} allowed 2`).sort());
    const ofSecret = (await rows('ofSecret')).filter((row) => row.includes(' address '));
    expect(ofSecret).toEqual(names.map((name) => `ofSecret address ${name} s1 allowed 2`).sort());
  });

  test('counts a secret in place of another one, and the hour after, from the first request on', async () => {
    const { count, clock, rows } = counting();
    const secrets = ['s1', 's2'].map((id) => ({ id, hash: hashSecret(`${SECRET} ${id}`) }));
    const key = compileKeySettings(parseKeySettings({ apiKey: KEY, secrets }));
    const [first, second] = key.secrets.map((secret) => ({ ...allowed, admission: admissionOf(key, secret) }));
    count(first!);
    count(first!);
    count(second!);
    await clock.pass(60 * 60 * 1000);
    count(second!);
    count(allowed);
    expect(await rows('total', 'secret')).toEqual([
      'secret s1 allowed 2',
      'secret s2 allowed 1',
      'secret s2 allowed 1',
      'total allowed 2',
      'total allowed 3',
    ]);
  });

  const PARENT = '0'.repeat(1_000_000);
  /** Part of a longer text, as the key is of a URL. */
  const part = (text: string) =>
    Buffer.from(text + PARENT)
      .toString()
      .slice(0, text.length);
  const unadmitted = { judged: { refused: 'SECRET_INVALID' } } as const;

  test.each<[string, (count: ReturnType<typeof counting>['count'], n: number) => void]>([
    ['URLs around keys', (count, n) => count(unadmitted, { apiKey: part(`${KEY}${String(n)}`) })],
    [
      'long headers of callers',
      (count, n) => {
        const long = Buffer.from(PARENT).toString('latin1');
        const judged = { refused: 'ORIGIN_NOT_ALLOWED' } as const;
        count({ judged }, { apiKey: `${KEY}${String(n)}`, userAgent: `viem/2 ${long}`, origin: long });
      },
    ],
    ['user agents', (count, n) => count(unadmitted, { userAgent: `product-of-some-length-${String(n)}/${PARENT}` })],
    [
      'bodies around methods',
      (count, n) => count({ admission, judged: judgedOf(`net_something-${String(n)}-long`, [PARENT]) }),
    ],
    [
      'bodies around refused methods',
      (count, n) => {
        const judged = judgedOf(`net_something-${String(n)}-long`, [PARENT]) as JudgedCalls;
        const refusal = { refused: 'METHOD_NOT_ALLOWED' } as const;
        count({ admission, judged: { ...judged, calls: judged.calls.map((it) => ({ ...it, refusal })) } });
      },
    ],
    [
      'bodies around addresses',
      (count, n) => {
        const to = `0x${n.toString(16).padStart(40, 'a')}`;
        count({ admission, judged: judgedOf('eth_call', [{ to, data: PARENT }]) });
      },
    ],
  ])('keeps names without the %s', async (_, countOne) => {
    const { count } = counting();
    const kept = await memoryKept(() => {
      for (let n = 0; n < 30; n++) countOne(count, n);
    });
    expect(kept).toBeLessThan(10_000_000);
  });
});
