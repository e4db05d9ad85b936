import { useRef, useState } from 'preact/hooks';
import { AddEntry } from './add-entry';
import { api } from './api';
import { Entries } from './entries';
import { entryFor } from './hand-over';
import { Plus } from './icons';
import type { AllowlistMeta } from '../allowlist-meta';
import { Warnings } from './notice';
import type { PanelProps } from './panel-props';
import { PasteMany } from './paste-many';
import { ReportOnly } from './report-only';
import { say } from './toast';
import { useAction } from './use-action';

interface AllowlistProps extends Omit<PanelProps, 'onSecret'> {
  readonly list: AllowlistMeta;
}

const PANELS = { one: AddEntry, many: PasteMany };

/** One list of a key: its entries, and the panel to add some. */
export function Allowlist({ list, settings, setSettings, meta }: AllowlistProps) {
  const [handed] = useState(() => entryFor(list.type));
  const [panel, setPanel] = useState<keyof typeof PANELS | undefined>(handed === undefined ? undefined : 'one');
  const section = useRef<HTMLElement>(null);
  const { type, title } = list;
  const entries = settings.allowlists[type];

  const adding = useAction(async (added: readonly string[]) => {
    const { key } = await api.addEntries(settings.apiKey, type, added);
    setSettings(key);
    say(added.length === 1 ? `${added.join()} added` : `${added.length} entries added`);
  });

  const focusAdd = () => section.current?.querySelector<HTMLElement>('.title button')?.focus();

  function openPanel(which: keyof typeof PANELS | undefined) {
    adding.forget();
    setPanel(which);
    if (which === undefined) focusAdd();
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
      <p class="hint">{list.help}</p>
      <Warnings settings={settings} at={type} />
      <ReportOnly list={list} settings={settings} setSettings={setSettings} />
      <Entries list={list} settings={settings} setSettings={setSettings} focusAdd={focusAdd} />
      {Panel && (
        <Panel
          list={list}
          settings={settings}
          meta={meta}
          adding={adding}
          begin={handed}
          onSwitch={() => openPanel(panel === 'one' ? 'many' : 'one')}
          onClose={() => openPanel(undefined)}
        />
      )}
    </section>
  );
}
