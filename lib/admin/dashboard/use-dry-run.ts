import { useEffect, useState } from 'preact/hooks';
import type { DocumentAnswer, ShownKey } from '../api';
import { api, isAbort } from './api';
import { inWords } from './problem';
import { useSettled } from './use-action';

/** What a text would change of a key, or why it cannot be taken; nothing while that is asked. */
export interface DryRun {
  readonly answer?: DocumentAnswer;
  readonly problem?: string;
}

interface Known extends DryRun {
  readonly of: string;
}

/** What the server says that the settings in `text` would change, a moment after the last change of it. */
export function useDryRun(text: string, { apiKey, version }: ShownKey): DryRun {
  const settled = useSettled(text.trim());
  const [known, setKnown] = useState<Known>({ of: '' });

  useEffect(() => {
    if (settled === '') return undefined;
    const abort = new AbortController();
    ask(settled, { apiKey, version }, abort.signal).then(setKnown, (error: unknown) => {
      if (!isAbort(error)) setKnown({ of: settled, problem: inWords(error) });
    });
    return () => {
      abort.abort();
    };
  }, [settled, version]);

  return known.of === text.trim() ? known : {};
}

async function ask(text: string, key: Pick<ShownKey, 'apiKey' | 'version'>, signal: AbortSignal): Promise<Known> {
  const document = parse(text);
  if (document === undefined) return { of: text, problem: 'This is not JSON.' };
  const answer = await api.applyDocument(key.apiKey, { document, version: key.version, dryRun: true }, signal);
  return { of: text, answer };
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
