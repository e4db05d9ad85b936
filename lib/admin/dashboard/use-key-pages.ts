import { useEffect, useRef, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import { api } from './api';
import { useAction, useSettled } from './use-action';

export interface ListFilter {
  readonly search: string;
  /** `enabled`, `disabled`, or nothing for both. */
  readonly state: string;
}

export interface KeyPages {
  readonly filter: ListFilter;
  readonly change: (members: Partial<ListFilter>) => void;
  /** What is loaded so far; `undefined` before the first answer, and where what is asked cannot be had. */
  readonly keys: readonly ShownKey[] | undefined;
  readonly hasMore: boolean;
  readonly isBusy: boolean;
  readonly error: Error | undefined;
  readonly retry: () => void;
  readonly more: () => Promise<void>;
}

interface Loaded {
  readonly keys: readonly ShownKey[];
  readonly next: string | undefined;
}

const PAGE = 50;
export const NO_FILTER: ListFilter = { search: '', state: '' };

/** What was looked for, for those who come back from a key. */
let remembered = NO_FILTER;

/** The keys that match a filter, page by page. */
export function useKeyPages(): KeyPages {
  const [filter, setFilter] = useState(remembered);
  const [loaded, setLoaded] = useState<Loaded>();
  const search = useSettled(filter.search.trim());
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
    asked.current++;
    void loading.run(undefined);
  }, [search, filter.state]);

  function change(members: Partial<ListFilter>) {
    remembered = { ...filter, ...members };
    setFilter(remembered);
  }

  return {
    filter,
    change,
    keys: loaded?.keys,
    hasMore: loaded?.next !== undefined,
    isBusy: loading.isBusy,
    error: loading.error,
    retry: () => void loading.run(undefined),
    async more() {
      await loading.run(loaded);
    },
  };
}

async function load(before: Loaded | undefined): Promise<Loaded> {
  const { search, state } = remembered;
  const { keys, next } = await api.listKeys({ search: search.trim(), state, after: before?.next, limit: PAGE });
  return { keys: [...(before?.keys ?? []), ...keys], next: next ?? undefined };
}
