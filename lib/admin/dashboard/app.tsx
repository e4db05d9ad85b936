import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Meta } from '../api';
import { api } from './api';
import { Confirm } from './dialog';
import { Logo } from './icons';
import { HistoryPage } from './history';
import { KeyList } from './key-list';
import { KeyPage } from './key-page';
import { Lists } from './lists';
import { NewSecret } from './new-secret';
import type { OnSecret, SecretToShow } from './panel-props';
import { Problem } from './problem';
import { HISTORY, LIST, followLink, useRoute } from './route';
import type { Route } from './route';
import { Toast } from './toast';
import { useAction } from './use-action';

function App() {
  const { route, leaving } = useRoute();
  const [meta, setMeta] = useState<Meta>();
  const [newSecret, setNewSecret] = useState<SecretToShow>();
  const loading = useAction(async () => setMeta(await api.meta()));

  useEffect(() => void loading.run(), []);

  return (
    <Lists.Provider value={meta?.allowlists ?? []}>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to content
      </a>
      <header class="top">
        <a class="brand" href={LIST} onClick={followLink}>
          <Logo />
          <span>rpc-guard</span>
        </a>
        <nav aria-label="Pages">
          <a href={HISTORY} onClick={followLink}>
            History
          </a>
        </nav>
        {meta?.user && (
          <p>
            Signed in as <strong>{meta.user}</strong>
            {meta.role === 'viewer' && ', read-only'}
          </p>
        )}
      </header>
      <main id="main" tabindex={-1}>
        <Problem error={loading.error} retry={() => void loading.run()} />
        {!loading.error && <View route={route} meta={meta} onSecret={setNewSecret} />}
      </main>
      <footer class="bottom">rpc-guard {meta?.version}</footer>
      {newSecret && meta && <NewSecret meta={meta} {...newSecret} onClose={() => setNewSecret(undefined)} />}
      {leaving && (
        <Confirm
          title="Leave without saving?"
          yes="Discard changes"
          no="Keep editing"
          onYes={leaving.leave}
          onNo={leaving.stay}
        >
          <p>What you changed here has not been saved.</p>
        </Confirm>
      )}
      <Toast />
    </Lists.Provider>
  );
}

interface ViewProps {
  readonly route: Route;
  readonly meta: Meta | undefined;
  readonly onSecret: OnSecret;
}

function View({ route, meta, onSecret }: ViewProps) {
  if (route.view === 'list') return <KeyList meta={meta} onSecret={onSecret} />;
  if (route.view === 'history') return <HistoryPage meta={meta} />;
  if (route.view === 'key') {
    return <KeyPage key={route.apiKey} apiKey={route.apiKey} tab={route.tab} meta={meta} onSecret={onSecret} />;
  }
  return (
    <>
      <h1>There is no such page</h1>
      <p>
        <a href={LIST} onClick={followLink}>
          All API keys
        </a>
      </p>
    </>
  );
}

function skipToMain(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

render(<App />, document.getElementById('app')!);
