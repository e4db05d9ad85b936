import { useState } from 'preact/hooks';
import { AddSecret } from './add-secret.mjs';
import { html } from './html.mjs';
import { Plus } from './icons.mjs';
import { Warnings } from './notice.mjs';
import { RevokeSecret } from './revoke-secret.mjs';
import { RotateSecret } from './rotate-secret.mjs';
import { State } from './state.mjs';
import { Time } from './time.mjs';
import { LISTS } from './words.mjs';

const SOON_MS = 7 * 24 * 60 * 60 * 1000;
const DIALOGS = { add: AddSecret, rotate: RotateSecret, revoke: RevokeSecret };

export function Secrets({ settings, setSettings, meta, onSecret }) {
  const [open, setOpen] = useState();
  const { secrets } = settings;
  const isFull = secrets.length >= meta.maxSecrets;
  const OpenDialog = DIALOGS[open?.dialog];

  return html`
    <section class="card" aria-labelledby="secrets-title">
      <div class="title">
        <h2 id="secrets-title">API key secrets</h2>
        <button type="button" class="quiet" disabled=${isFull} onClick=${() => setOpen({ dialog: 'add' })}>
          <${Plus} /> Add secret
        </button>
      </div>
      <p class="hint">
        The password of a key. Several can be active at once, so that callers move from one to the next without an
        interruption.${isFull && ` This key has all ${meta.maxSecrets} it can have: revoke one first.`}
      </p>
      <${Warnings} settings=${settings} at="secrets" />
      ${
        secrets.length === 0
          ? html`<p class="empty">No secret yet.</p>`
          : html`<${Table} secrets=${secrets} onOpen=${setOpen} />`
      }
    </section>
    ${
      OpenDialog &&
      html`
        <${OpenDialog}
          settings=${settings}
          setSettings=${setSettings}
          secret=${open.secret}
          meta=${meta}
          onSecret=${onSecret}
          onClose=${() => setOpen(undefined)}
        />
      `
    }
  `;
}

function Table({ secrets, onOpen }) {
  return html`
    <table class="secrets" role="table" aria-labelledby="secrets-title">
      <thead role="rowgroup">
        <tr role="row">
          ${['Label', 'Begins with', 'Created', 'Expires', 'State'].map(
            (title) => html`<th key=${title} role="columnheader" scope="col">${title}</th>`,
          )}
          <th role="columnheader" scope="col"><span class="sr-only">Actions</span></th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${secrets.map((secret) => html`<${Row} key=${secret.id} secret=${secret} onOpen=${onOpen} />`)}
      </tbody>
    </table>
  `;
}

function Row({ secret, onOpen }) {
  const label = secret.label || 'no label';
  return html`
    <tr role="row">
      <th role="rowheader" scope="row">${label}<${OwnLists} lists=${secret.allowlists} /></th>
      <td role="cell" data-label="Begins with">${secret.hint ? html`<code>${secret.hint}…</code>` : 'not known'}</td>
      <td role="cell" data-label="Created"><${Time} at=${secret.createdAt} /></td>
      <td role="cell" data-label="Expires">
        ${secret.expiresAt ? html`<${Time} at=${secret.expiresAt} />` : html`<span class="quiet-text">never</span>`}
      </td>
      <td role="cell" data-label="State"><${State} of=${stateOf(secret)} /></td>
      <td role="cell" class="actions">
        <button
          type="button"
          class="quiet small"
          aria-label=${`Rotate the secret ${label}`}
          onClick=${() => onOpen({ dialog: 'rotate', secret })}
        >
          Rotate
        </button>
        <button
          type="button"
          class="quiet small"
          aria-label=${`Revoke the secret ${label}`}
          onClick=${() => onOpen({ dialog: 'revoke', secret })}
        >
          Revoke
        </button>
      </td>
    </tr>
  `;
}

function stateOf({ state, expiresAt }) {
  const isSoon = state === 'active' && expiresAt && Date.parse(expiresAt) - Date.now() < SOON_MS;
  return isSoon ? 'expires soon' : state;
}

function OwnLists({ lists }) {
  if (!lists) return null;
  const inForce = LISTS.filter(({ type }) => lists[type].length > 0);
  return html`
    <details class="own-lists">
      <summary>own allowlists</summary>
      ${inForce.length === 0 && html`<p>None in force: with this secret, everything passes.</p>`}
      ${inForce.map(
        ({ type, title }) => html`
          <p key=${type}>${title}: ${lists[type].map((entry) => html`<code key=${entry}>${entry}</code> `)}</p>
        `,
      )}
    </details>
  `;
}
