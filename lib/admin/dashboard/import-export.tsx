import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import { api } from './api';
import { CopyButton } from './copy';
import { Dialog } from './dialog';
import { Differences } from './differences';
import { differences } from './fields';
import { useLists } from './lists';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { useUnsaved } from './route';
import { exportSettings, importSettings } from './settings-json';
import type { Imported } from './settings-json';
import { say } from './toast';
import { useAction } from './use-action';

/** A key's settings as a text: to keep, to compare, to take over from another key. */
export function ImportExport({ settings, setSettings }: PanelProps) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <section class="card" aria-labelledby="json-title">
      <div class="title">
        <h2 id="json-title">Settings as JSON</h2>
        <CopyButton text={exportSettings(settings)} what="JSON of the settings" label="Copy JSON" />
        <button type="button" class="quiet" onClick={() => download(settings)}>
          Download
        </button>
        <button type="button" class="quiet" onClick={() => setIsOpen(true)}>
          Import
        </button>
      </div>
      <p class="hint">Name, switches and allowlists; secrets are not among them.</p>
      {isOpen && <Import settings={settings} setSettings={setSettings} onClose={() => setIsOpen(false)} />}
    </section>
  );
}

function download(settings: ShownKey): void {
  const url = URL.createObjectURL(new Blob([exportSettings(settings)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${settings.name.replace(/[^\w.-]+/g, '-') || settings.apiKey.slice(0, 8)}.json`;
  link.click();
  URL.revokeObjectURL(url);
}

interface ImportProps extends Pick<PanelProps, 'settings' | 'setSettings'> {
  readonly onClose: () => void;
}

function Import({ settings, setSettings, onClose }: ImportProps) {
  const [text, setText] = useState('');
  const imported = text.trim() === '' ? undefined : importSettings(text, settings);
  useUnsaved(text.trim() !== '');

  const importing = useAction(async () => {
    if (!imported || 'problem' in imported) return;
    const { key } = await api.updateKey(settings.apiKey, { ...imported.changes, version: settings.version });
    setSettings(key);
    onClose();
    say('Settings imported');
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    void importing.run();
  }

  return (
    <Dialog title="Import settings" wide onClose={onClose}>
      <form onSubmit={onSubmit}>
        <label for="import-text">JSON to import</label>
        <textarea
          id="import-text"
          class="lines"
          rows={8}
          data-first
          spellcheck={false}
          aria-describedby="import-hint"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <p class="hint" id="import-hint">
          What is left out stays as it is; a list that is given takes the place of the one there is.
        </p>
        <label for="import-file">Or a file</label>
        <input
          id="import-file"
          type="file"
          accept="application/json,.json"
          onChange={({ currentTarget }) => void currentTarget.files?.[0]?.text().then(setText)}
        />
        <Outcome imported={imported} settings={settings} />
        <Problem error={importing.error} />
        <footer>
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" disabled={!imported || 'problem' in imported} aria-busy={importing.isBusy}>
            Import
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function Outcome({ imported, settings }: { readonly imported: Imported | undefined; readonly settings: ShownKey }) {
  const lists = useLists();
  if (!imported) return null;
  if ('problem' in imported) {
    return (
      <p class="bad" role="status">
        {imported.problem}
      </p>
    );
  }
  const { changes, ignored } = imported;
  const parts = differences(settings, changed(settings, changes), {}, lists);
  return (
    <>
      {ignored.length > 0 && <p class="hint">Not imported: {ignored.join(', ')}.</p>}
      {parts.length === 0 ? (
        <p role="status">Nothing changes.</p>
      ) : (
        <Differences parts={parts} columns={['Now', 'After']} />
      )}
    </>
  );
}

function changed(settings: ShownKey, { allowlists, ...fields }: Extract<Imported, { changes: unknown }>['changes']) {
  const lists = Object.fromEntries(Object.entries({ ...settings.allowlists, ...allowlists }));
  return { ...settings, ...fields, allowlists: lists } as ShownKey;
}
