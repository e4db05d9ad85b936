import { useEffect, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import type { AllowlistMeta } from '../allowlist-meta';
import type { RefusalGroup } from '../../keys/refusal-report';
import { api } from './api';
import { handOver } from './hand-over';
import { useLists } from './lists';
import { Problem } from './problem';
import { go, keyRoute } from './route';
import { Time } from './time';
import { useAction } from './use-action';
import { number } from './words';

/** What a group holds for an entry of a list. */
const VALUE: Readonly<Record<string, keyof RefusalGroup>> = {
  contractAddresses: 'address',
  userAgents: 'userAgent',
  origins: 'origin',
  methods: 'method',
};
const SHOWN = 10;

/** Refusals of the last 7 days, in groups. */
export function Refusals({ settings }: { readonly settings: ShownKey }) {
  const [groups, setGroups] = useState<readonly RefusalGroup[]>();
  const [isAll, setIsAll] = useState(false);
  const loading = useAction(async () => setGroups((await api.refusals(settings.apiKey, {})).refusals));

  useEffect(() => void loading.run(), []);

  const shown = isAll ? groups : groups?.slice(0, SHOWN);
  return (
    <section class="card" aria-labelledby="refusals-title" aria-busy={loading.isBusy}>
      <h2 id="refusals-title">Refusals of the last 7 days</h2>
      <Problem error={loading.error} retry={() => void loading.run()} />
      {groups?.length === 0 && <p class="empty">Nothing was refused. What is refused from now on is told here.</p>}
      <ul class="refusals">
        {shown?.map((group, at) => (
          <li key={at}>
            <Refusal group={group} settings={settings} />
          </li>
        ))}
      </ul>
      {groups && groups.length > SHOWN && !isAll && (
        <p class="more">
          <button type="button" class="quiet" onClick={() => setIsAll(true)}>
            Show all {groups.length}
          </button>
        </p>
      )}
    </section>
  );
}

export function Refusal({ group, settings }: { readonly group: RefusalGroup; readonly settings?: ShownKey }) {
  const { reason, wouldBe, method, origin, userAgent, address, count, first, last, why, requestIds } = group;
  const parts = [method, address, origin && `from ${origin}`, userAgent && `by ${userAgent}`, group.wire, why];
  return (
    <>
      <p>
        <strong>{reason}</strong> {wouldBe && <span class="state wait">would be</span>} {number(count)}{' '}
        {count === 1 ? 'time' : 'times'}, last <Time at={last} />
        {count > 1 && (
          <>
            , first <Time at={first} />
          </>
        )}
      </p>
      <p class="hint">{parts.filter(Boolean).join(' · ')}</p>
      <p class="hint">
        Request ids: <code>{requestIds.join(', ')}</code>
      </p>
      {settings && <Next group={group} settings={settings} />}
    </>
  );
}

/** Where to go from a refusal: to the list that refused, or to the tester. */
function Next({ group, settings }: { readonly group: RefusalGroup; readonly settings: ShownKey }) {
  const list = useLists().find(({ refusal }) => refusal === group.reason);
  const entry = list && entryOf(group, list);
  const hasOwnLists = settings.secrets.some(({ id, allowlists }) => id === group.secretId && allowlists !== undefined);

  function allow(type: string, text: string) {
    handOver({ entry: { type, text } });
    go(keyRoute(settings.apiKey, 'allowlists'));
  }

  function test() {
    const { origin, userAgent, method, address } = group;
    const headers = {
      ...(isPlain(origin) && { Origin: origin }),
      ...(isPlain(userAgent) && { 'User-Agent': userAgent }),
    };
    handOver({ test: { method, params: address === undefined ? '[]' : `[{"to":"${address}"},"latest"]`, headers } });
    go(keyRoute(settings.apiKey, 'test'));
  }

  return (
    <div class="buttons">
      {list && entry !== undefined && !hasOwnLists && (
        <button type="button" class="quiet" onClick={() => allow(list.type, entry)}>
          Allow this…
        </button>
      )}
      <button type="button" class="quiet" onClick={test}>
        Test this
      </button>
      {hasOwnLists && <span class="hint">The secret has lists of its own, which are changed with the secret.</span>}
    </div>
  );
}

function entryOf(group: RefusalGroup, { type }: AllowlistMeta): string | undefined {
  const value = VALUE[type] && group[VALUE[type]];
  return typeof value === 'string' && isPlain(value) ? value : undefined;
}

/** Not `(none)`, `(other)` and their like. */
function isPlain(value: string | undefined): value is string {
  return value !== undefined && !value.startsWith('(');
}
