import { readFileSync } from 'node:fs';
import type { KeyView, MadeSecret } from '../../lib';
import { hashSecret } from '../../lib';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY } from '../support/pieces';

const HOUR_MS = 3_600_000;

/** A file with one key, of one secret. */
async function oneSecret(...args: string[]): Promise<{ readonly store: string; readonly made: MadeSecret }> {
  const store = newFile();
  return {
    store,
    made: await cliJson<MadeSecret>(['keys', 'create', '--api-key', KEY, '--secret', ...args], { store }),
  };
}

async function shown(store: string): Promise<KeyView> {
  return (await cliJson<{ key: KeyView }>(['keys', 'show', KEY], { store })).key;
}

test('secrets add makes one beside the others, with lists of its own if given', async () => {
  const { store, made } = await oneSecret();
  const args = ['secrets', 'add', KEY, '--label', 'backend', '--expires', '90d', '--method', 'eth_call'];
  const added = await cliJson<MadeSecret>(args, { store });
  expect(readFileSync(store, 'utf8')).toContain(hashSecret(added.secret));
  const { secrets } = await shown(store);
  expect(secrets.map(({ id }) => id)).toEqual([made.secretId, added.secretId]);
  expect(secrets[1]).toMatchObject({
    label: 'backend',
    state: 'active',
    allowlists: { methods: ['eth_call'], origins: [] },
  });
  expect(Date.parse(secrets[1]!.expiresAt!) - Date.now()).toBeGreaterThan(89 * 24 * HOUR_MS);
});

test('secrets rotate replaces the only one, which lives on for 24 hours', async () => {
  const { store, made } = await oneSecret('--label', 'backend');
  const { stdout, stderr, code } = await cli(['secrets', 'rotate', KEY, '--secret-only'], { store });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^rgs_\w{49}\n$/)]);
  expect(stderr).toContain(`the old secret ${made.secretId} ends in 24 h`);
  const [old, fresh] = (await shown(store)).secrets;
  expect(fresh).toMatchObject({ label: 'backend', state: 'active' });
  expect(Math.abs(Date.parse(old!.expiresAt!) - Date.now() - 24 * HOUR_MS)).toBeLessThan(HOUR_MS / 60);
});

test('secrets update changes label, expiry and limits, each by itself, and none takes one away', async () => {
  const { store, made } = await oneSecret('--label', 'backend');
  const update = (...args: string[]) => cli(['secrets', 'update', KEY, made.secretId, ...args], { store });
  const limited = await update('--per-second', '20', '--per-day', '100k', '--expires', '90d');
  expect(limited.stdout).toMatch(
    /: the secret \w+: expires in 3 months \(.*Z\); limits 20 a second, burst 40; 100,000 a day\n$/,
  );
  const [secret] = (await shown(store)).secrets;
  expect(secret).toMatchObject({ label: 'backend', limits: { perSecond: 20, perDay: 100_000 } });
  expect((await cli(['keys', 'show', KEY], { store })).stdout).toContain(
    `Limits of the secret ${made.secretId}\n  20 a second, burst 40; 100,000 a day\n`,
  );
  await update('--label', 'partner', '--expires', 'none', '--per-second', 'none');
  const [changed] = (await shown(store)).secrets;
  expect(changed).toMatchObject({ label: 'partner', limits: { perDay: 100_000 } });
  expect(changed).not.toHaveProperty('expiresAt');
  await update('--per-day', 'none');
  expect((await shown(store)).secrets[0]).not.toHaveProperty('limits');
});

test('secrets update without a change, with a wrong amount or of an older version changes nothing', async () => {
  const { store, made } = await oneSecret();
  for (const [args, code, message] of [
    [[], 2, 'nothing to change: write --label, --expires or a limit'],
    [['--burst', '5'], 2, 'limits.burst: needs perSecond'],
    [['--per-day', '0'], 2, 'such as 50, 10k or 1m'],
    [['--per-day', '5', '--expect-version', '9'], 1, 'version'],
  ] as const) {
    const run = await cli(['secrets', 'update', KEY, made.secretId, ...args], { store });
    expect([run.code, run.stderr]).toEqual([code, expect.stringContaining(message)]);
  }
  expect((await shown(store)).version).toBe(1);
});

test('secrets add takes limits', async () => {
  const { store } = await oneSecret();
  await cliJson(['secrets', 'add', KEY, '--per-second', '5', '--burst', '9'], { store });
  expect((await shown(store)).secrets[1]).toMatchObject({ limits: { perSecond: 5, burst: 9 } });
});

test('of several secrets you name the one to rotate', async () => {
  const { store, made } = await oneSecret();
  const { secretId } = await cliJson<MadeSecret>(['secrets', 'add', KEY], { store });
  const unsaid = await cli(['secrets', 'rotate', KEY], { store });
  expect(unsaid).toMatchObject({ code: 2, stderr: `rpc-guard: say which secret: ${made.secretId}, ${secretId}\n` });
  const rotated = await cliJson<MadeSecret>(['secrets', 'rotate', KEY, secretId, '--grace', '0'], { store });
  expect(rotated.key.secrets.map(({ id }) => id)).toEqual([made.secretId, rotated.secretId]);
});

test('secrets revoke ends one once it is confirmed', async () => {
  const { store, made } = await oneSecret();
  expect(await cli(['secrets', 'revoke', KEY, made.secretId], { store, input: 'yes\n' })).toMatchObject({ code: 2 });
  expect((await shown(store)).secrets).toHaveLength(1);
  await cliJson(['secrets', 'revoke', KEY, made.secretId, '--yes'], { store });
  expect((await shown(store)).secrets).toEqual([]);
});

test('an unknown secret ends with 3', async () => {
  const { store } = await oneSecret();
  for (const args of [
    ['revoke', KEY, 'nope', '--yes'],
    ['rotate', KEY, 'nope'],
    ['update', KEY, 'nope', '--label', 'x'],
  ]) {
    const { code, stderr } = await cli(['secrets', ...args, '--json'], { store });
    expect([code, JSON.parse(stderr)]).toMatchObject([3, { error: { code: 'ERR_RPC_GUARD_SECRET_UNKNOWN' } }]);
  }
});

test('a secret is printed by the command that made it and by no other, and its hash by none', async () => {
  const { store, made } = await oneSecret();
  const { secret } = made;
  const runs = await Promise.all([
    cli(['keys', 'show', KEY, '--json'], { store }),
    cli(['keys', 'list', '--json'], { store }),
    cli(['keys', 'show', KEY], { store }),
    cli(['keys', 'update', KEY, '--name', 'x'], { store }),
    cli(['allow', 'add', KEY, 'methods', 'eth_call', '--json'], { store }),
    cli(['secrets', 'add', KEY], { store }),
    // Typed in the wrong place.
    cli(['keys', 'show', secret, '--json'], { store }),
    cli(['keys', secret], { store }),
    cli(['keys', 'list', `--${secret}`], { store }),
    cli(['keys', 'list', secret], { store }),
    cli(['secrets', 'revoke', KEY, secret, '--yes'], { store }),
    cli(['secrets', 'rotate', KEY, '--grace', secret], { store }),
    cli(['allow', 'add', KEY, 'origins', `${secret}/`], { store }),
    cli(['allow', 'add', KEY, secret, 'x'], { store }),
    cli(['check', KEY, '--secret-stdin', '-d', '{}', '--json'], { store, input: secret }),
    cli(['check'], { store, input: `curl -u :${secret} https://x/v3/${KEY} -d '{}'` }),
    cli(['check'], { store, input: `curl -u :${secret} https://x/v4/${KEY} -d '{}'` }),
  ]);
  for (const { stdout, stderr } of runs) {
    expect(stdout + stderr).not.toContain(secret);
    expect(stdout + stderr).not.toContain(hashSecret(secret));
  }
  expect(readFileSync(store, 'utf8')).not.toContain(secret);
});
