import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { SecretView } from '../../settings/key-view';
import type { Limits } from '../../settings/limits';
import { ApiError, api } from './api';
import { Dialog, DialogFooter } from './dialog';
import { ExpiryField, expiresAt, expiryOf } from './expiry';
import { isDifferent } from './fields';
import { LimitFields } from './limit-fields';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { say } from './toast';
import { useAction } from './use-action';

interface EditSecretProps extends PanelProps {
  readonly secret: SecretView;
  readonly onClose: () => void;
}

export function EditSecret({ settings, setSettings, secret, onClose }: EditSecretProps) {
  const before = expiryOf(secret.expiresAt);
  const [label, setLabel] = useState(secret.label);
  const [expiry, setExpiry] = useState(before);

  const [limits, setLimits] = useState<Limits | null>(secret.limits ?? null);

  const saving = useAction(async () => {
    // The field shows minutes: an expiry that was not touched keeps its seconds.
    const isKept = expiry.choice === before.choice && expiry.at === before.at;
    const changes = {
      label: label.trim(),
      ...(!isKept && { expiresAt: expiresAt(expiry) ?? null }),
      ...(isDifferent(limits ?? undefined, secret.limits) && { limits }),
    };
    try {
      setSettings((await api.updateSecret(settings.apiKey, secret.id, { version: settings.version, ...changes })).key);
    } catch (error) {
      if (error instanceof ApiError && error.current) setSettings(error.current);
      throw error;
    }
    onClose();
    say('Secret saved');
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    void saving.run();
  }

  return (
    <Dialog title={`Edit “${secret.label || secret.hint}”`} onClose={onClose}>
      <form onSubmit={onSubmit}>
        <label for="edit-label">Label</label>
        <input
          id="edit-label"
          data-first
          maxlength={100}
          autocomplete="off"
          value={label}
          onInput={(event) => setLabel(event.currentTarget.value)}
        />
        <ExpiryField value={expiry} onChange={setExpiry} />
        <fieldset>
          <legend>Limits of this secret</legend>
          <p class="hint">They hold beside the key’s.</p>
          <LimitFields prefix="secret-limit" limits={limits ?? {}} hasAddress={false} onChange={setLimits} />
        </fieldset>
        <Problem error={saving.error} />
        <DialogFooter yes="Save" isBusy={saving.isBusy} onNo={onClose} />
      </form>
    </Dialog>
  );
}
