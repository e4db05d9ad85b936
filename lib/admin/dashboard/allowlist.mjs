import { useRef, useState } from 'preact/hooks';
import { AddEntry } from './add-entry.mjs';
import { api } from './api.mjs';
import { Confirm } from './dialog.mjs';
import { html } from './html.mjs';
import { Cross, Plus } from './icons.mjs';
import { LIST_WORDS } from './list-words.mjs';
import { Warnings } from './notice.mjs';
import { PasteMany } from './paste-many.mjs';
import { Problem } from './problem.mjs';
import { say } from './toast.mjs';
import { useAction } from './use-action.mjs';

/** One list of a key: its entries, and the panel to add some. */
export function Allowlist({ type, title, settings, setSettings, meta }) {
  const [panel, setPanel] = useState();
  const [last, setLast] = useState();
  const section = useRef();
  const entries = settings.allowlists[type];
  const isFull = entries.length >= meta.maxEntries;

  const removing = useAction(async (entry) => {
    const index = entries.indexOf(entry);
    const { key } = await api.removeEntry(settings.apiKey, type, entry);
    setLast(undefined);
    setSettings(key);
    say(`${entry} removed`);
    // The button that was pressed goes with its entry.
    requestAnimationFrame(() => {
      const buttons = section.current?.querySelectorAll('.entries button') ?? [];
      (buttons[Math.min(index, buttons.length - 1)] ?? section.current?.querySelector('.title button'))?.focus();
    });
  });

  const adding = useAction(async (added) => {
    const { key } = await api.addEntries(settings.apiKey, type, added);
    setSettings(key);
    say(added.length === 1 ? `${added[0]} added` : `${added.length} entries added`);
  });

  function onRemove(entry) {
    if (entries.length === 1) setLast(entry);
    else removing.run(entry);
  }

  function openPanel(which) {
    adding.forget();
    setPanel(which);
  }

  function closePanel() {
    openPanel(undefined);
    section.current.querySelector('.title button').focus();
  }

  const Panel = { one: AddEntry, many: PasteMany }[panel];
  return html`
    <section class="card allowlist" aria-labelledby=${`${type}-title`} ref=${section}>
      <div class="title">
        <h2 id=${`${type}-title`}>${title}</h2>
        <span class="quiet-text">${entries.length} of ${meta.maxEntries}</span>
        <button
          type="button"
          class="quiet"
          aria-label=${`Add to ${title}`}
          aria-expanded=${panel ? 'true' : 'false'}
          disabled=${isFull && !panel}
          onClick=${() => (panel ? closePanel() : openPanel('one'))}
        >
          <${Plus} /> Add
        </button>
      </div>
      <p class="hint">${LIST_WORDS[type].does}</p>
      <${Warnings} settings=${settings} at=${type} />
      ${
        entries.length === 0
          ? html`<p class="empty">No entries: everything passes this list.</p>`
          : html`
              <ul class="entries">
                ${entries.map(
                  (entry) => html`
                    <li key=${entry}>
                      <code>${entry}</code>
                      <button
                        type="button"
                        class="icon-button"
                        aria-label=${`Remove ${entry} from ${title}`}
                        title="Remove"
                        onClick=${() => onRemove(entry)}
                      >
                        <${Cross} />
                      </button>
                    </li>
                  `,
                )}
              </ul>
            `
      }
      <${Problem} error=${last ? undefined : removing.error} />
      ${
        Panel &&
        html`
          <${Panel}
            type=${type}
            title=${title}
            entries=${entries}
            settings=${settings}
            meta=${meta}
            adding=${adding}
            onSwitch=${() => openPanel(panel === 'one' ? 'many' : 'one')}
            onClose=${closePanel}
          />
        `
      }
    </section>
    ${
      last &&
      html`
        <${Confirm}
          title="Remove the last entry?"
          yes="Remove"
          isBusy=${removing.isBusy}
          onYes=${() => removing.run(last)}
          onNo=${() => setLast(undefined)}
        >
          <p>Without <code>${last}</code> the list “${title}” is empty, and everything passes it.</p>
          <${Problem} error=${removing.error} />
        <//>
      `
    }
  `;
}
