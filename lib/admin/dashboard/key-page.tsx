import { useEffect, useState } from 'preact/hooks';
import type { Meta, ShownKey } from '../api';
import { AsItWas } from './as-it-was';
import { AllowlistsTab } from './allowlists-tab';
import { api } from './api';
import { CopyButton } from './copy';
import { Dialog } from './dialog';
import { History } from './history';
import { Back } from './icons';
import { Notice, Warnings, isGrave } from './notice';
import type { OnSecret, PanelProps } from './panel-props';
import { Problem, codeOf } from './problem';
import { ReportOnlyBanner } from './report-only';
import { ReportedProvider, useReportedOf } from './reported';
import { LIST, followLink, go, keyRoute } from './route';
import type { KeyTab } from './route';
import { SettingsTab } from './settings-tab';
import { SnippetTabs } from './snippet-tabs';
import { State } from './state';
import { Tabs, panelProps } from './tabs';
import { TestTab } from './test-tab';
import { Time } from './time';
import { UsageTab } from './usage-tab';
import { useAction } from './use-action';
import type { Action } from './use-action';
import { useHeading, useTitle } from './use-view';
import { nameOf } from './words';

const TABS = {
  settings: { label: 'Settings', Panel: SettingsTab },
  allowlists: { label: 'Allowlists', Panel: AllowlistsTab },
  usage: { label: 'Usage', Panel: UsageTab },
  test: { label: 'Test a request', Panel: TestTab },
  history: { label: 'History', Panel: HistoryTab },
};
const ORDER: readonly KeyTab[] = ['settings', 'allowlists', 'usage', 'test', 'history'];
/** A viewer reads settings and lists on one page, which has nothing to press. */
const VIEWERS: readonly KeyTab[] = ['settings', 'usage', 'test', 'history'];

interface KeyPageProps {
  readonly apiKey: string;
  readonly tab: KeyTab;
  /** `undefined` until the server has told it. */
  readonly meta: Meta | undefined;
  readonly onSecret: OnSecret;
}

export function KeyPage({ apiKey, tab, meta, onSecret }: KeyPageProps) {
  const [settings, setSettings] = useState<ShownKey>();
  const loading = useAction(async () => setSettings((await api.getKey(apiKey)).key));
  const take = (key: ShownKey) => setSettings((known) => withUseOf(known, key));

  useEffect(() => void loading.run(), []);

  return (
    <>
      <nav aria-label="Breadcrumb" class="breadcrumb">
        <a href={LIST} onClick={followLink}>
          <Back /> API keys
        </a>
      </nav>
      {settings && meta ? (
        <Key settings={settings} setSettings={take} tab={tab} meta={meta} onSecret={onSecret} />
      ) : (
        <Missing loading={loading} />
      )}
    </>
  );
}

/** The answer to a change does not say when key and secrets were last used. */
function withUseOf(known: ShownKey | undefined, key: ShownKey): ShownKey {
  const used = new Map(known?.secrets.map(({ id, lastUsedAt }) => [id, lastUsedAt]));
  const at = (lastUsedAt: string | undefined) => (lastUsedAt === undefined ? {} : { lastUsedAt });
  const secrets = key.secrets.map((secret) => ({ ...at(used.get(secret.id)), ...secret }));
  return { ...at(known?.lastUsedAt), ...key, secrets };
}

function Missing({ loading }: { readonly loading: Action<[]> }) {
  useTitle('API key');
  if (!loading.error) {
    return (
      <p class="empty" aria-busy="true">
        Loading the key
      </p>
    );
  }
  const isGone = codeOf(loading.error) === 'KEY_UNKNOWN';
  return (
    <>
      <h1>{isGone ? 'No such key' : 'API key'}</h1>
      <Problem error={loading.error} retry={isGone ? undefined : () => void loading.run()} />
    </>
  );
}

function Key({ tab, ...panel }: PanelProps & { readonly tab: KeyTab }) {
  const { settings } = panel;
  const isViewer = panel.meta.role === 'viewer';
  const { label, Panel } = TABS[tab];
  const isRead = isViewer && (tab === 'settings' || tab === 'allowlists');
  const reported = useReportedOf(settings);
  useTitle(`${label} · ${nameOf(settings)}`);

  return (
    <ReportedProvider value={reported}>
      <KeyHeading settings={settings} meta={panel.meta} />
      <ReportOnlyBanner settings={settings} />
      <Tabs
        name="key"
        label="Parts of the key"
        tabs={(isViewer ? VIEWERS : ORDER).map((id) => ({
          id,
          label: TABS[id].label,
          note: noteOn(settings, id, isViewer),
        }))}
        selected={isRead ? 'settings' : tab}
        onSelect={(id) => go(keyRoute(settings.apiKey, id))}
      />
      <div class="panel" {...panelProps('key', isRead ? 'settings' : tab)}>
        {isRead ? (
          <>
            <Warnings settings={settings} />
            <AsItWas settings={settings} />
          </>
        ) : (
          <Panel key={tab} {...panel} />
        )}
      </div>
    </ReportedProvider>
  );
}

function HistoryTab({ settings, meta }: PanelProps) {
  return <History meta={meta} apiKey={settings.apiKey} version={settings.version} />;
}

function noteOn({ warnings }: ShownKey, tab: KeyTab, isViewer: boolean): string | undefined {
  const tabOf = (at: string) =>
    isViewer || ['settings', 'secrets', 'limits'].includes(at) ? 'settings' : 'allowlists';
  return warnings.some((warning) => isGrave(warning) && tabOf(warning.at) === tab) ? 'has a warning' : undefined;
}

interface KeyHeadingProps {
  readonly settings: ShownKey;
  readonly meta: Meta;
}

function KeyHeading({ settings, meta }: KeyHeadingProps) {
  const [isUsing, setIsUsing] = useState(false);
  const heading = useHeading();
  return (
    <div class="heading key-heading">
      <div>
        <h1 ref={heading} tabindex={-1}>
          {nameOf(settings)} <State of={settings.enabled ? 'enabled' : 'disabled'} />
        </h1>
        <p class="key-line">
          <code>{settings.keyHint ?? settings.apiKey}</code>
          {meta.role === 'editor' && <CopyButton text={settings.apiKey} what="the API key" />}
        </p>
        <p class="hint">
          Created <Time at={settings.createdAt} />, updated <Time at={settings.updatedAt} />, version {settings.version}
          {settings.lastUsedAt && (
            <>
              , last used <Time at={settings.lastUsedAt} />
            </>
          )}
        </p>
      </div>
      {meta.role === 'editor' && (
        <button type="button" class="quiet" onClick={() => setIsUsing(true)}>
          Use this key
        </button>
      )}
      {isUsing && <UseThisKey settings={settings} meta={meta} onClose={() => setIsUsing(false)} />}
    </div>
  );
}

function UseThisKey({ settings, meta, onClose }: KeyHeadingProps & { readonly onClose: () => void }) {
  const { requireSecret } = settings;
  return (
    <Dialog title="Use this key" wide onClose={onClose}>
      {requireSecret ? (
        <p>
          This key requires a secret. Put yours in place of <code>YOUR-API-KEY-SECRET</code>.
        </p>
      ) : (
        <p>This key is used without a secret. Whoever sees it can use it, as far as its allowlists let them.</p>
      )}
      {!settings.enabled && (
        <Notice warn>
          <p>The key is disabled: every request with it is refused.</p>
        </Notice>
      )}
      <SnippetTabs meta={meta} settings={settings} secret={requireSecret ? 'YOUR-API-KEY-SECRET' : undefined} />
      <footer>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </footer>
    </Dialog>
  );
}
