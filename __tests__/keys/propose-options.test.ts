import { KeyManager, MemoryStore } from '../../lib';
import type { AuditEvent, RpcGuardError } from '../../lib';
import { usageOf } from '../../lib/stores/usage-rows';
import { HOUR_MS, hourOf } from '../../lib/stores/usage-store';
import { hashSecret } from '../../lib/settings/secret';
import { KEY, basic, call, guardedApp, post } from '../support/guarded-app';

const TOKEN = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed';
const SENDER = '0x1111111111111111111111111111111111111111';
const OTHER = '0x2222222222222222222222222222222222222222';
const PAGE = { Origin: 'https://app.example.com', 'User-Agent': 'Mozilla/5.0 (X11)' };
/** What a page asks through ethers or viem to read a token and to send a transaction. */
const TRAFFIC: readonly unknown[] = [
  [call('eth_chainId', [], 1), call('eth_blockNumber', [], 2)],
  call('eth_call', [{ to: TOKEN, data: '0x70a08231' }, 'latest']),
  call('eth_getTransactionCount', [SENDER, 'pending']),
  call('eth_estimateGas', [{ from: SENDER, to: TOKEN, data: '0xa9059cbb' }]),
  call('eth_feeHistory', ['0x4', 'latest', []]),
  call('eth_sendRawTransaction', ['0x02']),
  call('eth_getTransactionReceipt', [`0x${'1'.repeat(64)}`]),
  call('eth_getLogs', [{ address: TOKEN, fromBlock: '0x1' }]),
];
const ATTACKS: readonly (readonly [body: unknown, headers: Record<string, string>])[] = [
  [call('eth_call', [{ to: OTHER }, 'latest']), PAGE],
  [call('eth_getLogs', [{}]), PAGE],
  [call('eth_getBalance', [TOKEN, 'latest']), PAGE],
  [call('debug_traceTransaction', [`0x${'1'.repeat(64)}`]), PAGE],
  [call('eth_blockNumber'), { ...PAGE, Origin: 'https://evil.example.net' }],
  [call('eth_blockNumber'), { 'User-Agent': 'curl/8' }],
];

/** What was counted in this hour was two days ago too. */
async function putBack(store: MemoryStore): Promise<void> {
  const usage = usageOf(store);
  const now = Date.now();
  const rows = await usage.read({ apiKey: KEY, from: hourOf(now - HOUR_MS), to: hourOf(now + HOUR_MS) });
  const earlier = (hour: string) => hourOf(Date.parse(hour) - 48 * HOUR_MS);
  await usage.write(
    rows.map((row) => ({ ...row, instance: 'a', hour: earlier(row.hour), lastAt: row.lastAt - 48 * HOUR_MS })),
  );
}

/** A key that has been used for two days: what it is asked now it was asked two days ago too. */
async function used() {
  const store = new MemoryStore([{ apiKey: KEY }]);
  const app = await guardedApp({ store });
  for (let round = 0; round < 12; round++) for (const body of TRAFFIC) await post(app.rpcUrl, body, PAGE);
  await app.guard.close();
  await putBack(store);
  const events: AuditEvent[] = [];
  const manager = new KeyManager(store, { onAudit: (event) => events.push(event) });
  return { store, manager, events };
}

test('lists proposed from traffic let all of it pass once they refuse, and attacks no more', async () => {
  const { store, manager, events } = await used();
  const { lists, calls, togetherAtMost, notes } = await manager.propose(KEY);
  expect([calls, togetherAtMost]).toEqual([2 * 12 * 9, 0]);
  expect(notes).toContainEqual(expect.stringContaining('use origins'));
  const ticked = Object.entries(lists).map(([type, { entries }]) => [
    type,
    entries.filter(({ isTicked }) => isTicked).map(({ entry }) => entry),
  ]);
  const accepted = Object.fromEntries(ticked.filter(([, entries]) => entries!.length > 0)) as object;
  expect(accepted).toMatchObject({ origins: ['https://app.example.com'] });

  const key = await manager.applyProposal(KEY, { lists: accepted, reportOnly: false });
  expect(key).toMatchObject({ version: 2, reportOnly: [] });
  expect(events.map(({ action }) => action)).toEqual(['allowlist.propose']);
  const app = await guardedApp({ store });
  for (const body of TRAFFIC) {
    const { status, text } = await post(app.rpcUrl, body, PAGE);
    expect([body, status, text.includes('"error"')]).toEqual([body, 200, false]);
  }
  const seen = app.upstream.seen.length;
  for (const [body, headers] of ATTACKS) expect((await post(app.rpcUrl, body, headers)).status).toBe(403);
  expect(app.upstream.seen).toHaveLength(seen);
});

test('lists that had no entries only report at first; one that refuses goes on refusing', async () => {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, allowlists: { methods: ['eth_call'] } }]));
  const lists = { methods: ['eth_chainId', 'eth_call'], origins: ['https://a.example'] };
  const key = await manager.applyProposal(KEY, { lists }, { expectedVersion: 1 });
  expect(key).toMatchObject({ reportOnly: ['origins'], version: 2 });
  expect(key.allowlists).toMatchObject({ methods: ['eth_call', 'eth_chainId'], origins: ['https://a.example'] });
  const enforced = await manager.applyProposal(KEY, { lists: { origins: ['https://b.example'] }, reportOnly: false });
  expect(enforced).toMatchObject({ reportOnly: [], version: 3 });
  expect(await manager.applyProposal(KEY, { lists })).toMatchObject({ reportOnly: [], version: 3 });
  await expect(manager.applyProposal(KEY, { lists }, { expectedVersion: 1 })).rejects.toMatchObject({
    code: 'ERR_RPC_GUARD_STALE_WRITE',
  });
});

test('misspelt members are refused', async () => {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY }]));
  const codes = await Promise.all(
    [
      () => manager.propose(KEY, { since: 'yesterday' }),
      () => manager.propose(KEY, { minimumShare: 2 }),
      () => manager.propose(KEY, { secret: 'x' } as never),
      () => manager.applyProposal(KEY, { lists: {} }),
      () => manager.applyProposal(KEY, { lists: { method: ['eth_call'] } } as never),
      () => manager.applyProposal(KEY, {} as never),
    ].map((work) => work().then(String, (error: unknown) => (error as RpcGuardError).code)),
  );
  expect(codes).toEqual(Array(6).fill('ERR_RPC_GUARD_ARGUMENT'));
});

describe('a secret that has lists of its own', () => {
  const SECRET = 'a-secret-brought-along-from-elsewhere';
  const secrets = [
    { id: 'own', hash: hashSecret(SECRET), allowlists: { methods: ['eth_chainId'] } },
    { id: 'other', hash: hashSecret(`${SECRET}-2`) },
  ];

  test('gets lists from what it did alone, with the lists that hold for it', async () => {
    const store = new MemoryStore([{ apiKey: KEY, secrets: secrets.map((it) => ({ ...it, allowlists: {} })) }]);
    const app = await guardedApp({ store });
    const asSecret = { ...PAGE, ...basic(SECRET) };
    for (let round = 0; round < 60; round++) {
      await post(app.rpcUrl, call('eth_call', [{ to: TOKEN }]), asSecret);
      await post(app.rpcUrl, [call('eth_getLogs', [{}], 1), call('made_up', [], 2)], asSecret);
      await post(app.rpcUrl, call('eth_gasPrice'), { ...PAGE, ...basic(`${SECRET}-2`) });
      await post(app.rpcUrl, call('eth_getBalance', [TOKEN, 'latest']));
      await post(app.rpcUrl, call('eth_call', [{ to: TOKEN }]), PAGE);
    }
    await app.guard.close();
    await putBack(store);
    const { calls, lists } = await new KeyManager(store).propose(KEY, { secretId: 'own' });
    expect(calls).toBe(2 * 180);
    expect(lists.methods.entries.map(({ entry, calls: count }) => [entry, count])).toEqual([
      ['eth_call', 120],
      ['eth_getLogs', 120],
    ]);
    expect(lists.methods.others).toEqual([{ name: '(unknown)', calls: 120 }]);
    expect(lists.contractAddresses).toMatchObject({
      entries: [{ entry: expect.stringMatching(new RegExp(TOKEN, 'i')) as unknown, calls: 120 }],
      // Under a list of addresses, logs of any contract and unknown methods are refused: nothing is ticked.
      uncovered: { calls: 360 },
    });
    expect(lists.origins.entries).toMatchObject([{ entry: 'https://app.example.com', calls: 360 }]);
    const ofKey = await new KeyManager(store).propose(KEY);
    expect(ofKey.calls).toBe(2 * 120);
    expect(ofKey.lists.methods).toMatchObject({
      entries: [
        { entry: 'eth_call', calls: 120 },
        { entry: 'eth_getBalance', calls: 120 },
      ],
      others: [],
    });
    expect(ofKey.lists.contractAddresses).toMatchObject({ calls: 240, others: [] });
    expect(ofKey.notes).not.toContainEqual(expect.stringContaining('with a secret'));
  });

  test('gets entries on its own lists; the others stay as they are', async () => {
    const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, secrets }]));
    const lists = { methods: ['eth_call'], origins: ['https://a.example'] };
    const key = await manager.applyProposal(KEY, { lists, secretId: 'own' });
    expect(key.secrets[0]!.allowlists).toMatchObject({
      methods: ['eth_chainId', 'eth_call'],
      origins: ['https://a.example'],
    });
    expect([key.allowlists.methods, key.secrets[1]!.allowlists, key.reportOnly]).toEqual([[], undefined, ['origins']]);
    const [event] = await manager.audit();
    expect(event).toMatchObject({ action: 'allowlist.propose', secretId: 'own' });
  });

  test.each([
    ['of a secret, where the key refuses', { lists: { origins: ['https://a.example'] }, secretId: 'own' }],
    ['of the key, where a secret refuses', { lists: { methods: ['eth_call'] } }],
  ])('a new list %s by the same type, is not made to report: that would open the other', async (_what, accepted) => {
    const allowlists = { origins: ['https://b.example'] };
    const store = new MemoryStore([{ apiKey: KEY, allowlists, secrets }]);
    const manager = new KeyManager(store);
    await expect(manager.applyProposal(KEY, accepted)).rejects.toMatchObject({
      code: 'ERR_RPC_GUARD_ARGUMENT',
      message: expect.stringContaining('refuses already on this key') as unknown,
    });
    expect((await store.get(KEY))!.version).toBe(1);
    expect((await manager.applyProposal(KEY, { ...accepted, reportOnly: false })).reportOnly).toEqual([]);
  });

  test('is needed where one is named', async () => {
    const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, secrets }]));
    const codeOf = (secretId: string) =>
      manager.propose(KEY, { secretId }).then(String, (error: unknown) => (error as RpcGuardError).code);
    expect([await codeOf('other'), await codeOf('none')]).toEqual([
      'ERR_RPC_GUARD_ARGUMENT',
      'ERR_RPC_GUARD_SECRET_UNKNOWN',
    ]);
  });
});
