import { randomUUID } from 'node:crypto';
import { RpcGuardError } from '../errors';
import { MAX_SECRETS } from '../settings/secret';
import type { KeySettings, SecretRecord } from '../settings/key-settings';
import { generateSecret, hashSecret } from '../settings/secret';
import type { NewSecret } from './changes';
import { isExpired, present } from '../settings/key-view';

const HINT_LENGTH = 8;

export type NewRecord = Omit<SecretRecord, 'allowlists'> & Pick<NewSecret, 'allowlists'>;

/** A fresh secret, and the record that is stored of it. */
export function makeSecret(options: NewSecret = {}): { readonly secret: string; readonly record: NewRecord } {
  const { label = '', expiresAt, allowlists, limits } = options;
  const now = Date.now();
  assertInFuture(expiresAt);
  const secret = generateSecret();
  const id = randomUUID().replaceAll('-', '').slice(0, 12);
  const hint = secret.slice(0, HINT_LENGTH);
  const createdAt = new Date(now).toISOString();
  const record = { id, hash: hashSecret(secret), hint, label, createdAt, expiresAt, allowlists, limits };
  return { secret, record: present(record) };
}

export function secretOf(key: KeySettings, secretId: string): SecretRecord {
  const found = key.secrets.find(({ id }) => id === secretId);
  if (found !== undefined) return found;
  throw new RpcGuardError('ERR_RPC_GUARD_SECRET_UNKNOWN', 'the key has no secret of this id');
}

export function endingBy(secret: SecretRecord, endMs: number): SecretRecord {
  const end = secret.expiresAt === undefined ? endMs : Math.min(endMs, Date.parse(secret.expiresAt));
  return { ...secret, expiresAt: new Date(end).toISOString() };
}

/** The secrets with one more. Where there are 100 already, the longest expired one makes room. */
export function withSecret(secrets: readonly SecretRecord[], added: NewRecord): readonly NewRecord[] {
  const now = Date.now();
  const [longestExpired] = secrets
    .filter((secret) => isExpired(secret, now))
    .sort((a, b) => Date.parse(a.expiresAt ?? '') - Date.parse(b.expiresAt ?? ''));
  const isFull = secrets.length >= MAX_SECRETS;
  return [...secrets.filter((secret) => !isFull || secret !== longestExpired), added];
}

export function assertInFuture(expiresAt: string | undefined): void {
  if (expiresAt === undefined || !(Date.parse(expiresAt) <= Date.now())) return;
  throw new RpcGuardError('ERR_RPC_GUARD_ARGUMENT', `expiresAt: ${JSON.stringify(expiresAt)} has passed`);
}
