import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from './api.mjs';
import { CopyButton } from './copy.mjs';
import { html } from './html.mjs';
import { Plus } from './icons.mjs';
import { NewKey } from './new-key.mjs';
import { Problem } from './problem.mjs';
import { followLink, keyRoute } from './route.mjs';
import { State } from './state.mjs';
import { Time } from './time.mjs';
import { useAction, useSettled } from './use-action.mjs';
import { useHeading, useTitle } from './use-view.mjs';
import { LISTS, count, nameOf, shorten } from './words.mjs';

const PAGE = 50;
const STATES = [
  { value: '', label: 'All' },
  { value: 'enabled', label: 'Enabled' },
  { value: 'disabled', label: 'Disabled' },
];

/** What was looked for, for those who come back from a key. */
let remembered = { search: '', state: '' };

export function KeyList({ onSecret }) {
  const [filter, setFilter] = useState(remembered);
  const [pages, setPages] = useState();
  const [isCreating, setIsCreating] = useState(false);
  const search = useSettled(filter.search.trim());
  const asked = useRef(0);
  const rows = useRef();
  const heading = useHeading();
  useTitle('API keys');

  const loading = useAction(async (after) => {
    let ask;
    let answer;
    // An answer to what is no longer asked is not shown: ask again.
    do {
      ask = asked.current;
      const { search, state } = remembered;
      answer = await api.listKeys({ search: search.trim(), state, after, limit: PAGE });
      if (ask !== asked.current) after = undefined;
    } while (ask !== asked.current);
    setPages((before) => ({ keys: after ? [...before.keys, ...answer.keys] : answer.keys, next: answer.next }));
  });

  useEffect(() => {
    asked.current++;
    loading.run();
  }, [search, filter.state]);

  function change(members) {
    remembered = { ...filter, ...members };
    setFilter(remembered);
  }

  async function loadMore() {
    const shown = pages.keys.length;
    await loading.run(pages.next);
    rows.current?.querySelectorAll('tbody a')[shown]?.focus();
  }

  const isFiltered = filter.search.trim() !== '' || filter.state !== '';
  return html`
    <div class="heading">
      <h1 ref=${heading} tabindex="-1">API keys</h1>
      <button type="button" onClick=${() => setIsCreating(true)}><${Plus} /> New key</button>
    </div>

    <div class="filter" role="search">
      <label class="sr-only" for="search">Search by name or beginning of key</label>
      <input
        id="search"
        type="search"
        placeholder="Name or beginning of key"
        autocomplete="off"
        value=${filter.search}
        onInput=${(event) => change({ search: event.currentTarget.value })}
      />
      <fieldset class="segments">
        <legend class="sr-only">State</legend>
        ${STATES.map(
          ({ value, label }) => html`
            <label key=${value}>
              <input
                type="radio"
                name="state"
                value=${value}
                checked=${filter.state === value}
                onChange=${() => change({ state: value })}
              />
              <span>${label}</span>
            </label>
          `,
        )}
      </fieldset>
    </div>

    <${Problem} error=${loading.error} retry=${() => loading.run()} />
    <p class="sr-only" role="status">${pages && !loading.isBusy && found(pages)}</p>
    ${!pages && loading.isBusy && html`<p class="empty" aria-busy="true">Loading the keys</p>`}
    ${
      pages?.keys.length === 0 &&
      html`<${Nothing} isFiltered=${isFiltered} onClear=${() => change({ search: '', state: '' })} />`
    }
    ${
      pages?.keys.length > 0 &&
      html`
        <section class="card flush" ref=${rows}>
          <${Rows} keys=${pages.keys} />
        </section>
      `
    }
    ${
      pages?.next &&
      html`
        <p class="more">
          <button type="button" class="quiet" aria-busy=${loading.isBusy} onClick=${loadMore}>Load more</button>
        </p>
      `
    }
    ${isCreating && html`<${NewKey} onClose=${() => setIsCreating(false)} onSecret=${onSecret} />`}
  `;
}

function found({ keys, next }) {
  return `${count(keys.length, 'key')} shown${next ? ', there are more' : ''}`;
}

function Nothing({ isFiltered, onClear }) {
  if (!isFiltered) {
    return html`
      <div class="nothing">
        <h2>No keys yet</h2>
        <p>An API key lets an application in. Make one with “New key”, then decide what it may do.</p>
      </div>
    `;
  }
  return html`
    <div class="nothing">
      <h2>No key matches</h2>
      <p>Search looks at names, and at the beginning of keys.</p>
      <button type="button" class="quiet" onClick=${onClear}>Show all keys</button>
    </div>
  `;
}

// The roles are those of the elements: browsers drop them from a table that narrow screens show as blocks.
function Rows({ keys }) {
  return html`
    <table class="keys" role="table" aria-label="API keys">
      <thead role="rowgroup">
        <tr role="row">
          ${['Name', 'Key', 'State', 'Secrets', 'Allowlists', 'Updated'].map(
            (title) => html`<th key=${title} role="columnheader" scope="col">${title}</th>`,
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${keys.map(
          (key) => html`
            <tr role="row" key=${key.apiKey}>
              <th role="rowheader" scope="row">
                <a href=${keyRoute(key.apiKey)} onClick=${followLink}>${nameOf(key)}</a>
              </th>
              <td role="cell" data-label="Key">
                <span class="key-cell">
                  <code title=${key.apiKey}>${shorten(key.apiKey)}</code>
                  <${CopyButton} text=${key.apiKey} what=${`the key of ${nameOf(key)}`} />
                </span>
              </td>
              <td role="cell" data-label="State"><${State} of=${key.enabled ? 'enabled' : 'disabled'} /></td>
              <td role="cell" data-label="Secrets">${secretsOf(key)}</td>
              <td role="cell" data-label="Allowlists">${listsOf(key)}</td>
              <td role="cell" data-label="Updated"><${Time} at=${key.updatedAt} /></td>
            </tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

function secretsOf({ secrets, requireSecret }) {
  const active = secrets.filter(({ state }) => state === 'active').length;
  if (active === 0) return requireSecret ? html`<strong class="bad">none active</strong>` : 'none';
  return `${active} active${requireSecret ? ', required' : ''}`;
}

function listsOf({ allowlists }) {
  const inForce = LISTS.filter(({ type }) => allowlists[type].length > 0);
  if (inForce.length === 0) return html`<span class="quiet-text">none</span>`;
  return inForce.map(
    ({ type, one, many }) => html`<span class="chip" key=${type}>${count(allowlists[type].length, one, many)}</span> `,
  );
}
