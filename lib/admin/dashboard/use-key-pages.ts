import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { KeysAnswer, ShownKey } from '../api';
import { api } from './api';
import type { KeySort } from './api';
import { linkBefore } from './route';
import { useAction, useSettled } from './use-action';

export interface ListFilter extends KeySort {
  readonly search: string;
  /** `enabled`, `disabled`, or nothing for both. */
  readonly state: string;
}

export interface KeyPages {
  readonly filter: ListFilter;
  readonly change: (members: Partial<ListFilter>) => void;
  /** What is loaded so far; `undefined` before the first answer, and where what is asked cannot be had. */
  readonly keys: readonly ShownKey[] | undefined;
  /** Keys that do not parse, which are on no page. */
  readonly problems: KeysAnswer['problems'];
  readonly hasMore: boolean;
  /** Whether `keys` answer an older question than `filter` by now. */
  readonly isOld: boolean;
  readonly isBusy: boolean;
  readonly error: Error | undefined;
  readonly retry: () => void;
  readonly more: () => Promise<void>;
}

interface Loaded {
  readonly of: string;
  readonly keys: readonly ShownKey[];
  readonly problems: KeysAnswer['problems'];
  readonly next: string | undefined;
}

/** What was looked for and how far, for those who come back from a key. */
interface Place {
  readonly filter: ListFilter;
  readonly count: number;
  readonly scrollY: number;
}

const PAGE = 50;
/** The most that the server gives at once. */
const MAX_PAGE = 1000;
export const NO_FILTER = { search: '', state: '' };

let place: Place = { filter: { ...NO_FILTER, sort: 'name', order: 'asc' }, count: PAGE, scrollY: 0 };

/** The keys that match a filter, page by page. Who comes back finds the rows that were loaded, and where they were. */
export function useKeyPages(): KeyPages {
  const [filter, setFilter] = useState(place.filter);
  const [loaded, setLoaded] = useState<Loaded>();
  const search = useSettled(filter.search.trim());
  const { state, sort, order } = filter;
  const asked = useRef(0);

  const loading = useAction(async (before: Loaded | undefined) => {
    try {
      setLoaded(await newest(before));
    } catch (error) {
      // Rows under an error would be taken for the answer; those that more were asked of stay.
      if (before === undefined) setLoaded(undefined);
      throw error;
    }
  });

  /** An answer to what is no longer asked is not shown: ask again. */
  async function newest(before: Loaded | undefined): Promise<Loaded> {
    const ask = asked.current;
    const answer = await load(before);
    return ask === asked.current ? answer : newest(undefined);
  }

  useEffect(() => {
    if (asked.current++ > 0) place = { ...place, count: PAGE, scrollY: 0 };
    void loading.run(undefined);
  }, [search, state, sort, order]);
  usePlace(loaded);

  function change(members: Partial<ListFilter>) {
    place = { ...place, filter: { ...filter, ...members } };
    setFilter(place.filter);
  }

  return {
    filter,
    change,
    keys: loaded?.keys,
    problems: loaded?.problems ?? [],
    hasMore: loaded?.next !== undefined,
    isOld: loaded?.of !== nameOf(filter),
    isBusy: loading.isBusy,
    error: loading.error,
    retry: () => void loading.run(undefined),
    async more() {
      await loading.run(loaded);
    },
  };
}

/** Remembers how many rows there are and which are in sight, and goes back there once they are loaded again. */
function usePlace(loaded: Loaded | undefined): void {
  const isBack = useRef(false);
  useLayoutEffect(() => {
    if (loaded === undefined) return;
    if (!isBack.current) {
      scrollTo(0, place.scrollY);
      if (document.activeElement?.tagName === 'H1') linkBefore()?.focus({ preventScroll: true });
    }
    isBack.current = true;
    place = { ...place, count: Math.max(loaded.keys.length, PAGE) };
  }, [loaded]);
  useLayoutEffect(
    () => () => {
      if (isBack.current) place = { ...place, scrollY };
    },
    [],
  );
}

function nameOf({ search, state, sort, order }: ListFilter): string {
  return JSON.stringify([search.trim(), state, sort, order]);
}

/** What follows `before`: a page, or where there is nothing before it as many rows as there were. */
async function load(before: Loaded | undefined): Promise<Loaded> {
  const { filter, count } = place;
  const { search, ...rest } = filter;
  const wanted = before === undefined ? count : before.keys.length + PAGE;
  let keys = before?.keys ?? [];
  let after = before?.next;
  for (;;) {
    const limit = Math.min(wanted - keys.length, MAX_PAGE);
    const { next, problems, ...page } = await api.listKeys({ search: search.trim(), ...rest, after, limit });
    keys = [...keys, ...page.keys];
    after = next ?? undefined;
    if (after === undefined || keys.length >= wanted) return { of: nameOf(filter), keys, problems, next: after };
  }
}
