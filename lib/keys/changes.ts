import { ALLOWLIST_TYPES } from '../allowlists';
import {
  BOOLEAN_RULE,
  checkArgument,
  problemsOf,
  assertNoProblems,
  isPlainObject,
  isText,
  isWhole,
} from '../option-rules';
import type { OptionRule, OptionRules } from '../option-rules';
import { RpcGuardError } from '../errors';
import { parseKeySettings } from '../settings/key-settings';
import type { AllowlistType, Allowlists } from '../settings/key-settings';
import type { KeyLimits, Limits } from '../settings/limits';
import { SINCE_RULE } from './since';
import { AUDIT_ACTIONS, AUDIT_VIAS } from '../stores/audit-store';
import type { AuditAction, AuditVia } from '../stores/audit-store';
import { KEY_QUERY_RULES } from '../stores/key-query';
import type { KeyQuery } from '../stores/settings-store';
import { settled } from '../settings/key-view';

export interface NewSecret {
  /** Up to 100 characters. Default `''`. */
  readonly label?: string | undefined;
  /** ISO 8601, UTC, in the future. Default: the secret does not expire. */
  readonly expiresAt?: string | undefined;
  /** Lists that requests with this secret are held against in place of the key's. */
  readonly allowlists?: Partial<Allowlists> | undefined;
  /** Limits that hold for requests with this secret, beside the key's. */
  readonly limits?: Limits | undefined;
}

/** What `updateSecret` can change. Members that are left out stay. */
export interface SecretChanges {
  /** Up to 100 characters. */
  readonly label?: string | undefined;
  /** ISO 8601, UTC, in the future; `null`: it does not expire. */
  readonly expiresAt?: string | null | undefined;
  /** In place of those it has; `null`: none. */
  readonly limits?: Limits | null | undefined;
}

/** What `update` can change. Members that are left out stay; each list in `allowlists` is replaced. */
export interface KeyChanges {
  readonly name?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly requireSecret?: boolean | undefined;
  readonly overrideAllowlists?: boolean | undefined;
  readonly allowlists?: Partial<Allowlists> | undefined;
  /** The lists that only report, in place of those that do; `[]`: none. */
  readonly reportOnly?: readonly AllowlistType[] | undefined;
  /** In place of those it has; `null`: none. */
  readonly limits?: KeyLimits | null | undefined;
}

export interface NewKey extends KeyChanges {
  /** A key brought along from elsewhere. Default: 32 fresh hex digits. */
  readonly apiKey?: string | undefined;
  /** The first secret. One is made by itself when `requireSecret` is true. */
  readonly secret?: NewSecret | undefined;
}

/** A new key that gets a secret. */
export type NewKeyWithSecret = NewKey & ({ readonly requireSecret: true } | { readonly secret: NewSecret });

export interface RotateOptions {
  /** Whole milliseconds that the old secret lives on, never past its own expiry; up to a year, 0: it is dead at once. */
  readonly graceMs: number;
  /** When the new secret expires: ISO 8601, UTC. Default: it does not. */
  readonly expiresAt?: string | undefined;
}

export interface ChangeOptions {
  /** The version that the change is meant for. Without it the change applies to whatever is stored. */
  readonly expectedVersion?: number | undefined;
  /** Who makes the change, for `onAudit`. Default: the manager's `actor`. */
  readonly actor?: string | undefined;
  /** The way by which the change came. Default: the manager's `via`. */
  readonly via?: AuditVia | undefined;
  /** Of the request that asked for the change. */
  readonly requestId?: string | undefined;
  /** The same for all changes of one act. */
  readonly group?: string | undefined;
  /** Whether the change is a part of an import. */
  readonly isImport?: boolean | undefined;
}

/** Which events `audit` finds. */
export interface AuditOptions {
  readonly apiKey?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  /** The id of an event: those that happened before it. */
  readonly before?: string | undefined;
  /** `24h`, `7d`, or a time (ISO 8601): those from then on. */
  readonly since?: string | undefined;
  /** Events at most, 1 to 500. Default 100. */
  readonly limit?: number | undefined;
}

export interface ListOptions extends KeyQuery {
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  /** Keys at most, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
  /** Default `name`: without case, equal names by their creation. */
  readonly sort?: KeyQuery['sort'];
}

const MAX_GRACE_MS = 365 * 24 * 60 * 60 * 1000;
const MAX_LIMIT = 1000;

/** The settings' own schema checks the value. */
const OF_SETTINGS: OptionRule = { accepts: () => true, takes: 'what settings take' };
const LISTS: OptionRule = { accepts: isPlainObject, takes: 'an object of lists, such as { methods: ["eth_*"] }' };

const ALLOWLIST_RULES = Object.fromEntries(
  ALLOWLIST_TYPES.map((type) => [type, OF_SETTINGS]),
) as OptionRules<Allowlists>;

const CHANGE_RULES: OptionRules<KeyChanges> = {
  name: OF_SETTINGS,
  enabled: OF_SETTINGS,
  requireSecret: OF_SETTINGS,
  overrideAllowlists: OF_SETTINGS,
  allowlists: LISTS,
  reportOnly: OF_SETTINGS,
  limits: OF_SETTINGS,
};
const NEW_KEY_RULES: OptionRules<NewKey> = { ...CHANGE_RULES, apiKey: OF_SETTINGS, secret: OF_SETTINGS };
const NEW_SECRET_RULES: OptionRules<NewSecret> = {
  label: OF_SETTINGS,
  expiresAt: OF_SETTINGS,
  allowlists: LISTS,
  limits: OF_SETTINGS,
};

const SECRET_CHANGES_RULES: OptionRules<SecretChanges> = {
  label: OF_SETTINGS,
  expiresAt: OF_SETTINGS,
  limits: OF_SETTINGS,
};

const ROTATE_RULES: OptionRules<RotateOptions> = {
  graceMs: {
    accepts: isWhole(0, MAX_GRACE_MS),
    takes: `whole milliseconds from 0 to ${String(MAX_GRACE_MS)}, such as 86400000 for a day`,
    isRequired: true,
  },
  expiresAt: OF_SETTINGS,
};

export const VIA_RULE: OptionRule = {
  accepts: (value) => (AUDIT_VIAS as readonly unknown[]).includes(value),
  takes: AUDIT_VIAS.map((via) => `"${via}"`).join(', '),
};

const CHANGE_OPTIONS_RULES: OptionRules<ChangeOptions> = {
  expectedVersion: { accepts: (value) => typeof value === 'number', takes: 'the version that was read, such as 1' },
  actor: { accepts: isText, takes: 'a name, such as "ann"' },
  via: VIA_RULE,
  requestId: { accepts: isText, takes: 'the id of a request' },
  group: { accepts: isText, takes: 'what is the same for all changes of one act' },
  isImport: BOOLEAN_RULE,
};

const MAX_EVENTS = 500;

const AUDIT_RULES: OptionRules<AuditOptions> = {
  apiKey: { accepts: isText, takes: 'a key' },
  actor: { accepts: isText, takes: 'a name, such as "ann"' },
  action: {
    accepts: (value) => AUDIT_ACTIONS.includes(value as AuditAction),
    takes: `one of ${AUDIT_ACTIONS.join(', ')}`,
  },
  before: { accepts: isText, takes: 'the id of an event' },
  since: SINCE_RULE,
  limit: { accepts: isWhole(1, MAX_EVENTS), takes: `a whole number from 1 to ${String(MAX_EVENTS)}` },
};

const LIST_RULES: OptionRules<ListOptions> = {
  ...KEY_QUERY_RULES,
  limit: { accepts: isWhole(1, MAX_LIMIT), takes: `a whole number from 1 to ${String(MAX_LIMIT)}` },
};

export function checkList(options: ListOptions): void {
  checkArgument('list', LIST_RULES, options);
}

export function checkRotate(options: RotateOptions): void {
  checkArgument('rotateSecret', ROTATE_RULES, options);
}

export function checkSecretChanges(changes: SecretChanges): void {
  checkArgument('updateSecret', SECRET_CHANGES_RULES, changes);
}

export function checkAudit(options: AuditOptions): void {
  checkArgument('audit', AUDIT_RULES, options);
}

export function checkChangeOptions(options: ChangeOptions): void {
  checkArgument('options', CHANGE_OPTIONS_RULES, options);
}

export function checkNewKey(newKey: NewKey): void {
  const { secret, ...settings }: Partial<NewKey> = isPlainObject(newKey) ? newKey : {};
  assertMembers('create', settings, [
    ...problemsOf(NEW_KEY_RULES, newKey),
    ...listProblems(settings.allowlists),
    ...secretProblems(secret, 'secret.'),
  ]);
}

export function checkChanges(changes: KeyChanges): void {
  const settings: KeyChanges = isPlainObject(changes) ? changes : {};
  assertMembers('update', settings, [...problemsOf(CHANGE_RULES, changes), ...listProblems(settings.allowlists)]);
}

export function checkNewSecret(secret: NewSecret): void {
  assertNoProblems('ERR_RPC_GUARD_ARGUMENT', 'addSecret', secretProblems(secret));
}

function secretProblems(secret: unknown, at = ''): string[] {
  const lists = isPlainObject(secret) ? secret['allowlists'] : undefined;
  return [...problemsOf(NEW_SECRET_RULES, secret, at), ...listProblems(lists, at)];
}

function listProblems(lists: unknown, at = ''): string[] {
  return isPlainObject(lists) ? problemsOf(ALLOWLIST_RULES, lists, `${at}allowlists.`) : [];
}

/** Reports a misspelt member together with the problems of the other values. */
function assertMembers(whose: string, settings: Partial<NewKey>, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const known = Object.entries(settings).filter(([name]) => Object.hasOwn(NEW_KEY_RULES, name));
  assertNoProblems('ERR_RPC_GUARD_ARGUMENT', whose, [...problems, ...settingsProblems(Object.fromEntries(known))]);
}

function settingsProblems(settings: KeyChanges): string[] {
  const lists = Object.entries(settings.allowlists ?? {}).filter(([type]) => Object.hasOwn(ALLOWLIST_RULES, type));
  try {
    parseKeySettings({ apiKey: 'not-given', ...settled(settings), allowlists: Object.fromEntries(lists) });
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/** The entries given to a method, one or several. */
export function entriesOf(type: AllowlistType, entries: string | readonly string[]): readonly string[] {
  if (!ALLOWLIST_TYPES.includes(type)) {
    throw wrong(`allowlists: there is no such list; use one of ${ALLOWLIST_TYPES.join(', ')}`);
  }
  const all: readonly unknown[] = [entries].flat();
  if (all.length > 0 && all.every((entry) => typeof entry === 'string')) return all;
  throw wrong(`allowlists.${type}: it takes one entry or more, as strings`);
}

export function wrong(message: string): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_ARGUMENT', message);
}
