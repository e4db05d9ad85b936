import { html } from './html.mjs';

const TONES = { enabled: 'good', active: 'good', disabled: 'off', expired: 'off', 'expires soon': 'wait' };

/** A state as a word with a colour. */
export function State({ of }) {
  return html`<span class=${`state ${TONES[of] ?? 'off'}`}>${of}</span>`;
}
