import { html } from './html.mjs';
import { LIST_WORDS } from './list-words.mjs';
import { Notice } from './notice.mjs';

/** What it means that a list gets its first entry. */
export function FirstEntry({ type, entries, settings }) {
  if (entries.length > 0) return null;
  const exception = settings.overrideAllowlists
    ? 'Requests with a valid secret pass all the same, as “Override allowlists” is on.'
    : 'That holds for requests with a secret too, as “Override allowlists” is off.';
  return html`
    <${Notice}>
      <p><strong>The first entry puts this list in force.</strong> ${LIST_WORDS[type].first} ${exception}</p>
    <//>
  `;
}
