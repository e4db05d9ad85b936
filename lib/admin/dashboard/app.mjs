import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from './api.mjs';
import { Confirm } from './dialog.mjs';
import { html } from './html.mjs';
import { Logo } from './icons.mjs';
import { KeyList } from './key-list.mjs';
import { KeyPage } from './key-page.mjs';
import { NewSecret } from './new-secret.mjs';
import { Problem } from './problem.mjs';
import { LIST, followLink, useRoute } from './route.mjs';
import { Toast } from './toast.mjs';
import { useAction } from './use-action.mjs';

function App() {
  const { route, leaving } = useRoute();
  const [meta, setMeta] = useState();
  const [newSecret, setNewSecret] = useState();
  const loading = useAction(async () => setMeta(await api.meta()));

  useEffect(() => {
    loading.run();
  }, []);

  return html`
    <a class="skip" href="#main" onClick=${skipToMain}>Skip to content</a>
    <header class="top">
      <a class="brand" href=${LIST} onClick=${followLink}><${Logo} /><span>rpc-guard</span></a>
      ${meta?.user && html`<p>Signed in as <strong>${meta.user}</strong></p>`}
    </header>
    <main id="main" tabindex="-1">
      <${Problem} error=${loading.error} retry=${() => loading.run()} />
      ${meta && html`<${View} route=${route} meta=${meta} onSecret=${setNewSecret} />`}
    </main>
    <footer class="bottom">rpc-guard${meta && html` ${meta.version}`}</footer>
    ${newSecret && html`<${NewSecret} meta=${meta} ...${newSecret} onClose=${() => setNewSecret(undefined)} />`}
    ${
      leaving &&
      html`
        <${Confirm}
          title="Leave without saving?"
          yes="Discard changes"
          no="Keep editing"
          onYes=${leaving.leave}
          onNo=${leaving.stay}
        >
          <p>What you changed here has not been saved.</p>
        <//>
      `
    }
    <${Toast} />
  `;
}

function View({ route, meta, onSecret }) {
  if (route.view === 'list') return html`<${KeyList} onSecret=${onSecret} />`;
  if (route.view === 'key') {
    return html`<${KeyPage}
      key=${route.apiKey}
      apiKey=${route.apiKey}
      tab=${route.tab}
      meta=${meta}
      onSecret=${onSecret}
    />`;
  }
  return html`
    <h1>There is no such page</h1>
    <p><a href=${LIST} onClick=${followLink}>All API keys</a></p>
  `;
}

function skipToMain(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

render(html`<${App} />`, document.getElementById('app'));
