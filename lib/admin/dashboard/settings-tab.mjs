import { DeleteKey } from './delete-key.mjs';
import { General } from './general.mjs';
import { html } from './html.mjs';
import { Secrets } from './secrets.mjs';

export function SettingsTab(props) {
  return html`
    <${General} ...${props} />
    <${Secrets} ...${props} />
    <${DeleteKey} ...${props} />
  `;
}
