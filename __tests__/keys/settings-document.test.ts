import { KeyManager, MemoryStore, RpcGuardError, hashSecret } from '../../lib';
import type { KeySettingsInput } from '../../lib';
import { compare, readDocument, toDocument } from '../../lib/keys/settings-document';
import { KEY, thrownBy } from '../support/pieces';

const HASH = hashSecret('a');
const SETTINGS: KeySettingsInput = {
  apiKey: KEY,
  name: 'my dapp',
  requireSecret: true,
  secrets: [{ hash: HASH, label: 'backend', allowlists: { methods: ['eth_call'] } }],
  allowlists: { methods: ['eth_call', 'eth_get*'], origins: ['https://a.example'] },
  reportOnly: ['origins'],
};

async function stored(settings: Partial<KeySettingsInput> = SETTINGS) {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY, ...settings }]));
  return { manager, key: (await manager.get(KEY))! };
}

test('a document holds every setting that can be changed, and nothing of a secret', async () => {
  const { key } = await stored();
  expect(toDocument(key)).toEqual({
    apiKey: KEY,
    name: 'my dapp',
    enabled: true,
    requireSecret: true,
    overrideAllowlists: false,
    allowlists: {
      contractAddresses: [],
      userAgents: [],
      origins: ['https://a.example'],
      methods: ['eth_call', 'eth_get*'],
    },
    reportOnly: ['origins'],
    limits: {},
  });
  expect(JSON.stringify(toDocument(key))).not.toMatch(/backend|rgs_|[0-9a-f]{64}/);
});

test('an exported document changes nothing of its own key, and makes another key like it', async () => {
  const { manager, key } = await stored();
  const { apiKey, changes, ignored } = readDocument(JSON.parse(JSON.stringify(toDocument(key))));
  expect([apiKey, ignored, compare(key, changes)]).toEqual([KEY, [], { differences: [], changes: {} }]);
  const { key: copy } = await manager.create({ ...changes, apiKey: 'the-copy-of-it' });
  expect(toDocument(copy)).toEqual({ ...toDocument(key), apiKey: 'the-copy-of-it' });
});

test('what a document leaves out stays, and so do secrets and what the store keeps itself', async () => {
  const { manager, key } = await stored();
  const document = { name: 'b', secrets: [{ hash: HASH }], version: 7, createdAt: '2020-01-01T00:00:00Z' };
  const { apiKey, changes, version: expected, ignored } = readDocument(document);
  expect([apiKey, changes, expected, ignored]).toEqual([
    undefined,
    { name: 'b' },
    7,
    ['secrets', 'version', 'createdAt'],
  ]);
  const { version, name, ...after } = await manager.update(KEY, compare(key, changes).changes);
  expect([version, name]).toEqual([2, 'b']);
  expect(after).toMatchObject({ secrets: key.secrets, allowlists: key.allowlists, createdAt: key.createdAt });
});

test('only what differs is changed, and described in words', async () => {
  const { manager, key } = await stored();
  const { differences, changes } = compare(key, {
    name: 'my dapp',
    requireSecret: false,
    allowlists: { methods: ['eth_get*', 'eth_getLogs'], origins: [], userAgents: [] },
  });
  expect(differences.map(({ at, words }) => [at, words])).toEqual([
    ['requireSecret', ['true → false']],
    ['allowlists.origins', ['removes https://a.example', 'leaves no list: everything passes']],
    ['allowlists.methods', ['adds eth_getLogs', 'removes eth_call']],
  ]);
  expect(changes).toEqual({
    requireSecret: false,
    allowlists: { methods: ['eth_get*', 'eth_getLogs'], origins: [] },
  });
  const after = await manager.update(KEY, changes);
  expect(compare(after, changes)).toEqual({ differences: [], changes: {} });
});

test('limits that come and go are told as none, and no limits are no difference to none', async () => {
  const { manager, key } = await stored();
  const limits = { perSecond: 5 };
  expect(compare(key, { limits: {} })).toEqual({ differences: [], changes: {} });
  expect(compare(key, { limits }).differences[0]?.words).toEqual(['none → {"perSecond":5}']);
  const limited = await manager.update(KEY, { limits });
  expect(compare(limited, { limits: {} }).differences[0]?.words).toEqual(['{"perSecond":5} → none']);
});

test('limits that a document leaves out stay; null takes them away, and so does the document of a key without limits', async () => {
  const { manager, key: plain } = await stored();
  const limited = await manager.update(KEY, { limits: { perSecond: 5, perDay: 100 } });
  const changesOf = (document: object) => compare(limited, readDocument(document).changes).changes;
  expect(changesOf({ name: 'my dapp' })).toEqual({});
  expect(changesOf({ limits: { perDay: 100 } })).toEqual({ limits: { perDay: 100 } });
  for (const without of [{ limits: null }, { limits: {} }, toDocument(plain)]) {
    expect(toDocument(await manager.update(KEY, changesOf(without)))).toEqual(toDocument(plain));
    await manager.update(KEY, { limits: limited.limits });
  }
});

test('the same entries in another order, or in a case that does not count, are no difference', async () => {
  const { key } = await stored();
  const same = { methods: ['eth_get*', 'eth_call'], origins: ['HTTPS://A.example'] };
  expect(compare(key, { allowlists: same }).differences).toEqual([]);
  expect(compare(key, { allowlists: { methods: ['ETH_CALL', 'eth_get*'] } }).differences).toHaveLength(1);
  const { manager } = await stored({ reportOnly: ['origins', 'methods'] });
  const { changes } = readDocument({ reportOnly: ['methods', 'origins'] });
  expect(compare((await manager.get(KEY))!, changes).differences).toEqual([]);
});

test.each([
  [{ methods: [] }, 'settings: methods: does not exist; there are apiKey, name'],
  [{ allowlists: { method: [] } }, 'allowlists: method: does not exist; did you mean methods?'],
  [{ requireSecret: 'yes', name: 1 }, 'name: is not text .*; requireSecret: is not true or false'],
  [{ allowlists: { origins: ['https://a.example/x'] } }, 'allowlists.origins.0: .* has a path, .*; write "https'],
  [{ version: 'seven' }, 'version: is'],
  [{ limits: 5 }, 'limits: '],
  [{ apiKey: 7 }, 'apiKey: is not 8 to 128 characters'],
  [[], 'settings: is not an object; write'],
  ['x', 'settings: is not an object; write'],
])('refuses what is wrong in a document, and says where and what is right: %j', (document: unknown, message) => {
  const error = thrownBy(() => readDocument(document));
  expect(error).toBeInstanceOf(RpcGuardError);
  expect(error).toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS', message: expect.stringMatching(message) as string });
});
