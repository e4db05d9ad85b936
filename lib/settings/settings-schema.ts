import { z } from 'zod';
import { ALLOWLISTS, ALLOWLIST_TYPES, forEachType } from '../allowlists';
import type { AllowlistType } from '../allowlists';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { API_KEY } from './api-key';
import { exactly } from './exact-object';
import { keyLimitsSchema, limitsSchema } from './limits-schema';
import { MAX_SECRETS } from './secret';

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

const NO_TYPE = `is not one of the lists ${ALLOWLIST_TYPES.join(', ')}`;
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

/** `KeySettings` as people write them, with the defaults filled in. */
export const keySettingsSchema = exactly(
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
    version: z.int('is not a whole number of 1 or more').min(1, 'is not a whole number of 1 or more').default(1),
    createdAt: timeSchema.optional(),
    updatedAt: timeSchema.optional(),
  },
  'an object; write { "apiKey": "my-first-key" }',
);
