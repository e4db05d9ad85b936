import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Meta } from '../api';
import type { AuditAnswer, ShownEvent } from '../audit-api';
import { api } from './api';
import { AsItWas } from './as-it-was';
import { Dialog } from './dialog';
import { Head } from './head';
import { Problem } from './problem';
import { followLink, keyRoute } from './route';
import { Time } from './time';
import { useAction } from './use-action';
import { useHeading, useTitle } from './use-view';

const SEARCH_AFTER_MS = 250;

/** What happened to all keys. */
export function HistoryPage({ meta }: { readonly meta: Meta | undefined }) {
  const heading = useHeading();
  useTitle('History');
  return (
    <>
      <div class="heading">
        <h1 ref={heading} tabindex={-1}>
          History
        </h1>
      </div>
      {meta && <History meta={meta} />}
    </>
  );
}

interface HistoryProps {
  readonly meta: Meta;
  /** Default: all keys. */
  readonly apiKey?: string;
  /** Changes when the key does, so that its history is read again. */
  readonly version?: number;
}

export function History({ meta, apiKey, version }: HistoryProps) {
  const [filter, setFilter] = useState({ actor: '', action: '' });
  const [then, setThen] = useState<ShownEvent>();
  const { events, isOld, next, loading } = useEvents(meta.hasAudit ? filter : undefined, apiKey, version);

  if (!meta.hasAudit) {
    return (
      <div class="nothing">
        <h2>No history</h2>
        <p>The store keeps none. Those of rpc-guard do: docs/audit.md says what a store of your own needs.</p>
      </div>
    );
  }
  return (
    <>
      <Filter meta={meta} filter={filter} onChange={(members) => setFilter({ ...filter, ...members })} />
      <Problem error={loading.error} retry={() => void loading.run()} />
      {events === undefined || (isOld && events.length === 0) ? (
        !loading.error && (
          <p class="empty" aria-busy="true">
            Loading the history
          </p>
        )
      ) : (
        <Events events={events} isOld={isOld} isOfKey={apiKey !== undefined} onThen={setThen} />
      )}
      {next !== null && (
        <p class="more">
          <button type="button" class="quiet" aria-busy={loading.isBusy} onClick={() => void loading.run(next)}>
            Load more
          </button>
        </p>
      )}
      {then?.after && (
        <Dialog title="As it was then" wide onClose={() => setThen(undefined)}>
          <p>
            Version {then.version}, after what {then.actor} did on <Time at={then.at} />. To restore something, change
            it in the settings of today.
          </p>
          <AsItWas settings={then.after} />
          <footer>
            <button type="button" onClick={() => setThen(undefined)}>
              Close
            </button>
          </footer>
        </Dialog>
      )}
    </>
  );
}

/** What a filter finds, page by page; of none, nothing is asked. */
function useEvents(filter: AuditFilter | undefined, apiKey: string | undefined, version: number | undefined) {
  const [events, setEvents] = useState<readonly ShownEvent[]>();
  const [answered, setAnswered] = useState<AuditFilter>();
  const [next, setNext] = useState<string | null>(null);
  const question = useMemo(() => filter && { ...filter }, [filter, version]);
  const asked = useRef(question);
  asked.current = question;

  const loading = useAction(async (before?: string) => {
    const page = await answer(before);
    setEvents((known) => (page.before === undefined ? page.events : [...(known ?? []), ...page.events]));
    setNext(page.next);
    setAnswered(asked.current);
  });

  /** What is no longer asked is not shown: neither an answer to it nor what went wrong. */
  async function answer(before?: string): Promise<AuditAnswer & { readonly before: string | undefined }> {
    const wanted = asked.current;
    try {
      const page = await api.audit(apiKey, { actor: '', action: '', ...wanted, before });
      return wanted === asked.current ? { ...page, before } : await answer();
    } catch (error) {
      if (wanted === asked.current) throw error;
      return answer();
    }
  }

  useEffect(() => {
    if (question === undefined) return undefined;
    const timer = setTimeout(() => void loading.run(), events === undefined ? 0 : SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [question]);

  return { events, isOld: question !== answered && !loading.error, next, loading };
}

interface AuditFilter {
  readonly actor: string;
  readonly action: string;
}

interface FilterProps {
  readonly meta: Meta;
  readonly filter: AuditFilter;
  readonly onChange: (members: Partial<FilterProps['filter']>) => void;
}

function Filter({ meta, filter, onChange }: FilterProps) {
  return (
    <div class="filter history-filter" role="search">
      <label class="sr-only" for="actor">
        Who did it
      </label>
      <input
        id="actor"
        type="search"
        placeholder="Who did it, in full"
        autocomplete="off"
        value={filter.actor}
        onInput={(event) => onChange({ actor: event.currentTarget.value.trim() })}
      />
      <label class="sr-only" for="action">
        What was done
      </label>
      <select id="action" value={filter.action} onChange={(event) => onChange({ action: event.currentTarget.value })}>
        <option value="">All actions</option>
        {meta.auditActions.map((action) => (
          <option key={action}>{action}</option>
        ))}
      </select>
    </div>
  );
}

interface EventsProps {
  readonly events: readonly ShownEvent[];
  /** Whether they answer another question than the one that is asked now. */
  readonly isOld: boolean;
  readonly isOfKey: boolean;
  readonly onThen: (event: ShownEvent) => void;
}

function Events({ events, isOld, isOfKey, onThen }: EventsProps) {
  if (events.length === 0) {
    return (
      <div class="nothing">
        <h2>Nothing found</h2>
        <p>Changes that are made from now on stand here, with who made them.</p>
      </div>
    );
  }
  const titles = ['When', 'Who', 'What', ...(isOfKey ? [] : ['Key']), 'Changed', 'Then'];
  return (
    <section class="card flush" aria-busy={isOld}>
      <table class="keys history" role="table" aria-label="History">
        <Head titles={titles} />
        <tbody role="rowgroup">
          {events.map((event) => (
            <Row key={event.id} event={event} isOfKey={isOfKey} onThen={onThen} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Row({ event, isOfKey, onThen }: Pick<EventsProps, 'isOfKey' | 'onThen'> & { readonly event: ShownEvent }) {
  const { at, actor, via, action, apiKey, keyHint, words, after } = event;
  const name = after?.name ?? event.before?.name ?? '';
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        <Time at={at} />
      </th>
      <td role="cell" data-label="Who">
        <span>
          {actor} <span class="quiet-text">{via}</span>
        </span>
      </td>
      <td role="cell" data-label="What">
        {action}
      </td>
      {!isOfKey && (
        <td role="cell" data-label="Key">
          {apiKey !== '' && (
            <a href={keyRoute(apiKey, 'history')} onClick={followLink}>
              {name === '' ? keyHint : name}
            </a>
          )}
        </td>
      )}
      <td role="cell" data-label="Changed">
        <ul class="words">
          {words.map((word) => (
            <li key={word}>{word}</li>
          ))}
        </ul>
      </td>
      <td role="cell" data-label="Then">
        {after && (
          <button type="button" class="quiet small" onClick={() => onThen(event)}>
            As it was then
          </button>
        )}
      </td>
    </tr>
  );
}
