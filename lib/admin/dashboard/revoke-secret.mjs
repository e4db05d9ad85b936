import { api } from './api.mjs';
import { Confirm } from './dialog.mjs';
import { html } from './html.mjs';
import { Problem } from './problem.mjs';
import { say } from './toast.mjs';
import { useAction } from './use-action.mjs';
import { hasActiveSecret } from './words.mjs';

export function RevokeSecret({ settings, setSettings, secret, onClose }) {
  const revoking = useAction(async () => {
    const { key } = await api.revokeSecret(settings.apiKey, secret.id);
    setSettings(key);
    onClose();
    say('Secret revoked');
  });
  const isLast = !hasActiveSecret({ secrets: settings.secrets.filter(({ id }) => id !== secret.id) });

  return html`
    <${Confirm}
      title=${`Revoke “${secret.label || secret.hint}”?`}
      yes="Revoke"
      isBusy=${revoking.isBusy}
      onYes=${() => revoking.run()}
      onNo=${onClose}
    >
      <p>Requests with it are refused from now on, and its open WebSockets are closed. This cannot be undone.</p>
      ${
        isLast &&
        settings.requireSecret &&
        html`<p>
          <strong>It is the last active one, and this key requires a secret: every request will be refused.</strong>
        </p>`
      }
      <${Problem} error=${revoking.error} />
    <//>
  `;
}
