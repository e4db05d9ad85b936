import { useState } from 'preact/hooks';
import { api } from './api.mjs';
import { Conflict } from './conflict.mjs';
import { Dialog } from './dialog.mjs';
import { html } from './html.mjs';
import { Problem } from './problem.mjs';
import { LIST, goAnyway } from './route.mjs';
import { say } from './toast.mjs';
import { useAction } from './use-action.mjs';
import { nameOf } from './words.mjs';

const ENOUGH = 6;

export function DeleteKey({ settings, setSettings }) {
  const [isOpen, setIsOpen] = useState(false);
  return html`
    <section class="card" aria-labelledby="delete-title">
      <div class="title">
        <h2 id="delete-title">Delete this key</h2>
        <button type="button" class="quiet dangerous" onClick=${() => setIsOpen(true)}>Delete key</button>
      </div>
      <p class="hint">Its secrets and lists go with it. To shut it for a while, switch it off above instead.</p>
    </section>
    ${isOpen && html`<${Delete} settings=${settings} setSettings=${setSettings} onClose=${() => setIsOpen(false)} />`}
  `;
}

function Delete({ settings, setSettings, onClose }) {
  const { apiKey, name } = settings;
  const [typed, setTyped] = useState('');
  const [conflict, setConflict] = useState();
  const word = typed.trim();
  const isMeant = word !== '' && (word === name || (word.length >= ENOUGH && apiKey.startsWith(word)));

  const deleting = useAction(async (version) => {
    try {
      await api.deleteKey(apiKey, version);
    } catch (error) {
      if (error.code !== 'STALE_VERSION' || !error.current) throw error;
      setConflict(error.current);
      return;
    }
    onClose();
    goAnyway(LIST);
    say(`“${nameOf(settings)}” deleted`);
  });

  function onSubmit(event) {
    event.preventDefault();
    if (isMeant) deleting.run(settings.version);
  }

  function onTheirs() {
    setSettings(conflict);
    onClose();
  }

  if (conflict) {
    return html`
      <${Conflict}
        before=${settings}
        theirs=${conflict}
        changes=${{}}
        isDeleting
        isBusy=${deleting.isBusy}
        error=${deleting.error}
        onTheirs=${onTheirs}
        onMine=${() => deleting.run(conflict.version)}
        onClose=${onTheirs}
      />
    `;
  }
  return html`
    <${Dialog} title=${`Delete “${nameOf(settings)}”?`} alert onClose=${onClose}>
      <form onSubmit=${onSubmit}>
        <p>Every request with this key is refused from then on. This cannot be undone.</p>
        <label for="confirm">
          Type ${name && 'the name, or '}the first ${ENOUGH} characters of the key
          (<code>${apiKey.slice(0, ENOUGH)}</code>), to confirm
        </label>
        <input
          id="confirm"
          data-first
          autocomplete="off"
          spellcheck=${false}
          value=${typed}
          onInput=${(event) => setTyped(event.currentTarget.value)}
        />
        <${Problem} error=${deleting.error} />
        <footer>
          <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
          <button type="submit" class="danger" disabled=${!isMeant} aria-busy=${deleting.isBusy}>Delete key</button>
        </footer>
      </form>
    <//>
  `;
}
