import { BOOLEAN_RULE, checkArgument, isText, isWhole } from '../option-rules';
import type { OptionRules } from '../option-rules';
import type { KeySettings } from '../settings/key-settings';
import type { KeyQuery } from './settings-store';

export type Sort = NonNullable<KeyQuery['sort']>;

/** The values that lists search, filter and sort keys by. */
export interface ListedKey {
  readonly apiKey: string;
  readonly foldedName: string;
  readonly enabled: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A key is shown by its last characters; this many or more of them find it. */
export const MIN_SUFFIX = 4;

/** What each order compares, in turn. Equal names are in the order of their creation. */
export const SORTED_BY = {
  key: ['apiKey'],
  name: ['foldedName', 'createdAt', 'apiKey'],
  created: ['createdAt', 'apiKey'],
  updated: ['updatedAt', 'apiKey'],
} as const satisfies Record<Sort, readonly (keyof ListedKey)[]>;

const isSome = isWhole(1, Number.MAX_SAFE_INTEGER);

export const KEY_QUERY_RULES: OptionRules<KeyQuery> = {
  after: { accepts: isText, takes: 'the `next` of the page before' },
  limit: { accepts: (value) => value === Infinity || isSome(value), takes: 'a whole number from 1 on' },
  search: { accepts: isText, takes: 'a part of a name, the beginning of a key, or its last 4 characters' },
  state: { accepts: (value) => value === 'enabled' || value === 'disabled', takes: '"enabled" or "disabled"' },
  sort: {
    accepts: (value) => typeof value === 'string' && Object.hasOwn(SORTED_BY, value),
    takes: '"key", "name", "created" or "updated"',
  },
  descending: BOOLEAN_RULE,
};

/**
 * What every store's `list` does first: a misspelt `state` would otherwise list all keys.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` with every problem.
 */
export function checkKeyQuery(query: KeyQuery | undefined): void {
  checkArgument('list', KEY_QUERY_RULES, query);
}

type Member = (typeof SORTED_BY)[Sort][number];
/** Where a list continues: the last key's values in that order. */
export type Place = Readonly<Partial<Record<Member, string>>>;

/** A name as it is searched and sorted: without case, and without control characters, which end it in a cursor. */
export function foldName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[\x00-\x1f\x7f]/g, ' ')
    .toWellFormed();
}

type Listable = Pick<KeySettings, 'apiKey' | 'name' | 'enabled' | 'createdAt' | 'updatedAt'>;

export function listed({ apiKey, name, enabled, createdAt, updatedAt }: Listable): ListedKey {
  return { apiKey, foldedName: foldName(name), enabled, createdAt, updatedAt };
}

/** Whether a key matches the query. */
export function matcherOf({ search = '', state }: KeyQuery): (key: ListedKey) => boolean {
  const wanted = search.trim();
  const name = foldName(wanted);
  return (key) => {
    if (state !== undefined && key.enabled !== (state === 'enabled')) return false;
    if (wanted === '' || key.apiKey.startsWith(wanted)) return true;
    return (wanted.length >= MIN_SUFFIX && key.apiKey.endsWith(wanted)) || key.foldedName.includes(name);
  };
}

/** A key's place in an order, in plain letters: give it as `after` for what follows. In the order of keys it is the key. */
export function cursorOf(key: Listable, sort: Sort = 'key'): string {
  return cursorAt(listed(key), sort);
}

export function cursorAt(place: Place, sort: Sort = 'key'): string {
  if (sort === 'key') return place.apiKey!;
  return Buffer.from(SORTED_BY[sort].map((member) => place[member]).join('\n')).toString('base64url');
}

/** The place that `cursorOf` encoded; `undefined` for the beginning. Any other text is an arbitrary place. */
export function readCursor({ after = '', sort = 'key' }: KeyQuery): Place | undefined {
  if (after === '') return undefined;
  if (sort === 'key') return { apiKey: after };
  const parts = Buffer.from(after, 'base64url').toString().replaceAll('\0', ' ').split('\n');
  return Object.fromEntries(SORTED_BY[sort].map((member, at) => [member, parts[at] ?? '']));
}

/** A query's page, in one pass: of 100,000 keys it keeps and sorts only those that may be on the page. */
export function pageOf<Key extends ListedKey>(all: Iterable<Key>, query: KeyQuery = {}): readonly Key[] {
  const { limit = Infinity, sort = 'key', descending = false } = query;
  const start = readCursor(query);
  const matches = matcherOf(query);
  const members = SORTED_BY[sort];
  const sign = descending ? -1 : 1;
  const page: Key[] = [];
  let last: Key | undefined;
  const cut = (): void => {
    page.sort((a, b) => sign * compare(members, a, b));
    if (page.length > limit) page.length = limit;
  };
  for (const key of all) {
    if (last !== undefined && sign * compare(members, key, last) > 0) continue;
    if (start !== undefined && sign * compare(members, key, start) <= 0) continue;
    if (!matches(key)) continue;
    page.push(key);
    if (page.length < 2 * limit + SLACK) continue;
    cut();
    last = page.at(-1);
  }
  cut();
  return page;
}

const SLACK = 100;

function compare(members: readonly Member[], a: Place, b: Place): number {
  for (const member of members) {
    if (a[member] !== b[member]) return a[member]! < b[member]! ? -1 : 1;
  }
  return 0;
}
