import { randomBytes } from 'node:crypto';
import type { KeySettings } from '../settings/key-settings';
import { viewOf } from '../settings/key-view';
import { changesBetween } from '../settings/settings-changes';
import type { SettingsChange } from '../settings/settings-changes';
import { auditEvent } from './audit-event';
import type { AuditEvent } from './audit-store';
import type { SettingsFile } from './settings-file';

/** A key that stands otherwise in a settings file than before, by whomever. */
export interface Edit {
  readonly apiKey: string;
  readonly before: KeySettings | undefined;
  readonly after: KeySettings | undefined;
  /** Not there for a key that is new or gone. */
  readonly changes?: readonly SettingsChange[];
}

/** Keys of one edit that get an event of their own: to compare more would hold the process. */
const MAX_EDITS = 200;

/** `undefined` for what does not parse or does not exist. */
type Settings = ReadonlyMap<string, KeySettings | undefined>;

export interface Edits {
  readonly edits: readonly Edit[];
  /** Keys beyond the first 200. */
  readonly more: number;
}

/** The settings of the first 200 keys, as they are before an edit: what is compared with them behind it. */
export function settingsBefore(document: SettingsFile, apiKeys: Iterable<string>): Settings {
  const found = new Map<string, KeySettings | undefined>();
  for (const apiKey of apiKeys) {
    if (found.size === MAX_EDITS) break;
    found.set(apiKey, readable(document, apiKey));
  }
  return found;
}

/** What an edit of a file has changed. What was only written otherwise is no difference. */
export function editsSince(before: Settings, document: SettingsFile, changed: ReadonlySet<string>): Edits {
  const compared = [...before].filter(([apiKey]) => changed.has(apiKey));
  const edits = compared.flatMap(([apiKey, old]) => {
    const now = readable(document, apiKey);
    const changes = changesOf(old, now, document.byKey.has(apiKey));
    return changes?.length === 0 ? [] : [{ apiKey, before: old, after: now, ...(changes && { changes }) }];
  });
  return { edits, more: changed.size - compared.length };
}

/**
 * The events of what people did: not of what an event of the key tells of already.
 * @param recent events, the newest first.
 */
export function eventsOf({ edits, more }: Edits, recent: readonly AuditEvent[]): readonly AuditEvent[] {
  const group = randomBytes(6).toString('hex');
  const shared = { actor: 'file', via: 'file', action: 'file.change', group } as const;
  const events = edits
    .filter((edit) => !isTold(edit, recent))
    .map((edit) => auditEvent({ ...shared, version: (edit.after ?? edit.before)?.version ?? 0, ...edit }));
  if (more === 0 || events.length === 0) return events;
  const left = { path: 'keys', to: `${String(more)} more changed` };
  return [...events, auditEvent({ ...shared, apiKey: '', changes: [left] })];
}

/** Programs count the version up: further changes that another process has made by now are passed over. */
function isTold({ apiKey, before, after, changes = [] }: Edit, recent: readonly AuditEvent[]): boolean {
  const version = Math.max(before?.version ?? 0, after?.version ?? 0);
  const event = recent.find((it) => it.apiKey === apiKey && (it.after === undefined || it.version <= version));
  if (event === undefined || textOf(event.after) !== textOf(after && viewOf(after))) return false;
  // No program gives an old secret another hash.
  const isHash = changes.length > 0 && changes.every(({ path }) => path.endsWith('.hash'));
  return !isHash || event.action === 'file.change';
}

/** These depend on when it is looked at: where a file gives no times, each process has its own. */
const OF_THE_READER = ['state', 'createdAt', 'updatedAt'];

function textOf(view: object | undefined): string | undefined {
  return view && JSON.stringify(view, (name, value: unknown) => (OF_THE_READER.includes(name) ? undefined : value));
}

/** `undefined` for a key that is all new or gone, which is a change without a list of changes. */
function changesOf(
  before: KeySettings | undefined,
  after: KeySettings | undefined,
  exists: boolean,
): readonly SettingsChange[] | undefined {
  if (after !== undefined) return before && changesBetween(before, after);
  return exists ? [{ path: 'settings', to: 'do not parse' }] : undefined;
}

function readable(document: SettingsFile, apiKey: string): KeySettings | undefined {
  const record = document.byKey.get(apiKey);
  try {
    return record && document.settingsOf(record);
  } catch {
    return undefined;
  }
}
