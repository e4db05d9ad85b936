import { isDeepStrictEqual } from 'node:util';
import { ALLOWLISTS, ALLOWLIST_TYPES } from '../allowlists';
import { isPlainObject } from '../option-rules';
import type { AllowlistType, Allowlists, KeySettings, SecretRecord } from './key-settings';

/** One thing that became different. Of a list, each entry that came (`to` alone) or went (`from` alone). */
export interface SettingsChange {
  /** Such as `name`, `allowlists.origins`, `limits.perDay`, `secrets.4f1c2d3e4f5a`. */
  readonly path: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

/** What is noted of a change, and no change itself. */
const NOTED = ['version', 'createdAt', 'updatedAt', 'reportOnlySince'];
/** What is not told member by member. */
const OWN = [...NOTED, 'apiKey', 'secrets', 'allowlists'];

/** Whether two entries of a list are the same one. */
export function isSameEntry(type: AllowlistType, a: string, b: string): boolean {
  return a === b || (ALLOWLISTS[type].ignoresCase && a.toLowerCase() === b.toLowerCase());
}

/** The entries that came and went. A list that has the same entries in another order is the same list. */
export function entriesBetween(type: AllowlistType, before: readonly string[], after: readonly string[]) {
  const without = (entries: readonly string[], others: readonly string[]) =>
    entries.filter((entry) => !others.some((other) => isSameEntry(type, entry, other)));
  return { added: without(after, before), removed: without(before, after) };
}

/** Whether nothing is different but times and versions. Entries in another order are. */
export function isSameSettings(before: KeySettings, after: KeySettings): boolean {
  return isDeepStrictEqual(without(before, NOTED), without(after, NOTED));
}

/** What became different between two settings of a key. No hash is in it. */
export function changesBetween(before: KeySettings, after: KeySettings): readonly SettingsChange[] {
  return [
    ...memberChanges('', without(before, OWN), without(after, OWN)),
    ...listChanges('allowlists', before.allowlists, after.allowlists),
    ...secretChanges(before.secrets, after.secrets),
  ];
}

function memberChanges(at: string, before: object, after: object): readonly SettingsChange[] {
  const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) =>
    valueChanges(at + name, old.get(name), now.get(name)),
  );
}

function valueChanges(path: string, from: unknown, to: unknown): readonly SettingsChange[] {
  if (isDeepStrictEqual(from, to)) return [];
  if (isPlainObject(from ?? to) && isPlainObject(to ?? from)) return memberChanges(`${path}.`, from ?? {}, to ?? {});
  if (Array.isArray(from) && Array.isArray(to)) {
    const came = to.filter((entry) => !from.includes(entry)).map((entry: unknown) => ({ path, to: entry }));
    const went = from.filter((entry) => !to.includes(entry)).map((entry: unknown) => ({ path, from: entry }));
    return [...came, ...went];
  }
  return [{ path, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }];
}

function listChanges(at: string, before: Allowlists, after: Allowlists): readonly SettingsChange[] {
  return ALLOWLIST_TYPES.flatMap((type) => {
    const { added, removed } = entriesBetween(type, before[type], after[type]);
    const path = `${at}.${type}`;
    return [...added.map((to) => ({ path, to })), ...removed.map((from) => ({ path, from }))];
  });
}

function secretChanges(before: readonly SecretRecord[], after: readonly SecretRecord[]): readonly SettingsChange[] {
  const ids = new Set([...before, ...after].map(({ id }) => id));
  return [...ids].flatMap((id) => {
    const path = `secrets.${id}`;
    const [from, to] = [before, after].map((secrets) => secrets.find((secret) => secret.id === id));
    if (from === undefined) return [{ path, to: nameOf(to!) }];
    if (to === undefined) return [{ path, from: nameOf(from) }];
    const hash = from.hash === to.hash ? [] : [{ path: `${path}.hash`, from: 'a hash', to: 'another hash' }];
    return [...hash, ...memberChanges(`${path}.`, without(from, ['hash']), without(to, ['hash']))];
  });
}

function nameOf({ label, hint }: SecretRecord): string {
  return [label, hint === '' ? '' : `${hint}…`].filter((part) => part !== '').join(' ');
}

function without(value: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}
