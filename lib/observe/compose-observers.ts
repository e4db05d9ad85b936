import { describeError } from '../logger';
import type { Logger } from '../logger';
import type { Observe } from './request-event';

/** Calls each of `observers`, which may grow. One that throws harms neither the request nor the others; it is logged once. */
export function composeObservers(observers: readonly Observe[], logger: Logger): Observe {
  const failed = new Set<Observe>();
  return (occurrence) => {
    for (const observe of observers) {
      try {
        observe(occurrence);
      } catch (error) {
        if (failed.has(observe)) continue;
        failed.add(observe);
        logger.error({ reason: describeError(error, occurrence.facts.apiKey) }, 'an observer failed');
      }
    }
  };
}
