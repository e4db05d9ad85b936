import { z } from 'zod';
import { ALLOWLISTS } from '../allowlists';
import type { AllowlistType } from '../allowlists';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { RpcGuardError } from '../errors';
import { API_KEY } from './api-key';

export type { AllowlistType };

/** Entries by type. `[]` means no list: everything passes. Types are ANDed, entries of one type ORed, 30 a type at most. */
export type Allowlists = Readonly<Record<AllowlistType, readonly string[]>>;

/** One API key secret. The secret itself is nowhere in it. */
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
  /** When there, requests with this secret are held against these lists and not against the key's. */
  readonly allowlists?: Allowlists | undefined;
}

/** What is known of one API key. Written by hand, only `apiKey` is needed; the rest has defaults. */
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
  /** Grows by one with each write. Default `1`. */
  readonly version: number;
  /** ISO 8601, UTC. Default: when the settings were first read. */
  readonly createdAt: string;
  /** ISO 8601, UTC. Default: `createdAt`. */
  readonly updatedAt: string;
}

/** `KeySettings` as people write them: what has a default may be left out. */
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
    .array(z.string())
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

const allowlistsSchema = z.strictObject(forEachType(listSchema));

const timeSchema = z.iso.datetime('is not a time in UTC such as "2027-01-31T00:00:00Z"');

const secretSchema = z.strictObject({
  id: z.string().min(1).max(64).optional(),
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'is not 64 lower-case hex digits; write what hashSecret(secret) returns'),
  hint: z.string().max(16).default(''),
  label: z.string().max(100).default(''),
  createdAt: timeSchema.optional(),
  expiresAt: timeSchema.optional(),
  allowlists: allowlistsSchema.optional(),
});

const keySettingsSchema = z.strictObject({
  apiKey: z.string().regex(API_KEY, 'is not 8 to 128 characters of A-Z a-z 0-9 _ -'),
  name: z.string().max(200).default(''),
  enabled: z.boolean().default(true),
  requireSecret: z.boolean().default(false),
  overrideAllowlists: z.boolean().default(false),
  secrets: z.array(secretSchema).max(MAX_SECRETS).default([]),
  allowlists: allowlistsSchema.prefault({}),
  version: z.int().min(1).default(1),
  createdAt: timeSchema.optional(),
  updatedAt: timeSchema.optional(),
});

/** What `parseKeySettings` returned: frozen through and through, so that it need not be parsed again. */
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
  return error.issues.map((issue) => `${issue.path.join('.') || 'settings'}: ${describeIssue(issue)}`).join('; ');
}

/** A long name is not shown: it may be a key or a secret in the wrong place. */
function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return issue.message;
  const names = issue.keys.map((name) =>
    /^[A-Za-z_]{1,24}$/.test(name) ? `"${name}"` : 'one with a long or odd name',
  );
  return `has no such member: ${names.join(', ')}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}
