import { useRef } from 'preact/hooks';
import { html } from './html.mjs';

/**
 * Tabs after the ARIA pattern: one stop of the Tab key, arrows, Home and End within. The panel is the caller's, by
 * `panelProps`.
 * @param {{ name: string, label: string, tabs: { id: string, label: string, note?: string }[], selected: string,
 *   onSelect: (id: string) => void }} props
 */
export function Tabs({ name, label, tabs, selected, onSelect }) {
  const list = useRef();

  function onKeyDown(event) {
    const now = tabs.findIndex(({ id }) => id === selected);
    const last = tabs.length - 1;
    const next = {
      ArrowRight: now === last ? 0 : now + 1,
      ArrowLeft: now === 0 ? last : now - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    list.current.children[next].focus();
    onSelect(tabs[next].id);
  }

  return html`
    <div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${onKeyDown}>
      ${tabs.map(
        (tab) => html`
          <button
            key=${tab.id}
            type="button"
            role="tab"
            id=${`${name}-tab-${tab.id}`}
            aria-selected=${tab.id === selected ? 'true' : 'false'}
            aria-controls=${tab.id === selected ? `${name}-panel` : undefined}
            tabindex=${tab.id === selected ? 0 : -1}
            onClick=${() => onSelect(tab.id)}
          >
            ${tab.label}
            ${tab.note && html`<span class="dot" aria-hidden="true"></span><span class="sr-only">, ${tab.note}</span>`}
          </button>
        `,
      )}
    </div>
  `;
}

/** The attributes that make an element the panel of the selected tab. */
export function panelProps(name, selected) {
  return { id: `${name}-panel`, role: 'tabpanel', 'aria-labelledby': `${name}-tab-${selected}` };
}
