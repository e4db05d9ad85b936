import { MemoryStore } from '../../lib';
import { auditContract } from '../../lib/stores/store-contract';
import type { AuditedStore } from '../../lib/stores/store-contract';
import type { AuditEvent, AuditQuery, AuditStore } from '../../lib/stores/audit-store';
import { describeEachStore } from '../support/each-store';

describeEachStore((fresh) => {
  auditContract(test, async () => (await fresh().open()) as AuditedStore);
});

/** As people write one over a database of their own: it keeps no event with a change. */
class OwnStore extends MemoryStore {
  override readonly audit = new OwnAudit() as never;
  override set(...[settings, version]: Parameters<MemoryStore['set']>): ReturnType<MemoryStore['set']> {
    return super.set(settings, version);
  }
  override delete(...[apiKey, version]: Parameters<MemoryStore['delete']>): Promise<boolean> {
    return super.delete(apiKey, version);
  }
}

class OwnAudit implements AuditStore {
  #events: AuditEvent[] = [];
  append(events: readonly AuditEvent[]): Promise<void> {
    const fresh = events.filter(({ id }) => this.#events.every((event) => event.id !== id));
    this.#events = [...this.#events, ...fresh].sort((a, b) => (a.id < b.id ? 1 : -1));
    return Promise.resolve();
  }
  list({ before, limit, ...asked }: AuditQuery): Promise<readonly AuditEvent[]> {
    const found = this.#events.filter((event) =>
      (['apiKey', 'actor', 'action'] as const).every((name) => (asked[name] ?? event[name]) === event[name]),
    );
    return Promise.resolve(found.filter(({ id }) => before === undefined || id < before).slice(0, limit));
  }
}

describe('over a store of somebody else, who appends:', () => {
  auditContract(test, () => new OwnStore());
});
