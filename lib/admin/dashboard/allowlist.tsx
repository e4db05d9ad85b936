import type { RefObject } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { AddEntry } from './add-entry';
import { api } from './api';
import { Confirm } from './dialog';
import { Cross, Plus } from './icons';
import type { ListWords } from './list-words';
import { Warnings } from './notice';
import type { PanelProps } from './panel-props';
import { PasteMany } from './paste-many';
import { Problem } from './problem';
import { say } from './toast';
import { useAction } from './use-action';

interface AllowlistProps extends Omit<PanelProps, 'onSecret'> {
  readonly list: ListWords;
}

const PANELS = { one: AddEntry, many: PasteMany };

/** One list of a key: its entries, and the panel to add some. */
export function Allowlist({ list, settings, setSettings, meta }: AllowlistProps) {
  const [panel, setPanel] = useState<keyof typeof PANELS>();
  const section = useRef<HTMLElement>(null);
  const { type, title } = list;
  const entries = settings.allowlists[type];

  const adding = useAction(async (added: readonly string[]) => {
    const { key } = await api.addEntries(settings.apiKey, type, added);
    setSettings(key);
    say(added.length === 1 ? `${added.join()} added` : `${added.length} entries added`);
  });

  function openPanel(which: keyof typeof PANELS | undefined) {
    adding.forget();
    setPanel(which);
    if (which === undefined) section.current?.querySelector<HTMLElement>('.title button')?.focus();
  }

  const Panel = panel && PANELS[panel];
  return (
    <section class="card allowlist" aria-labelledby={`${type}-title`} ref={section}>
      <div class="title">
        <h2 id={`${type}-title`}>{title}</h2>
        <span class="quiet-text">
          {entries.length} of {meta.maxEntries}
        </span>
        <button
          type="button"
          class="quiet"
          aria-label={`Add to ${title}`}
          aria-expanded={panel !== undefined}
          disabled={entries.length >= meta.maxEntries && !panel}
          onClick={() => openPanel(panel ? undefined : 'one')}
        >
          <Plus /> Add
        </button>
      </div>
      <p class="hint">{list.does}</p>
      <Warnings settings={settings} at={type} />
      <Entries list={list} settings={settings} setSettings={setSettings} section={section} />
      {Panel && (
        <Panel
          list={list}
          settings={settings}
          meta={meta}
          adding={adding}
          onSwitch={() => openPanel(panel === 'one' ? 'many' : 'one')}
          onClose={() => openPanel(undefined)}
        />
      )}
    </section>
  );
}

interface EntriesProps extends Pick<PanelProps, 'settings' | 'setSettings'> {
  readonly list: ListWords;
  /** Where the focus goes once the button that was pressed is gone. */
  readonly section: RefObject<HTMLElement | null>;
}

function Entries({ list: { type, title }, settings, setSettings, section }: EntriesProps) {
  const [last, setLast] = useState<string>();
  const entries = settings.allowlists[type];

  const removing = useAction(async (entry: string) => {
    const index = entries.indexOf(entry);
    const { key } = await api.removeEntry(settings.apiKey, type, entry);
    setLast(undefined);
    setSettings(key);
    say(`${entry} removed`);
    // The button that was pressed goes with its entry.
    requestAnimationFrame(() => {
      const buttons = section.current?.querySelectorAll<HTMLElement>('.entries button') ?? [];
      const next = buttons[Math.min(index, buttons.length - 1)];
      (next ?? section.current?.querySelector<HTMLElement>('.title button'))?.focus();
    });
  });

  function onRemove(entry: string) {
    if (entries.length === 1) setLast(entry);
    else void removing.run(entry);
  }

  if (entries.length === 0) return <p class="empty">No entries: everything passes this list.</p>;
  return (
    <>
      <ul class="entries">
        {entries.map((entry) => (
          <li key={entry}>
            <code>{entry}</code>
            <button
              type="button"
              class="icon-button"
              aria-label={`Remove ${entry} from ${title}`}
              title="Remove"
              onClick={() => onRemove(entry)}
            >
              <Cross />
            </button>
          </li>
        ))}
      </ul>
      <Problem error={last ? undefined : removing.error} />
      {last && (
        <Confirm
          title="Remove the last entry?"
          yes="Remove"
          isBusy={removing.isBusy}
          onYes={() => void removing.run(last)}
          onNo={() => setLast(undefined)}
        >
          <p>
            Without <code>{last}</code> the list “{title}” is empty, and everything passes it.
          </p>
          <Problem error={removing.error} />
        </Confirm>
      )}
    </>
  );
}
