import { html } from './html.mjs';

/** An on-off setting with a sentence on what it does. */
export function Switch({ id, label, checked, onChange, disabled, children }) {
  return html`
    <div class="switch">
      <input
        type="checkbox"
        role="switch"
        id=${id}
        checked=${checked}
        disabled=${disabled}
        aria-describedby=${`${id}-hint`}
        onChange=${(event) => onChange(event.currentTarget.checked)}
      />
      <label for=${id}>${label}</label>
      <p class="hint" id=${`${id}-hint`}>${children}</p>
    </div>
  `;
}
