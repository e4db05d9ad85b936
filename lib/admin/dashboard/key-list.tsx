import { Fragment } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Meta, ShownKey } from '../api';
import type { KeySort } from './api';
import { CopyButton } from './copy';
import { Down, Plus, Up, UpOrDown } from './icons';
import { useLists } from './lists';
import { NewKey } from './new-key';
import { Notice } from './notice';
import { FoundRefusals, Overview } from './overview';
import type { OnSecret } from './panel-props';
import { Problem } from './problem';
import { followLink, keyRoute } from './route';
import { Segments } from './segments';
import { State } from './state';
import { Time } from './time';
import { NO_FILTER, useKeyPages } from './use-key-pages';
import type { KeyPages, ListFilter } from './use-key-pages';
import { useHeading, useTitle } from './use-view';
import { count, nameOf, shorten } from './words';

const STATES = [
  { value: '', label: 'All' },
  { value: 'enabled', label: 'Enabled' },
  { value: 'disabled', label: 'Disabled' },
];
const COLUMNS: readonly Column[] = [
  { title: 'Name', sort: 'name' },
  { title: 'Key' },
  { title: 'State' },
  { title: 'Secrets' },
  { title: 'Allowlists' },
  { title: 'Created', sort: 'created' },
  { title: 'Updated', sort: 'updated' },
];

interface Column {
  readonly title: string;
  /** What the server sorts by for it. */
  readonly sort?: KeySort['sort'];
}

interface KeyListProps {
  readonly meta: Meta | undefined;
  readonly onSecret: OnSecret;
}

export function KeyList({ meta, onSecret }: KeyListProps) {
  const [isCreating, setIsCreating] = useState(false);
  const list = useKeyPages();
  const heading = useHeading();
  useTitle('API keys');

  return (
    <>
      <div class="heading">
        <h1 ref={heading} tabindex={-1}>
          API keys
        </h1>
        {meta?.role === 'editor' && (
          <button type="button" onClick={() => setIsCreating(true)}>
            <Plus /> New key
          </button>
        )}
      </div>
      <Filter filter={list.filter} onChange={list.change} />
      <Problem error={list.error} retry={list.retry} />
      <DoNotParse problems={list.problems} />
      <FoundRefusals search={list.filter.search} />
      {list.filter.search === '' && <Overview keys={list.keys ?? []} />}
      <Found list={list} />
      {isCreating && <NewKey onClose={() => setIsCreating(false)} onSecret={onSecret} />}
    </>
  );
}

interface FilterProps {
  readonly filter: ListFilter;
  readonly onChange: (members: Partial<ListFilter>) => void;
}

function Filter({ filter, onChange }: FilterProps) {
  return (
    <div class="filter" role="search">
      <label class="sr-only" for="search">
        Search by name, beginning of key, or request id
      </label>
      <input
        id="search"
        type="search"
        placeholder="Name, beginning of key, or request id"
        autocomplete="off"
        value={filter.search}
        onInput={(event) => onChange({ search: event.currentTarget.value })}
      />
      <Segments
        legend="State"
        name="state"
        options={STATES}
        value={filter.state}
        onChange={(state) => onChange({ state })}
      />
    </div>
  );
}

function DoNotParse({ problems }: Pick<KeyPages, 'problems'>) {
  if (problems.length === 0) return null;
  const them = problems.length === 1 ? 'it' : 'them';
  return (
    <Notice warn>
      <p>
        {problems.length === 1 ? 'A key does' : `${problems.length} keys do`} not parse. The guard refuses every request
        with {them}, and the list below leaves {them} out.
      </p>
      <details open={problems.length <= 3}>
        <summary>What is wrong</summary>
        <ul class="reasons">
          {problems.map(({ keyHint, reason }, index) => (
            <li key={index}>
              {keyHint !== '' && <code>{keyHint}</code>} {reason}
            </li>
          ))}
        </ul>
      </details>
    </Notice>
  );
}

/** The rows, or why there are none. */
function Found({ list }: { readonly list: KeyPages }) {
  const { keys, hasMore, filter, isBusy, isOld } = list;
  const rows = useRef<HTMLElement>(null);
  const isFiltered = filter.search.trim() !== '' || filter.state !== '';

  async function loadMore() {
    const shown = keys?.length ?? 0;
    await list.more();
    rows.current?.querySelectorAll<HTMLElement>('tbody a')[shown]?.focus();
  }

  // That there was nothing says nothing about what is asked now.
  if (!keys || (keys.length === 0 && isOld)) {
    if (list.error) return null;
    return (
      <p class="empty" aria-busy="true">
        Loading the keys
      </p>
    );
  }
  return (
    <>
      <p class="sr-only" role="status">
        {!isBusy && `${count(keys.length, 'key')} shown${hasMore ? ', there are more' : ''}`}
      </p>
      {keys.length === 0 ? (
        <Nothing isFiltered={isFiltered} onClear={() => list.change(NO_FILTER)} />
      ) : (
        <section class="card flush" ref={rows} aria-busy={isOld}>
          <Rows keys={keys} list={list} />
        </section>
      )}
      {hasMore && (
        <p class="more">
          <button type="button" class="quiet" aria-busy={isBusy} onClick={() => void loadMore()}>
            Load more
          </button>
        </p>
      )}
    </>
  );
}

function Nothing({ isFiltered, onClear }: { readonly isFiltered: boolean; readonly onClear: () => void }) {
  if (!isFiltered) {
    return (
      <div class="nothing">
        <h2>No keys yet</h2>
        <p>An API key lets an application in. Make one with “New key”, then decide what it may do.</p>
      </div>
    );
  }
  return (
    <div class="nothing">
      <h2>No key matches</h2>
      <p>Search looks at names, and at the beginning and the last 4 characters of keys.</p>
      <button type="button" class="quiet" onClick={onClear}>
        Show all keys
      </button>
    </div>
  );
}

// The roles are those of the elements: browsers drop them from a table that narrow screens show as blocks.
function Rows({ keys, list }: { readonly keys: readonly ShownKey[]; readonly list: KeyPages }) {
  return (
    <table class="keys" role="table" aria-label="API keys">
      <thead role="rowgroup">
        <tr role="row">
          {COLUMNS.map((column) => (
            <ColumnHeader key={column.title} column={column} list={list} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {keys.map((key) => (
          <Row key={key.apiKey} settings={key} />
        ))}
      </tbody>
    </table>
  );
}

const ICONS = { asc: Up, desc: Down };
const DIRECTIONS = { asc: 'ascending', desc: 'descending' } as const;

function ColumnHeader({ column: { title, sort }, list }: { readonly column: Column; readonly list: KeyPages }) {
  if (sort === undefined) {
    return (
      <th role="columnheader" scope="col">
        {title}
      </th>
    );
  }
  const { filter, change } = list;
  const isSorted = filter.sort === sort;
  const Icon = isSorted ? ICONS[filter.order] : UpOrDown;
  const first = sort === 'name' ? 'asc' : 'desc'; // names from A, times from the latest
  const other = filter.order === 'asc' ? 'desc' : 'asc';
  return (
    <th role="columnheader" scope="col" class="sortable" aria-sort={isSorted ? DIRECTIONS[filter.order] : 'none'}>
      <button type="button" class="sort" onClick={() => change({ sort, order: isSorted ? other : first })}>
        {title}
        <Icon />
      </button>
    </th>
  );
}

function Row({ settings }: { readonly settings: ShownKey }) {
  const { apiKey, keyHint, enabled, createdAt, updatedAt, warnings } = settings;
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        <a href={keyRoute(apiKey)} onClick={followLink}>
          {nameOf(settings)}
        </a>
      </th>
      <td role="cell" data-label="Key">
        <span class="key-cell">
          {keyHint === undefined ? (
            <>
              <code title={apiKey}>{shorten(apiKey)}</code>
              <CopyButton text={apiKey} what={`the key of ${nameOf(settings)}`} />
            </>
          ) : (
            <code>{keyHint}</code>
          )}
        </span>
      </td>
      <td role="cell" data-label="State">
        <State of={enabled ? 'enabled' : 'disabled'} />
        {warnings.some(({ code }) => code === 'BURST_BELOW_COST') && (
          <>
            {' '}
            <span class="state wait">small burst</span>
          </>
        )}
      </td>
      <td role="cell" data-label="Secrets">
        <SecretsOf settings={settings} />
      </td>
      <td role="cell" data-label="Allowlists">
        <div>
          <ListsOf settings={settings} />
        </div>
      </td>
      <td role="cell" data-label="Created">
        <Time at={createdAt} />
      </td>
      <td role="cell" data-label="Updated">
        <Time at={updatedAt} />
      </td>
    </tr>
  );
}

function SecretsOf({ settings: { secrets, requireSecret } }: { readonly settings: ShownKey }) {
  const active = secrets.filter(({ state }) => state === 'active').length;
  if (active === 0) return requireSecret ? <strong class="bad">none active</strong> : <>none</>;
  return (
    <>
      {active} active{requireSecret && ', required'}
    </>
  );
}

function ListsOf({ settings: { allowlists, reportOnly, warnings } }: { readonly settings: ShownKey }) {
  const types = useLists();
  const isOpen = warnings.some(({ code }) => code === 'OPEN_TO_ALL');
  const isLong = warnings.some(({ code }) => code === 'REPORT_ONLY_FOR_LONG');
  const listed = types.filter(({ type }) => allowlists[type].length > 0);
  if (types.length === 0) return null;
  if (listed.length === 0 && !isOpen) return <span class="quiet-text">none</span>;
  return (
    <>
      {isOpen && <span class="state wait">open to all</span>}{' '}
      {!isOpen &&
        listed.map(({ type, one, many }) => (
          <Fragment key={type}>
            <span class="chip">{count(allowlists[type].length, one, many)}</span>{' '}
          </Fragment>
        ))}
      {listed.some(({ type }) => reportOnly.includes(type)) && (
        <span class="state wait">{isLong ? 'report only for 30 days' : 'report only'}</span>
      )}
    </>
  );
}
