import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { DocumentAnswer, ShownKey } from '../api';
import { ApiError, api } from './api';
import { CopyButton } from './copy';
import { Dialog, DialogFooter } from './dialog';
import { labelOf } from './fields';
import { Head } from './head';
import { useLists } from './lists';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { useUnsaved } from './route';
import { say } from './toast';
import { useAction } from './use-action';
import { parse, useDryRun } from './use-dry-run';
import type { DryRun } from './use-dry-run';

/** A key's settings as a text: to keep, to compare, to take over from another key. */
export function ImportExport({ settings, setSettings }: PanelProps) {
  const [isOpen, setIsOpen] = useState(false);
  const downloading = useAction(() => download(settings));
  return (
    <section class="card" aria-labelledby="json-title">
      <div class="title">
        <h2 id="json-title">Settings as JSON</h2>
        <CopyButton text={() => textOf(settings)} what="JSON of the settings" label="Copy JSON" />
        <button type="button" class="quiet" aria-busy={downloading.isBusy} onClick={() => void downloading.run()}>
          Download
        </button>
        <button type="button" class="quiet" onClick={() => setIsOpen(true)}>
          Import
        </button>
      </div>
      <p class="hint">
        Name, switches, allowlists and limits, as <code>rpc-guard keys export</code> writes them. Secrets are not among
        them.
      </p>
      <Problem error={downloading.error} />
      {isOpen && <Import settings={settings} setSettings={setSettings} onClose={() => setIsOpen(false)} />}
    </section>
  );
}

async function textOf({ apiKey }: ShownKey): Promise<string> {
  return `${JSON.stringify(await api.getDocument(apiKey), null, 2)}\n`;
}

async function download(settings: ShownKey): Promise<void> {
  const url = URL.createObjectURL(new Blob([await textOf(settings)], { type: 'application/json' }));
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
  const dryRun = useDryRun(text, settings);
  const canImport = dryRun.answer !== undefined && dryRun.answer.differences.length > 0;
  useUnsaved(text.trim() !== '');

  const importing = useAction(async () => {
    try {
      const { version } = settings;
      const { key } = await api.applyDocument(settings.apiKey, { document: parse(text), version });
      setSettings(key);
      onClose();
      say('Settings imported');
    } catch (error) {
      if (error instanceof ApiError && error.current) setSettings(error.current); // and what would change is asked anew
      throw error;
    }
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (canImport) void importing.run();
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
        <div role="status">
          <Outcome dryRun={dryRun} settings={settings} />
        </div>
        <Problem error={importing.error} />
        <DialogFooter yes="Import" isDisabled={!canImport} isBusy={importing.isBusy} onNo={onClose} />
      </form>
    </Dialog>
  );
}

function Outcome({ dryRun: { answer, problem }, settings }: { readonly dryRun: DryRun; readonly settings: ShownKey }) {
  if (problem !== undefined) return <p class="bad lines-kept">{problem}</p>;
  if (!answer) return null;
  const { differences, ignored, documentOf } = answer;
  return (
    <>
      {documentOf !== null && documentOf !== settings.apiKey && (
        <p class="hint">
          These are the settings of another key, <code>{documentOf}</code>. This key takes them over.
        </p>
      )}
      {ignored.length > 0 && <p class="hint">Not imported: {ignored.join(', ')}.</p>}
      {differences.length === 0 ? <p>Nothing changes.</p> : <Changes differences={differences} />}
    </>
  );
}

function Changes({ differences }: Pick<DocumentAnswer, 'differences'>) {
  const lists = useLists();
  return (
    <table class="conflict" role="table" aria-label="What changes">
      <Head titles={['Setting', 'Change']} />
      <tbody role="rowgroup">
        {differences.map(({ at, words }) => (
          <tr role="row" key={at}>
            <th role="rowheader" scope="row">
              {labelOf(at, lists)}
            </th>
            <td role="cell" class="lines-kept">
              {words.join('\n')}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
