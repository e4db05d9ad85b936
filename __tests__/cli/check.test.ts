import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSecret } from '../../lib';
import type { DryRun } from '../../lib/explain/dry-run';
import { cli, newFile, temporary } from '../support/cli';
import type { CliOptions } from '../support/cli';
import { KEY } from '../support/pieces';

const SECRET = 'rgs_a-secret';
const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[]}';
const ADMIN = '{"jsonrpc":"2.0","id":2,"method":"admin_peers","params":[]}';

/** A store with one key that may be used from one website for one method. */
function guarded(settings: object = {}): string {
  const file = newFile();
  const allowlists = { origins: ['https://*.example.com'], methods: ['eth_*'] };
  writeFileSync(file, JSON.stringify({ keys: [{ apiKey: KEY, allowlists, ...settings }] }));
  return file;
}

interface Checked extends DryRun {
  readonly notes: readonly string[];
}

/** What `check --json` prints, and how it ends. */
async function check(
  args: readonly string[],
  options: CliOptions = {},
): Promise<Checked & { readonly code: number | null }> {
  const { code, stdout, stderr } = await cli(['check', ...args, '--json'], { store: guarded(), ...options });
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as Checked), code };
}

const FROM_APP = ['-H', 'Origin: https://app.example.com'];

test('lists that only report refuse nothing, and say what they would', async () => {
  const store = guarded({ reportOnly: ['origins'] });
  const run = await check([KEY, '-d', CALL], { store });
  expect(run).toMatchObject({
    code: 0,
    allowed: true,
    reason: null,
    wouldRefuse: 'ORIGIN_NOT_ALLOWED',
    forwarded: CALL,
  });
  expect(run.calls).toMatchObject([{ allowed: true, wouldRefuse: 'ORIGIN_NOT_ALLOWED' }]);
  expect(run.steps.filter(({ step }) => step === 'origins')).toMatchObject([
    { outcome: 'would refuse', reason: 'ORIGIN_NOT_ALLOWED' },
  ]);
  expect(await check([KEY, '-d', ADMIN], { store })).toMatchObject({ reason: 'METHOD_BLOCKED', wouldRefuse: null });
  const { stdout } = await cli(['check', KEY, '-d', CALL], { store });
  expect(stdout).toContain('Would be refused, were it not for lists that only report: ORIGIN_NOT_ALLOWED');
});

describe('the request', () => {
  test('is made of a key, headers and a body', async () => {
    const run = await check([KEY, ...FROM_APP, '-d', CALL]);
    expect(run).toMatchObject({ code: 0, allowed: true, status: 200, forwarded: CALL, notes: [] });
  });

  test('has the body of a file, or of stdin, byte for byte', async () => {
    const file = join(temporary(), 'body.json');
    writeFileSync(file, `\n${CALL}\n`);
    expect(await check([KEY, ...FROM_APP, '-d', `@${file}`])).toMatchObject({ code: 0, forwarded: CALL });
    expect(await check([KEY, ...FROM_APP, '-d', '-'], { input: CALL })).toMatchObject({ code: 0, forwarded: CALL });
    const notUtf8 = Buffer.from(CALL.replace('eth_call', 'eth_c\xffll'), 'latin1');
    expect(await check([KEY, ...FROM_APP, '-d', '-'], { input: notUtf8 })).toMatchObject({
      code: 4,
      reason: 'PARSE_ERROR',
    });
  });

  test('is that of a curl line, pasted into stdin or given', async () => {
    const line = `curl 'https://backend.example/api/v3/${KEY}?x' \\\n  -H 'origin: https://app.example.com' --data-raw '${CALL}' --foo`;
    const run = await check([], { input: line });
    expect(run).toMatchObject({ code: 0, allowed: true, forwarded: CALL });
    expect(run.notes).toEqual([
      "ignored: curl's --foo",
      "taken for the guard's mount point: /api",
      "User-Agent: curl/8.0.0 stands for your curl's own",
    ]);
    expect(await check(['--curl', line])).toMatchObject({ code: 0, forwarded: CALL });
  });

  test('has its key where --path says', async () => {
    const line = `curl https://a/rpc/${KEY}/x -H 'Origin: https://app.example.com' -d '${CALL}'`;
    expect(await check(['--path', '/rpc/:apiKey/x'], { input: line })).toMatchObject({ code: 0 });
    const elsewhere = await cli(['check'], { store: guarded(), input: line });
    expect(elsewhere).toMatchObject({ code: 2, stdout: '' });
    expect(elsewhere.stderr).toContain("is not the guard's path /v3/:apiKey");
  });

  test('is refused with 2 and one line where it is malformed', async () => {
    const wrong: [string[], string][] = [
      [[KEY], 'there is no body'],
      [[KEY, '-d', CALL, '-H', 'Origin'], '-H takes a name and a value'],
      [[KEY, '-d', '@nowhere.json'], 'nowhere.json cannot be read: ENOENT'],
      [[KEY, '--curl', 'curl x'], 'write a key or --curl, not both'],
      [['-d', CALL], '-H and -d need a key'],
      [[KEY, '-d', '-', '--secret-stdin'], 'cannot both read stdin'],
      [[KEY, '-d', CALL, '--path', 'v3'], 'path: got "v3"; it takes a path with one :apiKey segment'],
      [[KEY, '-d', CALL, '--blocked-method', 'a b'], 'blockedMethods: got'],
      [['--curl', 'wget x'], 'not a curl line'],
      [['--curl', `curl -X OPTIONS https://a/v3/${KEY}`], 'preflight'],
    ];
    const store = guarded();
    const runs = await Promise.all(wrong.map(([args]) => cli(['check', ...args], { store })));
    for (const [at, { code, stdout, stderr }] of runs.entries()) {
      const [args, message] = wrong[at]!;
      expect([args, code, stdout, stderr]).toEqual([args, 2, '', expect.stringContaining(message)]);
      expect(stderr.trim()).not.toContain('\n');
    }
  });
});

describe('a file that -d names', () => {
  const MAX_BYTES = 2 * 1024 * 1024;
  const sized = (bytes: number) => {
    const file = join(temporary(), 'body');
    writeFileSync(file, CALL.padEnd(bytes));
    return file;
  };

  test('is a regular one: a pipe would be waited for, and a device never ends', async () => {
    const pipe = join(temporary(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const files = [pipe, '/dev/zero', temporary()];
    const runs = await Promise.all(
      files.flatMap((file) => [
        cli(['check', KEY, '-d', `@${file}`], { store: guarded() }),
        cli(['check'], { store: guarded(), input: `curl https://a/v3/${KEY} --data-binary @${file}` }),
      ]),
    );
    for (const { code, stdout, stderr } of runs) {
      expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining('is not a regular file')]);
    }
  });

  test('holds as much as a body may, all of them of a line together', async () => {
    const [most, more] = [sized(MAX_BYTES), sized(MAX_BYTES + 1)];
    expect(await check([KEY, ...FROM_APP, '-d', `@${most}`])).toMatchObject({ code: 0, forwarded: CALL });
    const refused: [string[], string | undefined][] = [
      [['check', KEY, '-d', `@${more}`], undefined],
      [['check', '--curl', `curl https://a/v3/${KEY} -d @${most} -d @${most}`], undefined],
      [['check', KEY, '-d', '-'], ' '.repeat(MAX_BYTES + 1)],
      [['check'], ' '.repeat(MAX_BYTES + 1)],
      [['check', KEY, '-d', CALL, '--secret-stdin'], 'x'.repeat(MAX_BYTES)],
    ];
    const runs = await Promise.all(
      refused.map(([args, input = '']) => cli([...args, '--json'], { store: guarded(), input })),
    );
    for (const { code, stdout, stderr } of runs) {
      const error = {
        code: 'ERR_RPC_GUARD_USAGE',
        message: expect.stringMatching(/holds more than \d+ bytes/) as string,
      };
      expect([code, stdout, JSON.parse(stderr)]).toEqual([2, '', { error }]);
    }
  });
});

describe('the verdict', () => {
  test('names the entry that decided each step', async () => {
    const { steps, calls } = await check([KEY, ...FROM_APP, '-d', CALL]);
    expect(steps).toContainEqual(
      expect.objectContaining({ step: 'origins', outcome: 'pass', entry: 'https://*.example.com' }),
    );
    expect(calls[0]?.steps).toContainEqual(
      expect.objectContaining({ step: 'methods', outcome: 'pass', entry: 'eth_*' }),
    );
  });

  test('of a refusal is 4, with the status, the reason and the message', async () => {
    const { code, stdout } = await cli(['check', KEY, '-d', CALL], { store: guarded() });
    expect(code).toBe(4);
    expect(stdout).toMatch(/^origins +✗ refuse +ORIGIN_NOT_ALLOWED: there is no Origin header$/m);
    expect(stdout).toMatch(
      /^Refused: HTTP 403, ORIGIN_NOT_ALLOWED: rejected due to project ID settings\nThe upstream receives nothing\.\n$/m,
    );
  });

  test('of a batch lists each call, and what is left for the upstream', async () => {
    const { code, stdout } = await cli(['check', KEY, ...FROM_APP, '-d', `[${ADMIN},${CALL}]`], { store: guarded() });
    expect(code).toBe(4);
    expect(stdout).toMatch(/^Call 1 of 2: admin_peers, id 2$/m);
    expect(stdout).toMatch(/^blockedMethods +✗ refuse +admin_\* +METHOD_BLOCKED: /m);
    expect(stdout).toMatch(/^Call 2 of 2: eth_call, id 1$/m);
    expect(stdout).toContain(
      `Refused: HTTP 200, METHOD_BLOCKED: 1 of 2 calls are allowed\nThe upstream receives:\n  [${CALL}]\n`,
    );
  });

  test('shows the room under the limits, and is 4 where there is none', async () => {
    const store = guarded({ limits: { perSecond: 50, perDay: 1 } });
    const { code, stdout } = await cli(['check', KEY, ...FROM_APP, '-d', CALL], { store });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^limits +✓ pass +has room: 100 of 100, 1 of 1 today$/m);
    const refused = await cli(['check', KEY, ...FROM_APP, '-d', `[${CALL},${CALL}]`], { store });
    expect(refused.code).toBe(4);
    expect(refused.stdout).toMatch(
      /^limits +✗ refuse +limits\.perDay +DAILY_LIMIT_REACHED: costs 2; has no room: 100 of 100, 1 of 1 today$/m,
    );
    expect(refused.stdout).toContain('Refused: HTTP 402, DAILY_LIMIT_REACHED: daily request count exceeded');
  });

  test('is in words alone where the terminal is not in UTF-8', async () => {
    const { stdout } = await cli(['check', KEY, '-d', CALL], { store: guarded(), env: { LC_ALL: 'C' } });
    expect(stdout).toMatch(/^origins +refuse +ORIGIN_NOT_ALLOWED/m);

    expect(stdout).toMatch(/^[\x00-\x7f]*$/);
  });

  test("is by the operator's blocked methods where they are given", async () => {
    const args = [KEY, ...FROM_APP, '-d', CALL, '--blocked-method', 'eth_call', '--blocked-method', 'x_*'];
    expect(await check(args)).toMatchObject({ code: 4, reason: 'METHOD_BLOCKED' });
  });

  test('names the method that a mistyped one may stand for, in the request and in the list', async () => {
    const mistyped = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_blokNumber' });
    const meant = 'did you mean eth_blockNumber?';
    const passes = await check([KEY, ...FROM_APP, '-d', mistyped]);
    expect(passes).toMatchObject({ code: 0, notes: [`eth_blokNumber is no method that is known; ${meant}`] });
    const allowlists = { methods: ['eth_blokNumbr'] };
    const refused = await check([KEY, '-d', mistyped], { store: guarded({ allowlists }) });
    expect(refused.notes).toEqual([expect.stringMatching(/^The entry "eth_blokNumbr" .* "eth_blockNumber"\?$/)]);
    expect(refused.calls[0]?.steps).toContainEqual(
      expect.objectContaining({ step: 'methods', outcome: 'refuse', why: `no entry matches; ${meant}` }),
    );
  });

  test('of an unknown or malformed key is 4', async () => {
    expect(await check(['unknown-key', '-d', CALL])).toMatchObject({ code: 4, status: 401, reason: 'KEY_UNKNOWN' });
    expect(await check(['a/b', '-d', CALL])).toMatchObject({ code: 4, reason: 'KEY_UNKNOWN' });
    expect(await check([], { input: `curl https://a/v3/ -d '${CALL}'` })).toMatchObject({
      code: 4,
      reason: 'KEY_REQUIRED',
    });
  });

  test('of another method than POST is 4', async () => {
    const { code, stderr } = await cli(['check', '--curl', `curl https://a/v3/${KEY}`], { store: guarded() });
    expect([code, stderr]).toEqual([4, expect.stringContaining('405 METHOD_NOT_POST')]);
  });
});

describe('the secret', () => {
  const required = () =>
    guarded({
      allowlists: {},
      requireSecret: true,
      secrets: [{ id: 'a', hash: hashSecret(SECRET), hint: 'rgs_a-se' }],
    });
  const CURL = `curl --user ":$RPC_GUARD_SECRET" https://your-backend/v3/${KEY} -d '${CALL}'`;

  test('is read from stdin', async () => {
    const args = [KEY, '--secret-stdin', '-d', CALL];
    const run = await check(args, { store: required(), input: `${SECRET}\n` });
    expect(run).toMatchObject({ code: 0, allowed: true });
    expect(run.steps).toContainEqual(expect.objectContaining({ step: 'secret', outcome: 'pass', entry: 'rgs_a-se' }));
    expect(await check(args, { store: required(), input: 'wrong' })).toMatchObject({
      code: 4,
      reason: 'SECRET_INVALID',
    });
  });

  test('is that of RPC_GUARD_SECRET, but with --no-secret', async () => {
    const options = () => ({ store: required(), env: { RPC_GUARD_SECRET: SECRET } });
    expect(await check([KEY, '-d', CALL], options())).toMatchObject({ code: 0 });
    expect(await check([KEY, '-d', CALL, '--no-secret'], options())).toMatchObject({
      code: 4,
      reason: 'SECRET_REQUIRED',
    });
  });

  test('is put in where a pasted line names RPC_GUARD_SECRET, as printed lines do', async () => {
    const store = required();
    expect(await check([], { store, input: CURL, env: { RPC_GUARD_SECRET: SECRET } })).toMatchObject({ code: 0 });
    expect(await check(['--curl', CURL, '--secret-stdin'], { store, input: SECRET })).toMatchObject({ code: 0 });
    const missing = await cli(['check'], { store, input: CURL });
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('set RPC_GUARD_SECRET')]);
  });

  test('is that of the pasted line', async () => {
    const input = CURL.replace('$RPC_GUARD_SECRET', SECRET);
    expect(await check([], { store: required(), input })).toMatchObject({ code: 0 });
  });

  test('RPC_GUARD_SECRET is not added to a pasted line that does not name it', async () => {
    const input = `curl https://a/v3/${KEY} -d '${CALL}'`;
    const run = await check([], { store: required(), input, env: { RPC_GUARD_SECRET: SECRET } });
    expect(run).toMatchObject({ code: 4, reason: 'SECRET_REQUIRED' });
  });
});
