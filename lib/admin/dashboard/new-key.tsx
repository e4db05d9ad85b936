import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import { api } from './api';
import { Dialog, DialogFooter } from './dialog';
import type { OnSecret } from './panel-props';
import { Problem } from './problem';
import { go, keyRoute } from './route';
import { Switch } from './switch';
import { useAction } from './use-action';

interface NewKeyProps {
  readonly onClose: () => void;
  readonly onSecret: OnSecret;
}

export function NewKey({ onClose, onSecret }: NewKeyProps) {
  const [name, setName] = useState('');
  const [requireSecret, setRequireSecret] = useState(false);
  const [overrideAllowlists, setOverrideAllowlists] = useState(false);

  const creating = useAction(async () => {
    const { key, secret } = await api.createKey({ name: name.trim(), requireSecret, overrideAllowlists });
    onClose();
    go(keyRoute(key.apiKey));
    if (secret !== undefined) onSecret({ settings: key, secret, title: 'The key and its secret' });
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    void creating.run();
  }

  return (
    <Dialog title="New key" onClose={onClose}>
      <form onSubmit={onSubmit}>
        <label for="new-name">Name</label>
        <input
          id="new-name"
          data-first
          maxlength={200}
          autocomplete="off"
          aria-describedby="new-name-hint"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <p class="hint" id="new-name-hint">
          Where it is used, for example “Checkout website”. Only you see it.
        </p>
        <Switch
          id="new-require"
          label="Require API key secret for all requests"
          checked={requireSecret}
          onChange={setRequireSecret}
        >
          For servers. A secret is made with the key and shown once.
        </Switch>
        <Switch
          id="new-override"
          label="Override allowlists when a valid secret is sent"
          checked={overrideAllowlists}
          onChange={setOverrideAllowlists}
        >
          Your server passes every allowlist with its secret; a browser without one does not.
        </Switch>
        <Problem error={creating.error} />
        <DialogFooter yes="Create key" isBusy={creating.isBusy} onNo={onClose} />
      </form>
    </Dialog>
  );
}
