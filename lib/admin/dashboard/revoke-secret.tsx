import type { SecretView } from '../../settings/key-view';
import { api } from './api';
import { Confirm } from './dialog';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { say } from './toast';
import { useAction } from './use-action';
import { hasActiveSecret } from './words';

interface RevokeSecretProps extends PanelProps {
  readonly secret: SecretView;
  readonly onClose: () => void;
}

export function RevokeSecret({ settings, setSettings, secret, onClose }: RevokeSecretProps) {
  const revoking = useAction(async () => {
    const { key } = await api.revokeSecret(settings.apiKey, secret.id);
    setSettings(key);
    onClose();
    say('Secret revoked');
  });
  const isLast = !hasActiveSecret(settings.secrets.filter(({ id }) => id !== secret.id));

  return (
    <Confirm
      title={`Revoke “${secret.label || secret.hint}”?`}
      yes="Revoke"
      isBusy={revoking.isBusy}
      onYes={() => void revoking.run()}
      onNo={onClose}
    >
      <p>Requests with it are refused from now on, and its open WebSockets are closed. This cannot be undone.</p>
      {isLast && settings.requireSecret && (
        <p>
          <strong>It is the last active one, and this key requires a secret: every request will be refused.</strong>
        </p>
      )}
      <Problem error={revoking.error} />
    </Confirm>
  );
}
