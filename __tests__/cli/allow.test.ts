import { writeFileSync } from 'node:fs';
import type { KeyView } from '../../lib';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY } from '../support/pieces';

const ADDRESS = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';

function fileWith(allowlists: object): string {
  const file = newFile();
  writeFileSync(file, JSON.stringify({ keys: [{ apiKey: KEY, allowlists }] }));
  return file;
}

async function allow(store: string, ...args: string[]): Promise<KeyView['allowlists']> {
  return (await cliJson<{ key: KeyView }>(['allow', ...args], { store })).key.allowlists;
}

test('entries are added to each list, by its name or its singular', async () => {
  const store = fileWith({});
  await allow(store, 'add', KEY, 'origins', 'https://a.example', 'https://*.b.example');
  await allow(store, 'add', KEY, 'user-agent', 'Android');
  await allow(store, 'add', KEY, 'contract', ADDRESS);
  expect(await allow(store, 'add', KEY, 'methods', 'eth_call', 'eth_get*')).toEqual({
    origins: ['https://a.example', 'https://*.b.example'],
    userAgents: ['Android'],
    contractAddresses: [ADDRESS],
    methods: ['eth_call', 'eth_get*'],
  });
});

test('a malformed entry, a 31st one and an unknown list are refused with 2', async () => {
  const store = fileWith({ methods: Array.from({ length: 30 }, (_, n) => `eth_${String(n)}`) });
  const refused = [
    [['origins', 'https://a.example', 'a b'], '"a b" is not an origin'],
    [['methods', 'eth_call'], 'has more than 30 entries'],
    [['method', 'eth call'], 'has more than 30 entries'],
    [['lists', 'x'], 'Write one of contract-addresses'],
  ] as const;
  for (const [args, message] of refused) {
    const { code, stderr } = await cli(['allow', 'add', KEY, ...args], { store });
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  }
  expect((await cliJson<{ key: KeyView }>(['keys', 'show', KEY], { store })).key).toMatchObject({
    version: 1,
    allowlists: { origins: [] },
  });
});

test('entries are removed, origins and addresses in any case', async () => {
  const store = fileWith({
    origins: ['https://a.example', 'https://b.example'],
    contractAddresses: [ADDRESS, `${ADDRESS.slice(0, -1)}c`],
  });
  expect((await allow(store, 'remove', KEY, 'origin', 'https://A.example')).origins).toEqual(['https://b.example']);
  const left = await allow(store, 'remove', KEY, 'contracts', ADDRESS.toUpperCase().replace('X', 'x'));
  expect(left.contractAddresses).toEqual([`${ADDRESS.slice(0, -1)}c`]);
});

test('an entry that is not on the list is refused with 2', async () => {
  const { code, stderr } = await cli(['allow', 'remove', KEY, 'methods', 'eth_call'], { store: fileWith({}) });
  expect([code, stderr]).toEqual([2, expect.stringContaining('"eth_call" is not on the list')]);
});

test('the last entry is removed once it is confirmed, because that opens the list for everything', async () => {
  const store = fileWith({ methods: ['eth_call', 'eth_getLogs'] });
  const unconfirmed = await cli(['allow', 'remove', KEY, 'methods', 'eth_getLogs', 'eth_call'], {
    store,
    input: 'yes\n',
  });
  expect(unconfirmed).toMatchObject({ code: 2, stdout: '' });
  expect(unconfirmed.stderr).toContain('opens it for everything');
  expect((await allow(store, 'remove', KEY, 'methods', 'eth_getLogs')).methods).toEqual(['eth_call']);
  expect((await allow(store, 'remove', KEY, 'methods', 'eth_call', '--yes')).methods).toEqual([]);
});

test('an entry that may not do what is meant is added with a warning, which keys create gives too', async () => {
  const warning = 'warning: The entry "eth_blokNumber" allows no known method; did you mean "eth_blockNumber"?\n';
  const added = await cli(['allow', 'add', KEY, 'methods', 'eth_blokNumber'], { store: fileWith({}) });
  expect(added).toMatchObject({ code: 0, stderr: warning });
  const created = await cli(['keys', 'create', '--method', 'eth_blokNumber'], { store: fileWith({}) });
  expect(created).toMatchObject({ code: 0, stderr: warning });
  const other = await cli(['allow', 'add', KEY, 'methods', 'eth_call'], { store: fileWith({ origins: ['null'] }) });
  expect(other).toMatchObject({ code: 0, stderr: '' }); // what the list of origins does was said when it was made
  const slash = await cli(['allow', 'add', KEY, 'origins', 'https://a.example/'], { store: fileWith({}) });
  expect(slash.code).toBe(2);
  expect(slash.stderr).toContain(
    '"https://a.example/" ends with a slash, and an Origin header never does; write "https://a.example"',
  );
});
