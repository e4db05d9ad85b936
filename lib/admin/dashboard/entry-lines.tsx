import { useEffect, useState } from 'preact/hooks';
import type { Preview } from '../preview';
import type { AllowlistType } from '../../settings/key-settings';
import { api, isAbort } from './api';
import { inWords } from './problem';
import { useSettled } from './use-action';

export interface LineProblems {
  /** What was looked at. */
  readonly text?: string;
  readonly entries: Preview['entries'];
  readonly whole?: string | undefined;
}

interface Lines {
  readonly type: AllowlistType;
  readonly text: string;
  /** What is in the list already. */
  readonly listed?: readonly string[];
  readonly max: number;
}

const NOTHING_LISTED: readonly string[] = [];

/** The entries of a text with one per line, without empty lines and repetitions. */
export function linesOf(text: string): readonly string[] {
  const entries = text.split('\n').map((line) => line.trim());
  return [...new Set(entries.filter((entry) => entry !== ''))];
}

/** What the server finds wrong with the lines of `text`, a moment after the last change. */
export function useLineProblems({ type, text, listed = NOTHING_LISTED, max }: Lines): LineProblems {
  const settled = useSettled(text);
  const [problems, setProblems] = useState<LineProblems>({ entries: [] });

  useEffect(() => {
    const entries = linesOf(settled);
    if (entries.length === 0) {
      setProblems({ text: settled, entries: [] });
      return undefined;
    }
    const abort = new AbortController();
    const whole = tooMany(new Set([...listed, ...entries]).size, max);
    api.checkEntries(type, entries, [], abort.signal).then(
      (answer) => {
        setProblems({ text: settled, entries: answer.entries.filter(({ problem }) => problem !== null), whole });
      },
      (error: unknown) => {
        if (!isAbort(error)) setProblems({ text: settled, entries: [], whole: inWords(error) });
      },
    );
    return () => {
      abort.abort();
    };
  }, [settled, listed.length]);

  return problems;
}

function tooMany(total: number, max: number): string | undefined {
  return total > max ? `That makes ${total} entries; ${max} are allowed. Take out ${total - max}.` : undefined;
}

interface EntryLinesProps {
  readonly id: string;
  readonly label: string;
  readonly rows?: number;
  readonly text: string;
  readonly problems: LineProblems;
  readonly onInput: (text: string) => void;
}

/** A text area with one entry per line. Bad ones are marked below it; what was typed stays. */
export function EntryLines({ id, label, rows = 6, text, problems, onInput }: EntryLinesProps) {
  const lines = text.split('\n').map((line) => line.trim());
  const isBad = problems.entries.length > 0 || problems.whole !== undefined;
  return (
    <>
      <label for={id}>{label}</label>
      <textarea
        id={id}
        class="lines"
        rows={rows}
        spellcheck={false}
        autocapitalize="off"
        aria-invalid={isBad ? true : undefined}
        aria-describedby={`${id}-problems`}
        value={text}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <div id={`${id}-problems`} class="line-problems" aria-live="polite">
        {problems.whole && <p class="bad">{problems.whole}</p>}
        {problems.entries.map(({ entry, problem }) => (
          <p key={entry} class="bad">
            {lines.includes(entry) && `Line ${lines.indexOf(entry) + 1}: `}
            <code>{entry}</code> {problem}
          </p>
        ))}
      </div>
    </>
  );
}
