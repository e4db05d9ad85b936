import { useState } from 'preact/hooks';
import type { Meta, ShownKey } from '../api';
import { CopyButton } from './copy';
import { snippets } from './snippets';
import { Tabs, panelProps } from './tabs';

interface SnippetTabsProps {
  readonly meta: Meta;
  readonly settings: ShownKey;
  readonly secret: string | undefined;
}

export function SnippetTabs({ meta, settings, secret }: SnippetTabsProps) {
  const [selected, setSelected] = useState('curl');
  const all = snippets({ httpUrl: meta.httpUrl, wsUrl: meta.wsUrl, apiKey: settings.apiKey, secret });
  const { label, code } = all.find(({ id }) => id === selected) ?? all[0];
  return (
    <div class="snippets">
      <Tabs name="snippet" label="Clients" tabs={all} selected={selected} onSelect={setSelected} />
      <div class="snippet" {...panelProps('snippet', selected)}>
        <pre tabindex={0} aria-label={`Lines for ${label}`}>
          <code>{code}</code>
        </pre>
        <CopyButton text={code} what={`the lines for ${label}`} label="Copy" />
      </div>
    </div>
  );
}
