import type { KeySettings, SecretRecord } from './key-settings';

/** A secret without its hash, to show. */
export interface SecretView extends Omit<SecretRecord, 'hash'> {
  readonly state: 'active' | 'expired';
  /** To the minute: ISO 8601, UTC. Told by `get`, where usage is counted. */
  readonly lastUsedAt?: string;
}

/** A key's settings without hashes, to show. */
export interface KeyView extends Omit<KeySettings, 'secrets'> {
  readonly secrets: readonly SecretView[];
  /** To the minute: ISO 8601, UTC. Told by `get`, where usage is counted. */
  readonly lastUsedAt?: string;
}

export function viewOf(settings: KeySettings): KeyView {
  const now = Date.now();
  return { ...settings, secrets: settings.secrets.map((secret) => viewOfSecret(secret, now)) };
}

/** Copied member by member, so that none is shown by accident. */
function viewOfSecret(secret: SecretRecord, nowMs: number): SecretView {
  const { id, hint, label, createdAt, expiresAt, allowlists, limits } = secret;
  const state = isExpired(secret, nowMs) ? 'expired' : 'active';
  return { id, hint, label, createdAt, ...present({ expiresAt, allowlists, limits }), state };
}

export function isExpired({ expiresAt }: Pick<SecretRecord, 'expiresAt'>, nowMs: number): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= nowMs;
}

/** Without the members that are `undefined`, and without the limits and the expiry that `null` takes away. */
export function settled<T extends object>(value: T): { [Name in keyof T]: Exclude<T[Name], undefined | null> } {
  const isTaken = ([name, member]: [string, unknown]): boolean =>
    member !== undefined && (member !== null || (name !== 'limits' && name !== 'expiresAt'));
  return Object.fromEntries(Object.entries(value).filter(isTaken)) as never;
}

/** Without the members that are `undefined`. */
export function present<T extends object>(value: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}
