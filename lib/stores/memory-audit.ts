import { isAskedFor } from './audit-store';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

const MAX_EVENTS = 10_000;

/** The last 10,000 events, in the memory of this process. */
export class MemoryAudit implements AuditStore {
  readonly isKeptWithChange = true;
  readonly #events: AuditEvent[] = [];
  readonly #ids = new Set<string>();

  append(events: readonly AuditEvent[]): Promise<void> {
    for (const event of events) this.keep(event);
    return Promise.resolve();
  }

  keep(event: AuditEvent): void {
    if (this.#ids.has(event.id)) return;
    this.#ids.add(event.id);
    this.#events.push(event);
    if (this.#events.length > MAX_EVENTS) this.#ids.delete(this.#events.shift()!.id);
  }

  list(query: AuditQuery): Promise<readonly AuditEvent[]> {
    const { before, limit } = query;
    const end = before === undefined ? this.#events.length : this.#events.findIndex(({ id }) => id === before);
    const found = this.#events.slice(0, Math.max(0, end)).filter((event) => isAskedFor(event, query));
    return Promise.resolve(found.reverse().slice(0, limit));
  }
}
