import { Allowlist } from './allowlist.mjs';
import { html } from './html.mjs';
import { Notice } from './notice.mjs';
import { LISTS } from './words.mjs';

export function AllowlistsTab({ settings, setSettings, meta }) {
  return html`
    <p class="hint">
      An empty list lets everything pass. A request has to pass every list that has entries, and matches a list by any
      one of its entries. Changes are in force at once.
    </p>
    ${
      settings.overrideAllowlists &&
      html`<${Notice}>
        <p>“Override allowlists” is on: requests with a valid secret pass all four lists.</p>
      <//>`
    }
    ${LISTS.map(
      ({ type, title }) => html`
        <${Allowlist}
          key=${type}
          type=${type}
          title=${title}
          settings=${settings}
          setSettings=${setSettings}
          meta=${meta}
        />
      `,
    )}
  `;
}
