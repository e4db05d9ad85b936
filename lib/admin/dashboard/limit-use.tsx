import { useEffect, useState } from 'preact/hooks';
import type { LimitsInUse } from '../../keys/limits-in-use';
import type { ShownKey } from '../api';
import { api } from './api';
import { grouped } from './limit-words';
import { count } from './words';

const POLL_MS = 5000;

/** What is left of a key's limits, asked for again and again while somebody can see it. */
export function LimitUse({ settings: { apiKey, version } }: { readonly settings: ShownKey }) {
  const use = useLimits(apiKey, version);
  if (use === undefined) return null;
  const { second, day, instances } = use;
  return (
    <div class="limit-use">
      {second && <Left what="now" left={second.level} of={second.burst} />}
      {day && <Left what="today" left={day.used === undefined ? undefined : day.limit - day.used} of={day.limit} />}
      {instances > 1 && <p class="hint">{count(instances, 'process', 'processes')} charge it.</p>}
    </div>
  );
}

interface LeftProps {
  readonly what: string;
  /** `undefined` where the store does not count. */
  readonly left: number | undefined;
  readonly of: number;
}

function Left({ what, left, of }: LeftProps) {
  if (left === undefined) return <p class="hint">What is left {what} is not known: the store does not count.</p>;
  const shown = Math.min(of, Math.max(0, left));
  const words = `${grouped(shown)} of ${grouped(of)} left ${what}`;
  return (
    <div>
      <p>{words}</p>
      <meter min={0} max={of} value={shown} aria-label={`Credits left ${what}`} aria-valuetext={words} />
    </div>
  );
}

/** `undefined` until they are known; what could not be asked for stays as it was. */
function useLimits(apiKey: string, version: number): LimitsInUse | undefined {
  const [use, setUse] = useState<LimitsInUse>();
  useEffect(() => {
    const abort = new AbortController();
    const look = () => {
      if (document.hidden) return;
      api.limits(apiKey, abort.signal).then(
        ({ limits }) => setUse(limits),
        () => undefined,
      );
    };
    look();
    const timer = setInterval(look, POLL_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      abort.abort();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [apiKey, version]);
  return use;
}
