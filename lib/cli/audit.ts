import type { Command } from 'commander';
import { auditCsv, auditCsvRows, wordsOf } from '../keys/audit-words';
import type { AuditOptions } from '../keys/changes';
import type { AuditAction, AuditEvent } from '../stores/audit-store';
import { examples, KEY_ARGUMENT, parseWhole } from './arguments';
import { usage } from './exit';
import { jsonOf } from './output';
import type { Output } from './output';
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
  const audit = program.command('audit').alias('history').summary('show who changed which key, when and how');
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

/** How events are written, page by page: nothing holds all of them. */
interface Format {
  page(events: readonly AuditEvent[], isFirst: boolean): string;
  end(isEmpty: boolean): string;
}

async function showAudit(context: Context, named: string | undefined, flags: AuditFlags): Promise<void> {
  const { output } = context;
  if (flags.csv === true && output.isJson) throw usage('write --csv or --json, not both');
  // A key that is deleted has a history all the same.
  const apiKey = named === undefined ? undefined : ((await findKey(context, named))?.apiKey ?? named);
  const format = flags.csv === true ? CSV : output.isJson ? JSON_TEXT : tableFormat(output, apiKey !== undefined);
  let count = 0;
  for await (const events of pagesOf(context, flags, apiKey)) {
    await output.part(format.page(events, count === 0));
    count += events.length;
  }
  await output.part(format.end(count === 0));
  if (count === 0) output.note('no events');
  if (count === flags.limit) output.note(`there may be more: --limit ${String(2 * flags.limit)}`);
}

/** The first one may be empty, no later one is. */
async function* pagesOf(
  { manager }: Context,
  { since, actor, action, limit }: AuditFlags,
  apiKey: string | undefined,
): AsyncGenerator<readonly AuditEvent[], void> {
  const query: AuditOptions = {
    apiKey,
    actor,
    action: action as AuditAction | undefined, // the manager says what it may be
    since,
  };
  let before: string | undefined;
  for (let left = limit, size; left > 0; left -= size) {
    size = Math.min(PAGE_SIZE, left);
    const page = await manager.audit({ ...query, before, limit: size });
    if (page.length > 0 || before === undefined) yield page;
    if (page.length < size) return;
    before = page.at(-1)!.id;
  }
}

const CSV: Format = {
  page: (events, isFirst) => (isFirst ? auditCsv(events) : auditCsvRows(events)),
  end: () => '',
};

const JSON_TEXT: Format = {
  page(events, isFirst) {
    const texts = events.map((event) => jsonOf({ ...event, words: wordsOf(event) }, 2).replace(/^/gm, '    '));
    return `${isFirst ? '{\n  "events": [' : ','}${texts.length === 0 ? '' : '\n'}${texts.join(',\n')}`;
  },
  end: (isEmpty) => (isEmpty ? ']\n}\n' : '\n  ]\n}\n'),
};

/** Each page is a table: how wide its columns are, no earlier one could know. */
function tableFormat({ terminal }: Output, isOfKey: boolean): Format {
  const columns = [{ title: 'WHEN' }, { title: 'WHO', wraps: true }, { title: 'WHAT', wraps: true }];
  const key = isOfKey ? [] : [{ title: 'KEY', wraps: true }];
  return {
    page(events) {
      if (events.length === 0) return '';
      const rows = events.map((event) => [
        ...[ago(event.at), event.actor, event.action],
        ...(isOfKey ? [] : [`${event.keyHint} ${nameOf(event)}`.trimEnd()]),
        wordsOf(event).join('; '),
      ]);
      const lines = table([...columns, ...key, { title: 'CHANGED', wraps: true }], rows, terminal);
      return lines.map((line) => `${line}\n`).join('');
    },
    end: () => '',
  };
}

function nameOf({ before, after }: AuditEvent): string {
  return (after ?? before)?.name ?? '';
}
