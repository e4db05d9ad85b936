import { useState } from 'preact/hooks';
import type { Meta, ShownKey } from '../api';
import { CopyButton } from './copy';
import { snippetFacts } from './snippet-facts';
import { snippets } from './snippets';
import { Tabs, panelProps } from './tabs';

interface SnippetTabsProps {
  readonly meta: Meta;
  readonly settings: ShownKey;
  readonly secret: string | undefined;
}

export function SnippetTabs({ meta, settings, secret }: SnippetTabsProps) {
  const [selected, setSelected] = useState('curl');
  const facts = snippetFacts(settings, meta, secret, location.protocol === 'https:');
  const all = snippets(facts);
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
      {facts.origin !== undefined && (
        <p class="hint">
          The Origin header stands in for a web page’s: a browser sends its own, and lets nobody set it.
        </p>
      )}
      {meta.isUrlGuessed && (
        <p class="hint">
          The address is this dashboard’s host. Where the guard answers elsewhere, or under a path, set{' '}
          <code>publicUrl</code> of <code>rpcGuardAdmin</code>.
        </p>
      )}
    </div>
  );
}
