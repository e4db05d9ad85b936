import type { z } from 'zod';
import type { AllowlistType } from '../allowlists';
import { RpcGuardError } from '../errors';
import type { KeyLimits, Limits } from './limits';
import type * as SettingsSchema from './settings-schema';

export type { AllowlistType };

/** Entries by type. `[]` means no list: everything passes. Types are ANDed, entries of one type ORed, 30 a type at most. */
export type Allowlists = Readonly<Record<AllowlistType, readonly string[]>>;

/** One API key secret, without the secret itself. */
export interface SecretRecord {
  /** Unique within the key. */
  readonly id: string;
  /** SHA-256 of the secret's UTF-8 bytes, 64 lower-case hex digits: `hashSecret(secret)`. */
  readonly hash: string;
  /** Its first characters, to tell it from others. */
  readonly hint: string;
  readonly label: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** ISO 8601, UTC. The secret is dead from this instant on. */
  readonly expiresAt?: string | undefined;
  /** If present, requests with this secret are checked against these lists instead of the key's. */
  readonly allowlists?: Allowlists | undefined;
  /** If present, they hold for requests with this secret, in addition to the key's. */
  readonly limits?: Limits | undefined;
}

/** The settings of one API key. Written by hand, only `apiKey` is needed; the rest has defaults. */
export interface KeySettings {
  /** 8 to 128 characters of `A-Z a-z 0-9 _ -`. */
  readonly apiKey: string;
  /** Default `''`. */
  readonly name: string;
  /** Default `true`. */
  readonly enabled: boolean;
  /** Refuse requests without a valid secret. Default `false`. */
  readonly requireSecret: boolean;
  /** A request with a valid secret passes the key's allowlists. Default `false`. */
  readonly overrideAllowlists: boolean;
  /** Default `[]`; up to 100. */
  readonly secrets: readonly SecretRecord[];
  readonly allowlists: Allowlists;
  /** Lists of the key and of its secrets that refuse nothing, and only tell what they would refuse. Default `[]`. */
  readonly reportOnly: readonly AllowlistType[];
  /** Since when each of `reportOnly` only reports, as far as it is known: ISO 8601, UTC. `KeyManager` keeps it. */
  readonly reportOnlySince?: Readonly<Partial<Record<AllowlistType, string | undefined>>> | undefined;
  /** How much may be asked with the key. Default: no limit. */
  readonly limits?: KeyLimits | undefined;
  /** Grows by one with each write. Default `1`. */
  readonly version: number;
  /** ISO 8601, UTC. Default: when the settings were first read. */
  readonly createdAt: string;
  /** ISO 8601, UTC. Default: `createdAt`. */
  readonly updatedAt: string;
}

/** `KeySettings` as people write them: members with a default may be left out. */
export type KeySettingsInput = Partial<Omit<KeySettings, 'apiKey' | 'secrets' | 'allowlists'>> & {
  readonly apiKey: string;
  readonly secrets?: readonly (Partial<Omit<SecretRecord, 'hash' | 'allowlists'>> & {
    readonly hash: string;
    readonly allowlists?: Partial<Allowlists> | undefined;
  })[];
  readonly allowlists?: Partial<Allowlists>;
};

/** Settings that `parseKeySettings` returned. They are deeply frozen, so they need not be parsed again. */
const parsed = new WeakSet<object>();

/**
 * Checks settings, fills in the defaults and freezes the result. Unknown members are refused, because a mistyped
 * `requireSecret` would otherwise open the key.
 * @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS`, naming every problem and its place, never a secret's hash.
 */
export function parseKeySettings(settings: unknown): KeySettings {
  if (typeof settings === 'object' && settings !== null && parsed.has(settings)) return settings as KeySettings;
  const result = safeParse(settings);
  if (!result.success) throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', describe(result.error));
  const createdAt = result.data.createdAt ?? new Date().toISOString();
  const secrets = result.data.secrets.map((secret, index) => ({
    ...secret,
    id: secret.id ?? `secret-${String(index + 1)}`,
    createdAt: secret.createdAt ?? createdAt,
  }));
  if (new Set(secrets.map(({ id }) => id)).size < secrets.length) {
    throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'secrets: two have the same id');
  }
  const { updatedAt = createdAt } = result.data;
  // To spread and add members leaves 500 bytes behind that outlive several garbage collections: 50 MB in 100,000 keys.
  const whole = Object.assign({}, result.data, { createdAt, updatedAt, secrets });
  parsed.add(whole);
  return deepFreeze(whole);
}

/** zod and the schema take as long to load as all the rest: a command that reads no settings goes without. */
function settingsSchema(): typeof SettingsSchema.keySettingsSchema {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  return (require('./settings-schema') as typeof SettingsSchema).keySettingsSchema;
}

/** Loads what parsing needs, so that the first settings do not wait for it. */
export function prepareToParse(): void {
  settingsSchema();
}

function safeParse(settings: unknown): ReturnType<typeof SettingsSchema.keySettingsSchema.safeParse> {
  const schema = settingsSchema();
  try {
    return schema.safeParse(settings);
  } catch {
    throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'settings: cannot be read');
  }
}

function describe(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.') || 'settings'}: ${issue.message}`).join('; ');
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}
