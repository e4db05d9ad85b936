import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { RpcGuardError } from '../errors';

/** Secrets that one key may have. */
export const MAX_SECRETS = 100;

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^43 > 2^256 and 62^6 > 2^32: the widths that hold 32 bytes and a CRC32. */
const RANDOM_WIDTH = 43;
const CHECK_WIDTH = 6;

/** A SHA-256 digest of no known secret: credentials sent with an unknown key are compared against it. */
const NOBODYS_DIGEST = randomBytes(32);

/**
 * A fresh API key secret: `rgs_`, 32 random bytes in base62 (43 characters), and the CRC32 of all that in base62
 * (6 characters), so that a secret scanner can tell a leaked one from noise. Store its `hashSecret()`, show it once.
 */
export function generateSecret(): string {
  const secret = `rgs_${base62(BigInt(`0x${randomBytes(32).toString('hex')}`), RANDOM_WIDTH)}`;
  return secret + base62(BigInt(crc32(secret)), CHECK_WIDTH);
}

/**
 * The hash that settings hold in place of a secret: SHA-256 of its UTF-8 bytes, as 64 lower-case hex digits.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` when `secret` is not a string.
 */
export function hashSecret(secret: string): string {
  if (typeof secret !== 'string') {
    throw new RpcGuardError('ERR_RPC_GUARD_ARGUMENT', 'hashSecret takes the secret as a string');
  }
  return digestSecret(secret).toString('hex');
}

/** By way of a text, in half the time: as bytes it comes with memory of its own, which the collector has to look after. */
export function digestSecret(secret: string): Buffer {
  return Buffer.from(hash('sha256', secret, 'binary'), 'binary');
}

/** A stored secret, ready to be compared. */
export interface SecretDigest {
  readonly digest: Buffer;
  /** Milliseconds since 1970; `Infinity` when the secret does not expire. */
  readonly expiresAtMs: number;
}

/**
 * The active secret that `presented` is, if any. Every stored digest is compared, in constant time, whichever matches,
 * and an unknown key (no secrets at all) costs one comparison too, so that timing tells nothing. A secret is dead at
 * the instant of its expiry.
 */
export function matchSecret<T extends SecretDigest>(
  presented: string,
  secrets: readonly T[],
  nowMs: number,
): T | undefined {
  const digest = digestSecret(presented);
  let match: T | undefined;
  if (secrets.length === 0) timingSafeEqual(digest, NOBODYS_DIGEST);
  for (const secret of secrets) {
    if (timingSafeEqual(digest, secret.digest) && nowMs < secret.expiresAtMs) match = secret;
  }
  return match;
}

function base62(value: bigint, width: number): string {
  let digits = '';
  for (let rest = value; rest > 0n; rest /= 62n) digits = BASE62.charAt(Number(rest % 62n)) + digits;
  return digits.padStart(width, '0');
}
