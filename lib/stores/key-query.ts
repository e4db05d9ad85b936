import type { KeySettings } from '../settings/key-settings';
import type { KeyQuery } from './settings-store';

type Sort = NonNullable<KeyQuery['sort']>;

/** A key's last characters are shown in its place; so many or more of them find it. */
export const MIN_SUFFIX = 4;

/** A name as it is searched and sorted. PostgreSQL takes no NUL. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll('\0', '\ufffd');
}

/** Whether a key is one of those that are looked for. */
export function matcherOf({ search = '', state }: KeyQuery): (key: KeySettings) => boolean {
  const wanted = search.trim();
  const name = foldName(wanted);
  return (key) => {
    if (state !== undefined && key.enabled !== (state === 'enabled')) return false;
    if (wanted === '' || key.apiKey.startsWith(wanted)) return true;
    return (wanted.length >= MIN_SUFFIX && key.apiKey.endsWith(wanted)) || foldName(key.name).includes(name);
  };
}

/** A key's place in an order: give it as `after` for what follows. */
export function cursorOf(key: KeySettings, sort: Sort = 'key'): string {
  return sort === 'key' ? key.apiKey : `${sortValue(key, sort)}\n${key.apiKey}`;
}

/** What `cursorOf` made: the value that is sorted by, and the key. A key stands for itself. */
export function readCursor(cursor: string): { readonly value: string; readonly apiKey: string } {
  const end = cursor.lastIndexOf('\n');
  return { value: cursor.slice(0, Math.max(end, 0)), apiKey: cursor.slice(end + 1) };
}

/** The page of a query, in one pass: of 100,000 keys only those that may be on it are kept and compared. */
export function pageOf(all: Iterable<KeySettings>, query: KeyQuery = {}): readonly KeySettings[] {
  const { after = '', limit = Infinity, sort = 'key', descending = false } = query;
  const matches = matcherOf(query);
  const sign = descending ? -1 : 1;
  const start = after === '' ? undefined : readCursor(after);
  const page: Placed[] = [];
  let last: Placed | undefined;
  for (const settings of all) {
    const placed = { value: sortValue(settings, sort), apiKey: settings.apiKey, settings };
    if (start !== undefined && sign * compare(placed, start) <= 0) continue;
    if (last !== undefined && sign * compare(placed, last) > 0) continue;
    if (!matches(settings)) continue;
    page.push(placed);
    if (page.length < 2 * limit + SLACK) continue;
    cut(page, limit, sign);
    last = page.at(-1);
  }
  cut(page, limit, sign);
  return page.map(({ settings }) => settings);
}

interface Place {
  readonly value: string;
  readonly apiKey: string;
}

interface Placed extends Place {
  readonly settings: KeySettings;
}

const SLACK = 100;

function cut(page: Placed[], limit: number, sign: number): void {
  page.sort((a, b) => sign * compare(a, b));
  if (page.length > limit) page.length = limit;
}

function compare(a: Place, b: Place): number {
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  if (a.apiKey === b.apiKey) return 0;
  return a.apiKey < b.apiKey ? -1 : 1;
}

function sortValue(key: KeySettings, sort: Sort): string {
  switch (sort) {
    case 'key':
      return '';
    case 'name':
      return foldName(key.name);
    case 'created':
      return key.createdAt;
    case 'updated':
      return key.updatedAt;
  }
}
