import crypto from 'node:crypto';
import { crc32 } from 'node:zlib';
import { generateApiKey } from '../../lib/settings/api-key';
import { generateSecret, hashSecret, matchSecret } from '../../lib/settings/secret';
import type { SecretDigest } from '../../lib/settings/secret';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const NOW = Date.UTC(2027, 0, 31);

function fromBase62(digits: string): bigint {
  return digits.split('').reduce((sum, digit) => sum * 62n + BigInt(BASE62.indexOf(digit)), 0n);
}

function record(secret: string, expiresAtMs = Infinity): SecretDigest & { readonly name: string } {
  return { name: secret, digest: Buffer.from(hashSecret(secret), 'hex'), expiresAtMs };
}

describe('a generated secret', () => {
  const secrets = Array.from({ length: 500 }, generateSecret);

  test('is rgs_, 43 base62 characters and a checksum of 6', () => {
    for (const secret of secrets) expect(secret).toMatch(/^rgs_[0-9A-Za-z]{49}$/);
  });

  test('holds 32 bytes', () => {
    for (const secret of secrets) expect(fromBase62(secret.slice(4, 47)) < 2n ** 256n).toBe(true);
    expect(secrets.some((secret) => fromBase62(secret.slice(4, 47)) >= 2n ** 255n)).toBe(true);
  });

  test('ends in the CRC32 of what precedes it, in base62', () => {
    for (const secret of secrets) expect(fromBase62(secret.slice(-6))).toBe(BigInt(crc32(secret.slice(0, -6))));
  });

  test('fails its check when one character is mistyped', () => {
    const [secret = ''] = secrets;
    for (let at = 4; at < secret.length - 6; at++) {
      const other = secret[at] === 'x' ? 'y' : 'x';
      const mistyped = secret.slice(0, at) + other + secret.slice(at + 1);
      expect(fromBase62(mistyped.slice(-6))).not.toBe(BigInt(crc32(mistyped.slice(0, -6))));
    }
  });

  test('is never made twice', () => {
    expect(new Set(secrets).size).toBe(secrets.length);
  });

  test('keeps its width when its bytes begin with zeros', () => {
    const zeros = jest.spyOn(crypto, 'randomBytes').mockImplementation((size: number) => Buffer.alloc(size));
    try {
      const secret = generateSecret();
      expect(secret.slice(0, 47)).toBe(`rgs_${'0'.repeat(43)}`);
      expect(secret).toHaveLength(53);
    } finally {
      zeros.mockRestore();
    }
  });
});

test('a generated API key is 32 hex digits and never made twice', () => {
  const keys = Array.from({ length: 500 }, generateApiKey);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(keys).size).toBe(keys.length);
});

describe('hashSecret', () => {
  test.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    ['pässword', crypto.createHash('sha256').update(Buffer.from('pässword', 'utf8')).digest('hex')],
  ])('of %j is SHA-256 of its UTF-8 bytes', (secret, hash) => {
    expect(hashSecret(secret)).toBe(hash);
  });

  test.each([undefined, null, 7, Buffer.from('abc'), ['abc'], {}])('refuses %p, which is not a string', (secret) => {
    expect(() => hashSecret(secret as string)).toThrow(
      expect.objectContaining({ code: 'ERR_RPC_GUARD_ARGUMENT' }) as Error,
    );
  });
});

describe('matchSecret', () => {
  const [first, second, third] = [record('first'), record('second'), record('third')];

  test('finds each of several active secrets', () => {
    for (const secret of [first, second, third]) {
      expect(matchSecret(secret.name, [first, second, third], NOW)).toBe(secret);
    }
  });

  test.each(['', 'firs', 'first ', ' first', 'First', 'first\0', 'secondfirst', hashSecret('first')])(
    'finds none for %j',
    (presented) => {
      expect(matchSecret(presented, [first, second, third], NOW)).toBeUndefined();
    },
  );

  test('finds none where there are none', () => {
    const none: readonly SecretDigest[] = [];
    expect(matchSecret('first', none, NOW)).toBeUndefined();
  });

  test('finds a secret up to the instant of its expiry and not at it', () => {
    const expiring = record('expiring', NOW);
    expect(matchSecret('expiring', [expiring], NOW - 1)).toBe(expiring);
    expect(matchSecret('expiring', [expiring], NOW)).toBeUndefined();
    expect(matchSecret('expiring', [expiring], NOW + 1)).toBeUndefined();
  });

  test('finds none whose time of expiry is not a number', () => {
    expect(matchSecret('first', [record('first', NaN)], NOW)).toBeUndefined();
  });

  test('lets one secret expire and the others live', () => {
    const secrets = [record('old', NOW), record('new', NOW + 1)];
    expect(matchSecret('old', secrets, NOW)).toBeUndefined();
    expect(matchSecret('new', secrets, NOW)).toBe(secrets[1]);
  });

  test('finds the record that is alive where an expired one has the same secret', () => {
    const [expired, alive] = [record('same', NOW), record('same')];
    expect(matchSecret('same', [expired, alive], NOW)).toBe(alive);
    expect(matchSecret('same', [alive, expired], NOW)).toBe(alive);
  });

  describe('compares in constant time', () => {
    const compare = jest.spyOn(crypto, 'timingSafeEqual');
    beforeEach(() => {
      compare.mockClear();
    });
    afterAll(() => {
      compare.mockRestore();
    });

    test.each(['first', 'second', 'third', 'none of them'])('all of the secrets, when %j comes', (presented) => {
      matchSecret(presented, [first, second, record('third', 0)], NOW);
      expect(compare).toHaveBeenCalledTimes(3);
    });

    test('once for an unknown key, as for a key with one secret', () => {
      matchSecret('first', [], NOW);
      expect(compare).toHaveBeenCalledTimes(1);
      expect(compare.mock.calls[0]?.map((side) => side.byteLength)).toEqual([32, 32]);
    });
  });
});
