import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSecret } from '../../lib';
import type { KeyView } from '../../lib';
import { cli, cliJson, newFile, temporary } from '../support/cli';
import { KEY } from '../support/pieces';

const ADDRESS = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const WANTED = `
keys:
  - apiKey: ${KEY}
    requireSecret: true
    allowlists:
      methods: [eth_get*]
      origins: []
      contractAddresses:
        - ${ADDRESS}
  - apiKey: as-it-is-already
    name: same
  - apiKey: one-more-key
    requireSecret: true
`;
const PLAN = `${KEY} (my dapp)
  requireSecret                 false → true
  allowlists.contractAddresses  adds ${ADDRESS}
  allowlists.origins            removes https://a.example
                                leaves no list: everything passes
one-more-key: new
`;

interface Applied {
  readonly keys: readonly {
    readonly key: KeyView;
    readonly isCreated: boolean;
    readonly secret?: string;
    readonly differences: readonly { readonly at: string }[];
  }[];
}

function stored(): string {
  const store = newFile();
  const allowlists = { origins: ['https://a.example'], methods: ['eth_get*'] };
  const secrets = [{ id: 'kept', hash: hashSecret('a') }];
  const keys = [
    { apiKey: KEY, name: 'my dapp', secrets, allowlists },
    { apiKey: 'as-it-is-already', name: 'same' },
  ];
  writeFileSync(store, JSON.stringify({ keys }));
  return store;
}

function file(text: string, name = 'wanted.yaml'): string {
  const path = join(temporary(), name);
  writeFileSync(path, text);
  return path;
}

describe('keys apply', () => {
  test('--dry-run shows in words what would change, and changes nothing', async () => {
    const [store, wanted] = [stored(), file(WANTED)];
    const before = readFileSync(store, 'utf8');
    const run = await cli(['keys', 'apply', wanted, '--dry-run'], { store });
    expect(run).toMatchObject({ code: 0, stdout: PLAN, stderr: '' });
    expect(readFileSync(store, 'utf8')).toBe(before);
  });

  test('changes only what differs, and leaves secrets, what is left out and other keys as they are', async () => {
    const [store, wanted] = [stored(), file(WANTED)];
    const { keys } = await cliJson<Applied>(['keys', 'apply', wanted, '--yes'], { store });
    expect(keys.map(({ key, isCreated, differences }) => [key.apiKey, isCreated, differences.length])).toEqual([
      [KEY, false, 3],
      ['one-more-key', true, 0],
    ]);
    expect(keys[0]?.key).toMatchObject({
      name: 'my dapp',
      version: 2,
      requireSecret: true,
      secrets: [{ id: 'kept' }],
      allowlists: { methods: ['eth_get*'], origins: [], contractAddresses: [ADDRESS] },
    });
    expect(keys[1]?.secret).toMatch(/^rgs_/);
    const again = await cli(['keys', 'apply', wanted, '--yes'], { store });
    expect(again).toMatchObject({ code: 0, stdout: '', stderr: `nothing differs from ${wanted}\n` });
  });

  test('changes nothing unless each key is of the version that the file names', async () => {
    const store = stored();
    const wanted = file(
      `keys:\n- { apiKey: as-it-is-already, name: b }\n- { apiKey: ${KEY}, limits: null, name: c, version: 1 }`,
    );
    expect(await cli(['keys', 'apply', wanted, '--yes'], { store })).toMatchObject({ code: 0 });
    expect(await cli(['keys', 'apply', wanted, '--yes'], { store })).toMatchObject({
      stderr: `nothing differs from ${wanted}\n`,
    });
    await cli(['keys', 'update', KEY, '--name', 'another', '--per-second', '5'], { store });
    await cli(['keys', 'update', 'as-it-is-already', '--name', 'another'], { store });
    const before = readFileSync(store, 'utf8');
    for (const flag of ['--yes', '--dry-run']) {
      const { code, stderr } = await cli(['keys', 'apply', wanted, flag], { store });
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining(`012345… is version 3 by now, and ${wanted} says version: 1;`),
      ]);
    }
    expect(readFileSync(store, 'utf8')).toBe(before);
    const missing = file(`{ apiKey: no-such-key, version: 4 }`);
    const { stderr } = await cli(['keys', 'apply', missing, '--yes'], { store });
    expect(stderr).toContain(`the key no-su… is not there, and ${missing} says version: 4`);
  });

  test('without --yes and without a terminal it shows what differs, and does nothing', async () => {
    const [store, wanted] = [stored(), file(WANTED)];
    const before = readFileSync(store, 'utf8');
    const { code, stdout, stderr } = await cli(['keys', 'apply', wanted], { store, input: 'yes\n' });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe(
      `${PLAN}rpc-guard: This creates 1 key and changes 1 key; write --yes to do it without being asked\n`,
    );
    expect(readFileSync(store, 'utf8')).toBe(before);
  });

  test('reads JSON, YAML and stdin, and one key as well as several', async () => {
    const one = `apiKey: ${KEY}\nname: b\n`;
    const json = JSON.stringify({ apiKey: KEY, name: 'b' });
    const runs = await Promise.all(
      [[file(one)], [file(json, 'one.json')], [file(`\ufeff${json}`, 'marked.json')], ['-', one], ['-', json]].map(
        ([path = '', input = '']) => cli(['keys', 'apply', path, '--dry-run'], { store: stored(), input }),
      ),
    );
    for (const run of runs)
      expect(run).toMatchObject({ code: 0, stdout: `${KEY} (my dapp)\n  name  "my dapp" → "b"\n` });
  });

  test('names file, key, member and a right value for everything that is wrong, and changes nothing', async () => {
    const wrong: [name: string, text: string, problem: string | RegExp][] = [
      [
        'a.yaml',
        `keys:\n- apiKey: ${KEY}\n  requireSecrte: true\n- apiKey: other-key\n  allowlists: { origins: [https://a.example/x] }`,
        /a\.yaml: keys\.0 \(012345…\): settings: requireSecrte: .* requireSecret\?; keys\.1 \(othe…\): allowlists\.origins\.0: "https:\/\/a\.example\/x" has a path, .*; write "https:\/\/a\.example"/,
      ],
      ['b.yaml', `apiKey: ${KEY}\nname: a\nname: b`, /b\.yaml: Map keys must be unique at line 3, column 1$/],
      ['c.yaml', `apiKey: 12345678`, /c\.yaml: the key: apiKey: is not 8 to 128 characters/],
      ['d.json', '{"apiKey":"x"', /d\.json: is not JSON from line 1, column 14 on; write \{ "keys": \[/],
      ['e.json', `[{"apiKey":"${KEY}"}]`, /e\.json: is not the settings of a key, nor of several under "keys"; write/],
      ['f.json', '{"name":"a"}', /f\.json: 1 of its keys without apiKey; write "apiKey": "my-first-key"/],
      ['g.yaml', `keys: [{ apiKey: ${KEY} }, { apiKey: ${KEY} }]`, /g\.yaml: the key 012345… is there twice/],
      ['h.json', `{"apiKey":"${KEY}","apiKey":"${KEY}"}`, /h\.json: has /],
    ];
    const store = stored();
    const before = readFileSync(store, 'utf8');
    const runs = await Promise.all(
      wrong.map(([name, text]) => cli(['keys', 'apply', file(text, name), '--yes'], { store })),
    );
    for (const [at, { code, stdout, stderr }] of runs.entries()) {
      const [name, , problem] = wrong[at]!;
      expect([name, code, stdout, stderr.trim()]).toEqual([name, 2, '', expect.stringMatching(problem)]);
    }
    expect(readFileSync(store, 'utf8')).toBe(before);
  });
});

describe('keys import', () => {
  test('creates the keys of a file, with a secret where one is required, and says that secrets are not taken', async () => {
    const text = JSON.stringify({
      keys: [{ name: 'without a key' }, { apiKey: KEY, requireSecret: true, secrets: [{ hash: hashSecret('a') }] }],
    });
    const [store, path] = [newFile(), file(text, 'keys.json')];
    const { code, stdout, stderr } = await cli(['keys', 'import', path], { store });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f]{32} \(without a key\), version 1: created$/m);
    const [, secret = ''] = /^ {2}its secret \w+, shown this once: (rgs_\w+)$/m.exec(stdout) ?? [];
    expect(stderr).toContain(`${path}: the secrets of 012345… are not taken; they stay as they are\n`);
    expect(readFileSync(store, 'utf8')).toContain(hashSecret(secret));
    expect(readFileSync(store, 'utf8')).not.toContain(hashSecret('a'));
  });

  test('creates none where one exists already', async () => {
    const [store, path] = [stored(), file(WANTED)];
    const before = readFileSync(store, 'utf8');
    const { code, stderr } = await cli(['keys', 'import', path], { store });
    expect([code, stderr]).toEqual([
      2,
      `rpc-guard: the key 012345… exists already; "rpc-guard keys apply ${path}" changes it\n`,
    ]);
    expect(readFileSync(store, 'utf8')).toBe(before);
  });
});
