import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { RefusalGroup } from '../keys/refusal-report';
import { refusalsCsv } from '../keys/usage-csv';
import { REFUSALS } from '../policy/refusals';
import { KEY_ARGUMENT, examples, parseWhole } from './arguments';
import { usage } from './exit';
import { ago } from './show-key';
import { table } from './table';
import { findKey, noteDeleted, withStore } from './with-store';
import type { Context } from './with-store';

interface RefusalFlags {
  readonly reason?: string;
  readonly requestId?: string;
  readonly limit: number;
  readonly csv?: boolean;
}

export const REASONS = Object.keys(REFUSALS);

export function addRefusals(program: Command): void {
  const refusals = program
    .command('refusals')
    .summary('show what was refused and why, or find a refusal')
    .description('Shows what was refused in the last 7 days and why, in groups, the last one first.');
  refusals
    .argument('[key]', `${KEY_ARGUMENT}; a deleted one by itself`)
    .option('--request-id <id>', 'the refusal with this X-Request-Id, which is its requestId too')
    .option('--reason <reason>', 'refusals for this reason alone, such as METHOD_NOT_ALLOWED', parseReason)
    .option('--limit <n>', 'so many groups at most', parseWhole, 100)
    .option('--csv', 'print a table for spreadsheets')
    .action((key: string | undefined, flags: RefusalFlags, command: Command) =>
      withStore(command, (context) => showRefusals(context, key, flags)),
    );
  examples(
    refusals,
    'rpc-guard refusals --request-id 1f0c2a4e-5b1d-4f8e-9a37-c2d5e8f10b64',
    'rpc-guard refusals $KEY --reason ORIGIN_NOT_ALLOWED',
    'rpc-guard refusals $KEY --csv > refusals.csv',
  );
}

function parseReason(text: string): string {
  if (REASONS.includes(text)) return text;
  throw new InvalidArgumentError(`There are ${REASONS.join(', ')}.`);
}

async function showRefusals(context: Context, named: string | undefined, flags: RefusalFlags): Promise<void> {
  const { output, manager } = context;
  const { reason, requestId, limit, csv } = flags;
  if (csv === true && output.isJson) throw usage('write --csv or --json, not both');
  const key = named === undefined ? undefined : await findKey(context, named);
  const groups = await manager.refusals(key?.apiKey ?? named, { reason, requestId, limit });
  if (named !== undefined && key === undefined && groups.length > 0) noteDeleted(output, named);
  if (csv === true) {
    output.raw(refusalsCsv(groups).trimEnd());
    return;
  }
  output.result({ refusals: groups }, () => (groups.length === 0 ? [] : linesOf(groups, context, named !== undefined)));
  if (groups.length === 0) {
    const kept = 'known after 10 s, for 7 days: of refusals that are alike the last three ids';
    output.note(requestId === undefined ? 'no refusals' : `no refusal has this id (${kept})`);
  }
  if (groups.length === limit) output.note(`there may be more: --limit ${String(2 * limit)}`);
}

function linesOf(groups: readonly RefusalGroup[], { output }: Context, isOfKey: boolean): string[] {
  const key = isOfKey ? [] : [{ title: 'KEY' }];
  return table(
    [
      ...[{ title: 'LAST' }, { title: 'COUNT' }, ...key, { title: 'REASON' }],
      ...[
        { title: 'WHAT', wraps: true },
        { title: 'REQUEST IDS', wraps: true },
      ],
    ],
    groups.map((group) => [
      ...[ago(group.last), group.count.toLocaleString('en')],
      ...(isOfKey ? [] : [group.apiKey ?? '(none)']),
      group.reason + (group.wouldBe ? ' (would be)' : ''),
      wordsOf(group),
      group.requestIds.join(' '),
    ]),
    output.terminal,
  );
}

function wordsOf({ method, address, origin, userAgent, secretId, wire, why }: RefusalGroup): string {
  const parts = [
    ...[method, address, origin && `from ${origin}`, userAgent && `by ${userAgent}`],
    ...[secretId && `secret ${secretId}`, wire, why],
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}
