import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { api } from './api.mjs';
import { Combobox } from './combobox.mjs';
import { FirstEntry } from './first-entry.mjs';
import { html } from './html.mjs';
import { Check, Cross } from './icons.mjs';
import { LIST_WORDS } from './list-words.mjs';
import { inWords } from './problem.mjs';
import { useSettled } from './use-action.mjs';

/** The panel to add one entry: what is typed is checked by the server, and tried on a sample. */
export function AddEntry({ type, title, entries, settings, meta, adding, onSwitch, onClose }) {
  const [typed, setTyped] = useState('');
  const [sample, setSample] = useState('');
  const form = useRef();
  const words = LIST_WORDS[type];
  const id = `add-${type}`;
  const entry = typed.trim();
  const check = useCheck(type, entries, entry, sample);

  const focusField = () => form.current?.querySelector(`#${id}`).focus();
  useLayoutEffect(focusField, []);
  useEffect(() => {
    if (adding.error) focusField();
  }, [adding.error]);

  const isListed = entries.includes(entry);
  const problem = problemWith({
    isListed,
    error: adding.error,
    found: entry === check.entry ? check.problem : undefined,
  });

  async function onSubmit(event) {
    event.preventDefault();
    if (entry === '' || problem) {
      focusField();
      return;
    }
    const isAdded = await adding.run([entry]);
    if (isAdded) setTyped('');
    focusField();
  }

  function onInput(value) {
    adding.forget();
    setTyped(value);
  }

  const field = {
    id,
    value: typed,
    placeholder: words.example,
    'aria-invalid': problem ? 'true' : undefined,
    'aria-describedby': `${id}-problem`,
  };
  return html`
    <form class="add" aria-label=${`Add to ${title}`} ref=${form} onSubmit=${onSubmit}>
      <${FirstEntry} type=${type} entries=${entries} settings=${settings} />
      <div class="columns">
        <div>
          <label for=${id}>${words.field}</label>
          ${
            type === 'methods'
              ? html`<${Combobox} ...${field} groups=${meta.methodGroups} extra=${asPrefix} onInput=${onInput} />`
              : html`<input
                  ...${field}
                  autocomplete="off"
                  autocapitalize="off"
                  spellcheck=${false}
                  onInput=${(event) => onInput(event.currentTarget.value)}
                />`
          }
          <p id=${`${id}-problem`} class="bad below" aria-live="polite">${problem}</p>
        </div>
        <div>
          <label for=${`${id}-sample`}>${words.sample}, to try</label>
          <input
            id=${`${id}-sample`}
            autocomplete="off"
            autocapitalize="off"
            spellcheck=${false}
            placeholder=${words.sampleExample}
            value=${sample}
            aria-describedby=${`${id}-match`}
            onInput=${(event) => setSample(event.currentTarget.value)}
          />
          <p id=${`${id}-match`} class="below" aria-live="polite">
            ${sample !== '' && sample === check.sample && html`<${Match} check=${check} entry=${entry} />`}
          </p>
        </div>
      </div>
      <div class="buttons">
        <button type="submit" aria-busy=${adding.isBusy}>Add</button>
        <button type="button" class="quiet" onClick=${onSwitch}>Paste many</button>
        <button type="button" class="quiet" onClick=${onClose}>Done</button>
      </div>
    </form>
  `;
}

function problemWith({ isListed, error, found }) {
  if (error) return inWords(error);
  return isListed ? 'is in the list already' : found;
}

function asPrefix(typed) {
  if (!/^[!-)+-~]+$/.test(typed)) return undefined;
  return { value: `${typed}*`, note: 'every method that begins so' };
}

/** What the server says of `entry`, and which entry `sample` matches, a moment after the last change. */
function useCheck(type, entries, entry, sample) {
  const wanted = useSettled(JSON.stringify([entry, sample]));
  const [check, setCheck] = useState({});

  useEffect(() => {
    const [wantedEntry, wantedSample] = JSON.parse(wanted);
    if (wantedEntry === '' && wantedSample === '') {
      setCheck({});
      return undefined;
    }
    const abort = new AbortController();
    const all = wantedEntry === '' || entries.includes(wantedEntry) ? entries : [...entries, wantedEntry];
    const samples = wantedSample === '' ? [] : [wantedSample];
    api.checkEntries(type, all, samples, abort.signal).then(
      (answer) =>
        setCheck({
          entry: wantedEntry,
          problem: answer.entries.find((one) => one.entry === wantedEntry)?.problem ?? undefined,
          sample: wantedSample,
          isEmpty: all.length === 0,
          matchedBy: answer.samples[0]?.matchedBy ?? undefined,
        }),
      (error) => {
        if (error.name !== 'AbortError') setCheck({ entry: wantedEntry, problem: inWords(error) });
      },
    );
    return () => abort.abort();
  }, [wanted, entries]);

  return check;
}

function Match({ check, entry }) {
  if (check.isEmpty) return html`<span class="quiet-text">The list is empty: it would pass.</span>`;
  if (check.matchedBy === undefined) return html`<span class="bad"><${Cross} /> No entry matches: refused.</span>`;
  const isNew = check.matchedBy === entry;
  return html`
    <span class="good"
      ><${Check} /> Passes by <code>${check.matchedBy}</code>${isNew && ', the entry you are typing'}.</span
    >
  `;
}
