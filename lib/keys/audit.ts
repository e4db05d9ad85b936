import { describeError } from '../logger';
import type { Logger } from '../logger';
import { keyHint } from '../settings/api-key';
import type { KeySettings } from '../settings/key-settings';
import { viewOf } from '../settings/key-view';
import type { KeyView } from '../settings/key-view';

export type AuditAction =
  | 'key.create'
  | 'key.update'
  | 'key.enable'
  | 'key.disable'
  | 'key.delete'
  | 'secret.add'
  | 'secret.update'
  | 'secret.rotate'
  | 'secret.revoke'
  | 'allowlist.add'
  | 'allowlist.remove';

/** One change. It holds no secret and no hash; `apiKey` and the views hold the whole key: log `keyHint`. */
export interface AuditEvent {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly actor: string;
  readonly action: AuditAction;
  readonly apiKey: string;
  /** The key's first characters. */
  readonly keyHint: string;
  /** The secret that was added, changed, rotated or revoked. */
  readonly secretId: string | undefined;
  /** `undefined` for a key that is new, or was not readable. */
  readonly before: KeyView | undefined;
  /** `undefined` for a key that is deleted. */
  readonly after: KeyView | undefined;
}

/** A change that was made, as the key's settings before and after it. */
export interface Change {
  readonly action: AuditAction;
  readonly apiKey: string;
  readonly actor: string;
  readonly secretId?: string | undefined;
  readonly before?: KeySettings | undefined;
  readonly after?: KeySettings | undefined;
}

export type Audit = (change: Change) => Promise<void>;

/** Calls `onAudit` for each change and awaits it. Its failure is logged: the change stands. */
export function createAudit(onAudit: ((event: AuditEvent) => unknown) | undefined, logger: Logger): Audit {
  return async ({ action, apiKey, actor, secretId, before, after }) => {
    const event: AuditEvent = {
      at: new Date().toISOString(),
      actor,
      action,
      apiKey,
      keyHint: keyHint(apiKey),
      secretId,
      before: before && viewOf(before),
      after: after && viewOf(after),
    };
    try {
      await onAudit?.(event);
    } catch (error) {
      logger.error({ key: event.keyHint, action, reason: describeError(error, apiKey) }, 'onAudit failed');
    }
  };
}
