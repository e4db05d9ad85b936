import type { Command } from 'commander';
import { auditCsv, wordsOf } from '../keys/audit-words';
import type { AuditOptions } from '../keys/changes';
import type { AuditAction, AuditEvent } from '../stores/audit-store';
import { examples, KEY_ARGUMENT, parseWhole } from './arguments';
import { usage } from './exit';
import { ago } from './show-key';
import { table } from './table';
import { findKey, withStore } from './with-store';
import type { Context } from './with-store';

interface AuditFlags {
  readonly since?: string;
  readonly actor?: string;
  readonly action?: string;
  readonly limit: number;
  readonly csv?: boolean;
}

const PAGE_SIZE = 500;

export function addAudit(program: Command): void {
  const audit = program.command('audit').summary('show who changed which key, when and how');
  audit
    .description('Shows what happened to a key, or to all: who changed what, the newest first.')
    .argument('[key]', `${KEY_ARGUMENT}; a deleted one by itself`)
    .option('--since <when>', 'how far back: 12h, 7d, or 2027-01-31T00:00:00Z')
    .option('--actor <name>', 'what this one did alone, such as cli:ann')
    .option('--action <action>', 'events of this action alone, such as key.delete')
    .option('--limit <n>', 'so many events at most', parseWhole, 100)
    .option('--csv', 'print a table for spreadsheets')
    .action((key: string | undefined, flags: AuditFlags, command: Command) =>
      withStore(command, (context) => showAudit(context, key, flags)),
    );
  examples(
    audit,
    'rpc-guard audit $KEY',
    'rpc-guard audit --since 7d --actor cli:ann',
    'rpc-guard audit --action key.delete --csv > deleted.csv',
  );
}

async function showAudit(context: Context, named: string | undefined, flags: AuditFlags): Promise<void> {
  const { output } = context;
  if (flags.csv === true && output.isJson) throw usage('write --csv or --json, not both');
  // A key that is deleted has a history all the same.
  const apiKey = named === undefined ? undefined : ((await findKey(context, named))?.apiKey ?? named);
  const events = await allEvents(context, flags, apiKey);
  if (flags.csv === true) {
    output.raw(auditCsv(events).trimEnd());
    return;
  }
  output.result({ events: events.map((event) => ({ ...event, words: wordsOf(event) })) }, () =>
    events.length === 0 ? [] : linesOf(events, context, apiKey !== undefined),
  );
  if (events.length === 0) output.note('no events');
  if (events.length === flags.limit) output.note(`there may be more: --limit ${String(2 * flags.limit)}`);
}

async function allEvents(
  { manager }: Context,
  { since, actor, action, limit }: AuditFlags,
  apiKey: string | undefined,
): Promise<readonly AuditEvent[]> {
  const query: AuditOptions = {
    apiKey,
    actor,
    action: action as AuditAction | undefined, // the manager says what it may be
    since,
  };
  const events: AuditEvent[] = [];
  while (events.length < limit) {
    const size = Math.min(PAGE_SIZE, limit - events.length);
    const page = await manager.audit({ ...query, before: events.at(-1)?.id, limit: size });
    events.push(...page);
    if (page.length < size) break;
  }
  return events;
}

function linesOf(events: readonly AuditEvent[], { output }: Context, isOfKey: boolean): string[] {
  const columns = [{ title: 'WHEN' }, { title: 'WHO', wraps: true }, { title: 'WHAT', wraps: true }];
  const key = isOfKey ? [] : [{ title: 'KEY' }];
  return table(
    [...columns, ...key, { title: 'CHANGED', wraps: true }],
    events.map((event) => [
      ...[ago(event.at), event.actor, event.action],
      ...(isOfKey ? [] : [event.keyHint]),
      wordsOf(event).join('; '),
    ]),
    output.terminal,
  );
}
