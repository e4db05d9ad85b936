import { useState } from 'preact/hooks';
import type { SecretView } from '../../settings/key-view';
import { AddSecret } from './add-secret';
import { EditSecret } from './edit-secret';
import { Head } from './head';
import { Plus } from './icons';
import { limitWords } from './limit-words';
import { useLists } from './lists';
import { Warnings } from './notice';
import type { PanelProps } from './panel-props';
import { RevokeSecret } from './revoke-secret';
import { RotateSecret } from './rotate-secret';
import { State } from './state';
import type { StateWord } from './state';
import { Time } from './time';

/** The dialog that is open, and the secret that it is about. */
type Open = { readonly dialog: 'add' } | { readonly dialog: 'edit' | 'rotate' | 'revoke'; readonly secret: SecretView };

const SOON_MS = 7 * 24 * 60 * 60 * 1000;
const ACTIONS = [
  { dialog: 'edit', label: 'Edit' },
  { dialog: 'rotate', label: 'Rotate' },
  { dialog: 'revoke', label: 'Revoke' },
] as const;
const COLUMNS = ['Label', 'Begins with', 'Created', 'Expires', 'State'];

export function Secrets(props: PanelProps) {
  const [open, setOpen] = useState<Open>();
  const { settings, meta } = props;
  const { secrets } = settings;
  const isFull = secrets.length >= meta.maxSecrets;
  const dialog = { ...props, onClose: () => setOpen(undefined) };

  return (
    <section class="card" aria-labelledby="secrets-title">
      <div class="title">
        <h2 id="secrets-title">API key secrets</h2>
        <button type="button" class="quiet" disabled={isFull} onClick={() => setOpen({ dialog: 'add' })}>
          <Plus /> Add secret
        </button>
      </div>
      <p class="hint">
        The password of a key. Several can be active at once, so that callers move from one to the next without an
        interruption.{isFull && ` This key has all ${meta.maxSecrets} it can have: revoke one first.`}
      </p>
      <Warnings settings={settings} at="secrets" />
      {secrets.length === 0 ? <p class="empty">No secret yet.</p> : <Table secrets={secrets} onOpen={setOpen} />}
      {open?.dialog === 'add' && <AddSecret {...dialog} />}
      {open?.dialog === 'edit' && <EditSecret {...dialog} secret={open.secret} />}
      {open?.dialog === 'rotate' && <RotateSecret {...dialog} secret={open.secret} />}
      {open?.dialog === 'revoke' && <RevokeSecret {...dialog} secret={open.secret} />}
    </section>
  );
}

interface TableProps {
  readonly secrets: readonly SecretView[];
  readonly onOpen: (open: Open) => void;
}

function Table({ secrets, onOpen }: TableProps) {
  return (
    <table class="secrets" role="table" aria-labelledby="secrets-title">
      <Head titles={COLUMNS} unseen="Actions" />
      <tbody role="rowgroup">
        {secrets.map((secret) => (
          <Row key={secret.id} secret={secret} onOpen={onOpen} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ secret, onOpen }: { readonly secret: SecretView; readonly onOpen: TableProps['onOpen'] }) {
  const label = secret.label === '' ? 'no label' : secret.label;
  // An expired secret stays dead, whatever its expiry is changed to.
  const actions = ACTIONS.filter(({ dialog }) => dialog !== 'edit' || secret.state === 'active');
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {label}
        {secret.limits && <p class="own-limits">{limitWords(secret.limits)}</p>}
        <OwnLists lists={secret.allowlists} />
      </th>
      <td role="cell" data-label="Begins with">
        {secret.hint ? <code>{secret.hint}…</code> : 'not known'}
      </td>
      <td role="cell" data-label="Created">
        <Time at={secret.createdAt} />
        {secret.lastUsedAt && (
          <p class="hint">
            last used <Time at={secret.lastUsedAt} />
          </p>
        )}
      </td>
      <td role="cell" data-label="Expires">
        {secret.expiresAt ? <Time at={secret.expiresAt} /> : <span class="quiet-text">never</span>}
      </td>
      <td role="cell" data-label="State">
        <State of={stateOf(secret)} />
      </td>
      <td role="cell" class="actions">
        {actions.map(({ dialog, label: action }) => (
          <button
            key={dialog}
            type="button"
            class="quiet small"
            aria-label={`${action} the secret ${label}`}
            onClick={() => onOpen({ dialog, secret })}
          >
            {action}
          </button>
        ))}
      </td>
    </tr>
  );
}

function stateOf({ state, expiresAt }: SecretView): StateWord {
  const isSoon = state === 'active' && expiresAt && Date.parse(expiresAt) - Date.now() < SOON_MS;
  return isSoon ? 'expires soon' : state;
}

function OwnLists({ lists }: { readonly lists: SecretView['allowlists'] }) {
  const types = useLists();
  if (!lists) return null;
  const inForce = types.filter(({ type }) => lists[type].length > 0);
  return (
    <details class="own-lists">
      <summary>own allowlists</summary>
      {inForce.length === 0 && <p>None in force: with this secret, everything passes.</p>}
      {inForce.map(({ type, title }) => (
        <p key={type}>
          {title}:{' '}
          {lists[type].map((entry) => (
            <>
              <code key={entry}>{entry}</code>{' '}
            </>
          ))}
        </p>
      ))}
    </details>
  );
}
