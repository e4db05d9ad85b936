import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { EntryLines, linesOf, useLineProblems } from './entry-lines.mjs';
import { FirstEntry } from './first-entry.mjs';
import { html } from './html.mjs';
import { Problem } from './problem.mjs';
import { useUnsaved } from './route.mjs';
import { count } from './words.mjs';

/** The panel to add many entries, one per line. Good ones are added, bad ones stay to be corrected. */
export function PasteMany({ type, title, entries, settings, meta, adding, onSwitch, onClose }) {
  const [text, setText] = useState('');
  const form = useRef();
  const id = `paste-${type}`;
  const problems = useLineProblems({ type, text, listed: entries, max: meta.maxEntries });
  const isChecked = problems.text === text;
  const bad = problems.entries.map(({ entry }) => entry);
  const good = linesOf(text).filter((entry) => !bad.includes(entry) && !entries.includes(entry));
  const repeated = linesOf(text).filter((entry) => entries.includes(entry)).length;
  const canAdd = isChecked && good.length > 0 && problems.whole === undefined;
  useUnsaved(text.trim() !== '');

  const focusField = () => form.current?.querySelector('textarea').focus();
  useLayoutEffect(focusField, []);

  async function onSubmit(event) {
    event.preventDefault();
    if (canAdd && (await adding.run(good))) setText(bad.join('\n'));
    focusField();
  }

  return html`
    <form class="add" aria-label=${`Add many to ${title}`} ref=${form} onSubmit=${onSubmit}>
      <${FirstEntry} type=${type} entries=${entries} settings=${settings} />
      <${EntryLines} id=${id} label="One entry per line" text=${text} problems=${problems} onInput=${setText} />
      ${repeated > 0 && html`<p class="hint">In the list already: ${count(repeated, 'line')}.</p>`}
      ${bad.length > 0 && good.length > 0 && html`<p class="hint">Lines with a mistake stay here when the others are added.</p>`}
      <${Problem} error=${adding.error} />
      <div class="buttons">
        <button type="submit" disabled=${!canAdd} aria-busy=${adding.isBusy}>
          Add${good.length > 0 && ` ${count(good.length, 'entry', 'entries')}`}
        </button>
        <button type="button" class="quiet" onClick=${onSwitch}>Add one</button>
        <button type="button" class="quiet" onClick=${onClose}>Done</button>
      </div>
    </form>
  `;
}
