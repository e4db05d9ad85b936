import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import { ApiError, api } from './api';
import { Conflict } from './conflict';
import { Dialog, DialogFooter } from './dialog';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { LIST, goAnyway } from './route';
import { say } from './toast';
import { useAction } from './use-action';
import { nameOf } from './words';

const ENOUGH = 6;

export function DeleteKey({ settings, setSettings }: PanelProps) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <section class="card" aria-labelledby="delete-title">
      <div class="title">
        <h2 id="delete-title">Delete this key</h2>
        <button type="button" class="quiet dangerous" onClick={() => setIsOpen(true)}>
          Delete key
        </button>
      </div>
      <p class="hint">Its secrets and lists go with it. To shut it for a while, switch it off above instead.</p>
      {isOpen && <Delete settings={settings} setSettings={setSettings} onClose={() => setIsOpen(false)} />}
    </section>
  );
}

interface DeleteProps extends Pick<PanelProps, 'settings' | 'setSettings'> {
  readonly onClose: () => void;
}

function Delete({ settings, setSettings, onClose }: DeleteProps) {
  const [conflict, setConflict] = useState<ShownKey>();

  const deleting = useAction(async (version: number) => {
    try {
      await api.deleteKey(settings.apiKey, version);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'STALE_VERSION' || !error.current) throw error;
      setConflict(error.current);
      return;
    }
    onClose();
    goAnyway(LIST);
    say(`“${nameOf(settings)}” deleted`);
  });

  if (conflict === undefined) {
    const onDelete = () => void deleting.run(settings.version);
    const { isBusy, error } = deleting;
    return <AskForName settings={settings} isBusy={isBusy} error={error} onDelete={onDelete} onClose={onClose} />;
  }
  const onTheirs = () => {
    setSettings(conflict);
    onClose();
  };
  return (
    <Conflict
      before={settings}
      theirs={conflict}
      changes={undefined}
      isBusy={deleting.isBusy}
      error={deleting.error}
      onTheirs={onTheirs}
      onMine={() => void deleting.run(conflict.version)}
      onClose={onTheirs}
    />
  );
}

interface AskForNameProps {
  readonly settings: ShownKey;
  readonly isBusy: boolean;
  readonly error: Error | undefined;
  readonly onDelete: () => void;
  readonly onClose: () => void;
}

function AskForName({ settings, isBusy, error, onDelete, onClose }: AskForNameProps) {
  const { apiKey, name } = settings;
  const [typed, setTyped] = useState('');
  const word = typed.trim();
  const isMeant = word !== '' && (word === name || (word.length >= ENOUGH && apiKey.startsWith(word)));

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (isMeant) onDelete();
  }

  return (
    <Dialog title={`Delete “${nameOf(settings)}”?`} alert onClose={onClose}>
      <form onSubmit={onSubmit}>
        <p>Every request with this key is refused from then on. This cannot be undone.</p>
        <label for="confirm">
          Type {name && 'the name, or '}the first {ENOUGH} characters of the key (<code>{apiKey.slice(0, ENOUGH)}</code>
          ), to confirm
        </label>
        <input
          id="confirm"
          data-first
          autocomplete="off"
          spellcheck={false}
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <Problem error={error} />
        <DialogFooter yes="Delete key" isDangerous isDisabled={!isMeant} isBusy={isBusy} onNo={onClose} />
      </form>
    </Dialog>
  );
}
