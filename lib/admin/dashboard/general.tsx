import type { ShownKey } from '../api';
import { EditForm } from './edit-form';
import { edited } from './fields';
import type { Field } from './fields';
import { Notice, Warnings } from './notice';
import type { PanelProps } from './panel-props';
import { Switch } from './switch';
import { useEdit } from './use-edit';
import type { Edit } from './use-edit';
import { hasActiveSecret } from './words';

const FIELDS: readonly Field[] = ['name', 'enabled', 'requireSecret', 'overrideAllowlists'];

/** Name and switches of a key, saved together. */
export function General({ settings, setSettings }: PanelProps) {
  const edit = useEdit(settings, setSettings, FIELDS);
  const { base, changes } = edit;
  return (
    <section class="card" aria-labelledby="general-title">
      <h2 id="general-title">General</h2>
      <Warnings settings={settings} at="settings" />
      <EditForm edit={edit} save="Save">
        <Fields shown={edited(base, changes)} settings={settings} onChange={edit.change} />
      </EditForm>
    </section>
  );
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
