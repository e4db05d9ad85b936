import { useEffect, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import type { RefusalGroup } from '../../keys/refusal-report';
import type { UsageName } from '../../keys/usage-report';
import { api, isAbort } from './api';
import { Refusal } from './refusals';
import { followLink, keyRoute } from './route';
import { useSettled } from './use-action';
import { nameOf, number, shorten } from './words';

const SHOWN = 3;
const UNUSED_MS = 30 * 24 * 60 * 60 * 1000;

interface Known {
  readonly day: readonly UsageName[];
  readonly month: readonly UsageName[];
}

/** Of all keys: the busiest, the most refused, and those that nobody has used for 30 days. */
export function Overview({ keys }: { readonly keys: readonly ShownKey[] }) {
  const [known, setKnown] = useState<Known>();

  useEffect(() => {
    const abort = new AbortController();
    const rowsSince = async (since: string) => (await api.usage(undefined, { since }, abort.signal)).usage.rows;
    // The list is what the page is for: where usage cannot be read, it does without.
    Promise.all([rowsSince('24h'), rowsSince('30d')]).then(
      ([day, month]) => setKnown({ day, month }),
      () => undefined,
    );
    return () => abort.abort();
  }, []);

  if (!known || known.month.length === 0) return null;
  const used = new Set(known.month.map(({ name }) => name));
  const isOld = ({ createdAt }: ShownKey) => Date.parse(createdAt) < Date.now() - UNUSED_MS;
  const busiest = [...known.day].sort((a, b) => b.allowed - a.allowed).filter(({ allowed }) => allowed > 0);
  const refused = [...known.day].sort((a, b) => b.refused - a.refused).filter((row) => row.refused > 0);
  const unused = keys.filter((key) => !used.has(key.apiKey) && isOld(key));
  return (
    <dl class="overview" aria-label="Usage of all keys">
      <div>
        <dt>Busiest in 24 h</dt>
        {busiest.slice(0, SHOWN).map(({ name, allowed }) => (
          <dd key={name}>
            <KeyLink apiKey={name} keys={keys} /> {number(allowed)}
          </dd>
        ))}
        {busiest.length === 0 && <dd class="hint">none</dd>}
      </div>
      <div>
        <dt>Most refused in 24 h</dt>
        {refused.slice(0, SHOWN).map((row) => (
          <dd key={row.name}>
            <KeyLink apiKey={row.name} keys={keys} /> {number(row.refused)}
          </dd>
        ))}
        {refused.length === 0 && <dd class="hint">none</dd>}
      </div>
      <div>
        <dt>Unused for 30 days, of those below</dt>
        {unused.slice(0, SHOWN).map(({ apiKey }) => (
          <dd key={apiKey}>
            <KeyLink apiKey={apiKey} keys={keys} />
          </dd>
        ))}
        {unused.length > SHOWN && <dd class="hint">and {unused.length - SHOWN} more</dd>}
        {unused.length === 0 && <dd class="hint">none</dd>}
      </div>
    </dl>
  );
}

function KeyLink({ apiKey, keys }: { readonly apiKey: string; readonly keys: readonly ShownKey[] }) {
  if (apiKey === '(none)') return <>without a known key</>;
  const key = keys.find((each) => each.apiKey === apiKey);
  return (
    <a href={keyRoute(apiKey, 'usage')} onClick={followLink}>
      {key ? nameOf(key) : shorten(apiKey)}
    </a>
  );
}

/** Refusals whose request id is what was searched for: that is what callers tell support. */
export function FoundRefusals({ search }: { readonly search: string }) {
  const id = useSettled(search.trim());
  const [groups, setGroups] = useState<readonly RefusalGroup[]>([]);

  useEffect(() => {
    setGroups([]);
    if (id.length < 4) return undefined;
    const abort = new AbortController();
    api.refusals(undefined, { requestId: id }, abort.signal).then(
      ({ refusals }) => setGroups(refusals),
      (error: unknown) => {
        if (!isAbort(error)) setGroups([]);
      },
    );
    return () => abort.abort();
  }, [id]);

  if (groups.length === 0) return null;
  return (
    <section class="card" aria-label="Refusals with this request id">
      <h2>Refused: {id}</h2>
      <ul class="refusals">
        {groups.map((group, at) => (
          <li key={at}>
            {group.apiKey === undefined ? (
              <p class="hint">Without a key that exists</p>
            ) : (
              <p>
                <a href={keyRoute(group.apiKey, 'usage')} onClick={followLink}>
                  Usage of the key {shorten(group.apiKey)}
                </a>
              </p>
            )}
            <Refusal group={group} />
          </li>
        ))}
      </ul>
    </section>
  );
}
