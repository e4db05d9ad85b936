import { html } from './html.mjs';
import { fromLocalInput, toLocalInput } from './time.mjs';

const DAY_MS = 24 * 60 * 60 * 1000;
const CHOICES = [
  { value: 'never', label: 'Never' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
  { value: 'at', label: 'At a time of your choice' },
];

export const NEVER = { choice: 'never', at: '' };

/** The instant that an expiry stands for, or `undefined` for never. */
export function expiresAt({ choice, at }) {
  if (choice === 'never') return undefined;
  return choice === 'at' ? fromLocalInput(at) : new Date(Date.now() + Number(choice) * DAY_MS).toISOString();
}

export function ExpiryField({ value, onChange }) {
  const tomorrow = toLocalInput(new Date(Date.now() + DAY_MS));
  const onChoice = ({ currentTarget: { value: choice } }) => onChange({ choice, at: choice === 'at' ? tomorrow : '' });
  return html`
    <label for="expiry">Expires</label>
    <select id="expiry" value=${value.choice} onChange=${onChoice}>
      ${CHOICES.map((choice) => html`<option key=${choice.value} value=${choice.value}>${choice.label}</option>`)}
    </select>
    ${
      value.choice === 'at' &&
      html`
        <label for="expiry-at">Time, where you are</label>
        <input
          id="expiry-at"
          type="datetime-local"
          required
          min=${toLocalInput(new Date())}
          value=${value.at}
          onInput=${(event) => onChange({ choice: 'at', at: event.currentTarget.value })}
        />
      `
    }
  `;
}
