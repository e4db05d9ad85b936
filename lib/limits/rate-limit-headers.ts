import type { Denial, Room } from './limiter';

/** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11: lists of structured fields. */
export type RateLimitHeaders = Readonly<Partial<Record<'RateLimit-Policy' | 'RateLimit', string>>>;

const DAY_SECONDS = 24 * 60 * 60;

/** The policy and what is left. Empty without limits to show. */
export function rateLimitHeaders({ second, day }: Room): RateLimitHeaders {
  if (second === undefined && day === undefined) return {};
  return {
    'RateLimit-Policy': listed(second && policyOfSecond(second.rate), day && policyOfDay(day)),
    RateLimit: listed(second && stateOfSecond(second), day && stateOfDay(day)),
  };
}

/** Only the limit that refused. A limit by address is not shown. */
export function refusedHeaders(denial: Denial, room: Room): RateLimitHeaders {
  const headers = rateLimitHeaders(room);
  if (denial.limit === 'address') return headers;
  const seconds = denial.limit === 'day' ? (room.day?.endsInMs ?? 0) / 1000 : denial.retryAfterMs / 1000;
  return { ...headers, RateLimit: state(denial.limit, 0, Math.ceil(seconds)) };
}

type Second = NonNullable<Room['second']>;
type Day = NonNullable<Room['day']>;

/** By the rates of compiled settings. Without writing these anew the headers take 0.4 of the time. */
const policies = new WeakMap<Second['rate'], string>();

function policyOfSecond(rate: Second['rate']): string {
  let text = policies.get(rate);
  if (text === undefined) {
    text = policy('second', rate.burst, Math.ceil(rate.burst / rate.perSecond));
    policies.set(rate, text);
  }
  return text;
}

function policyOfDay({ limit }: Day): string {
  return policy('day', limit, DAY_SECONDS);
}

function stateOfSecond({ rate: { perSecond, burst }, level }: Second): string {
  return state('second', Math.max(0, Math.floor(level)), Math.ceil((burst - level) / perSecond));
}

function stateOfDay({ left, endsInMs }: Day): string {
  return state('day', left, Math.ceil(endsInMs / 1000));
}

/** A list of the members that are there. */
function listed(ofSecond: string | undefined, ofDay = ''): string {
  if (ofSecond === undefined) return ofDay;
  return ofDay === '' ? ofSecond : `${ofSecond}, ${ofDay}`;
}

function policy(name: string, quota: number, windowSeconds: number): string {
  return `"${name}";q=${String(quota)};w=${String(windowSeconds)}`;
}

function state(name: string, left: number, seconds: number): string {
  return `"${name}";r=${String(left)};t=${String(Math.max(0, seconds))}`;
}
