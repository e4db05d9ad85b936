import { useEffect, useState } from 'preact/hooks';
import type { UsageReport } from '../../keys/usage-report';
import { api } from './api';
import { grouped } from './limit-words';
import { count } from './words';

/** Its burst, twice as much, holds the 30 calls of a page load: less would be warned of. */
const LEAST_PER_SECOND = 15;

interface LimitPeakProps {
  readonly apiKey: string;
  readonly onUse: (limits: { readonly perSecond: number; readonly perDay: number }) => void;
}

/** What the key needed at most in 7 days, and limits with as much again in reserve. Nothing where nothing was counted. */
export function LimitPeak({ apiKey, onUse }: LimitPeakProps) {
  const [busiest, setBusiest] = useState<UsageReport['busiest']>();
  useEffect(() => {
    const abort = new AbortController();
    api.usage(apiKey, { since: '7d', step: 'day' }, abort.signal).then(
      ({ usage }) => setBusiest(usage.busiest),
      () => undefined,
    );
    return () => {
      abort.abort();
    };
  }, [apiKey]);

  if (!busiest?.point || busiest.second === 0) return null;
  const day = busiest.point.credits;
  const perSecond = Math.max(LEAST_PER_SECOND, twice(busiest.second));
  const perDay = twice(day);
  return (
    <p class="limit-peak">
      Busiest second in 7 days: {count(busiest.second, 'credit')}; busiest day: {grouped(day)}.{' '}
      <button type="button" class="quiet small" onClick={() => onUse({ perSecond, perDay })}>
        Use {grouped(perSecond)} and {grouped(perDay)}
      </button>
    </p>
  );
}

/** Twice as much, in two digits, rounded up. */
function twice(peak: number): number {
  const unit = 10 ** Math.max(0, String(2 * peak).length - 2);
  return Math.ceil((2 * peak) / unit) * unit;
}
