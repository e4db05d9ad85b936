import { isDeepStrictEqual } from 'node:util';
import { ALLOWLIST_TYPES } from '../allowlists';
import { isPlainObject } from '../option-rules';
import { parseKeySettings } from '../settings/key-settings';
import type { AllowlistType, Allowlists } from '../settings/key-settings';
import { entriesBetween } from '../settings/settings-changes';
import type { KeyChanges } from './changes';
import type { KeyView } from '../settings/key-view';

/** Members that a document leaves out: secrets, and what the store maintains. */
const NOT_TAKEN = ['secrets', 'reportOnlySince', 'version', 'createdAt', 'updatedAt', 'warnings'] as const;
/** Of the members that a document holds, `limits` alone may be missing in a key. */
const NO_LIMITS = {};

/**
 * A key's settings as a file holds them: to keep under version control, to compare, to take over elsewhere. Secrets are not
 * among them, nor their hashes.
 */
export type SettingsDocument = Omit<KeyView, (typeof NOT_TAKEN)[number]>;

/** Every member is there, `limits: {}` where the key has none, so that another key becomes like it. */
export function toDocument(key: KeyView): SettingsDocument {
  const taken = Object.fromEntries(Object.entries(key).filter(([name]) => isTaken(name)));
  return { ...taken, limits: key.limits ?? NO_LIMITS } as unknown as SettingsDocument;
}

export interface ReadDocument {
  /** `undefined` where it does not say which key it is of. */
  readonly apiKey: string | undefined;
  /** For `KeyManager.update`, and with `apiKey` for `create`. */
  readonly changes: KeyChanges;
  /** The version that the key must have for it to be changed; `undefined` for any. */
  readonly version: number | undefined;
  /** Members of the document that change nothing: secrets, and what the store maintains. */
  readonly ignored: readonly string[];
}

/**
 * Reads a document of `toDocument`, or part of one: members that are left out stay as they are; `limits: null` takes limits
 * away, as `{}` does.
 * @throws RpcGuardError `ERR_RPC_GUARD_SETTINGS` with every problem and its place.
 */
export function readDocument(document: unknown): ReadDocument {
  const members = isPlainObject(document) ? Object.entries(document) : [];
  const read = members.filter(([name]) => isTaken(name) || name === 'version');
  const { version, ...taken } = Object.fromEntries(read);
  if (taken['limits'] === null) taken['limits'] = NO_LIMITS;
  const given = { apiKey: 'not-given', ...taken, ...(version !== undefined && { version }) };
  const parsed = parseKeySettings(isPlainObject(document) ? given : document);
  const { apiKey, ...written } = taken as KeyChanges & { readonly apiKey?: string };
  // In the order in which it is kept, so that another order is no difference.
  const changes = { ...written, ...(written.reportOnly !== undefined && { reportOnly: parsed.reportOnly }) };
  const ignored = members.map(([name]) => name).filter((name) => !isTaken(name));
  return { apiKey, changes, version: version === undefined ? undefined : parsed.version, ignored };
}

/** One member in which a key differs from a document. */
export interface Difference {
  /** Such as `name` and `allowlists.methods`. */
  readonly at: string;
  readonly before: unknown;
  readonly after: unknown;
  /** The difference, a line each: `false → true`, `adds eth_call`. */
  readonly words: readonly string[];
}

export interface Comparison {
  readonly differences: readonly Difference[];
  /** The requested changes that have an effect. */
  readonly changes: KeyChanges;
}

function textOf(value: unknown): string {
  return value === undefined || isDeepStrictEqual(value, NO_LIMITS) ? 'none' : JSON.stringify(value);
}

/** The differences that changes would make to a key. The order of a list's entries does not matter. */
export function compare(key: KeyView, { allowlists = {}, ...members }: KeyChanges): Comparison {
  const names = (Object.keys(members) as (keyof typeof members)[]).filter(
    (name) => members[name] !== undefined && !isDeepStrictEqual(key[name] ?? NO_LIMITS, members[name]),
  );
  const types = ALLOWLIST_TYPES.filter((type) => {
    const { added, removed } = entriesBetween(type, key.allowlists[type], allowlists[type] ?? key.allowlists[type]);
    return added.length + removed.length > 0;
  });
  const changed = Object.fromEntries(names.map((name) => [name, members[name]]));
  const lists = Object.fromEntries(types.map((type) => [type, allowlists[type]]));
  return {
    differences: [
      ...names.map((name) => {
        const [before, after] = [key[name], members[name]];
        return { at: name, before, after, words: [`${textOf(before)} → ${textOf(after)}`] };
      }),
      ...types.map((type) => listDifference(type, key.allowlists, allowlists)),
    ],
    changes: { ...changed, ...(types.length > 0 && { allowlists: lists }) },
  };
}

function listDifference(type: AllowlistType, before: Allowlists, after: Partial<Allowlists>): Difference {
  const { added, removed } = entriesBetween(type, before[type], after[type] ?? before[type]);
  const isOpened = after[type]?.length === 0;
  const words = [...added.map((entry) => `adds ${entry}`), ...removed.map((entry) => `removes ${entry}`)];
  return {
    at: `allowlists.${type}`,
    before: before[type],
    after: after[type],
    words: isOpened ? [...words, 'leaves no list: everything passes'] : words,
  };
}

function isTaken(name: string): boolean {
  return !(NOT_TAKEN as readonly string[]).includes(name);
}
