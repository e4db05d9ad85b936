import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { FileStore, KeyManager } from '../../lib';
import type { KeyView, MadeSecret } from '../../lib';
import { cli, cliJson, newFile, startCli } from '../support/cli';
import { endAfterTest } from '../support/cleanup';
import { basic, call, guardedApp, post } from '../support/guarded-app';
import { until } from '../support/until';
import { KEY } from '../support/pieces';

function fileWith(...keys: readonly object[]): string {
  const file = newFile();
  writeFileSync(file, JSON.stringify({ keys }));
  return file;
}

test('--version and --help are results', async () => {
  const { version } = JSON.parse(readFileSync(`${__dirname}/../../package.json`, 'utf8')) as { version: string };
  expect(await cli(['--version'], { apart: true })).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  const help = await cli(['secrets', 'rotate', '--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('Usage: rpc-guard secrets rotate');
});

test('help prints the help of a command', async () => {
  const [all, group, one, none] = await Promise.all(
    [[], ['keys'], ['keys', 'create'], ['keys', 'nope']].map((args) => cli(['help', ...args])),
  );
  expect(all).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: rpc-guard [') as string, stderr: '' });
  expect(group).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: rpc-guard keys [') as string });
  expect(one).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: rpc-guard keys create') as string });
  expect(none).toMatchObject({ code: 2, stdout: '', stderr: 'rpc-guard: there is no command keys nope\n' });
});

test('wrong usage ends with 2 and shows the right usage', async () => {
  const wrong: [string[], string][] = [
    [[], 'Usage: rpc-guard'],
    [['keys'], 'Usage: rpc-guard keys'],
    [['kyes'], "unknown command 'kyes' (Did you mean keys?)"],
    [['keys', 'lst'], "unknown command 'lst' (Did you mean list?)"],
    [['keys', 'list', '--serach', 'x'], "unknown option '--serach' (Did you mean --search?)"],
    [['keys', 'show'], "missing required argument 'key'"],
    [['keys', 'list', 'x'], 'too many arguments'],
    [['keys', 'list', '--limit', 'x'], 'Write a whole number'],
    [['keys', 'list', '--state', 'x'], 'Allowed choices are enabled, disabled'],
    [['secrets', 'rotate', KEY, '--grace', '1 day'], 'Write a duration'],
  ];
  const store = fileWith();
  const runs = await Promise.all(wrong.map(([args]) => cli(args, { store })));
  for (const [at, { code, stdout, stderr }] of runs.entries()) {
    const [args, message] = wrong[at]!;
    expect([args, code, stdout, stderr]).toEqual([args, 2, '', expect.stringContaining(message)]);
  }
});

const NO_SUCH_KEY =
  'there is no such key: give a key, its first characters (4 or more) or its name; "rpc-guard keys list" shows them';

test('an error is one line in words or, with --json, one object of a code and a message', async () => {
  const store = fileWith();
  const words = await cli(['keys', 'show', KEY], { store, apart: true });
  expect(words).toMatchObject({ code: 3, stdout: '', stderr: `rpc-guard: ${NO_SUCH_KEY}\n` });
  const json = await cli(['keys', 'show', KEY, '--json'], { store });
  expect(json).toMatchObject({ code: 3, stdout: '' });
  expect(JSON.parse(json.stderr)).toEqual({
    error: { code: 'ERR_RPC_GUARD_KEY_UNKNOWN', message: NO_SUCH_KEY },
  });
  const usage = await cli(['keys', 'shw', '--json'], { store });
  expect(JSON.parse(usage.stderr)).toMatchObject({ error: { code: 'ERR_RPC_GUARD_USAGE' } });
});

test('no JSON, of a result or of an error, holds what could steer a terminal, and it still parses to the same value', async () => {
  const name = 'a\u009b2J\u202egnp\u2028\u{e0041}b';
  const store = fileWith({ apiKey: KEY, name });
  const runs = await Promise.all(
    [
      ['keys', 'list'],
      ['keys', 'show', KEY],
      ['keys', 'disable', KEY],
      ['check', KEY, '-d', JSON.stringify({ jsonrpc: '2.0', id: 1, method: name })],
      ['allow', 'remove', KEY, 'methods', name],
      ['keys', name],
    ].map((args) => cli([...args, '--json'], { store })),
  );
  for (const { stdout, stderr } of runs) {
    expect(stdout + stderr).not.toMatch(/[^\P{C}\n]|\p{Zl}/u);
    JSON.parse(stdout + stderr);
  }
  expect(JSON.parse(runs[1]!.stdout)).toMatchObject({ key: { name } });
});

test('a reader that goes away ends it quietly', async () => {
  const keys = Array.from({ length: 2000 }, (_, n) => ({ apiKey: `key-${String(n).padStart(6, '0')}` }));
  const child = startCli(['keys', 'list', '--json'], { store: fileWith(...keys) });
  child.stdout.once('data', () => child.stdout.destroy());
  const [stderr, ended] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect([ended, stderr]).toEqual([[0, null], '']);
});

test('Ctrl-C ends it at once and without a word', async () => {
  const child = startCli(['check'], { store: fileWith({ apiKey: KEY }) });
  const stderr = text(child.stderr);
  const closed = once(child, 'close');
  // It reads stdin, and so has begun, when the pipe is drained.
  await new Promise<void>((resolve) => {
    child.stdin.write('x'.repeat(200_000), () => resolve());
  });
  child.kill('SIGINT');
  expect(await closed).toEqual([null, 'SIGINT']);
  expect(await stderr).toBe('');
});

test('a running guard follows each change of the file it serves from', async () => {
  const file = fileWith();
  const store = new FileStore(file);
  endAfterTest(() => store.close());
  const { url } = await guardedApp({ store });
  const reason = async (apiKey: string, headers = {}): Promise<string> => {
    const answer = await post(`${url}/v3/${apiKey}`, call('eth_call'), headers);
    if (answer.status === 200) return 'passed';
    return (answer.json as { error: { data: { reason: string } } }).error.data.reason;
  };
  const follows = (apiKey: string, expected: string, headers = {}) =>
    until(async () => (await reason(apiKey, headers)) === expected);
  const run = <T>(...args: string[]) => cliJson<T>(args, { store: file, apart: true });

  const { key } = await run<{ key: KeyView }>('keys', 'create');
  await follows(key.apiKey, 'passed');
  await run('allow', 'add', key.apiKey, 'methods', 'eth_getLogs');
  await follows(key.apiKey, 'METHOD_NOT_ALLOWED');
  await run('keys', 'update', key.apiKey, '--require-secret', '--override-allowlists');
  await follows(key.apiKey, 'SECRET_REQUIRED');
  const { secret, secretId } = await run<MadeSecret>('secrets', 'add', key.apiKey);
  await follows(key.apiKey, 'passed', basic(secret));
  await run('secrets', 'revoke', key.apiKey, secretId, '--yes');
  await follows(key.apiKey, 'SECRET_INVALID', basic(secret));
  await run('keys', 'delete', key.apiKey, '--yes');
  await follows(key.apiKey, 'KEY_UNKNOWN');
});

test('two managers of one file, a command and a server, lose nothing', async () => {
  const file = fileWith({ apiKey: KEY });
  const store = new FileStore(file);
  endAfterTest(() => store.close());
  const manager = new KeyManager(store);
  await Promise.all([
    ...['eth_a', 'eth_b', 'eth_c'].map((entry) =>
      cliJson(['allow', 'add', KEY, 'methods', entry], { store: file, apart: true }),
    ),
    ...['eth_d', 'eth_e', 'eth_f'].map((entry) => manager.addToAllowlist(KEY, 'methods', entry)),
  ]);
  const { key } = await cliJson<{ key: KeyView }>(['keys', 'show', KEY], { store: file });
  expect([...key.allowlists.methods].sort()).toEqual(['eth_a', 'eth_b', 'eth_c', 'eth_d', 'eth_e', 'eth_f']);
});

test('colours and marks of a terminal are not in a pipe', async () => {
  const { stdout } = await cli(['keys', 'list'], { store: fileWith({ apiKey: KEY }), env: { TERM: 'xterm-256color' } });
  expect(stdout).not.toContain('\x1b');
});
