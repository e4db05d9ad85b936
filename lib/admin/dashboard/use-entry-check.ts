import { useEffect, useState } from 'preact/hooks';
import type { AllowlistType } from '../../settings/key-settings';
import { api, isAbort } from './api';
import { inWords } from './problem';
import { useSettled } from './use-action';

export interface EntryCheck {
  /** What was looked at. */
  readonly entry: string;
  readonly sample: string;
  readonly problem?: string | undefined;
  /** What is surprising in it, though it can be added. */
  readonly doubt?: string | undefined;
  readonly isEmpty?: boolean;
  readonly matchedBy?: string | undefined;
}

const NOTHING: EntryCheck = { entry: '', sample: '' };

/** What the server says of `entry`, and which entry `sample` matches, a moment after the last change. */
export function useEntryCheck(
  type: AllowlistType,
  entries: readonly string[],
  entry: string,
  sample: string,
): EntryCheck {
  const wantedEntry = useSettled(entry);
  const wantedSample = useSettled(sample);
  const [check, setCheck] = useState(NOTHING);

  useEffect(() => {
    if (wantedEntry === '' && wantedSample === '') {
      setCheck(NOTHING);
      return undefined;
    }
    const abort = new AbortController();
    ask(type, entries, { entry: wantedEntry, sample: wantedSample }, abort.signal).then(setCheck, (error: unknown) => {
      if (!isAbort(error)) setCheck({ entry: wantedEntry, sample: '', problem: inWords(error) });
    });
    return () => {
      abort.abort();
    };
  }, [wantedEntry, wantedSample, entries]);

  return check;
}

async function ask(
  type: AllowlistType,
  entries: readonly string[],
  { entry, sample }: EntryCheck,
  signal: AbortSignal,
): Promise<EntryCheck> {
  const all = entry === '' || entries.includes(entry) ? entries : [...entries, entry];
  const answer = await api.checkEntries(type, all, sample === '' ? [] : [sample], signal);
  const { problem, doubt } = answer.entries.find((one) => one.entry === entry) ?? {};
  return {
    entry,
    problem: problem ?? undefined,
    doubt: doubt ?? undefined,
    sample,
    isEmpty: all.length === 0,
    matchedBy: answer.samples[0]?.matchedBy ?? undefined,
  };
}
