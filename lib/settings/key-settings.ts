import { z } from 'zod';
import { ALLOWLISTS } from '../allowlists';
import type { AllowlistType } from '../allowlists';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { RpcGuardError } from '../errors';
import { API_KEY } from './api-key';
import { exactly } from './exact-object';
import type { KeyLimits, Limits } from './limits';
import { keyLimitsSchema, limitsSchema } from './limits-schema';

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

/** Secrets that one key may have. */
export const MAX_SECRETS = 100;

export const ALLOWLIST_TYPES: readonly AllowlistType[] = Object.keys(ALLOWLISTS) as AllowlistType[];

/** One member a type, in the order of the registry. */
export function forEachType<T>(make: (type: AllowlistType) => T): Record<AllowlistType, T> {
  return Object.fromEntries(ALLOWLIST_TYPES.map((type) => [type, make(type)])) as Record<AllowlistType, T>;
}

const listSchema = (type: AllowlistType) =>
  z
    .array(
      z.string('is not a string'),
      `is not an array of entries; write ${JSON.stringify(ALLOWLISTS[type].examples)}`,
    )
    .max(MAX_ENTRIES, `has more than ${String(MAX_ENTRIES)} entries`)
    .superRefine((entries, context) => {
      for (const [index, entry] of entries.entries()) {
        const problem = ALLOWLISTS[type].problem(entry);
        if (problem === undefined) continue;
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `${JSON.stringify(entry.slice(0, 200))} ${problem}`,
        });
      }
    })
    .default([]);

const allowlistsSchema = exactly(forEachType(listSchema), 'an object of lists; write { "methods": ["eth_*"] }');

const NO_TYPE = `is not one of the lists there are: ${ALLOWLIST_TYPES.join(', ')}`;
const reportOnlySchema = z
  .array(z.enum(ALLOWLIST_TYPES, NO_TYPE), 'is not an array of lists; write ["origins", "methods"]')
  .transform((types) => ALLOWLIST_TYPES.filter((type) => types.includes(type)))
  .default([]);

const NO_TIME = 'is not a time in UTC such as "2027-01-31T00:00:00Z"';
const NO_HASH = 'is not 64 lower-case hex digits; write what hashSecret(secret) returns';
const NO_KEY = 'is not 8 to 128 characters of A-Z a-z 0-9 _ -; write one that "rpc-guard keys create" makes';
const timeSchema = z.iso.datetime(NO_TIME);
const flagSchema = z.boolean('is not true or false');
const textSchema = (max: number) => {
  const problem = `is not text of up to ${String(max)} characters`;
  return z.string(problem).max(max, problem);
};

const secretSchema = exactly(
  {
    id: textSchema(64).min(1, 'is empty').optional(),
    hash: z.string(NO_HASH).regex(/^[0-9a-f]{64}$/, NO_HASH),
    hint: textSchema(16).default(''),
    label: textSchema(100).default(''),
    createdAt: timeSchema.optional(),
    expiresAt: timeSchema.optional(),
    allowlists: allowlistsSchema.optional(),
    limits: limitsSchema.optional(),
  },
  'an object; write { "hash": … } with what hashSecret(secret) returns',
);

const keySettingsSchema = exactly(
  {
    apiKey: z.string(NO_KEY).regex(API_KEY, NO_KEY),
    name: textSchema(200).default(''),
    enabled: flagSchema.default(true),
    requireSecret: flagSchema.default(false),
    overrideAllowlists: flagSchema.default(false),
    secrets: z
      .array(secretSchema, 'is not an array; write [{ "hash": … }] with what hashSecret(secret) returns')
      .max(MAX_SECRETS, `has more than ${String(MAX_SECRETS)} secrets`)
      .default([]),
    allowlists: allowlistsSchema.prefault({}),
    reportOnly: reportOnlySchema,
    reportOnlySince: exactly(
      forEachType(() => timeSchema.optional()),
      'an object of times; leave it out',
    ).optional(),
    limits: keyLimitsSchema.optional(),
    version: z.int('is not a whole number from 1 on').min(1, 'is not a whole number from 1 on').default(1),
    createdAt: timeSchema.optional(),
    updatedAt: timeSchema.optional(),
  },
  'an object; write { "apiKey": "my-first-key" }',
);

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
  const whole = { ...result.data, createdAt, updatedAt: result.data.updatedAt ?? createdAt, secrets };
  parsed.add(whole);
  return deepFreeze(whole);
}

function safeParse(settings: unknown): ReturnType<typeof keySettingsSchema.safeParse> {
  try {
    return keySettingsSchema.safeParse(settings);
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
