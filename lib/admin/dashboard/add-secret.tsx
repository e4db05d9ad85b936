import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { Allowlists, AllowlistType } from '../../settings/key-settings';
import type { Meta } from '../api';
import { api } from './api';
import { Dialog, DialogFooter } from './dialog';
import { EntryLines, linesOf, useLineProblems } from './entry-lines';
import { ExpiryField, NEVER, expiresAt } from './expiry';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { useAction } from './use-action';

interface AddSecretProps extends PanelProps {
  readonly onClose: () => void;
}

/** What is typed for each list. */
type Lines = Partial<Record<AllowlistType, string>>;

export function AddSecret({ settings, setSettings, meta, onSecret, onClose }: AddSecretProps) {
  const [label, setLabel] = useState('');
  const [expiry, setExpiry] = useState(NEVER);
  const [lines, setLines] = useState<Lines>();

  const adding = useAction(async () => {
    const { key, secret } = await api.addSecret(settings.apiKey, {
      label: label.trim(),
      expiresAt: expiresAt(expiry),
      allowlists: lines && listsOf(lines, meta),
    });
    setSettings(key);
    onClose();
    onSecret({ settings: key, secret, title: 'New secret' });
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const bad = event.currentTarget.querySelector<HTMLElement>('textarea[aria-invalid="true"]');
    if (bad && lines) bad.focus();
    else void adding.run();
  }

  return (
    <Dialog title="Add secret" onClose={onClose}>
      <form onSubmit={onSubmit}>
        <label for="secret-label">Label</label>
        <input
          id="secret-label"
          data-first
          required
          maxlength={100}
          autocomplete="off"
          aria-describedby="secret-label-hint"
          value={label}
          onInput={(event) => setLabel(event.currentTarget.value)}
        />
        <p class="hint" id="secret-label-hint">
          Who will use it, for example “billing server”.
        </p>
        <ExpiryField value={expiry} onChange={setExpiry} />
        <OwnLists lines={lines} meta={meta} onChange={setLines} />
        <Problem error={adding.error} />
        <DialogFooter yes="Add secret" isBusy={adding.isBusy} onNo={onClose} />
      </form>
    </Dialog>
  );
}

function listsOf(lines: Lines, meta: Meta): Partial<Allowlists> {
  return Object.fromEntries(meta.allowlists.map(({ type }) => [type, linesOf(lines[type] ?? '')]));
}

interface OwnListsProps {
  /** `undefined` while the secret has no lists of its own. */
  readonly lines: Lines | undefined;
  readonly meta: Meta;
  readonly onChange: (lines: Lines | undefined) => void;
}

function OwnLists({ lines, meta, onChange }: OwnListsProps) {
  const [typed, setTyped] = useState<Lines>({});

  function change(changed: Lines) {
    setTyped(changed);
    onChange(changed);
  }

  return (
    <details open={lines !== undefined} onToggle={(event) => onChange(event.currentTarget.open ? typed : undefined)}>
      <summary>Own allowlists for this secret</summary>
      <div class="stack">
        <p class="hint">
          While this is open, requests with this secret are held against these lists and not against the key’s, even
          with “Override allowlists” on. One entry per line; an empty list lets everything pass.
        </p>
        {meta.allowlists.map(({ type, title }) => (
          <OwnList
            key={type}
            type={type}
            title={title}
            max={meta.maxEntries}
            text={typed[type] ?? ''}
            onInput={(text) => change({ ...typed, [type]: text })}
          />
        ))}
      </div>
    </details>
  );
}

interface OwnListProps {
  readonly type: AllowlistType;
  readonly title: string;
  readonly max: number;
  readonly text: string;
  readonly onInput: (text: string) => void;
}

function OwnList({ type, title, max, text, onInput }: OwnListProps) {
  const problems = useLineProblems({ type, text, max });
  return <EntryLines id={`own-${type}`} label={title} rows={2} text={text} problems={problems} onInput={onInput} />;
}
