import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashPassword } from '../../lib/admin';
import { endAfterTest } from '../support/cleanup';
import { cli, startCli, temporary } from '../support/cli';
import { KEY, call, post } from '../support/guarded-app';
import { recordingUpstream } from '../support/upstream';

const PASSWORD = 'correct horse battery';

interface Started {
  readonly url: string;
  readonly dashboard?: string;
  readonly metrics?: string;
  readonly store: string;
}

/** Starts `rpc-guard serve` on a free port, in a folder of its own. */
async function serve(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = temporary()) {
  const child = startCli(['serve', '--port', '0', '--json', ...args], { cwd, env });
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  endAfterTest(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  let stdout = '';
  for await (const chunk of child.stdout) {
    stdout += String(chunk);
    if (stdout.endsWith('}\n')) break;
  }
  const started = JSON.parse(stdout) as Started;
  return { ...started, cwd, child, exited };
}

test('starts with one command in an empty folder, and ends by itself on SIGTERM', async () => {
  const upstream = await recordingUpstream();
  const { url, dashboard, store, cwd, child, exited } = await serve(['--upstream', upstream.url, '--no-dashboard']);
  expect([dashboard, store]).toEqual([undefined, './rpc-guard.json']);
  expect(statSync(join(cwd, 'rpc-guard.json')).mode & 0o777).toBe(0o600);
  const { status } = await post(`${url}/v3/${KEY}`, call('eth_chainId'));
  const ready = (await (await fetch(`${url}/readyz`)).json()) as { ok: boolean };
  expect([status, (await fetch(`${url}/healthz`)).status, ready.ok]).toEqual([401, 200, true]);
  expect((await fetch(`${url}/admin/`)).status).toBe(404);
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  expect(upstream.seen).toEqual([]);
});

test('takes its options from a file, and flags win over the environment and the file', async () => {
  const upstream = await recordingUpstream();
  const folder = temporary();
  const users = `users: { ann: '${await hashPassword(PASSWORD)}' }`;
  const lines = ['upstream: http://127.0.0.1:1', 'store: keys.json', 'path: /rpc/:apiKey', 'port: 1', users];
  writeFileSync(join(folder, 'guard.yaml'), lines.join('\n'));
  writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys: [{ apiKey: KEY }] }));
  const args = ['--config', 'guard.yaml', '--upstream', upstream.url];
  const { url, dashboard = '' } = await serve(args, { RPC_GUARD_UPSTREAM: 'http://127.0.0.1:2' }, folder);
  expect((await post(`${url}/rpc/${KEY}`, call('eth_chainId'))).json).toMatchObject({ result: 'eth_chainId' });
  const headers = { Authorization: `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}` };
  const statuses = [(await fetch(dashboard)).status, (await fetch(dashboard, { headers })).status];
  expect(statuses).toEqual([401, 200]);
});

test('serves the metrics on a port of their own, on the machine itself wherever the guard listens', async () => {
  const args = ['--upstream', 'http://127.0.0.1:1', '--no-dashboard', '--metrics-port', '0', '--host', '0.0.0.0'];
  const { url, metrics = '' } = await serve(args);
  expect([new URL(metrics).hostname, new URL(url).hostname]).toEqual(['127.0.0.1', 'localhost']);
  expect(new URL(metrics).port).not.toBe(new URL(url).port);
  expect(await (await fetch(metrics)).text()).toContain('rpc_guard_build_info');
  expect((await fetch(`${url}/metrics`)).status).toBe(404);
});

describe('refuses to start', () => {
  const refused = async (args: readonly string[], env = {}) => {
    const { code, stderr } = await cli(['serve', ...args], { env });
    return [code, stderr] as const;
  };

  test('without an upstream, and says the three places for it', async () => {
    const [code, stderr] = await refused(['--no-dashboard']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('--upstream, RPC_GUARD_UPSTREAM, or upstream in the file'),
    ]);
  });

  test('with a dashboard that has no password, where nobody can be asked for one', async () => {
    const [code, stderr] = await refused(['--upstream', 'http://127.0.0.1:1']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('the dashboard would have no password')]);
  });

  test('with a password in place of its hash, which it does not repeat', async () => {
    const folder = temporary();
    const store = `file:${join(folder, 'keys.json')}`;
    const args = [
      '--upstream',
      'http://127.0.0.1:1',
      '--admin-password-hash',
      PASSWORD,
      '--port',
      '0',
      '--store',
      store,
    ];
    const [code, stderr] = await refused(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining('hash-password')]);
    expect(stderr).not.toContain(PASSWORD);
  });

  test('with an empty address, which Node takes for all of them', async () => {
    const env = { RPC_GUARD_HOST: '', RPC_GUARD_METRICS_HOST: '' };
    const [code, stderr] = await refused(['--upstream', 'http://127.0.0.1:1', '--no-dashboard'], env);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ host: got "".*metricsHost: got ""/s)]);
  });

  test('with a misspelt member of the file, and names the right one', async () => {
    const file = join(temporary(), 'guard.json');
    writeFileSync(file, '{ "upstream": "http://127.0.0.1:1", "credit": {}, "prot": 1 }');
    const [code, stderr] = await refused(['--config', file, '--no-dashboard']);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /cannot start: credit: does not exist; did you mean credits\?; prot: does not exist; did you mean port\?/,
    );
  });

  test('where another server has the port', async () => {
    const upstream = await recordingUpstream();
    const store = `file:${join(temporary(), 'keys.json')}`;
    const args = ['--upstream', upstream.url, '--no-dashboard', '--store', store, '--port', String(upstream.port)];
    const { code, stderr } = await cli(['serve', ...args], { apart: true });
    const line = `rpc-guard: port ${upstream.port} on 127.0.0.1 is in use; --port names another\n`;
    expect([code, stderr]).toEqual([1, line]);
  });
});

test('does not replace an existing file', async () => {
  const folder = temporary();
  const file = join(folder, 'rpc-guard.json');
  writeFileSync(file, '{"keys":[{"apiKey":"my-first-key"}]}');
  await serve(['--upstream', 'http://127.0.0.1:1', '--no-dashboard'], {}, folder);
  expect(readFileSync(file, 'utf8')).toBe('{"keys":[{"apiKey":"my-first-key"}]}');
});
