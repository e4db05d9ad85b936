import { readFileSync, statSync, writeFileSync } from 'node:fs';
import type { KeyPage, KeyView } from '../../lib';
import { hashSecret } from '../../lib';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY } from '../support/pieces';

interface Shown {
  readonly key: KeyView;
  readonly secret?: string;
  readonly secretId?: string;
  readonly warnings: readonly { readonly code: string }[];
}

/** A file with these keys. */
function fileWith(...keys: readonly object[]): string {
  const file = newFile();
  writeFileSync(file, JSON.stringify({ keys }));
  return file;
}

describe('keys create', () => {
  test('makes a key with the given settings, in a file that only its owner can read', async () => {
    const store = newFile();
    const { key, secret, warnings } = await cliJson<Shown>(
      [
        ...['keys', 'create', '--name', 'my dapp', '--override-allowlists', '--disabled'],
        ...['--origin', 'https://a.example', '--origin', 'https://b.example', '--method', 'eth_*'],
        ...['--contract', '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b', '--user-agent', 'Android'],
        ...['--per-second', '50', '--per-day', '1m', '--per-address', '5'],
      ],
      { store },
    );
    expect(key).toMatchObject({
      name: 'my dapp',
      enabled: false,
      requireSecret: false,
      overrideAllowlists: true,
      limits: { perSecond: 50, perDay: 1_000_000, perAddress: { perSecond: 5 } },
      secrets: [],
      allowlists: {
        origins: ['https://a.example', 'https://b.example'],
        methods: ['eth_*'],
        contractAddresses: ['0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b'],
        userAgents: ['Android'],
      },
    });
    expect(key.apiKey).toMatch(/^[0-9a-f]{32}$/);
    expect(secret).toBeUndefined();
    expect(warnings.map(({ code }) => code)).toEqual(['OVERRIDE_WITHOUT_SECRET', 'ORIGIN_NEEDED']);
    expect(statSync(store).mode & 0o777).toBe(0o600);
  });

  test('shows the secret once, with lines that keep it out of the shell history', async () => {
    const store = newFile();
    const { code, stdout, stderr } = await cli(['keys', 'create', '--api-key', KEY, '--require-secret'], { store });
    expect([code, stderr]).toEqual([0, '']);
    const [secret = '', ...more] = stdout.match(/rgs_\w+/g) ?? [];
    expect(more).toEqual([]);
    expect(readFileSync(store, 'utf8')).toContain(hashSecret(secret));
    expect(stdout).toContain('read -rs RPC_GUARD_SECRET');
    expect(stdout).toContain(`curl --user ":$RPC_GUARD_SECRET" \\\n    https://your-backend/v3/${KEY} \\\n`);
    const listed = await cli(['keys', 'show', KEY], { store });
    expect(listed.stdout).toContain(secret.slice(0, 8));
    expect(listed.stdout).not.toContain(secret);
  });

  test('the lines that it prints for a secret pass the lists', async () => {
    const store = newFile();
    await cli(['keys', 'create', '--api-key', KEY, '--method', 'eth_getB*', '--origin', '*.a.example'], { store });
    const { stdout } = await cli(['secrets', 'add', KEY], { store });
    expect(stdout).toContain(`-H 'Origin: https://app.a.example' \\\n    https://your-backend/v3/${KEY} \\\n`);
    expect(stdout).toContain('"method":"eth_getBalance"');
  });

  test('--secret-only prints the secret and nothing else, and the key on stderr', async () => {
    const { code, stdout, stderr } = await cli(['keys', 'create', '--secret', '--secret-only', '--api-key', KEY], {
      store: newFile(),
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^rgs_\w{49}\n$/);
    expect(stderr).toContain(KEY);
  });

  test('--label and --expires are those of a secret', async () => {
    const args = ['keys', 'create', '--label', 'backend', '--expires', '2099-01-31T00:00:00Z'];
    const { key, secretId } = await cliJson<Shown>(args, { store: newFile() });
    expect(key.secrets).toMatchObject([{ id: secretId, label: 'backend', expiresAt: '2099-01-31T00:00:00Z' }]);
  });

  test('refuses wrong arguments with 2, and writes nothing', async () => {
    const wrong: [string[], RegExp][] = [
      [['--api-key', KEY], /the key 012345… exists already/],
      [['--api-key', 'short'], /apiKey: is not 8 to 128 characters/],
      [['--origin', 'https://a.example/path'], /allowlists.origins.0: .* has a path/],
      [['--expires', '2020-01-01T00:00:00Z'], /has passed/],
      [['--secret-only'], /write --secret or --require-secret/],
      [['--secret', '--secret-only', '--json'], /write --secret-only or --json, not both/],
    ];
    const store = fileWith({ apiKey: KEY });
    const before = readFileSync(store, 'utf8');
    const runs = await Promise.all(wrong.map(([args]) => cli(['keys', 'create', ...args], { store })));
    for (const [at, { code, stdout, stderr }] of runs.entries()) {
      const [args, message] = wrong[at]!;
      expect([args, code, stdout, stderr]).toEqual([args, 2, '', expect.stringMatching(message)]);
    }
    expect(readFileSync(store, 'utf8')).toBe(before);
  });
});

describe('keys list', () => {
  const many = Array.from({ length: 1203 }, (_, n) => ({
    apiKey: `key-${String(n).padStart(5, '0')}`,
    name: n % 100 === 7 ? `Dapp ${String(n)}` : '',
    enabled: n % 2 === 0,
  }));

  test('lists all keys, however many pages they are', async () => {
    const { keys, next } = await cliJson<KeyPage>(['keys', 'list'], { store: fileWith(...many) });
    expect(keys.map(({ apiKey }) => apiKey).sort()).toEqual(many.map(({ apiKey }) => apiKey));
    expect(next).toBeUndefined();
  });

  test('filters by a search, a state and a limit, and says where to go on', async () => {
    const store = fileWith(...many);
    const [searched, disabled, limited] = await Promise.all([
      cliJson<KeyPage>(['keys', 'list', '--search', 'DAPP'], { store }),
      cliJson<KeyPage>(['keys', 'list', '--state', 'disabled', '--limit', '700'], { store }),
      cli(['keys', 'list', '--sort', 'key', '--limit', '2', '--after', 'key-00009'], { store }),
    ]);
    expect(searched.keys).toHaveLength(12);
    expect(disabled.keys).toHaveLength(601);
    expect(limited.stdout).toMatch(/key-00010.*\nkey-00011.*\n$/);
    expect(limited.stderr).toBe('there is more: --after key-00011\n');
  });

  test('shows each key whole, and what it is held against', async () => {
    const store = fileWith(
      { apiKey: KEY, name: 'a', requireSecret: true, secrets: [{ hash: hashSecret('x') }] },
      { apiKey: 'k'.repeat(128), enabled: false, allowlists: { origins: ['a.example'], methods: ['eth_call'] } },
      { apiKey: 'open-to-all' },
      {
        apiKey: 'only-reports',
        allowlists: { origins: ['a.example'], methods: ['eth_call'] },
        reportOnly: ['methods'],
        reportOnlySince: { methods: '2026-01-01T00:00:00Z' },
      },
    );
    const { stdout } = await cli(['keys', 'list'], { store });
    expect(stdout).toMatch(new RegExp(`^${KEY} +a +enabled +1 active, required +none `, 'm'));
    expect(stdout).toMatch(/^k{128} +disabled +0 active +origins 1, methods 1 /m);
    expect(stdout).toMatch(/^open-to-all +enabled +0 active +open to all /m);
    expect(stdout).toMatch(/^only-reports +enabled +0 active +origins 1, methods 1 report-only for 30 days /m);
  });

  test('prints nothing on stdout where there is no key, and says so on stderr', async () => {
    expect(await cli(['keys', 'list'], { store: fileWith() })).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'no keys\n',
    });
    expect(await cliJson(['keys', 'list'], { store: fileWith() })).toEqual({ keys: [], problems: [] });
  });

  test('sorts by name, or as asked, and goes on where a list was cut', async () => {
    const store = fileWith(
      { apiKey: 'key-00001', name: 'b', createdAt: '2026-01-02T00:00:00Z' },
      { apiKey: 'key-00002', name: 'A', createdAt: '2026-01-03T00:00:00Z' },
      { apiKey: 'key-00003', name: 'b', createdAt: '2026-01-01T00:00:00Z' },
    );
    const orderOf = async (...flags: string[]) =>
      (await cliJson<KeyPage>(['keys', 'list', ...flags], { store })).keys.map(({ apiKey }) => apiKey.at(-1)).join('');
    expect(await orderOf()).toBe('231');
    expect(await orderOf('--sort', 'created', '--descending')).toBe('213');
    const { next } = await cliJson<KeyPage>(['keys', 'list', '--limit', '1'], { store });
    expect(await orderOf('--after', next ?? '')).toBe('31');
    expect((await cli(['keys', 'list', '--sort', 'age'], { store })).code).toBe(2);
  });

  test('says which keys do not parse, and why', async () => {
    const store = fileWith({ apiKey: KEY }, { apiKey: 'bad-key-1', requiresecret: true });
    const { stderr } = await cli(['keys', 'list'], { store });
    expect(stderr).toMatch(/^bad-… does not parse: .*requiresecret/m);
    const { keys, problems } = await cliJson<KeyPage & { problems: unknown }>(['keys', 'list'], { store });
    expect(keys).toHaveLength(1);
    expect(problems).toMatchObject([{ keyHint: 'bad-…' }]);
  });
});

describe('keys show', () => {
  test('shows the settings, the lists and the state of each secret, and warns of what surprises', async () => {
    const store = fileWith({
      apiKey: KEY,
      name: 'my dapp',
      requireSecret: true,
      secrets: [
        { id: 'old', hash: hashSecret('a'), hint: 'rgs_abcd', label: 'before', expiresAt: '2020-01-01T00:00:00Z' },
      ],
      allowlists: { origins: ['https://a.example', 'null'] },
    });
    const { code, stdout, stderr } = await cli(['keys', 'show', KEY], { store });
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Key +${KEY}\nName +my dapp\nState +enabled\nSecret +required\n`));
    expect(stdout).toMatch(/^ {2}old +rgs_abcd +before +expired .* years ago \(2020-01-01T00:00:00Z\)$/m);
    expect(stdout).toMatch(/^ {2}origins +https:\/\/a\.example\n {22}null$/m);
    expect(stdout).toMatch(/^ {2}methods +no list: everything passes$/m);
    expect(stderr).toMatch(/^warning: A secret is required and none is active/m);
    expect(stderr).toMatch(/^warning: Any website can send the origin "null"/m);
    expect(stdout + stderr).not.toContain(hashSecret('a'));
  });

  test('a name cannot move the cursor', async () => {
    const { stdout } = await cli(['keys', 'show', KEY], { store: fileWith({ apiKey: KEY, name: 'a\x1b[2Jb' }) });
    expect(stdout).toContain('a\\u001b[2Jb');
  });

  test('an unknown key ends with 3, settings that do not parse with 1', async () => {
    const store = fileWith({ apiKey: KEY, enabled: 'yes' });
    const [unknown, broken] = await Promise.all([
      cli(['keys', 'show', 'unknown-key'], { store }),
      cli(['keys', 'show', KEY], { store }),
    ]);
    expect(unknown).toMatchObject({ code: 3, stdout: '' });
    expect(unknown.stderr).toMatch(/^rpc-guard: there is no such key: .*"rpc-guard keys list"/);
    expect(broken).toMatchObject({ code: 1, stdout: '' });
    expect(broken.stderr).toMatch(/the stored settings of 012345… do not parse: enabled: /);
  });
});

test('settings that do not parse are not written over, and are repaired by deleting them', async () => {
  const store = fileWith({ apiKey: KEY, requireSecret: true, allowlists: { origins: ['https://a.example/'] } });
  const over = await cli(['keys', 'create', '--api-key', KEY], { store });
  expect([over.code, over.stderr]).toEqual([1, expect.stringContaining('the stored settings of 012345… do not parse')]);
  const asked = await cli(['keys', 'delete', KEY], { store });
  expect([asked.code, asked.stderr]).toEqual([2, expect.stringContaining('whose settings do not parse')]);
  expect(await cliJson(['keys', 'delete', KEY, '--yes'], { store })).toEqual({ deleted: KEY });
  expect(await cli(['keys', 'create', '--api-key', KEY], { store })).toMatchObject({ code: 0 });
});

describe('a key', () => {
  const [A, B] = [`${'a'.repeat(8)}1111`, `${'a'.repeat(8)}2222`];
  const both = () =>
    fileWith({ apiKey: A, name: 'my dapp' }, { apiKey: B, name: 'backend' }, { apiKey: 'backend-key' });
  const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}';

  test('is named by itself, by its first characters or by its name, by every command that takes one', async () => {
    const store = both();
    const named = [A, A.slice(0, 9), 'my dapp'];
    const shown = await Promise.all(named.map((key) => cliJson<Shown>(['keys', 'show', key], { store })));
    expect(shown.map(({ key }) => key.apiKey)).toEqual([A, A, A]);

    const run = <T>(...args: string[]) => cliJson<T>(args, { store });
    expect((await run<Shown>('keys', 'disable', 'my dapp')).key).toMatchObject({ apiKey: A, enabled: false });
    expect((await run<Shown>('keys', 'enable', A.slice(0, 9))).key).toMatchObject({ apiKey: A, enabled: true });
    expect((await run<Shown>('allow', 'add', 'my dapp', 'methods', 'eth_chainId')).key.apiKey).toBe(A);
    expect((await run<Shown>('secrets', 'add', 'my dapp')).key.apiKey).toBe(A);
    expect((await run<Shown>('secrets', 'rotate', 'my dapp')).key.apiKey).toBe(A);
    expect(await run('check', 'my dapp', '-d', CALL)).toMatchObject({ allowed: true, notes: [`the key is ${A}`] });
    expect((await run<Shown>('keys', 'update', 'my dapp', '--name', 'x')).key).toMatchObject({ apiKey: A, name: 'x' });
    expect(await run('keys', 'delete', 'x', '--yes')).toEqual({ deleted: A });
  });

  test('that fits two is refused: the matches are named, and nothing is changed', async () => {
    const store = both();
    const before = readFileSync(store, 'utf8');
    const [begins, name, tooShort, part] = await Promise.all(
      ['aaaa', 'backend', 'aaa', 'dapp'].map((key) => cli(['keys', 'delete', key, '--yes'], { store })),
    );
    const which = `rpc-guard: say which key: ${B} (backend), ${A} (my dapp)\n`;
    expect(begins).toMatchObject({ code: 2, stdout: '', stderr: which });
    expect(name).toMatchObject({ code: 2, stderr: `rpc-guard: say which key: backend-key, ${B} (backend)\n` });
    for (const none of [tooShort, part])
      expect(none).toMatchObject({ code: 3, stderr: expect.stringContaining('no such key') as string });
    expect(readFileSync(store, 'utf8')).toBe(before);
  });
});

test('a change prints one line of its result, not the whole key', async () => {
  const store = fileWith({ apiKey: KEY, name: 'my dapp' });
  const changes: [string[], string][] = [
    [['keys', 'disable', KEY], 'version 2: disabled'],
    [['keys', 'update', KEY, '--require-secret'], 'version 3: secret required'],
    [['allow', 'add', KEY, 'methods', 'eth_call', 'eth_get*'], 'version 4: methods now eth_call, eth_get*'],
    [
      ['allow', 'remove', KEY, 'methods', 'eth_call', 'eth_get*', '--yes'],
      'version 5: methods now no list: everything passes',
    ],
  ];
  for (const [args, change] of changes) {
    expect(await cli(args, { store })).toMatchObject({ code: 0, stdout: `${KEY} (my dapp), ${change}\n` });
  }
});

describe('keys update, enable, disable', () => {
  test('change what is given and leave the rest', async () => {
    const store = fileWith({ apiKey: KEY, name: 'a', requireSecret: true, allowlists: { methods: ['eth_call'] } });
    const update = (...args: string[]) => cliJson<Shown>(['keys', 'update', KEY, ...args], { store });
    expect((await update('--name', 'b')).key).toMatchObject({ name: 'b', requireSecret: true, version: 2 });
    expect((await update('--no-require-secret', '--override-allowlists')).key).toMatchObject({
      name: 'b',
      requireSecret: false,
      overrideAllowlists: true,
      allowlists: { methods: ['eth_call'] },
    });
    expect((await cliJson<Shown>(['keys', 'disable', KEY], { store })).key.enabled).toBe(false);
    expect((await cliJson<Shown>(['keys', 'enable', KEY], { store })).key).toMatchObject({ enabled: true, version: 5 });
  });

  test('lists that only report are named, shown with their time, and enforced again', async () => {
    const store = fileWith({ apiKey: KEY, allowlists: { methods: ['eth_call'], origins: ['https://a.example'] } });
    const update = (lists: string) => cli(['keys', 'update', KEY, '--report-only', lists], { store });
    expect((await update('methods, origin')).stdout).toMatch(
      /: report-only origins since [^.]*Z, methods since [^.]*Z\n$/,
    );
    expect((await cli(['keys', 'show', KEY], { store })).stdout).toMatch(/^Report-only +origins since /m);
    expect((await update('method,nothing')).code).toBe(2);
    expect((await update('none')).stdout).toMatch(/: report-only none\n$/);
    expect((await cli(['keys', 'show', KEY], { store })).stdout).not.toContain('Report-only');
  });

  test('a version that is not the stored one ends with 1, and nothing is changed', async () => {
    const store = fileWith({ apiKey: KEY, version: 4 });
    const runs = await Promise.all(
      [
        ['update', KEY, '--name', 'b'],
        ['disable', KEY],
        ['delete', KEY, '--yes'],
      ].map((args) => cli(['keys', ...args, '--expect-version', '3', '--json'], { store })),
    );
    for (const { code, stderr } of runs) {
      expect(code).toBe(1);
      expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'ERR_RPC_GUARD_STALE_WRITE' } });
    }
    expect((await cliJson<Shown>(['keys', 'show', KEY], { store })).key).toMatchObject({ enabled: true, version: 4 });
  });

  test('nothing to change is wrong usage', async () => {
    expect(await cli(['keys', 'update', KEY], { store: fileWith({ apiKey: KEY }) })).toMatchObject({ code: 2 });
  });
});

describe('keys delete', () => {
  test('does nothing where nobody can confirm it, and does it with --yes', async () => {
    const store = fileWith({ apiKey: KEY, name: 'my dapp' }, { apiKey: 'another-key' });
    const asked = await cli(['keys', 'delete', KEY], { store, input: 'my dapp\n' });
    expect(asked).toMatchObject({ code: 2, stdout: '' });
    expect(asked.stderr).toContain('--yes');
    expect((await cliJson<Shown>(['keys', 'show', KEY], { store })).key.name).toBe('my dapp');

    expect(await cliJson(['keys', 'delete', KEY, '--yes'], { store })).toEqual({ deleted: KEY });
    expect((await cliJson<KeyPage>(['keys', 'list'], { store })).keys.map(({ apiKey }) => apiKey)).toEqual([
      'another-key',
    ]);
    expect(await cli(['keys', 'delete', KEY, '--yes'], { store })).toMatchObject({ code: 3 });
  });
});
