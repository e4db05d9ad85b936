import type { ComponentChildren, TargetedSubmitEvent } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Meta } from '../api';
import type { AddPanelProps } from './panel-props';
import { Combobox } from './combobox';
import { FirstEntry } from './first-entry';
import { Check, Cross } from './icons';
import type { AllowlistMeta } from '../allowlist-meta';
import { inWords } from './problem';
import { useEntryCheck } from './use-entry-check';
import type { EntryCheck } from './use-entry-check';

/** The panel to add one entry: what is typed is checked by the server, and tried on a sample. */
export function AddEntry({ list, settings, meta, adding, begin = '', onSwitch, onClose }: AddPanelProps) {
  const [typed, setTyped] = useState(begin);
  const [sample, setSample] = useState('');
  const form = useRef<HTMLFormElement>(null);
  const id = `add-${list.type}`;
  const entries = settings.allowlists[list.type];
  const entry = typed.trim();
  const check = useEntryCheck(list.type, entries, entry, sample);
  const problem = problemWith(entry, entries, check, adding.error);

  const focusField = () => form.current?.querySelector<HTMLElement>(`#${id}`)?.focus();
  useLayoutEffect(() => focusField(), []);
  useEffect(() => {
    if (adding.error) focusField();
  }, [adding.error]);

  async function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (entry !== '' && problem === undefined && (await adding.run([entry]))) setTyped('');
    focusField();
  }

  function onInput(value: string) {
    adding.forget();
    setTyped(value);
  }

  return (
    <form class="add" aria-label={`Add to ${list.title}`} ref={form} onSubmit={(event) => void onSubmit(event)}>
      <FirstEntry list={list} settings={settings} />
      <div class="columns">
        <div>
          <EntryField id={id} list={list} meta={meta} value={typed} isBad={problem !== undefined} onInput={onInput} />
          <p id={`${id}-problem`} class="bad below" aria-live="polite">
            {problem}
          </p>
          <p class="doubt" aria-live="polite">
            {problem === undefined && entry === check.entry && check.doubt}
          </p>
        </div>
        <SampleField
          id={id}
          label={list.sample.label}
          placeholder={list.sample.example}
          value={sample}
          onInput={setSample}
        >
          {sample !== '' && sample === check.sample && <Match check={check} entry={entry} />}
        </SampleField>
      </div>
      <div class="buttons">
        <button type="submit" aria-busy={adding.isBusy}>
          Add
        </button>
        <button type="button" class="quiet" onClick={onSwitch}>
          Paste many
        </button>
        <button type="button" class="quiet" onClick={onClose}>
          Done
        </button>
      </div>
    </form>
  );
}

interface EntryFieldProps {
  readonly id: string;
  readonly list: AllowlistMeta;
  readonly meta: Meta;
  readonly value: string;
  readonly isBad: boolean;
  readonly onInput: (value: string) => void;
}

function EntryField({ id, list, meta, value, isBad, onInput }: EntryFieldProps) {
  const field = {
    id,
    value,
    placeholder: list.examples.join(' or '),
    'aria-invalid': isBad ? (true as const) : undefined,
    'aria-describedby': `${id}-problem`,
  };
  return (
    <>
      <label for={id}>{list.field}</label>
      {list.type === 'methods' ? (
        <Combobox {...field} groups={meta.methodGroups} extra={asPrefix} onInput={onInput} />
      ) : (
        <input
          {...field}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </>
  );
}

interface SampleFieldProps {
  readonly id: string;
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  /** What becomes of the sample. */
  readonly children: ComponentChildren;
}

function SampleField({ id, label, placeholder, value, onInput, children }: SampleFieldProps) {
  return (
    <div>
      <label for={`${id}-sample`}>{label}, to try</label>
      <input
        id={`${id}-sample`}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder={placeholder}
        value={value}
        aria-describedby={`${id}-match`}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <p id={`${id}-match`} class="below" aria-live="polite">
        {children}
      </p>
    </div>
  );
}

function problemWith(
  entry: string,
  entries: readonly string[],
  check: EntryCheck,
  error: Error | undefined,
): string | undefined {
  if (error) return inWords(error);
  if (entries.includes(entry)) return 'is in the list already';
  return entry === check.entry ? check.problem : undefined;
}

function asPrefix(typed: string) {
  if (!/^[!-)+-~]+$/.test(typed)) return undefined;
  return { value: `${typed}*`, note: 'every method that begins so' };
}

function Match({ check, entry }: { readonly check: EntryCheck; readonly entry: string }) {
  if (check.isEmpty) return <span class="quiet-text">The list is empty: it would pass.</span>;
  if (check.matchedBy === undefined) {
    return (
      <span class="bad">
        <Cross /> No entry matches: refused.
      </span>
    );
  }
  return (
    <span class="good">
      <Check /> Passes by <code>{check.matchedBy}</code>
      {check.matchedBy === entry && ', the entry you are typing'}.
    </span>
  );
}
