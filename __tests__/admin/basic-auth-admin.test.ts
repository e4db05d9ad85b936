import { RpcGuardError } from '../../lib';
import { basicAuthAdmin, hashPassword } from '../../lib/admin';
import type { BasicAuthAdminOptions } from '../../lib/admin';
import { adminApp } from '../support/admin-app';
import type { AdminApp } from '../support/admin-app';
import { basic } from '../support/guarded-app';

const PASSWORD = 'correct horse battery';
let hash: string;

beforeAll(async () => {
  hash = await hashPassword(PASSWORD);
});

function appFor(users: Record<string, string>): Promise<AdminApp> {
  return adminApp({ options: { authorize: basicAuthAdmin({ users }) } });
}

async function statusOf(app: AdminApp, headers: Record<string, string> = {}): Promise<number> {
  return (await app.api('GET', 'keys', undefined, headers)).status;
}

test('lets in a user with the right password, and tells the audit who', async () => {
  const app = await appFor({ ann: hash, 'bob b.': await hashPassword('another long password') });
  expect(await statusOf(app, basic(PASSWORD, 'ann'))).toBe(200);
  await app.api('POST', 'keys', {}, basic('another long password', 'bob b.'));
  expect(app.audit.map(({ actor }) => actor)).toEqual(['bob b.']);
  expect((await app.api('GET', 'meta', undefined, basic(PASSWORD, 'ann'))).text).toContain('"user":"ann"');
});

test('takes a password in any Unicode form', async () => {
  const app = await appFor({ ann: await hashPassword('pass\u00e9pass\u00e9pass') });
  expect(await statusOf(app, basic('passe\u0301passe\u0301pass', 'ann'))).toBe(200);
});

test.each<[string, () => Record<string, string>]>([
  ['no credentials', () => ({})],
  ['a wrong password', () => basic('correct horse batterY', 'ann')],
  ['the hash as the password', () => basic(hash, 'ann')],
  ['no password', () => basic('', 'ann')],
  ['an unknown user', () => basic(PASSWORD, 'bob')],
  ['a user named like a member', () => basic(PASSWORD, '__proto__')],
  ['a name in another case', () => basic(PASSWORD, 'Ann')],
  ['no name', () => basic(PASSWORD)],
  ['another scheme', () => ({ Authorization: `Bearer ${PASSWORD}` })],
  ['Base64 that is none', () => ({ Authorization: 'Basic !!!' })],
])('asks for a login with %s', async (_what, headers) => {
  const app = await appFor({ ann: hash });
  const answer = await app.api('POST', 'keys', { name: 'a' }, headers());
  expect([answer.status, answer.json.error.code]).toEqual([401, 'UNAUTHORIZED']);
  expect(answer.headers.get('www-authenticate')).toBe('Basic realm="rpc-guard admin", charset="UTF-8"');
  expect(await app.store.list()).toEqual([]);
});

describe('Repeated failures', () => {
  const wrong = (n: number) => basic(`wrong password ${String(n)}`, 'ann');

  test('make the next try wait, each time longer', async () => {
    const app = await appFor({ ann: hash });
    for (const [n, least] of [0, 250, 500, 1000].entries()) {
      const began = performance.now();
      expect(await statusOf(app, wrong(n))).toBe(401);
      expect(performance.now() - began).toBeGreaterThanOrEqual(least - 5);
    }
  });

  test('make tries at once wait for each other, and refuse what is too many', async () => {
    const app = await appFor({ ann: hash });
    const tries = Array.from({ length: 12 }, (_, n) => statusOf(app, wrong(n)));
    const statuses = await Promise.all(tries);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(7);
  });

  test('do not hold up who is logged in already', async () => {
    const app = await appFor({ ann: hash });
    expect(await statusOf(app, basic(PASSWORD, 'ann'))).toBe(200);
    let isOver = false;
    const failing = Promise.all([0, 1, 2, 3].map((n) => statusOf(app, wrong(n)))).then(() => {
      isOver = true;
    });
    for (let n = 0; n < 5; n++) expect(await statusOf(app, basic(PASSWORD, 'ann'))).toBe(200);
    expect(isOver).toBe(false);
    await failing;
  });

  test('are forgotten after the right password', async () => {
    const app = await appFor({ ann: hash });
    for (const n of [1, 2, 3]) await statusOf(app, wrong(n));
    expect(await statusOf(app, basic(PASSWORD, 'ann'))).toBe(200);
    const began = performance.now();
    await statusOf(app, wrong(4));
    expect(performance.now() - began).toBeLessThan(1000); // what a fourth try would have to wait
  });
});

describe('Its options', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['no users', { users: {} }],
    ['a password in place of a hash', { users: { ann: PASSWORD } }],
    ['a hash without salt', { users: { ann: '$scrypt$ln=15,r=8,p=1$$aaaa' } }],
    ['a hash that is too cheap', { users: { ann: '$scrypt$ln=4,r=8,p=1$aaaaaaaaaaaaaaaaaaaaaa$'.padEnd(90, 'a') } }],
    ['a name with a colon', { users: { 'a:b': '$scrypt$ln=15,r=8,p=1$aaaaaaaaaaaaaaaaaaaaaa$'.padEnd(90, 'a') } }],
  ])('%s throws, and quotes no password', (_what, options) => {
    expect(() => basicAuthAdmin(options as BasicAuthAdminOptions)).toThrow(RpcGuardError);
    expect(() => basicAuthAdmin(options as BasicAuthAdminOptions)).toThrow(/hash-password/);
    expect(() => basicAuthAdmin(options as BasicAuthAdminOptions)).not.toThrow(PASSWORD);
  });

  test('a hash has a salt of its own and does not hold the password', async () => {
    const other = await hashPassword(PASSWORD);
    expect(other).not.toBe(hash);
    expect(other).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$[^$]{22}\$[^$]{43}$/);
  });

  test.each(['', 'short', 'eleven char'])('the password "%s" is too short for a hash', async (password) => {
    await expect(hashPassword(password)).rejects.toThrow(/12 characters/);
  });
});
