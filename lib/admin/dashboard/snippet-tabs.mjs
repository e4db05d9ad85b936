import { useState } from 'preact/hooks';
import { CopyButton } from './copy.mjs';
import { html } from './html.mjs';
import { snippets } from './snippets.mjs';
import { Tabs, panelProps } from './tabs.mjs';

export function SnippetTabs({ meta, settings, secret }) {
  const [selected, setSelected] = useState('curl');
  const all = snippets({ httpUrl: meta.httpUrl, wsUrl: meta.wsUrl, apiKey: settings.apiKey, secret });
  const shown = all.find(({ id }) => id === selected);
  return html`
    <div class="snippets">
      <${Tabs} name="snippet" label="Clients" tabs=${all} selected=${selected} onSelect=${setSelected} />
      <div class="snippet" ...${panelProps('snippet', selected)}>
        <pre tabindex="0" aria-label=${`Lines for ${shown.label}`}><code>${shown.code}</code></pre>
        <${CopyButton} text=${shown.code} what=${`the lines for ${shown.label}`} label="Copy" />
      </div>
    </div>
  `;
}
