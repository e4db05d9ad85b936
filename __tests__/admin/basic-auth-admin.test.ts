import { scryptSync } from 'node:crypto';
import type { RequestHandler } from 'express';
import { RpcGuardError } from '../../lib';
import { basicAuthAdmin, hashPassword } from '../../lib/admin';
import type { BasicAuthAdminOptions } from '../../lib/admin';
import { adminApp } from '../support/admin-app';
import type { AdminApp } from '../support/admin-app';
import { basic } from '../support/guarded-app';
import { until } from '../support/until';

const PASSWORD = 'correct horse battery';
const SALT = 'abcdefghijklmnop';
/** A hash that takes a millisecond, where many are worked out. */
const cheap = `$scrypt$ln=10,r=8,p=1$${unpadded(SALT)}$${unpadded(scryptSync(PASSWORD, SALT, 32, { N: 1024 }))}`;
let hash: string;

beforeAll(async () => {
  hash = await hashPassword(PASSWORD);
});

function appFor(users: Record<string, string>): Promise<AdminApp> {
  return adminApp({ options: { authorize: basicAuthAdmin({ users }) } });
}

function unpadded(bytes: string | Buffer): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}

/** Waits for ever where a status is the one that is not asked for. */
function unless(other: number): (status: number) => number | Promise<number> {
  return (status) => (status === other ? new Promise(() => undefined) : status);
}

async function statusOf(app: AdminApp, headers: Record<string, string> = {}): Promise<number> {
  return (await app.api('GET', 'keys', undefined, headers)).status;
}

test('lets in a user with the right password, and names that user in the audit', async () => {
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

describe('Failed logins', () => {
  const wrong = (n: number) => basic(`wrong password ${String(n)}`, 'ann');

  test('delay the next attempt, and refuse those beyond five', async () => {
    const app = await appFor({ ann: cheap });
    const began = performance.now();
    expect(await statusOf(app, wrong(0))).toBe(401);
    const tries = [1, 2, 3, 4, 5, 6].map((n) => statusOf(app, wrong(n)));
    expect(await Promise.race(tries)).toBe(429);
    expect(await Promise.race(tries.map((status) => status.then(unless(429))))).toBe(401);
    expect(performance.now() - began).toBeGreaterThanOrEqual(245);
  });

  test('from 20 addresses do not lock out the right password from another', async () => {
    let arrived = 0;
    const before: RequestHandler = (req, _res, next) => {
      Object.defineProperty(req, 'ip', { value: req.get('X-From') });
      arrived++;
      next();
    };
    const authorize = basicAuthAdmin({ users: { ann: cheap } });
    const app = await adminApp({ options: { authorize }, before: [before] });
    const from = (n: number) => ({ 'X-From': `10.0.0.${String(n)}` });
    const attack = (times: number) =>
      Array.from({ length: 20 * times }, (_, n) => statusOf(app, { ...wrong(n), ...from(n % 20) }));
    await Promise.all(attack(1));
    void Promise.allSettled(attack(5));
    await until(() => arrived === 120);
    expect(await statusOf(app, { ...basic(PASSWORD, 'ann'), ...from(99) })).toBe(200);
  });

  test('do not delay users who are logged in', async () => {
    const app = await appFor({ ann: cheap });
    expect(await statusOf(app, basic(PASSWORD, 'ann'))).toBe(200);
    let isOver = false;
    // Five wait for 3.75 s in all: long enough on a crowded machine, and nobody waits for them here.
    void Promise.allSettled([0, 1, 2, 3, 4].map((n) => statusOf(app, wrong(n)))).then(() => {
      isOver = true;
    });
    for (let n = 0; n < 5; n++) expect(await statusOf(app, basic(PASSWORD, 'ann'))).toBe(200);
    expect(isOver).toBe(false);
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
