import { Allowlist } from './allowlist';
import { Notice } from './notice';
import type { PanelProps } from './panel-props';
import { Suggest } from './suggest';

export function AllowlistsTab({ settings, setSettings, meta }: PanelProps) {
  return (
    <>
      <p class="hint">
        An empty list lets everything pass. A request has to pass every list that has entries, and matches a list by any
        one of its entries. Changes are in force at once.
      </p>
      <div class="buttons">
        <Suggest settings={settings} setSettings={setSettings} meta={meta} />
      </div>
      {settings.overrideAllowlists && (
        <Notice>
          <p>“Override allowlists” is on: requests with a valid secret pass all lists.</p>
        </Notice>
      )}
      {meta.allowlists.map((list) => (
        <Allowlist key={list.type} list={list} settings={settings} setSettings={setSettings} meta={meta} />
      ))}
    </>
  );
}
