import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { ShownKey } from '../api';
import { api } from './api';
import { Time } from './time';
import { number, percent } from './words';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Calls that passed, and of these what lists would have refused that only report. */
export interface Reported {
  /** Since when; `undefined` for the last 24 h. */
  readonly since: string | undefined;
  readonly passed: number;
  readonly wouldRefuse: number;
  /** By the reason of the first list that would have refused. */
  readonly byReason: ReadonlyMap<string, number>;
}

const ReportedCalls = createContext<Reported | undefined>(undefined);

/** Tells what is below it what report-only lists would have refused. */
export const ReportedProvider = ReportedCalls.Provider;

export function useReported(): Reported | undefined {
  return useContext(ReportedCalls);
}

/** Asked only while a list reports. Where usage cannot be read, the page does without. */
export function useReportedOf({ apiKey, reportOnly, reportOnlySince = {} }: ShownKey): Reported | undefined {
  const [reported, setReported] = useState<Reported>();
  const reporting = [...reportOnly].sort().join(' ');
  const latest = reportOnly.map((type) => reportOnlySince[type] ?? '').reduce((a, b) => (a > b ? a : b), '');

  useEffect(() => {
    setReported(undefined);
    if (reporting === '') return undefined;
    const abort = new AbortController();
    // What passed before the last list began to report would make its share look small.
    const since = Date.parse(latest) > Date.now() - DAY_MS ? latest : undefined;
    api.usage(apiKey, { since: since ?? '24h', by: 'reason' }, abort.signal).then(
      ({ usage: { points, rows } }) => {
        const sum = (what: 'allowed' | 'wouldRefuse') => points.reduce((calls, point) => calls + point[what], 0);
        const byReason = new Map(rows.map(({ name, wouldRefuse }) => [name, wouldRefuse]));
        setReported({ since, passed: sum('allowed') + sum('wouldRefuse'), wouldRefuse: sum('wouldRefuse'), byReason });
      },
      () => undefined,
    );
    return () => abort.abort();
  }, [apiKey, reporting, latest]);

  return reported;
}

interface PartProps {
  readonly of: Reported;
  readonly calls: number;
}

/** `1.2 % of the calls (12 of 1,000) in the last 24 h` */
export function Part({ of: { passed, since }, calls }: PartProps) {
  return (
    <>
      {percent(calls / passed)} of the calls ({number(calls)} of {number(passed)}){' '}
      {since === undefined ? (
        'in the last 24 h'
      ) : (
        <>
          from the hour of <Time at={since} /> on
        </>
      )}
    </>
  );
}
