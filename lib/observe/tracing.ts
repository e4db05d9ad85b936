import type { RequestFacts } from '../request/request-facts';
import type { Exchange } from '../upstream/http-client';
import type { Occurrence } from './request-event';

/** Header → value, in place of the caller's trace context. */
export type TraceHeaders = Readonly<Record<string, string>>;

/** Follows requests from the caller to the upstream. Where nothing is set, nothing is called. */
export interface Tracing {
  /** A request on the guard's path has arrived: its URL holds the key. */
  arrived(facts: RequestFacts): void;
  /** Calls `send` at once, and follows what it returns. */
  exchange(occurrence: Occurrence, send: (headers: TraceHeaders) => Exchange): Exchange;
}
