import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSecret } from '../../lib';
import { CLI, cli, temporary } from '../support/cli';

const KEY = 'c0ffee0000000000000000000000001';
const OTHER = 'decaf00000000000000000000000002';
const PREFIX = 'eth_get*';
const SECRET = 'a-secret-of-more-than-32-characters-x';

/** A settings file with two keys. */
function keysFile(): string {
  const file = join(temporary(), 'keys.json');
  const secrets = [{ id: 'billing1', hash: hashSecret(SECRET), hint: 'a-se', label: 'billing' }];
  const allowlists = { origins: ['https://app.example.com', 'https://b.example.com'], methods: [PREFIX] };
  const keys = [
    { apiKey: KEY, name: 'dapp', secrets, allowlists },
    { apiKey: OTHER, name: 'my "odd" name' },
  ];
  writeFileSync(file, JSON.stringify({ keys }));
  return `file:${file}`;
}

async function complete(store: string, ...words: readonly string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await cli(['complete', '--', ...words], { store });
  expect([code, stderr]).toEqual([0, '']);
  return stdout.split('\n').filter((line) => line !== '');
}

const wordsOf = (lines: readonly string[]) => lines.map((line) => line.split('\t')[0]);

test('commands and subcommands are offered', async () => {
  const store = keysFile();
  expect(wordsOf(await complete(store, 'ke'))).toEqual(['keys']);
  expect(wordsOf(await complete(store, 'allow', ''))).toEqual(['add', 'remove']);
  expect(wordsOf(await complete(store, ''))).not.toContain('complete');
});

test('options are offered, also those of all commands', async () => {
  const store = keysFile();
  expect(wordsOf(await complete(store, 'keys', 'create', '--na'))).toEqual(['--name']);
  expect(wordsOf(await complete(store, 'keys', 'create', '--js'))).toEqual(['--json']);
});

test('reasons and outcomes are offered', async () => {
  const store = keysFile();
  expect(await complete(store, 'refusals', '--reason', 'ORIGIN')).toEqual(['ORIGIN_NOT_ALLOWED']);
  expect(await complete(store, 'usage', '--outcome', 'al')).toEqual(['allowed']);
  expect(await complete(store, 'refusals', 'c0')).toEqual([`${KEY}\tdapp`]);
});

test('keys are offered by their beginning, and by a name that needs no quotes', async () => {
  const store = keysFile();
  expect(await complete(store, 'keys', 'show', 'c0')).toEqual([`${KEY}\tdapp`]);
  expect(await complete(store, 'keys', 'show', 'da')).toEqual([`dapp\t${KEY}`]);
  expect(wordsOf(await complete(store, 'keys', 'show', ''))).toEqual([KEY, OTHER]);
  expect(await complete(store, 'keys', 'show', 'my')).toEqual([]);
  for (const named of [['--store', store], [`--store=${store}`]]) {
    expect(await complete('', 'keys', ...named, 'show', 'c0')).toEqual([`${KEY}\tdapp`]);
  }
});

test('lists, their entries and the ids of secrets are offered; hashes are not', async () => {
  const store = keysFile();
  expect(await complete(store, 'allow', 'add', 'dapp', 'or')).toEqual(['origins']);
  expect(await complete(store, 'allow', 'remove', KEY, 'origins', 'https://a')).toEqual(['https://app.example.com']);
  const rest = await complete(store, 'allow', 'remove', KEY, 'origins', 'https://app.example.com', '');
  expect(rest).toEqual(['https://b.example.com']);
  expect(await complete(store, 'secrets', 'revoke', 'dapp', '')).toEqual(['billing1\tbilling']);
});

test('nothing is offered, and nothing said, where the store is away or the line makes no sense', async () => {
  for (const store of ['redis://127.0.0.1:1', 'file:/nowhere.json', 'nonsense:']) {
    expect(await complete(store, 'keys', 'show', '')).toEqual([]);
  }
  expect(await complete('', 'no', 'such', 'command', '')).toEqual([]);
  expect(await complete(keysFile(), 'allow', 'remove', 'nobody', 'nothing', '')).toEqual([]);
});

test('a shell without a script is refused, and those that have one are named', async () => {
  const { code, stderr } = await cli(['completion', 'tcsh']);
  expect([code, stderr]).toEqual([2, expect.stringContaining('bash, zsh, fish')]);
});

describe('in the shell itself', () => {
  const isThere = (shell: string) => {
    const found = process.env['CI'] !== undefined || spawnSync(shell, ['--version']).status === 0;
    if (!found) console.warn(`${shell} is not on this machine: what it offers is not tested`);
    return found;
  };
  /** What a shell offers for `line`. */
  const SHELLS: Readonly<Record<string, (line: string) => readonly string[]>> = {
    bash: (line) => [
      '-c',
      `source <(rpc-guard completion bash); COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}; _rpc_guard; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
    zsh: (line) => [
      '-fc',
      `compdef() { : }; compadd() { print -l -- $words_found }; source <(rpc-guard completion zsh); words=(\${(z)\${:-'${line}'}}); CURRENT=$#words; _rpc_guard`,
    ],
    fish: (line) => ['--no-config', '-c', `rpc-guard completion fish | source; complete -C '${line}' | cut -f1`],
  };

  for (const [shell, argsFor] of Object.entries(SHELLS)) {
    (isThere(shell) ? test : test.skip)(`${shell} offers entries, colons and all`, () => {
      const folder = temporary();
      writeFileSync(join(folder, 'rpc-guard'), `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`);
      chmodSync(join(folder, 'rpc-guard'), 0o755);
      const env = { HOME: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}`, RPC_GUARD_STORE: keysFile() };
      const args = argsFor(`rpc-guard allow remove ${KEY} origins https://a`);
      const { stdout, stderr } = spawnSync(shell, args, { env, encoding: 'utf8' });
      // bash replaces only what follows the last colon.
      const entry = shell === 'bash' ? '//app.example.com' : 'https://app.example.com';
      expect([stdout.trim(), stderr]).toEqual([entry, '']);
    });
  }

  (isThere('bash') ? test : test.skip)('bash offers an entry with a star, not the files that it stands for', () => {
    const folder = temporary();
    writeFileSync(join(folder, 'rpc-guard'), `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`);
    chmodSync(join(folder, 'rpc-guard'), 0o755);
    writeFileSync(join(folder, 'eth_getFile'), '');
    const env = { HOME: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}`, RPC_GUARD_STORE: keysFile() };
    const args = SHELLS['bash']!(`rpc-guard allow remove ${KEY} methods eth`);
    const { stdout, stderr } = spawnSync('bash', [...args], { env, encoding: 'utf8', cwd: folder });
    expect([stdout.trim(), stderr]).toEqual([PREFIX, '']);
  });
});
