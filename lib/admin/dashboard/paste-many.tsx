import type { TargetedSubmitEvent } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { EntryLines, linesOf, useLineProblems } from './entry-lines';
import { FirstEntry } from './first-entry';
import type { AddPanelProps } from './panel-props';
import { Problem } from './problem';
import { useUnsaved } from './route';
import { count } from './words';

/** The panel to add many entries, one per line. Good ones are added, bad ones stay to be corrected. */
export function PasteMany({ list, settings, meta, adding, onSwitch, onClose }: AddPanelProps) {
  const [text, setText] = useState('');
  const form = useRef<HTMLFormElement>(null);
  const entries = settings.allowlists[list.type];
  const problems = useLineProblems({ type: list.type, text, listed: entries, max: meta.maxEntries });
  const bad = problems.entries.map(({ entry }) => entry);
  const good = linesOf(text).filter((entry) => !bad.includes(entry) && !entries.includes(entry));
  const repeated = linesOf(text).filter((entry) => entries.includes(entry)).length;
  const canAdd = problems.text === text && good.length > 0 && problems.whole === undefined;
  useUnsaved(text.trim() !== '');

  const focusField = () => form.current?.querySelector('textarea')?.focus();
  useLayoutEffect(() => focusField(), []);

  async function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (canAdd && (await adding.run(good))) setText(bad.join('\n'));
    focusField();
  }

  return (
    <form class="add" aria-label={`Add many to ${list.title}`} ref={form} onSubmit={(event) => void onSubmit(event)}>
      <FirstEntry list={list} settings={settings} />
      <EntryLines
        id={`paste-${list.type}`}
        label="One entry per line"
        text={text}
        problems={problems}
        onInput={setText}
      />
      {repeated > 0 && <p class="hint">In the list already: {count(repeated, 'line')}.</p>}
      {bad.length > 0 && good.length > 0 && (
        <p class="hint">Lines with a mistake stay here when the others are added.</p>
      )}
      <Problem error={adding.error} />
      <div class="buttons">
        <button type="submit" disabled={!canAdd} aria-busy={adding.isBusy}>
          Add{good.length > 0 && ` ${count(good.length, 'entry', 'entries')}`}
        </button>
        <button type="button" class="quiet" onClick={onSwitch}>
          Add one
        </button>
        <button type="button" class="quiet" onClick={onClose}>
          Done
        </button>
      </div>
    </form>
  );
}
