import { html } from './html.mjs';
import { Info, Warning } from './icons.mjs';

/** Something to know before going on. */
export function Notice({ warn = false, children }) {
  return html`<div class=${warn ? 'notice warn' : 'notice'}>
    <${warn ? Warning : Info} />
    <div>${children}</div>
  </div>`;
}

/** What the server finds odd about a key, in the place it is about. */
export function Warnings({ settings, at }) {
  return settings.warnings
    .filter((warning) => warning.at === at)
    .map(({ code, message }) => html`<${Notice} key=${code} warn><p>${message}</p><//>`);
}
