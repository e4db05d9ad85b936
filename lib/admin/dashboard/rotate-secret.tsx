import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { SecretView } from '../../settings/key-view';
import { api } from './api';
import { Dialog, DialogFooter } from './dialog';
import { ExpiryField, NEVER, expiresAt } from './expiry';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { Time } from './time';
import { useAction } from './use-action';

interface RotateSecretProps extends PanelProps {
  readonly secret: SecretView;
  readonly onClose: () => void;
}

interface Grace {
  readonly choice: string;
  /** Where the choice is `custom`. */
  readonly hours: string;
}

const HOUR_MS = 60 * 60 * 1000;
const GRACES = [
  { value: '0', label: 'None: the old secret is dead at once' },
  { value: '1', label: '1 hour' },
  { value: '24', label: '24 hours' },
  { value: '168', label: '7 days' },
  { value: 'custom', label: 'Another number of hours' },
];

export function RotateSecret({ settings, setSettings, secret: old, onSecret, onClose }: RotateSecretProps) {
  const [grace, setGrace] = useState<Grace>({ choice: '24', hours: '48' });
  const [expiry, setExpiry] = useState(NEVER);
  const graceMs = Math.round(Number(grace.choice === 'custom' ? grace.hours : grace.choice) * HOUR_MS);

  const rotating = useAction(async () => {
    const how = { graceMs, expiresAt: expiresAt(expiry) };
    const { key, secret } = await api.rotateSecret(settings.apiKey, old.id, how);
    setSettings(key);
    onClose();
    onSecret({ settings: key, secret, title: 'New secret' });
  });

  function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    void rotating.run();
  }

  return (
    <Dialog title={`Rotate “${old.label || old.hint}”`} onClose={onClose}>
      <form onSubmit={onSubmit}>
        <p>
          A new secret takes the place of this one. During the grace time both are valid: give callers the new one
          before the old one dies.
        </p>
        <GraceField grace={grace} onChange={setGrace} />
        <p class="hint" role="status">
          <Outcome graceMs={graceMs} old={old} />
        </p>
        <details>
          <summary>Expiry of the new secret</summary>
          <div class="stack">
            <ExpiryField value={expiry} onChange={setExpiry} />
          </div>
        </details>
        <Problem error={rotating.error} />
        <DialogFooter yes="Rotate" isBusy={rotating.isBusy} onNo={onClose} />
      </form>
    </Dialog>
  );
}

function GraceField({ grace, onChange }: { readonly grace: Grace; readonly onChange: (grace: Grace) => void }) {
  return (
    <>
      <fieldset>
        <legend>Grace time of the old secret</legend>
        {GRACES.map(({ value, label }) => (
          <label key={value} class="choice">
            <input
              type="radio"
              name="grace"
              value={value}
              data-first={value === grace.choice ? true : undefined}
              checked={value === grace.choice}
              onChange={() => onChange({ ...grace, choice: value })}
            />
            {label}
          </label>
        ))}
      </fieldset>
      {grace.choice === 'custom' && (
        <>
          <label for="grace-hours">Hours</label>
          <input
            id="grace-hours"
            type="number"
            min="0"
            max="8760"
            step="any"
            required
            value={grace.hours}
            onInput={(event) => onChange({ ...grace, hours: event.currentTarget.value })}
          />
        </>
      )}
    </>
  );
}

function Outcome({ graceMs, old }: { readonly graceMs: number; readonly old: SecretView }) {
  if (old.state === 'expired') {
    return <>The old secret has expired already; the grace time does not bring it back.</>;
  }
  if (!(graceMs > 0)) return <>Requests with the old secret are refused as soon as you rotate.</>;
  const end = new Date(Math.min(Date.now() + graceMs, Date.parse(old.expiresAt ?? '9999-12-31')));
  return (
    <>
      The old secret is valid until <Time at={end.toISOString()} />.
    </>
  );
}
