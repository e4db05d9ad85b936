import type { TargetedSubmitEvent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import { ApiError, api } from './api';
import { Conflict } from './conflict';
import { FIELDS } from './fields';
import type { Field, FieldChanges } from './fields';
import { Notice, Warnings } from './notice';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { useUnsaved } from './route';
import { Switch } from './switch';
import { say } from './toast';
import { useAction } from './use-action';
import type { Action } from './use-action';
import { hasActiveSecret } from './words';

/** Name and switches of a key, saved together. */
export function General({ settings, setSettings }: PanelProps) {
  const edit = useEdit(settings, setSettings);
  const { base, changes, conflict, saving } = edit;
  const isDirty = Object.keys(changes).length > 0;

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (isDirty) void saving.run(base.version);
  }

  return (
    <section class="card" aria-labelledby="general-title">
      <h2 id="general-title">General</h2>
      <Warnings settings={settings} at="settings" />
      <form onSubmit={onSubmit}>
        <Fields shown={{ ...base, ...changes }} settings={settings} onChange={edit.change} />
        <Problem error={conflict ? undefined : saving.error} />
        <div class={isDirty ? 'save dirty' : 'save'}>
          <p role="status">{isDirty ? 'Unsaved changes' : ''}</p>
          <button type="button" class="quiet" disabled={!isDirty} onClick={() => edit.take(settings)}>
            Discard
          </button>
          <button type="submit" disabled={!isDirty} aria-busy={saving.isBusy}>
            Save
          </button>
        </div>
      </form>
      {conflict && (
        <Conflict
          before={base}
          theirs={conflict}
          changes={changes}
          isBusy={saving.isBusy}
          error={saving.error}
          onTheirs={() => edit.take(conflict)}
          onMine={() => void saving.run(conflict.version)}
          onClose={edit.goOn}
        />
      )}
    </section>
  );
}

interface Edit {
  /** The key that is edited. */
  readonly base: ShownKey;
  readonly changes: FieldChanges;
  /** The key as somebody else has made it in the meantime. */
  readonly conflict: ShownKey | undefined;
  readonly saving: Action<[version: number]>;
  readonly change: (name: Field, value: string | boolean) => void;
  /** Shows a key as it is, without changes. */
  readonly take: (key: ShownKey) => void;
  /** Goes on editing after a conflict. */
  readonly goOn: () => void;
}

function useEdit(settings: ShownKey, setSettings: (key: ShownKey) => void): Edit {
  const [base, setBase] = useState(settings);
  const [changes, setChanges] = useState<FieldChanges>({});
  const [conflict, setConflict] = useState<ShownKey>();
  const isDirty = Object.keys(changes).length > 0;
  useUnsaved(isDirty);

  // A secret that was added here makes a new version too. Only a change of what is edited may not pass unseen: then the
  // old version stays, and saving it shows the conflict.
  useEffect(() => {
    if (!isDirty || FIELDS.every((name) => settings[name] === base[name])) setBase(settings);
  }, [settings]);

  const saving = useAction(async (version: number) => {
    try {
      const { key } = await api.updateKey(base.apiKey, { version, ...changes });
      take(key);
      say('Settings saved');
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'STALE_VERSION' || !error.current) throw error;
      setConflict(error.current);
    }
  });

  function take(key: ShownKey) {
    setBase(key);
    setSettings(key);
    setChanges({});
    setConflict(undefined);
  }

  function change(name: Field, value: string | boolean) {
    saving.forget();
    const others = Object.fromEntries(Object.entries(changes).filter(([other]) => other !== name));
    setChanges(value === base[name] ? others : { ...others, [name]: value });
  }

  return { base, changes, conflict, saving, change, take, goOn: () => setConflict(undefined) };
}

interface FieldsProps {
  readonly shown: ShownKey;
  readonly settings: ShownKey;
  readonly onChange: Edit['change'];
}

function Fields({ shown, settings, onChange }: FieldsProps) {
  const isLocked = shown.requireSecret && !hasActiveSecret(settings.secrets);
  return (
    <>
      <label for="name">Name</label>
      <input
        id="name"
        class="name"
        maxlength={200}
        autocomplete="off"
        value={shown.name}
        onInput={(event) => onChange('name', event.currentTarget.value)}
      />
      <Switch id="enabled" label="Enabled" checked={shown.enabled} onChange={(on) => onChange('enabled', on)}>
        A disabled key is refused, whatever is sent with it. Open WebSockets are closed.
      </Switch>
      <Switch
        id="requireSecret"
        label="Require API key secret for all requests"
        checked={shown.requireSecret}
        onChange={(on) => onChange('requireSecret', on)}
      >
        Requests without a valid secret are refused. For servers: a browser cannot keep a secret.
      </Switch>
      {isLocked && (
        <Notice warn>
          <p>There is no active secret, so every request would be refused. Add one below.</p>
        </Notice>
      )}
      <Switch
        id="overrideAllowlists"
        label="Override allowlists when a valid secret is sent"
        checked={shown.overrideAllowlists}
        onChange={(on) => onChange('overrideAllowlists', on)}
      >
        Requests with a valid secret pass all allowlists of the key. Secrets with lists of their own are held to those.
      </Switch>
    </>
  );
}
