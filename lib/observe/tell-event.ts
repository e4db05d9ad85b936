import { channel } from 'node:diagnostics_channel';
import type { RequestEvent } from '../options/request-event';
import { requestEvent } from './request-event';
import type { Observe } from './request-event';

/** Every guard of the process tells its events here. */
const requests = channel('rpc-guard:request');

/** Tells `onRequest` and the channel. Where nobody listens no event is built. */
export function createEventTeller(onRequest: ((event: RequestEvent) => unknown) | undefined): Observe {
  return (occurrence) => {
    if (onRequest === undefined && !requests.hasSubscribers) return;
    const event = requestEvent(occurrence);
    if (requests.hasSubscribers) requests.publish(event);
    if (onRequest !== undefined) tell(onRequest, event);
  };
}

/** Neither an exception of the listener nor a rejection is the request's. */
export function tell<T>(listener: (told: T) => unknown, told: T): void {
  try {
    const result = listener(told);
    if (result !== undefined) Promise.resolve(result).catch(() => undefined);
  } catch {
    // It is the listener's.
  }
}
