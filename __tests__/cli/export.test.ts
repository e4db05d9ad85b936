import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSecret } from '../../lib';
import { cli, cliJson, newFile, temporary } from '../support/cli';
import { KEY } from '../support/pieces';

const HASH = hashSecret('a');
const ONE = {
  apiKey: KEY,
  name: 'my dapp',
  enabled: true,
  requireSecret: true,
  overrideAllowlists: false,
  allowlists: {
    contractAddresses: ['0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b'],
    userAgents: [],
    origins: ['null', 'localhost:*'],
    methods: ['eth_call', 'eth_get*'],
  },
  reportOnly: ['origins'],
  limits: {},
};
const OTHER = { ...ONE, apiKey: '12345678', name: '' };

function storeOfTwo(): string {
  const file = newFile();
  writeFileSync(file, JSON.stringify({ keys: [{ ...ONE, secrets: [{ hash: HASH, hint: 'rgs_abcd' }] }, OTHER] }));
  return file;
}

test('keys export prints the settings of a key, or of all in the order of the keys, and nothing of a secret', async () => {
  const store = storeOfTwo();
  const [one, all] = await Promise.all([
    cliJson(['keys', 'export', 'my dapp'], { store }),
    cliJson(['keys', 'export', '--all'], { store }),
  ]);
  expect(one).toEqual(ONE);
  expect(all).toEqual({ keys: [ONE, OTHER] });
  expect(JSON.stringify([one, all])).not.toMatch(new RegExp(`${HASH}|rgs_`));
});

test('a file of all keys, in JSON and in YAML, makes the same keys elsewhere', async () => {
  const store = storeOfTwo();
  for (const name of ['keys.json', 'keys.yaml']) {
    const [file, elsewhere] = [join(temporary(), name), newFile()];
    expect(await cli(['keys', 'export', '--all', '--output', file], { store })).toMatchObject({
      code: 0,
      stdout: `${file}: 2 keys\n`,
    });
    const text = readFileSync(file, 'utf8');
    expect([text.startsWith('{'), /[&*]a1/.test(text)]).toEqual([name === 'keys.json', false]);
    expect(await cli(['keys', 'import', file], { store: elsewhere })).toMatchObject({ code: 0 });
    expect(await cliJson(['keys', 'export', '--all'], { store: elsewhere })).toEqual({ keys: [ONE, OTHER] });
  }
});

test('keys export --all says which keys are not in it, because their settings do not parse', async () => {
  const store = newFile();
  writeFileSync(store, JSON.stringify({ keys: [ONE, { ...OTHER, enabled: 'yes' }] }));
  const { code, stdout, stderr } = await cli(['keys', 'export', '--all'], { store });
  expect([code, JSON.parse(stdout)]).toEqual([0, { keys: [ONE] }]);
  expect(stderr).toBe('1234… does not parse: keys[1]: enabled: is not true or false\n');
});

test('keys export takes either a key or --all, and refuses a file that cannot be written', async () => {
  const store = storeOfTwo();
  const runs = await Promise.all(
    [[], [KEY, '--all'], [KEY, '--output', '/nowhere/keys.json']].map((args) =>
      cli(['keys', 'export', ...args], { store }),
    ),
  );
  const wrong = 'rpc-guard: write a key, or --all for all of them\n';
  expect(runs.map(({ code, stdout, stderr }) => [code, stdout, stderr])).toEqual([
    [2, '', wrong],
    [2, '', wrong],
    [2, '', 'rpc-guard: /nowhere/keys.json cannot be written: ENOENT\n'],
  ]);
});
