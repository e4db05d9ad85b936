import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { namesCsv, pointsCsv } from '../keys/usage-csv';
import type { UsageBy, UsageReport } from '../keys/usage-report';
import { REFUSALS } from '../policy/refusals';
import { ALLOWED } from '../stores/usage-store';
import { KEY_ARGUMENT, examples } from './arguments';
import { usage as wrongUsage } from './exit';
import type { Terminal } from './output';
import { table } from './table';
import type { Cell } from './table';
import { findKey, noSuchKey, noteDeleted, withStore } from './with-store';
import type { Context } from './with-store';

interface UsageFlags {
  readonly since: string;
  readonly until?: string;
  readonly by?: UsageBy;
  readonly step?: UsageReport['step'];
  readonly outcome?: string;
  readonly csv?: boolean;
  readonly json?: boolean;
}

interface Counted {
  readonly allowed: number;
  readonly refused: number;
  readonly wouldRefuse: number;
}

const BYS = ['method', 'reason', 'origin', 'address', 'user-agent', 'secret', 'wire', 'code', 'key'];
const BAR_WIDTH = 18;
export const OUTCOMES = [ALLOWED, ...Object.keys(REFUSALS)];

export function addUsage(program: Command): void {
  const command = program
    .command('usage')
    .summary('tell what a key did, or all keys')
    .description('Tells what a key did, or all keys: by method, origin, reason of refusal, or by hour or day.');
  command
    .argument('[key]', `${KEY_ARGUMENT}; a deleted one by itself`)
    .option('--since <since>', 'how far back, or a time: 24h, 7d, 2027-01-31T00:00:00Z', '24h')
    .option('--until <time>', 'up to this time')
    .addOption(new Option('--by <by>', 'what to list; default method of a key, key of all').choices(BYS))
    .addOption(new Option('--step <step>', 'a line for each of them instead').choices(['hour', 'day']))
    .option('--outcome <outcome>', 'names of this outcome alone: allowed, or a reason', parseOutcome)
    .option('--csv', 'print CSV')
    .action((named: string | undefined, _flags: UsageFlags, it: Command) =>
      withStore(it, (context) => showUsage(context, named, it.optsWithGlobals<UsageFlags>())),
    );
  examples(
    command,
    'rpc-guard usage',
    'rpc-guard usage $KEY --since 7d --by reason',
    'rpc-guard usage $KEY --since 30d --step day --csv > usage.csv',
  );
}

function parseOutcome(text: string): string {
  if (OUTCOMES.includes(text)) return text;
  throw new InvalidArgumentError(`There are ${OUTCOMES.join(', ')}.`);
}

async function showUsage(context: Context, named: string | undefined, flags: UsageFlags): Promise<void> {
  const { output, manager } = context;
  if (flags.csv === true && flags.json === true) throw wrongUsage('write --csv or --json, not both');
  const key = named === undefined ? undefined : await findKey(context, named);
  const { since, until, step, outcome } = flags;
  const by = flags.by === ('user-agent' as UsageBy) ? 'userAgent' : flags.by;
  const report = await manager.usage(key?.apiKey ?? named, { since, until, step, by, outcome });
  if (named !== undefined && key === undefined) {
    if (report.requests === 0) throw noSuchKey();
    noteDeleted(output, named);
  }
  if (flags.csv === true) {
    output.raw((step === undefined ? namesCsv(report) : pointsCsv(report)).trimEnd());
    return;
  }
  output.result({ usage: report }, () => [
    ...summaryOf(report),
    '',
    ...(step === undefined ? namesOf(report, output.terminal) : pointsOf(report, output.terminal)),
  ]);
}

function summaryOf({ from, to, points, requests, upstreamErrors }: UsageReport): readonly string[] {
  const [allowed, refused, wouldRefuse] = (['allowed', 'refused', 'wouldRefuse'] as const).map((member) =>
    points.reduce((sum, point) => sum + point[member], 0),
  ) as [number, number, number];
  const parts = [
    `${grouped(allowed + wouldRefuse + refused)} calls in ${grouped(requests)} requests`,
    `${grouped(refused)} refused`,
    ...(wouldRefuse === 0 ? [] : [`${grouped(wouldRefuse)} would be refused`]),
    ...(upstreamErrors === 0 ? [] : [`${grouped(upstreamErrors)} unanswered by the upstream`]),
  ];
  return [parts.join(', '), `from ${from} to ${to}`];
}

function namesOf({ by, rows }: UsageReport, terminal: Terminal): readonly string[] {
  if (rows.length === 0) return ['Nothing was counted.'];
  const most = Math.max(...rows.map(callsOf));
  const lines = table(
    [
      { title: by.toUpperCase(), wraps: true },
      { title: 'CALLS' },
      { title: 'REFUSED' },
      { title: 'SHARE' },
      { title: '' },
    ],
    rows.map((row): Cell[] => [
      row.name,
      grouped(callsOf(row)),
      refusedCell(row),
      `${(row.share * 100).toFixed(1)} %`,
      bar(row, most, terminal),
    ]),
    terminal,
  );
  return [...lines, '', legend(terminal)];
}

function pointsOf({ step, points }: UsageReport, terminal: Terminal): readonly string[] {
  const most = Math.max(1, ...points.map(callsOf));
  const lines = table(
    [{ title: step.toUpperCase() }, { title: 'CALLS' }, { title: 'REFUSED' }, { title: 'P95' }, { title: '' }],
    points.map((point): Cell[] => [
      step === 'day' ? point.at.slice(0, 10) : point.at,
      grouped(callsOf(point)),
      refusedCell(point),
      point.p95 === undefined ? '' : `${grouped(Math.round(point.p95))} ms`,
      bar(point, most, terminal),
    ]),
    terminal,
  );
  return [...lines, '', legend(terminal)];
}

function refusedCell({ refused }: Counted): Cell {
  return refused === 0 ? '' : { text: grouped(refused), colour: 'red' };
}

/** What passed in full blocks, what was refused in light ones: it is read without colours. */
function bar(counted: Counted, most: number, terminal: Terminal): string {
  const [full, light] = blocksOf(terminal);
  const calls = callsOf(counted);
  const width = calls === 0 ? 0 : Math.max(1, Math.round((calls / most) * BAR_WIDTH));
  const refused = counted.refused === 0 ? 0 : Math.max(1, Math.round((counted.refused / calls) * width));
  return full.repeat(Math.max(0, width - refused)) + light.repeat(Math.min(refused, width));
}

function legend(terminal: Terminal): string {
  const [full, light] = blocksOf(terminal);
  return `${full} allowed, ${light} refused`;
}

function blocksOf({ hasUnicode }: Terminal): readonly [string, string] {
  return hasUnicode ? ['█', '░'] : ['#', '-'];
}

function callsOf({ allowed, refused, wouldRefuse }: Counted): number {
  return allowed + refused + wouldRefuse;
}

function grouped(count: number): string {
  return count.toLocaleString('en');
}
