import { KeyManager, MemoryStore } from '../../lib';
import type { Proposal } from '../../lib/keys/proposal';
import { adminApp } from '../support/admin-app';
import type { AdminApp, AdminAppOptions } from '../support/admin-app';
import { KEY } from '../support/pieces';
import { putTraffic } from '../support/used-key';

const PATH = `keys/${KEY}/proposal`;

/** A key with a list of methods, which was called for two days. */
async function app(options: AdminAppOptions['options'] = {}): Promise<AdminApp> {
  const store = new MemoryStore([{ apiKey: KEY, allowlists: { methods: ['eth_chainId'] } }]);
  await putTraffic(store, KEY, [
    { kind: 'method', name: 'eth_call', calls: 995 },
    { kind: 'method', name: 'eth_getLogs', calls: 5 },
    { kind: 'method', name: 'eth_sign', calls: 50, outcome: 'METHOD_NOT_ALLOWED' },
    { kind: 'origin', name: 'https://app.example.com', calls: 1000 },
  ]);
  return adminApp({ options: { store, ...options } });
}

test('a viewer reads what is proposed, and adds nothing', async () => {
  const it = await app({ role: () => 'viewer' });
  const id = (await it.api('GET', 'keys')).json.keys[0]!.apiKey;
  const read = await it.api('GET', `keys/${id}/proposal?since=7d&minimumShare=0.01`);
  expect(read.text).not.toContain(KEY);
  const { proposal } = JSON.parse(read.text) as { readonly proposal: Proposal };
  expect(proposal).toMatchObject({ calls: 1000, togetherAtMost: 0.005 });
  expect(proposal.lists.methods).toMatchObject({
    entries: [
      { entry: 'eth_call', calls: 995, share: 0.995, isTicked: true },
      { entry: 'eth_getLogs', isTicked: false },
    ],
    uncovered: { calls: 5 },
    refused: [{ entry: 'eth_sign', calls: 50 }],
  });
  const adding = await it.api('POST', `keys/${id}/proposal`, { lists: { methods: ['eth_call'] }, expectedVersion: 1 });
  expect([adding.status, adding.json.error.code]).toEqual([403, 'EDITOR_ONLY']);
  expect((await it.api('GET', PATH)).status).toBe(404);
  expect((await it.store.get(KEY))!.version).toBe(1);
});

test('an editor adds to several lists in one write: what had no entries reports, what refuses goes on refusing', async () => {
  const it = await app({ actor: () => 'ann' });
  const lists = { methods: ['eth_call'], origins: ['https://app.example.com'] };
  const { status, json } = await it.api('POST', PATH, { lists, expectedVersion: 1 });
  expect([status, json.key.version, json.key.reportOnly]).toEqual([200, 2, ['origins']]);
  expect(json.key.allowlists.methods).toEqual(['eth_chainId', 'eth_call']);
  const enforced = await it.api('POST', PATH, {
    lists: { origins: ['https://b.example.com'] },
    reportOnly: false,
    expectedVersion: 2,
  });
  expect(enforced.json.key).toMatchObject({
    reportOnly: [],
    allowlists: { origins: ['https://app.example.com', 'https://b.example.com'] },
  });
  const events = await new KeyManager(it.store).audit();
  expect(events.map(({ action, actor, via }) => [action, actor, via])).toEqual([
    ['allowlist.propose', 'ann', 'api'],
    ['allowlist.propose', 'ann', 'api'],
  ]);
});

test('on a key that has changed meanwhile nothing is added, and the answer has the key as it is', async () => {
  const it = await app();
  await new KeyManager(it.store).update(KEY, { name: 'changed' });
  const { status, json } = await it.api('POST', PATH, {
    lists: { origins: ['https://a.example'] },
    expectedVersion: 1,
  });
  expect([status, json.error.code, json.error.current.version]).toEqual([409, 'STALE_VERSION', 2]);
  expect((await it.store.get(KEY))!.allowlists.origins).toEqual([]);
});

test.each<[what: string, body: unknown, message: RegExp]>([
  ['no version', { lists: { methods: ['eth_call'] } }, /^expectedVersion: it takes the version/],
  ['a misspelt member', { lists: {}, enforce: true, expectedVersion: 1 }, /may only have lists, reportOnly/],
  ['a list that there is not', { lists: { method: ['eth_call'] }, expectedVersion: 1 }, /no such list/],
  ['lists without entries', { lists: {}, expectedVersion: 1 }, /lists: it takes/],
  ['an empty list', { lists: { methods: [] }, expectedVersion: 1 }, /allowlists\.methods: it takes one entry or more/],
  ['a text in place of entries', { lists: { methods: 'eth_call' }, expectedVersion: 1 }, /methods: it takes/],
  ['an entry that does not parse', { lists: { origins: ['https://a.example/x'] }, expectedVersion: 1 }, /path/],
  [
    'a 31st entry',
    { lists: { methods: Array.from({ length: 30 }, (_, n) => `eth_m${String(n)}`) }, expectedVersion: 1 },
    /30/,
  ],
  ['a wrong switch', { lists: { methods: ['eth_call'] }, reportOnly: 'no', expectedVersion: 1 }, /reportOnly/],
])('%s is refused with its reason, and nothing is written', async (_what, body, message) => {
  const it = await app();
  const { status, json } = await it.api('POST', PATH, body);
  expect([status, json.error.message]).toEqual([400, expect.stringMatching(message)]);
  expect((await it.store.get(KEY))!.version).toBe(1);
});

test.each(['since=soon', 'since=0d', 'minimumShare=2', 'minimumShare=x', 'secretId=x'])(
  'refuses ?%s',
  async (query) => {
    const it = await app();
    expect([400, 404]).toContain((await it.api('GET', `${PATH}?${query}`)).status);
  },
);

test('of a key that there is not nothing is proposed', async () => {
  const it = await app();
  for (const method of ['GET', 'POST']) {
    const body = method === 'POST' ? { lists: { methods: ['eth_call'] }, expectedVersion: 1 } : undefined;
    expect((await it.api(method, 'keys/another-key/proposal', body)).json.error.code).toBe('KEY_UNKNOWN');
  }
});
