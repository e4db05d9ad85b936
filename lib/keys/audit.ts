import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { counters } from '../counters';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import type { KeySettings } from '../settings/key-settings';
import { isExpired } from '../settings/key-view';
import { auditEvent } from '../stores/audit-event';
import type { Happening } from '../stores/audit-event';
import type { AuditEvent, AuditStore } from '../stores/audit-store';
import type { WritableSettingsStore } from '../stores/settings-store';

const TRIES = 3;
const RETRY_MS = 100;
/** Secrets whose expiry this process has told. */
const MAX_TOLD = 100_000;

/** What happens to keys, as a store keeps it and `onAudit` hears of it. */
export class AuditTrail {
  readonly #store: AuditStore | undefined;
  readonly #onAudit: ((event: AuditEvent) => unknown) | undefined;
  readonly #logger: Logger;
  readonly #expired = new Set<string>();

  constructor(store: WritableSettingsStore, onAudit: ((event: AuditEvent) => unknown) | undefined, logger: Logger) {
    this.#store = store.audit;
    this.#onAudit = onAudit;
    this.#logger = logger;
  }

  /** Tells of a change that is stored. Where the store has not kept the event with it, it is appended now. */
  async changed(event: AuditEvent): Promise<void> {
    if (this.#store?.isKeptWithChange !== true) await this.#append([event]);
    try {
      await this.#onAudit?.(event);
    } catch (error) {
      const { keyHint: key, action, id, apiKey } = event;
      this.#logger.error({ key, action, id, reason: describeError(error, apiKey) }, 'onAudit failed');
    }
  }

  /** Keeps what is no change of a key. */
  note(happening: Happening): Promise<void> {
    return this.#append([auditEvent(happening)]);
  }

  /** Keeps that secrets have expired: once, by the process that sees it first. */
  async noteExpired(keys: readonly KeySettings[]): Promise<void> {
    if (this.#store === undefined) return;
    const now = Date.now();
    const events = keys.flatMap((key) => expiriesOf(key, now)).filter(({ id }) => !this.#expired.has(id));
    if (events.length === 0) return;
    if (this.#expired.size > MAX_TOLD) this.#expired.clear();
    for (const { id } of events) this.#expired.add(id);
    await this.#append(events);
  }

  async #append(events: readonly AuditEvent[]): Promise<void> {
    if (this.#store === undefined) return;
    for (let tries = 1; ; tries++) {
      try {
        await this.#store.append(events);
        return;
      } catch (error) {
        if (tries === TRIES) {
          for (const event of events) this.#lost(event, error);
          return;
        }
        await sleep(RETRY_MS * tries);
      }
    }
  }

  #lost({ id, keyHint: key, action, actor, apiKey }: AuditEvent, error: unknown): void {
    counters.auditFailures++;
    const reason = describeError(error, apiKey);
    this.#logger.error({ id, key, action, actor, reason }, 'an audit event could not be kept');
  }
}

function expiriesOf({ apiKey, secrets }: KeySettings, nowMs: number): readonly AuditEvent[] {
  return secrets
    .filter((secret) => isExpired(secret, nowMs))
    .map(({ id, hash, expiresAt }) => {
      // The same in every process, so that a store keeps it once. Of the key alone, a viewer could guess it from the id.
      const unique = createHash('sha256').update(`${hash} ${apiKey} ${id}`).digest('hex').slice(0, 12);
      const at = new Date(expiresAt!).toISOString();
      const changes = [{ path: `secrets.${id}.state`, from: 'active', to: 'expired' }];
      const what = { actor: 'rpc-guard', via: 'code', action: 'secret.expire' } as const;
      return auditEvent({ ...what, apiKey, secretId: id, at, changes, unique });
    });
}
