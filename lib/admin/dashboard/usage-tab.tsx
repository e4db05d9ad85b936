import { useEffect, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import type { UsageBy, UsageReport } from '../../keys/usage-report';
import { api, isAbort } from './api';
import type { PanelProps } from './panel-props';
import { Problem } from './problem';
import { Refusals } from './refusals';
import { Segments } from './segments';
import { Time } from './time';
import { UsageChart } from './usage-chart';
import { number } from './words';

const RANGES = [
  { value: '1h', label: '1 h' },
  { value: '24h', label: '24 h' },
  { value: '7d', label: '7 d' },
  { value: '30d', label: '30 d' },
  { value: '90d', label: '90 d' },
];
const BYS: readonly { readonly value: UsageBy; readonly label: string }[] = [
  { value: 'method', label: 'Methods' },
  { value: 'reason', label: 'Reasons of refusals' },
  { value: 'origin', label: 'Origins' },
  { value: 'address', label: 'Contracts and accounts' },
  { value: 'userAgent', label: 'User agents' },
  { value: 'secret', label: 'Secrets' },
  { value: 'wire', label: 'HTTP and WebSocket' },
  { value: 'code', label: 'Errors of the upstream' },
];

/** What the key did: when, what, from where, and what was refused. */
export function UsageTab({ settings }: PanelProps) {
  const [since, setSince] = useState('24h');
  const [by, setBy] = useState<UsageBy>('method');
  const { usage, error, retry } = useUsage(settings.apiKey, since, by);

  return (
    <>
      <section class="card" aria-labelledby="usage-title" aria-busy={usage === undefined}>
        <div class="title">
          <h2 id="usage-title">Calls</h2>
          <Segments legend="How far back" name="since" options={RANGES} value={since} onChange={setSince} />
        </div>
        <Problem error={error} retry={retry} />
        {usage && <Calls usage={usage} />}
      </section>
      {usage && usage.requests > 0 && <Names usage={usage} by={by} settings={settings} onBy={setBy} />}
      <Refusals settings={settings} />
    </>
  );
}

function useUsage(apiKey: string, since: string, by: UsageBy) {
  const [usage, setUsage] = useState<UsageReport>();
  const [error, setError] = useState<Error>();
  const [tries, setTries] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    api.usage(apiKey, { since, by }, abort.signal).then(
      (answer) => {
        setError(undefined);
        setUsage(answer.usage);
      },
      (failed: unknown) => {
        if (!isAbort(failed)) setError(failed instanceof Error ? failed : new Error(String(failed)));
      },
    );
    return () => abort.abort();
  }, [apiKey, since, by, tries]);

  return { usage, error, retry: () => setTries(tries + 1) };
}

function Calls({ usage }: { readonly usage: UsageReport }) {
  const { points, step, requests, upstreamErrors, busiest, isDemo } = usage;
  if (requests === 0) {
    return (
      <p class="empty">
        Nothing was counted in this time. A request is told here some 10 seconds after it was answered, unless the guard
        was made with <code>usage: false</code>.
      </p>
    );
  }
  const calls = points.reduce((sum, { allowed, refused, wouldRefuse }) => sum + allowed + refused + wouldRefuse, 0);
  const refused = points.reduce((sum, point) => sum + point.refused, 0);
  const wouldRefuse = points.reduce((sum, point) => sum + point.wouldRefuse, 0);
  return (
    <>
      <p>
        <strong>{number(calls)}</strong> calls in {number(requests)} {requests === 1 ? 'request' : 'requests'},{' '}
        <strong>{number(refused)}</strong> refused
        {wouldRefuse > 0 && `, ${number(wouldRefuse)} would be refused`}
        {upstreamErrors > 0 && `, ${number(upstreamErrors)} unanswered by the upstream`}. Busiest second:{' '}
        {number(busiest.second)} credits.
      </p>
      {isDemo && (
        <p class="hint">
          The demo made some of these calls up, so that there is something to show. To remove them, end the demo and
          delete the files <code>*-demo.jsonl</code> in the folder <code>rpc-guard.json.usage</code>.
        </p>
      )}
      <UsageChart points={points} step={step} />
    </>
  );
}

interface NamesProps {
  readonly usage: UsageReport;
  readonly by: UsageBy;
  readonly settings: ShownKey;
  readonly onBy: (by: UsageBy) => void;
}

function Names({ usage, by, settings, onBy }: NamesProps) {
  const { rows } = usage;
  const labels = new Map(settings.secrets.map(({ id, label, hint }) => [id, label || `${hint}…`]));
  return (
    <section class="card" aria-labelledby="names-title">
      <div class="title">
        <h2 id="names-title">By</h2>
        <select aria-label="What to list" value={by} onChange={(event) => onBy(event.currentTarget.value as UsageBy)}>
          {BYS.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      {rows.length === 0 && <p class="empty">There were none in this time.</p>}
      {rows.length > 0 && (
        <div class="wide">
          <table class="numbers">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Allowed</th>
                <th scope="col">Refused</th>
                <th scope="col">Share</th>
                <th scope="col" class="less">
                  Last
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.name}>
                  <th scope="row">
                    <code>{labels.get(row.name) ?? row.name}</code>
                  </th>
                  <td>{number(row.allowed + row.wouldRefuse)}</td>
                  <td>{number(row.refused)}</td>
                  <td>{(row.share * 100).toFixed(1)} %</td>
                  <td class="less">
                    <Time at={row.lastAt} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
