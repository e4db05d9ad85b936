import { useEffect, useState } from 'preact/hooks';
import { api } from './api.mjs';
import { Conflict } from './conflict.mjs';
import { SETTINGS } from './fields.mjs';
import { html } from './html.mjs';
import { Notice, Warnings } from './notice.mjs';
import { Problem } from './problem.mjs';
import { useUnsaved } from './route.mjs';
import { Switch } from './switch.mjs';
import { say } from './toast.mjs';
import { useAction } from './use-action.mjs';
import { hasActiveSecret } from './words.mjs';

const NAMES = SETTINGS.map(({ name }) => name);

/** Name and switches of a key, saved together. */
export function General({ settings, setSettings }) {
  /** The key that was edited, and what is to be changed of it. */
  const [base, setBase] = useState(settings);
  const [changes, setChanges] = useState({});
  const [conflict, setConflict] = useState();
  const isDirty = Object.keys(changes).length > 0;
  const shown = { ...base, ...changes };
  useUnsaved(isDirty);

  // A secret that was added here makes a new version too. Only a change of what is edited may not pass unseen: then the
  // old version stays, and saving it shows the conflict.
  useEffect(() => {
    if (!isDirty || NAMES.every((name) => settings[name] === base[name])) setBase(settings);
  }, [settings]);

  const saving = useAction(async (version) => {
    try {
      const { key } = await api.updateKey(base.apiKey, { version, ...changes });
      take(key);
      say('Settings saved');
    } catch (error) {
      if (error.code !== 'STALE_VERSION' || !error.current) throw error;
      setConflict(error.current);
    }
  });

  function take(key) {
    setBase(key);
    setSettings(key);
    setChanges({});
    setConflict(undefined);
  }

  function change(name, value) {
    saving.forget();
    const { [name]: _, ...others } = changes;
    setChanges(value === base[name] ? others : { ...others, [name]: value });
  }

  function onSubmit(event) {
    event.preventDefault();
    if (isDirty) saving.run(base.version);
  }

  const isLocked = shown.requireSecret && !hasActiveSecret(settings);
  return html`
    <section class="card" aria-labelledby="general-title">
      <h2 id="general-title">General</h2>
      <${Warnings} settings=${settings} at="settings" />
      <form onSubmit=${onSubmit}>
        <label for="name">Name</label>
        <input
          id="name"
          class="name"
          maxlength="200"
          autocomplete="off"
          value=${shown.name}
          onInput=${(event) => change('name', event.currentTarget.value)}
        />
        <${Switch} id="enabled" label="Enabled" checked=${shown.enabled} onChange=${(on) => change('enabled', on)}>
          A disabled key is refused, whatever is sent with it. Open WebSockets are closed.
        <//>
        <${Switch}
          id="requireSecret"
          label="Require API key secret for all requests"
          checked=${shown.requireSecret}
          onChange=${(on) => change('requireSecret', on)}
        >
          Requests without a valid secret are refused. For servers: a browser cannot keep a secret.
        <//>
        ${
          isLocked &&
          html`<${Notice} warn>
            <p>There is no active secret, so every request would be refused. Add one below.</p>
          <//>`
        }
        <${Switch}
          id="overrideAllowlists"
          label="Override allowlists when a valid secret is sent"
          checked=${shown.overrideAllowlists}
          onChange=${(on) => change('overrideAllowlists', on)}
        >
          Requests with a valid secret pass all four allowlists. Secrets with lists of their own are held to those.
        <//>
        <${Problem} error=${conflict ? undefined : saving.error} />
        <div class=${isDirty ? 'save dirty' : 'save'}>
          <p role="status">${isDirty ? 'Unsaved changes' : ''}</p>
          <button type="button" class="quiet" disabled=${!isDirty} onClick=${() => take(settings)}>Discard</button>
          <button type="submit" disabled=${!isDirty} aria-busy=${saving.isBusy}>Save</button>
        </div>
      </form>
    </section>
    ${
      conflict &&
      html`
        <${Conflict}
          before=${base}
          theirs=${conflict}
          changes=${changes}
          isBusy=${saving.isBusy}
          error=${saving.error}
          onTheirs=${() => take(conflict)}
          onMine=${() => saving.run(conflict.version)}
          onClose=${() => setConflict(undefined)}
        />
      `
    }
  `;
}
