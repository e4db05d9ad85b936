import type { KeyView } from '../settings/key-view';
import type { SettingsChange } from '../settings/settings-changes';

export const AUDIT_ACTIONS = [
  'key.create',
  'key.import',
  'key.update',
  'key.enable',
  'key.disable',
  'key.delete',
  'secret.add',
  'secret.update',
  'secret.rotate',
  'secret.revoke',
  'secret.expire',
  'allowlist.add',
  'allowlist.remove',
  'allowlist.propose',
  'limits.update',
  'report-only.update',
  'file.change',
  'admin.denied',
  'admin.login-failed',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

export const AUDIT_VIAS = ['dashboard', 'api', 'cli', 'code', 'file'] as const;
/** By which way a change came. */
export type AuditVia = (typeof AUDIT_VIAS)[number];

/** One thing that happened. No secret and no hash is in it; `apiKey` and the views hold the whole key: log `keyHint`. */
export interface AuditEvent {
  /** Unique. As texts, ids sort by time; those of a key's changes by its versions. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly actor: string;
  readonly via: AuditVia;
  readonly action: AuditAction;
  /** `''` for what concerns no key. */
  readonly apiKey: string;
  /** The key's first characters. */
  readonly keyHint: string;
  /** The secret that was added, changed, rotated or revoked, or that expired. */
  readonly secretId?: string;
  /** The version that was written, of a deletion one more than the last; 0 where none was. */
  readonly version: number;
  /** Not there for a key that is new, or was not readable. */
  readonly before?: KeyView;
  /** Not there for a key that is deleted. */
  readonly after?: KeyView;
  readonly changes: readonly SettingsChange[];
  readonly requestId?: string;
  /** The same for all events of one act, such as an import. */
  readonly group?: string;
}

export interface AuditQuery {
  readonly apiKey?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  /** Those whose ids are less: that happened before the event of this id. */
  readonly before?: string | undefined;
  /** So many at most. */
  readonly limit: number;
}

/** The history that a store keeps: it only grows, until it reaches its bounds. */
export interface AuditStore {
  /**
   * Whether `set` and `delete` of the store keep the event they are given: with the change, or not at all. Otherwise it
   * is appended after the change.
   */
  readonly isKeptWithChange?: boolean;
  /** Keeps events that belong to no change. One whose id is there already is kept once. */
  append(events: readonly AuditEvent[]): Promise<void>;
  /** The events that a query finds, the newest first: by their ids, from the greatest on, whenever they were appended. */
  list(query: AuditQuery): Promise<readonly AuditEvent[]>;
  /** Somebody may soon ask, who has opened the dashboard: reads what answers take long to find, in the background. */
  preload?(): void;
}

/** What queries ask of an event. */
export type AskedMembers = Pick<AuditEvent, 'id' | 'apiKey' | 'actor' | 'action'>;

/** Whether a query asks for an event, apart from its place. */
export function isAskedFor(event: AskedMembers, { apiKey, actor, action }: AuditQuery): boolean {
  return (
    (apiKey === undefined || event.apiKey === apiKey) &&
    (actor === undefined || event.actor === actor) &&
    (action === undefined || event.action === action)
  );
}
