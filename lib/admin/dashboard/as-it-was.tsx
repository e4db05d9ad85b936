import type { ComponentChildren } from 'preact';
import type { KeyView } from '../../settings/key-view';
import { useLists } from './lists';
import { State } from './state';
import { Time } from './time';

/** A key's settings to read: for a viewer, and as they were at some time. */
export function AsItWas({ settings }: { readonly settings: KeyView }) {
  const { name, enabled, requireSecret, overrideAllowlists, limits, secrets, allowlists, reportOnly } = settings;
  const lists = useLists();
  return (
    <table class="conflict facts" role="table" aria-label="Settings">
      <tbody role="rowgroup">
        <Fact label="Name">{name === '' ? <None /> : name}</Fact>
        <Fact label="State">
          <State of={enabled ? 'enabled' : 'disabled'} />
        </Fact>
        <Fact label="Secret">{requireSecret ? 'required' : 'not required'}</Fact>
        <Fact label="Override allowlists">{overrideAllowlists ? 'yes' : 'no'}</Fact>
        <Fact label="Limits">{limits ? <code>{JSON.stringify(limits)}</code> : <None />}</Fact>
        {lists.map(({ type, title }) => (
          <Fact key={type} label={title}>
            <Items items={allowlists[type]} />
            {reportOnly.includes(type) && <span class="quiet-text"> only reports</span>}
          </Fact>
        ))}
        <Fact label="Secrets">
          {secrets.length === 0 && <None />}
          {secrets.map(({ id, label, hint, expiresAt, state }) => (
            <div key={id}>
              {label === '' ? id : label} <code>{hint}…</code> <State of={state} />
              {expiresAt && (
                <>
                  {' '}
                  expires <Time at={expiresAt} />
                </>
              )}
            </div>
          ))}
        </Fact>
      </tbody>
    </table>
  );
}

function Fact({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {label}
      </th>
      <td role="cell">{children}</td>
    </tr>
  );
}

function Items({ items }: { readonly items: readonly string[] }) {
  if (items.length === 0) return <None />;
  return (
    <>
      {items.map((item) => (
        <div key={item}>
          <code>{item}</code>
        </div>
      ))}
    </>
  );
}

function None() {
  return <span class="quiet-text">none</span>;
}
