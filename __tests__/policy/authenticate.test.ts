import crypto from 'node:crypto';
import { compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { CompiledKey } from '../../lib/settings/compile';
import type { KeySettingsInput } from '../../lib/settings/key-settings';
import { isRefusal } from '../../lib/policy/refusals';
import { hashSecret } from '../../lib/settings/secret';
import { authenticate } from '../../lib/policy/authenticate';
import { KEY, basicHeader, factsOf } from '../support/pieces';

const SECRET = 'rgs_the-first-secret-of-this-key-000001';
const SECOND = 'rgs_the-second-secret-of-this-key-000002';

function keyWith(settings: Partial<KeySettingsInput>): CompiledKey {
  return compileKeySettings(parseKeySettings({ apiKey: KEY, ...settings }));
}

const oneSecret = keyWith({ secrets: [{ hash: hashSecret(SECRET) }] });
const twoSecrets = keyWith({
  secrets: [{ hash: hashSecret(SECRET) }, { hash: hashSecret(SECOND) }],
  requireSecret: true,
});

/** 'none' when no secret came and none is needed, 'valid' when a right one came, or the reason of the refusal. */
function verdict(authorization: string | undefined, key = oneSecret, apiKey = KEY): string {
  const secret = authenticate(factsOf({ authorization, apiKey }), key);
  if (secret === undefined) return 'none';
  return isRefusal(secret) ? secret.refused : 'valid';
}

const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');

describe('credentials of a valid secret pass', () => {
  test.each([
    ['without a user name, as curl --user :SECRET sends them', basicHeader(SECRET)],
    ['with the API key as the user name', basicHeader(SECRET, KEY)],
    ['under a scheme in lower case', `basic ${base64(`:${SECRET}`)}`],
    ['under a scheme in upper case', `BASIC ${base64(`:${SECRET}`)}`],
  ])('%s', (_, authorization) => {
    expect(verdict(authorization)).toBe('valid');
    expect(verdict(authorization, twoSecrets)).toBe('valid');
  });

  test('of each of several active secrets', () => {
    expect(authenticate(factsOf({ authorization: basicHeader(SECRET) }), twoSecrets)).toBe(twoSecrets.secrets[0]);
    expect(authenticate(factsOf({ authorization: basicHeader(SECOND) }), twoSecrets)).toBe(twoSecrets.secrets[1]);
  });

  test.each([
    'a:b:c:d-a-secret-with-colons-in-it-000001',
    ':a-secret-that-begins-with-a-colon-0001',
    'a-secret-that-ends-with-a-colon-0000001:',
    'пароль-длиной-не-меньше-тридцати-двух-знаков',
    'a secret with spaces, that is long enough ',
    '\ufeffa-secret-that-begins-with-a-bom-0000001',
    '😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀',
    'a-secret-with-a-tab\tin-it-0000000000000001',
  ])('whatever it is made of: %j', (secret) => {
    const key = keyWith({ secrets: [{ hash: hashSecret(secret) }], requireSecret: true });
    expect(verdict(basicHeader(secret), key)).toBe('valid');
    expect(verdict(basicHeader(secret, KEY), key)).toBe('valid');
  });
});

describe('credentials that are present are checked where none are required too:', () => {
  const bytes = (...parts: readonly (string | number)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part]))));

  test.each([
    ['a wrong secret', basicHeader('wrong')],
    ['an empty secret', basicHeader('')],
    ['an empty secret under the key', basicHeader('', KEY)],
    ['nothing at all', ''],
    ['the scheme alone', 'Basic'],
    ['the scheme and a space', 'Basic '],
    ['the scheme and empty Base64', 'Basic ===='],
    ['no colon', `Basic ${base64(SECRET)}`],
    ['no scheme', base64(`:${SECRET}`)],
    ['another user', basicHeader(SECRET, 'user')],
    ['another key', basicHeader(SECRET, KEY.toUpperCase())],
    ['the key and a space', basicHeader(SECRET, `${KEY} `)],
    ['the secret as the user', basicHeader('', SECRET)],
    ['the secret twice', basicHeader(SECRET, SECRET)],
    ['the key twice', basicHeader(SECRET, `${KEY}:${KEY}`)],
    ['the hash for the secret', basicHeader(hashSecret(SECRET))],
    ['the secret in another case', basicHeader(SECRET.toUpperCase())],
    ['a space after the secret', basicHeader(`${SECRET} `)],
    ['a space before the secret', basicHeader(` ${SECRET}`)],
    ['a line end after the secret', basicHeader(`${SECRET}\n`)],
    ['a NUL after the secret', basicHeader(`${SECRET}\0`)],
    ['part of the secret', basicHeader(SECRET.slice(0, -1))],
    ['the secret percent-encoded', basicHeader(SECRET.replace('_', '%5F'))],
    ['a byte order mark before the colon', `Basic ${base64(`\ufeff:${SECRET}`)}`],
    ['a byte that is no UTF-8 after the secret', `Basic ${base64(bytes(`:${SECRET}`, 0xff))}`],
    ['a byte that is no UTF-8 for the user', `Basic ${base64(bytes(0xff, `:${SECRET}`))}`],
    ['Bearer', `Bearer ${SECRET}`],
    ['Bearer with Basic credentials', `Bearer ${base64(`:${SECRET}`)}`],
    ['Digest', `Digest username="${KEY}", response="${SECRET}"`],
    ['Basic within another scheme', `X Basic ${base64(`:${SECRET}`)}`],
    ['two credentials', `${basicHeader(SECRET)}, ${basicHeader(SECRET)}`],
    ['two credentials without a comma', `${basicHeader(SECRET)} ${basicHeader(SECRET)}`],
    ['a wrong and a right one', `${basicHeader('wrong')}, ${basicHeader(SECRET)}`],
    ['bad characters before', `Basic !!${base64(`:${SECRET}`)}`],
    ['bad characters within', `Basic ${base64(`:${SECRET}`).replace(/^(.{8})/, '$1!!')}`],
    ['a space within', `Basic ${base64(`:${SECRET}`).replace(/^(.{8})/, '$1 ')}`],
    ['a line end within', `Basic ${base64(`:${SECRET}`).replace(/^(.{8})/, '$1\n')}`],
    ['a line end after', `${basicHeader(SECRET)}\n`],
    ['bytes after the padding', `Basic ${base64(`:${SECRET}x`).replace(/=*$/, '')}==${base64('more')}`],
    ['more padding than there is', `${basicHeader(SECRET)}=`],
    ['padding in front', `Basic =${base64(`:${SECRET}`)}`],
    ['a hyphen, as URLs have', 'Basic Oi0-'],
    ['a comma after', `${basicHeader(SECRET)},`],
    ['quotes', `Basic "${base64(`:${SECRET}`)}"`],
    ['no space after the scheme', `Basic${base64(`:${SECRET}`)}`],
    ['a colon after the scheme', `Basic: ${base64(`:${SECRET}`)}`],
    ['null', 'null'],
    ['undefined', 'undefined'],
  ])('%s', (_, authorization) => {
    for (const key of [oneSecret, twoSecrets, keyWith({}), keyWith({ requireSecret: true })]) {
      expect(verdict(authorization, key)).toBe('SECRET_INVALID');
    }
  });

  test('Base64 without its padding', () => {
    for (const secret of ['a', 'ab', 'abc'].map((end) => `${SECRET}${end}`)) {
      const key = keyWith({ secrets: [{ hash: hashSecret(secret) }] });
      const padded = basicHeader(secret);
      expect(verdict(padded, key)).toBe('valid');
      if (padded.endsWith('=')) expect(verdict(padded.replace(/=+$/, ''), key)).toBe('SECRET_INVALID');
    }
  });

  test('Base64 whose last character holds bits that are not in any byte', () => {
    const key = keyWith({ secrets: [{ hash: hashSecret('12345') }] });
    expect(verdict('Basic OjEyMzQ1', key)).toBe('valid');
    const other = keyWith({ secrets: [{ hash: hashSecret('123') }] });
    expect(verdict('Basic OjEyMw==', other)).toBe('valid');
    for (const last of ['x', 'y', '0']) expect(verdict(`Basic OjEyM${last}==`, other)).toBe('SECRET_INVALID');
  });

  test('Base64 of URLs', () => {
    const secret = '???>>>???>>>???>>>???>>>???>>>???';
    const key = keyWith({ secrets: [{ hash: hashSecret(secret) }] });
    const encoded = basicHeader(secret);
    expect(verdict(encoded, key)).toBe('valid');
    expect(encoded).toMatch(/[+/]/);
    expect(verdict(encoded.replaceAll('/', '_').replaceAll('+', '-'), key)).toBe('SECRET_INVALID');
  });

  test('a byte that is not UTF-8 where the secret has the replacement character', () => {
    const secret = 'a-secret-with-\ufffd-in-it-00000000000001';
    const key = keyWith({ secrets: [{ hash: hashSecret(secret) }] });
    const [before = '', after = ''] = secret.split('\ufffd');
    expect(verdict(basicHeader(secret), key)).toBe('valid');
    expect(verdict(`Basic ${base64(bytes(':', before, 0xff, after))}`, key)).toBe('SECRET_INVALID');
  });

  test('a long header', () => {
    expect(verdict(`Basic ${'A'.repeat(1024 * 1024)}`)).toBe('SECRET_INVALID');
    expect(verdict(`Basic ${' '.repeat(1024 * 1024)}x!`)).toBe('SECRET_INVALID');
    expect(verdict(`Basic ${base64(':'.repeat(100_000))}`)).toBe('SECRET_INVALID');
  });
});

describe('a request without credentials', () => {
  test('passes where none are required, whether the key has secrets or not', () => {
    expect(verdict(undefined, oneSecret)).toBe('none');
    expect(verdict(undefined, keyWith({}))).toBe('none');
  });

  test('is refused where they are required', () => {
    expect(verdict(undefined, twoSecrets)).toBe('SECRET_REQUIRED');
  });
});

describe('a key that requires a secret and has no active one refuses everything', () => {
  const expired = keyWith({
    requireSecret: true,
    secrets: [{ hash: hashSecret(SECRET), expiresAt: '2020-01-01T00:00:00Z' }],
  });

  test.each([
    ['no credentials', undefined, 'SECRET_REQUIRED'],
    ['an empty secret', basicHeader(''), 'SECRET_INVALID'],
    ['the expired secret', basicHeader(SECRET), 'SECRET_INVALID'],
    ['the key for the secret', basicHeader(KEY, KEY), 'SECRET_INVALID'],
  ])('%s', (_, authorization, reason) => {
    for (const key of [expired, keyWith({ requireSecret: true })]) {
      expect(verdict(authorization, key)).toBe(reason);
    }
  });
});

describe('a secret', () => {
  const expiresAt = '2027-01-31T00:00:00Z';
  const expiring = keyWith({ secrets: [{ hash: hashSecret(SECRET), expiresAt }, { hash: hashSecret(SECOND) }] });

  beforeEach(() => jest.useFakeTimers({ doNotFake: ['performance'] }));
  afterEach(() => jest.useRealTimers());

  test('is dead at the instant of its expiry, and the others live on', () => {
    jest.setSystemTime(Date.parse(expiresAt) - 1);
    expect(verdict(basicHeader(SECRET), expiring)).toBe('valid');
    jest.setSystemTime(Date.parse(expiresAt));
    expect(verdict(basicHeader(SECRET), expiring)).toBe('SECRET_INVALID');
    expect(verdict(basicHeader(SECOND), expiring)).toBe('valid');
    expect(verdict(undefined, expiring)).toBe('none');
  });
});

test('a key named like an object member has secrets as any other', () => {
  const key = compileKeySettings(parseKeySettings({ apiKey: '__proto__', secrets: [{ hash: hashSecret(SECRET) }] }));
  expect(verdict(basicHeader(SECRET, '__proto__'), key, '__proto__')).toBe('valid');
  expect(verdict(basicHeader(SECRET, 'constructor'), key, '__proto__')).toBe('SECRET_INVALID');
});

describe('an unknown key costs the work of a known one', () => {
  const hash = jest.spyOn(crypto, 'hash');
  const compare = jest.spyOn(crypto, 'timingSafeEqual');
  afterAll(() => jest.restoreAllMocks());

  function work(run: () => unknown): readonly number[] {
    hash.mockClear();
    compare.mockClear();
    run();
    return [hash.mock.calls.length, compare.mock.calls.length];
  }

  test.each([
    ['a right secret', basicHeader(SECRET)],
    ['a wrong one', basicHeader('wrong')],
    ['another user', basicHeader(SECRET, 'user')],
    ['malformed credentials', 'Basic !!'],
    ['another scheme', 'Bearer x'],
    ['an empty header', ''],
  ])('for %s', (_, authorization) => {
    const facts = factsOf({ authorization });
    const known = work(() => authenticate(facts, oneSecret));
    expect(known).toEqual([1, 1]);
    expect(work(() => authenticate(facts, undefined))).toEqual(known);
    expect(work(() => authenticate(facts, keyWith({})))).toEqual(known);
  });

  test('and for none', () => {
    expect(work(() => authenticate(factsOf(), oneSecret))).toEqual([0, 0]);
    expect(work(() => authenticate(factsOf(), undefined))).toEqual([0, 0]);
  });
});
