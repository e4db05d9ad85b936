import { newestOf, placeOf } from './audit-order';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

const MAX_EVENTS = 10_000;

/** The last 10,000 events, in the memory of this process. */
export class MemoryAudit implements AuditStore {
  readonly isKeptWithChange = true;
  /** By id. */
  readonly #events: AuditEvent[] = [];

  append(events: readonly AuditEvent[]): Promise<void> {
    for (const event of events) this.keep(event);
    return Promise.resolve();
  }

  keep(event: AuditEvent): void {
    const place = placeOf(event.id, this.#events);
    if (this.#events[place]?.id === event.id) return;
    this.#events.splice(place, 0, event);
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }

  list(query: AuditQuery): Promise<readonly AuditEvent[]> {
    return Promise.resolve(newestOf(this.#events, query));
  }
}
