import { useEffect, useState } from 'preact/hooks';
import { api } from './api.mjs';
import { html } from './html.mjs';
import { inWords } from './problem.mjs';
import { useSettled } from './use-action.mjs';

/** The entries of a text with one per line, without empty lines and repetitions. */
export function linesOf(text) {
  const entries = text.split('\n').map((line) => line.trim());
  return [...new Set(entries.filter((entry) => entry !== ''))];
}

/**
 * What the server finds wrong with the lines of `text`, a moment after the last change.
 * @param {{ type: string, text: string, listed?: string[], max: number }} given `listed`: what is in the list already
 * @returns {{ text?: string, entries: { entry: string, problem: string }[], whole?: string }} `text`: what was looked at
 */
export function useLineProblems({ type, text, listed = [], max }) {
  const settled = useSettled(text);
  const [problems, setProblems] = useState({ entries: [] });

  useEffect(() => {
    const entries = linesOf(settled);
    const added = entries.filter((entry) => !listed.includes(entry));
    if (entries.length === 0) {
      setProblems({ text: settled, entries: [] });
      return undefined;
    }
    const abort = new AbortController();
    api.checkEntries(type, entries, [], abort.signal).then(
      (answer) => {
        const total = listed.length + added.length;
        const whole =
          total > max ? `That makes ${total} entries; ${max} are allowed. Take out ${total - max}.` : undefined;
        setProblems({ text: settled, entries: answer.entries.filter(({ problem }) => problem !== null), whole });
      },
      (error) => {
        if (error.name !== 'AbortError') setProblems({ text: settled, entries: [], whole: inWords(error) });
      },
    );
    return () => abort.abort();
  }, [settled, listed.length]);

  return problems;
}

/** A text area with one entry per line. Bad ones are marked below it; what was typed stays. */
export function EntryLines({ id, label, rows = 6, text, problems, onInput, first }) {
  const lines = text.split('\n').map((line) => line.trim());
  const isBad = problems.entries.length > 0 || problems.whole !== undefined;
  return html`
    <label for=${id}>${label}</label>
    <textarea
      id=${id}
      class="lines"
      rows=${rows}
      spellcheck=${false}
      autocapitalize="off"
      data-first=${first}
      aria-invalid=${isBad ? 'true' : undefined}
      aria-describedby=${`${id}-problems`}
      value=${text}
      onInput=${(event) => onInput(event.currentTarget.value)}
    ></textarea>
    <div id=${`${id}-problems`} class="line-problems" aria-live="polite">
      ${problems.whole && html`<p class="bad">${problems.whole}</p>`}
      ${problems.entries.map(
        ({ entry, problem }) => html`
          <p key=${entry} class="bad">
            ${lines.includes(entry) && `Line ${lines.indexOf(entry) + 1}: `}<code>${entry}</code> ${problem}
          </p>
        `,
      )}
    </div>
  `;
}
