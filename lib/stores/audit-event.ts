import { randomBytes } from 'node:crypto';
import { keyHint } from '../settings/api-key';
import { parseKeySettings } from '../settings/key-settings';
import type { KeySettings } from '../settings/key-settings';
import { present, viewOf } from '../settings/key-view';
import { changesBetween } from '../settings/settings-changes';
import type { SettingsChange } from '../settings/settings-changes';
import type { AuditAction, AuditEvent, AuditVia } from './audit-store';

/** What happened to a key, as its settings before and after it. */
export interface Happening {
  /** Default: now. */
  readonly at?: string | undefined;
  readonly actor: string;
  readonly via: AuditVia;
  readonly action: AuditAction;
  readonly apiKey: string;
  readonly secretId?: string | undefined;
  readonly version?: number;
  readonly before?: KeySettings | undefined;
  readonly after?: KeySettings | undefined;
  /** Default: what the settings tell. */
  readonly changes?: readonly SettingsChange[];
  readonly requestId?: string | undefined;
  readonly group?: string | undefined;
  /** What makes the id unique. Default: a count, so that events of one millisecond keep their order, and 8 random hex digits. */
  readonly unique?: string;
}

/** How far the clocks of processes are taken to differ. */
export const MAX_SKEW_MS = 60_000;

export function auditEvent(happening: Happening): AuditEvent {
  const { actor, via, action, apiKey, secretId, before, after, requestId, group } = happening;
  const { at = new Date().toISOString(), version = after?.version ?? 0, unique = uniquePart() } = happening;
  return {
    id: `${idAt(Date.parse(at))}-${hex(version, 8)}-${unique}`,
    at,
    actor,
    via,
    action,
    apiKey,
    keyHint: apiKey === '' ? '' : keyHint(apiKey),
    version,
    ...present({ secretId, before: before && viewOf(before), after: after && viewOf(after) }),
    changes: happening.changes ?? changesOf(before, after),
    ...present({ requestId, group }),
  };
}

/** Every event from this time on has a greater id. */
export function idAt(milliseconds: number): string {
  return hex(Math.max(0, milliseconds), 12);
}

/** When a change is made: never before the last one, whose writer's clock may be ahead. */
export function timeOfChange(before: Pick<KeySettings, 'updatedAt'> | undefined): string {
  const now = Date.now();
  const last = Date.parse(before?.updatedAt ?? '');
  return new Date(last > now && last - now < MAX_SKEW_MS ? last : now).toISOString();
}

let made = 0;

function uniquePart(): string {
  made = (made + 1) % 0x10000;
  return hex(made, 4) + randomBytes(4).toString('hex');
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Of a new key, what it has otherwise than a bare one. */
function changesOf(before: KeySettings | undefined, after: KeySettings | undefined): readonly SettingsChange[] {
  if (after === undefined) return [];
  return changesBetween(before ?? parseKeySettings({ apiKey: after.apiKey }), after);
}
