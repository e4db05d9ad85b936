import { useEffect, useState } from 'preact/hooks';
import { AllowlistsTab } from './allowlists-tab.mjs';
import { api } from './api.mjs';
import { CopyButton } from './copy.mjs';
import { Dialog } from './dialog.mjs';
import { html } from './html.mjs';
import { Back } from './icons.mjs';
import { Notice } from './notice.mjs';
import { Problem } from './problem.mjs';
import { LIST, followLink, go, keyRoute } from './route.mjs';
import { SettingsTab } from './settings-tab.mjs';
import { SnippetTabs } from './snippet-tabs.mjs';
import { State } from './state.mjs';
import { Tabs, panelProps } from './tabs.mjs';
import { TestTab } from './test-tab.mjs';
import { Time } from './time.mjs';
import { useAction } from './use-action.mjs';
import { useHeading, useTitle } from './use-view.mjs';
import { nameOf } from './words.mjs';

const TABS = [
  { id: 'settings', label: 'Settings', places: ['settings', 'secrets'] },
  { id: 'allowlists', label: 'Allowlists', places: ['contractAddresses', 'userAgents', 'origins', 'methods'] },
  { id: 'test', label: 'Test a request', places: [] },
];

export function KeyPage({ apiKey, ...more }) {
  const [settings, setSettings] = useState();
  const loading = useAction(async () => setSettings((await api.getKey(apiKey)).key));

  useEffect(() => {
    loading.run();
  }, []);

  return html`
    <nav aria-label="Breadcrumb" class="breadcrumb">
      <a href=${LIST} onClick=${followLink}><${Back} /> API keys</a>
    </nav>
    ${
      settings
        ? html`<${Key} settings=${settings} setSettings=${setSettings} ...${more} />`
        : html`<${Missing} loading=${loading} />`
    }
  `;
}

function Missing({ loading }) {
  useTitle('API key');
  if (!loading.error) return html`<p class="empty" aria-busy="true">Loading the key</p>`;
  const isGone = loading.error.code === 'KEY_UNKNOWN';
  return html`
    <h1>${isGone ? 'No such key' : 'API key'}</h1>
    <${Problem} error=${loading.error} retry=${isGone ? undefined : () => loading.run()} />
  `;
}

function Key({ settings, setSettings, tab, meta, onSecret }) {
  const [isUsing, setIsUsing] = useState(false);
  const heading = useHeading();
  const tabs = TABS.map(({ id, label, places }) => ({ id, label, note: noteOn(settings, places) }));
  useTitle(`${tabs.find(({ id }) => id === tab).label} · ${nameOf(settings)}`);

  const Panel = { settings: SettingsTab, allowlists: AllowlistsTab, test: TestTab }[tab];
  return html`
    <div class="heading key-heading">
      <div>
        <h1 ref=${heading} tabindex="-1">
          ${nameOf(settings)} <${State} of=${settings.enabled ? 'enabled' : 'disabled'} />
        </h1>
        <p class="key-line">
          <code>${settings.apiKey}</code>
          <${CopyButton} text=${settings.apiKey} what="the API key" />
        </p>
        <p class="hint">
          Created <${Time} at=${settings.createdAt} />, updated <${Time} at=${settings.updatedAt} />, version
          ${' '}${settings.version}
        </p>
      </div>
      <button type="button" class="quiet" onClick=${() => setIsUsing(true)}>Use this key</button>
    </div>
    <${Tabs}
      name="key"
      label="Parts of the key"
      tabs=${tabs}
      selected=${tab}
      onSelect=${(id) => go(keyRoute(settings.apiKey, id))}
    />
    <div class="panel" ...${panelProps('key', tab)}>
      <${Panel} key=${tab} settings=${settings} setSettings=${setSettings} meta=${meta} onSecret=${onSecret} />
    </div>
    ${isUsing && html`<${UseThisKey} settings=${settings} meta=${meta} onClose=${() => setIsUsing(false)} />`}
  `;
}

function noteOn({ warnings }, places) {
  return warnings.some(({ at }) => places.includes(at)) ? 'has a warning' : undefined;
}

function UseThisKey({ settings, meta, onClose }) {
  const { requireSecret } = settings;
  return html`
    <${Dialog} title="Use this key" wide onClose=${onClose}>
      ${
        requireSecret
          ? html`<p>This key requires a secret. Put yours in place of <code>YOUR-API-KEY-SECRET</code>.</p>`
          : html`<p>This key is used without a secret. Whoever sees it can use it: set its allowlists.</p>`
      }
      ${!settings.enabled && html`<${Notice} warn><p>The key is disabled: every request with it is refused.</p><//>`}
      <${SnippetTabs} meta=${meta} settings=${settings} secret=${requireSecret ? 'YOUR-API-KEY-SECRET' : undefined} />
      <footer><button type="button" onClick=${onClose}>Close</button></footer>
    <//>
  `;
}
