import type { Denial, Room } from './limiter';

/** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11: lists of structured fields. */
export type RateLimitHeaders = Readonly<Partial<Record<'RateLimit-Policy' | 'RateLimit', string>>>;

const DAY_SECONDS = 24 * 60 * 60;

/** The policy and what is left. Empty without limits to show. */
export function rateLimitHeaders({ second, day }: Room): RateLimitHeaders {
  const policies: string[] = [];
  const states: string[] = [];
  if (second !== undefined) {
    const { perSecond, burst } = second.rate;
    const left = Math.max(0, Math.floor(second.level));
    policies.push(policy('second', burst, Math.ceil(burst / perSecond)));
    states.push(state('second', left, Math.ceil((burst - second.level) / perSecond)));
  }
  if (day !== undefined) {
    policies.push(policy('day', day.limit, DAY_SECONDS));
    states.push(state('day', day.left, Math.ceil(day.endsInMs / 1000)));
  }
  return policies.length === 0 ? {} : { 'RateLimit-Policy': policies.join(', '), RateLimit: states.join(', ') };
}

/** Only the limit that refused. A limit by address is not shown. */
export function refusedHeaders(denial: Denial, room: Room): RateLimitHeaders {
  const headers = rateLimitHeaders(room);
  if (denial.limit === 'address') return headers;
  const seconds = denial.limit === 'day' ? (room.day?.endsInMs ?? 0) / 1000 : denial.retryAfterMs / 1000;
  return { ...headers, RateLimit: state(denial.limit, 0, Math.ceil(seconds)) };
}

function policy(name: string, quota: number, windowSeconds: number): string {
  return `"${name}";q=${String(quota)};w=${String(windowSeconds)}`;
}

function state(name: string, left: number, seconds: number): string {
  return `"${name}";r=${String(left)};t=${String(Math.max(0, seconds))}`;
}
