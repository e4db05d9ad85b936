import { ALLOWLIST_TYPES } from '../allowlists';
import { csvOf, csvRows } from '../csv';
import type { SettingsChange } from '../settings/settings-changes';
import type { AuditEvent } from '../stores/audit-store';

const LISTS: readonly string[] = [...ALLOWLIST_TYPES.map((type) => `allowlists.${type}`), 'reportOnly'];

/** What an event changed, a line each: `origins: added https://app.example.com`. */
export function wordsOf({ changes }: Pick<AuditEvent, 'changes'>): readonly string[] {
  return changes.map(wordsOfChange);
}

const COLUMNS = ['at', 'actor', 'via', 'action', 'key', 'secret', 'version', 'changes', 'request id', 'group', 'id'];

/** A line for each event, behind a header. */
export function auditCsv(events: readonly AuditEvent[]): string {
  return csvOf(COLUMNS, []) + auditCsvRows(events);
}

export function auditCsvRows(events: readonly AuditEvent[]): string {
  return csvRows(
    events.map((it) => [
      ...[it.at, it.actor, it.via, it.action, it.apiKey, it.secretId, it.version],
      ...[wordsOf(it).join('; '), it.requestId, it.group, it.id],
    ]),
  );
}

function wordsOfChange({ path, from, to }: SettingsChange): string {
  const name = path.replace(/^allowlists\./, '').replace(/^secrets\./, 'secret ');
  const isPart = LISTS.includes(path) || /^secrets\.[^.]+$/.test(path);
  if (path === 'settings') return `${name}: ${textOf(to)}`; // they do not parse
  if (from === undefined) return `${name}: ${isPart ? 'added' : 'set to'} ${textOf(to)}`;
  if (to === undefined) return `${name}: removed${isPart ? '' : ', was'} ${textOf(from)}`;
  return `${name}: ${textOf(from)} → ${textOf(to)}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}
