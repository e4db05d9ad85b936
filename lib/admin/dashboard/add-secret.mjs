import { useState } from 'preact/hooks';
import { api } from './api.mjs';
import { Dialog } from './dialog.mjs';
import { EntryLines, linesOf, useLineProblems } from './entry-lines.mjs';
import { ExpiryField, NEVER, expiresAt } from './expiry.mjs';
import { html } from './html.mjs';
import { Problem } from './problem.mjs';
import { useAction } from './use-action.mjs';
import { LISTS } from './words.mjs';

const NO_LINES = Object.fromEntries(LISTS.map(({ type }) => [type, '']));

export function AddSecret({ settings, setSettings, meta, onSecret, onClose }) {
  const [label, setLabel] = useState('');
  const [expiry, setExpiry] = useState(NEVER);
  const [hasOwnLists, setHasOwnLists] = useState(false);
  const [lines, setLines] = useState(NO_LINES);

  const adding = useAction(async () => {
    const { key, secret } = await api.addSecret(settings.apiKey, {
      label: label.trim(),
      expiresAt: expiresAt(expiry),
      allowlists: hasOwnLists ? Object.fromEntries(LISTS.map(({ type }) => [type, linesOf(lines[type])])) : undefined,
    });
    setSettings(key);
    onClose();
    onSecret({ settings: key, secret, title: 'New secret' });
  });

  function onSubmit(event) {
    event.preventDefault();
    const bad = event.currentTarget.querySelector('textarea[aria-invalid="true"]');
    if (bad && hasOwnLists) bad.focus();
    else adding.run();
  }

  return html`
    <${Dialog} title="Add secret" onClose=${onClose}>
      <form onSubmit=${onSubmit}>
        <label for="secret-label">Label</label>
        <input
          id="secret-label"
          data-first
          required
          maxlength="100"
          autocomplete="off"
          aria-describedby="secret-label-hint"
          value=${label}
          onInput=${(event) => setLabel(event.currentTarget.value)}
        />
        <p class="hint" id="secret-label-hint">Who will use it, for example “billing server”.</p>
        <${ExpiryField} value=${expiry} onChange=${setExpiry} />
        <details open=${hasOwnLists} onToggle=${(event) => setHasOwnLists(event.currentTarget.open)}>
          <summary>Own allowlists for this secret</summary>
          <div class="stack">
            <p class="hint">
              While this is open, requests with this secret are held against these lists and not against the key’s, even
              with “Override allowlists” on. One entry per line; an empty list lets everything pass.
            </p>
            ${LISTS.map(
              ({ type, title }) => html`
                <${OwnList}
                  key=${type}
                  type=${type}
                  title=${title}
                  max=${meta.maxEntries}
                  text=${lines[type]}
                  onInput=${(text) => setLines((before) => ({ ...before, [type]: text }))}
                />
              `,
            )}
          </div>
        </details>
        <${Problem} error=${adding.error} />
        <footer>
          <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
          <button type="submit" aria-busy=${adding.isBusy}>Add secret</button>
        </footer>
      </form>
    <//>
  `;
}

function OwnList({ type, title, max, text, onInput }) {
  const problems = useLineProblems({ type, text, max });
  return html`
    <${EntryLines} id=${`own-${type}`} label=${title} rows="2" text=${text} problems=${problems} onInput=${onInput} />
  `;
}
