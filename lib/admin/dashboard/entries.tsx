import type { TargetedSubmitEvent } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { ApiError, api } from './api';
import { CopyButton } from './copy';
import { Confirm } from './dialog';
import { Check, Cross, Pencil } from './icons';
import type { AllowlistMeta } from '../allowlist-meta';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { say } from './toast';
import { useAction } from './use-action';

/** Fewer are overlooked without a filter. */
const FILTERED_FROM = 8;

interface EntriesProps extends Pick<PanelProps, 'settings' | 'setSettings'> {
  readonly list: AllowlistMeta;
  /** Takes the focus once the last entry is gone with its button. */
  readonly focusAdd: () => void;
}

/** The entries of a list, each to edit in its place and to remove. */
export function Entries({ list, settings, setSettings, focusAdd }: EntriesProps) {
  const { type, title } = list;
  const [filter, setFilter] = useState('');
  const [last, setLast] = useState<string>();
  const box = useRef<HTMLUListElement>(null);
  const entries = settings.allowlists[type];
  const shown = entries.filter((entry) => entry.toLowerCase().includes(filter.trim().toLowerCase()));

  const removing = useAction(async (entry: string) => {
    const index = shown.indexOf(entry);
    const { key } = await api.removeEntry(settings.apiKey, type, entry);
    setLast(undefined);
    setSettings(key);
    say(`${entry} removed`);
    // The button that was pressed goes with its entry.
    requestAnimationFrame(() => {
      const buttons = box.current?.querySelectorAll<HTMLElement>('.remove') ?? [];
      const next = buttons[Math.min(index, buttons.length - 1)];
      if (next) next.focus();
      else focusAdd();
    });
  });

  function onRemove(entry: string) {
    if (entries.length === 1) setLast(entry);
    else void removing.run(entry);
  }

  if (entries.length === 0) return <p class="empty">No entries: everything passes this list.</p>;
  return (
    <>
      <EntriesBar list={list} entries={entries} filter={filter} onFilter={setFilter} />
      <ul class="entries" ref={box}>
        {shown.map((entry) => (
          <Entry
            key={entry}
            entry={entry}
            list={list}
            settings={settings}
            setSettings={setSettings}
            onRemove={() => onRemove(entry)}
          />
        ))}
      </ul>
      {shown.length === 0 && <p class="empty">No entry contains that.</p>}
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

interface EntriesBarProps {
  readonly list: AllowlistMeta;
  readonly entries: readonly string[];
  readonly filter: string;
  readonly onFilter: (filter: string) => void;
}

function EntriesBar({ list: { type, title }, entries, filter, onFilter }: EntriesBarProps) {
  if (entries.length === 1) return null;
  return (
    <div class="entries-bar">
      {entries.length >= FILTERED_FROM && (
        <>
          <label class="sr-only" for={`filter-${type}`}>
            Filter {title}
          </label>
          <input
            id={`filter-${type}`}
            type="search"
            placeholder="Filter"
            autocomplete="off"
            value={filter}
            onInput={(event) => onFilter(event.currentTarget.value)}
          />
        </>
      )}
      <CopyButton text={entries.join('\n')} what={`all entries of ${title}`} label="Copy all" />
    </div>
  );
}

interface EntryProps extends Pick<PanelProps, 'settings' | 'setSettings'> {
  readonly entry: string;
  readonly list: AllowlistMeta;
  readonly onRemove: () => void;
}

function Entry({ entry, list, settings, setSettings, onRemove }: EntryProps) {
  const [isEdited, setIsEdited] = useState(false);
  const row = useRef<HTMLLIElement>(null);

  function onDone() {
    setIsEdited(false);
    requestAnimationFrame(() => row.current?.querySelector<HTMLElement>('.edit')?.focus());
  }

  if (isEdited) {
    return (
      <li ref={row}>
        <EditEntry entry={entry} list={list} settings={settings} setSettings={setSettings} onDone={onDone} />
      </li>
    );
  }
  return (
    <li ref={row}>
      <code>{entry}</code>
      <button
        type="button"
        class="icon-button edit"
        aria-label={`Edit ${entry} in ${list.title}`}
        title="Edit"
        onClick={() => setIsEdited(true)}
      >
        <Pencil />
      </button>
      <button
        type="button"
        class="icon-button remove"
        aria-label={`Remove ${entry} from ${list.title}`}
        title="Remove"
        onClick={onRemove}
      >
        <Cross />
      </button>
    </li>
  );
}

interface EditEntryProps extends Omit<EntryProps, 'onRemove'> {
  readonly onDone: () => void;
}

function EditEntry({ entry, list: { type, title }, settings, setSettings, onDone }: EditEntryProps) {
  const [typed, setTyped] = useState(entry);

  const saving = useAction(async () => {
    const entries = settings.allowlists[type].map((each) => (each === entry ? typed.trim() : each));
    try {
      const changes = { version: settings.version, allowlists: { [type]: [...new Set(entries)] } };
      const { key } = await api.updateKey(settings.apiKey, changes);
      onDone();
      setSettings(key);
      say(`${typed.trim()} saved`);
    } catch (error) {
      if (error instanceof ApiError && error.current) setSettings(error.current);
      throw error;
    }
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (typed.trim() === entry) onDone();
    else void saving.run();
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Escape') onDone();
  }

  return (
    <form class="edit-entry" aria-label={`Edit ${entry}`} onSubmit={onSubmit} onKeyDown={onKeyDown}>
      <input
        aria-label={`${entry} in ${title}`}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        required
        ref={takeFocus}
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
      <button type="submit" class="icon-button" aria-label="Save the entry" title="Save" aria-busy={saving.isBusy}>
        <Check />
      </button>
      <button type="button" class="icon-button" aria-label="Leave the entry as it was" title="Cancel" onClick={onDone}>
        <Cross />
      </button>
      <Problem error={saving.error} />
    </form>
  );
}

/** At module level, so that it is called when the field appears and not on every stroke. */
function takeFocus(field: HTMLInputElement | null): void {
  field?.focus();
}
