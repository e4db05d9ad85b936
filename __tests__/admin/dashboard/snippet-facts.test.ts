import { ALLOWLIST_TYPES } from '../../../lib/allowlists';
import { parseKeySettings } from '../../../lib/settings/key-settings';
import type { KeySettingsInput } from '../../../lib/settings/key-settings';
import type { Meta, ShownKey } from '../../../lib/admin/api';
import { snippetFacts } from '../../../lib/admin/dashboard/snippet-facts';
import { snippets } from '../../../lib/admin/dashboard/snippets';
import { preview } from '../../../lib/admin/preview';

const META = {
  httpUrl: 'http://rpc.example.com/v3/YOUR-API-KEY',
  wsUrl: 'ws://rpc.example.com/ws/v3/YOUR-API-KEY',
  isUrlGuessed: true,
  methodGroups: [{ group: 'Accounts', methods: ['eth_getBalance', 'eth_accounts'] }],
} as unknown as Meta;

function key(settings: Partial<KeySettingsInput> = {}): ShownKey {
  return { ...parseKeySettings({ apiKey: 'a-key-of-mine', ...settings }), secrets: [], warnings: [] };
}

test.each(['https://*.example.com', 'example.com', 'http://localhost:*', 'ftp://', 'null'])(
  'the origin of the snippets matches the entry %s',
  (entry) => {
    const { origin } = snippetFacts(key({ allowlists: { origins: [entry] } }), META, undefined, false);
    expect(preview('origins', [entry], [origin!]).samples).toEqual([{ sample: origin, matchedBy: entry }]);
  },
);

test('the method of the snippets is one that the list allows', () => {
  const methodFor = (methods: string[]) =>
    snippetFacts(key({ allowlists: { methods } }), META, undefined, false).method;
  expect(methodFor([])).toBe('eth_blockNumber');
  expect(methodFor(['eth_*'])).toBe('eth_blockNumber');
  expect(methodFor(['net_version', 'eth_call'])).toBe('net_version');
  expect(methodFor(['eth_call'])).toBe('eth_call');
  expect(methodFor(['eth_getB*'])).toBe('eth_getBalance');
});

test('with a secret that overrides the lists, the snippets send no headers for them', () => {
  const lists = { origins: ['https://a.example'], userAgents: ['Android'], methods: ['eth_call'] };
  const held = snippetFacts(key({ allowlists: lists }), META, 'secret', false);
  expect(held).toMatchObject({ origin: 'https://a.example', userAgent: 'Android', method: 'eth_call' });
  const free = snippetFacts(key({ allowlists: lists, overrideAllowlists: true }), META, 'secret', false);
  expect(free).toMatchObject({ origin: undefined, userAgent: undefined, method: 'eth_blockNumber' });
  const open = snippetFacts(key({ allowlists: lists, overrideAllowlists: true }), META, undefined, false);
  expect(open).toMatchObject({ origin: 'https://a.example', userAgent: 'Android', method: 'eth_call' });
});

test('with a secret that has lists of its own, the snippets follow these', () => {
  const none = Object.fromEntries(ALLOWLIST_TYPES.map((type) => [type, []])) as unknown as ShownKey['allowlists'];
  const own = { ...none, origins: ['https://b.example'] };
  const secret = { id: '1', hint: 'rgs_abcd', label: '', createdAt: '', allowlists: own, state: 'active' } as const;
  const settings = { ...key({ overrideAllowlists: true }), secrets: [secret] };
  expect(snippetFacts(settings, META, 'rgs_abcdefgh', false).origin).toBe('https://b.example');
});

test('behind a proxy that ends TLS the URLs are those of TLS, unless publicUrl sets them', () => {
  const at = (meta: Meta) => snippetFacts(key(), meta, undefined, true);
  expect(at(META)).toMatchObject({
    url: 'https://rpc.example.com/v3/a-key-of-mine',
    socketUrl: 'wss://rpc.example.com/ws/v3/a-key-of-mine',
  });
  expect(at({ ...META, isUrlGuessed: false }).url).toBe('http://rpc.example.com/v3/a-key-of-mine');
});

test('the snippet of every client sends what the lists ask for, quoted for its language', () => {
  const settings = key({ allowlists: { origins: ['https://a.example'], userAgents: ["O'Brien 1\\2"] } });
  const all = snippets(snippetFacts(settings, META, 'rgs_1', false));
  expect(all.map(({ id }) => id)).toEqual(['curl', 'ethers', 'viem', 'web3', 'wscat']);
  for (const { id, code } of all) {
    expect(code).toContain('https://a.example');
    expect(code).toContain(['curl', 'wscat'].includes(id) ? "O'\\''Brien 1\\2" : "O\\'Brien 1\\\\2");
  }
});
