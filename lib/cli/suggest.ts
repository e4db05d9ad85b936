import type { Command } from 'commander';
import { ALLOWLIST_TYPES } from '../allowlists';
import type { Proposal, ProposedList } from '../keys/proposal';
import type { AllowlistType, Allowlists } from '../settings/key-settings';
import type { KeyView } from '../settings/key-view';
import { counted } from '../spelling';
import { KEY_ARGUMENT, addExpectVersion, examples, kebab, parseListType } from './arguments';
import type { ChangeFlags } from './arguments';
import { usage } from './exit';
import type { Terminal } from './output';
import { confirm } from './prompt';
import { ago, showChange } from './show-key';
import { table } from './table';
import { storedKey, withStore } from './with-store';
import type { Context } from './with-store';

interface SuggestFlags extends ChangeFlags {
  readonly since: string;
  readonly list?: AllowlistType;
  readonly secret?: string;
  readonly apply?: boolean;
  readonly enforce?: boolean;
  readonly yes?: boolean;
}

export function addSuggest(program: Command): void {
  const command = program
    .command('suggest')
    .summary('propose lists from the allowed calls of a key')
    .description('Proposes lists from the calls of a key that were allowed, and adds them with --apply.');
  command
    .argument('<key>', KEY_ARGUMENT)
    .option('--since <since>', 'how far back, or a time: 24h, 7d, 2027-01-31T00:00:00Z', '7d')
    .option('--list <list>', 'this list alone', parseListType)
    .option('--secret <secret-id>', "for the lists of this secret's own, from what it did")
    .option('--apply', 'add what is ticked; lists without entries only report at first')
    .option('--enforce', 'with --apply: these lists refuse at once')
    .option('--yes', 'add it without being asked')
    .action((named: string, flags: SuggestFlags, it: Command) =>
      withStore(it, (context) => suggest(context, named, flags)),
    );
  addExpectVersion(command);
  examples(command, 'rpc-guard suggest $KEY', 'rpc-guard suggest $KEY --list origins --apply');
}

async function suggest(context: Context, named: string, flags: SuggestFlags): Promise<void> {
  const { since, list, secret: secretId, apply, enforce = false, yes, expectVersion } = flags;
  if (enforce && apply !== true) throw usage('--enforce goes with --apply');
  const { manager, output } = context;
  const { apiKey, version } = await storedKey(context, named);
  const proposal = await manager.propose(apiKey, { since, secretId });
  const types = list === undefined ? ALLOWLIST_TYPES : [list];
  const lists = tickedOf(proposal, types);
  if (apply !== true || Object.keys(lists).length === 0) {
    output.result({ proposal }, () => linesOf(proposal, types, output.terminal));
    for (const note of proposal.notes) output.note(note);
    return;
  }
  if (yes !== true) for (const line of linesOf(proposal, types, output.terminal)) output.note(line);
  await confirm({
    yes,
    what: `This adds what is ticked; lists that had no entries ${enforce ? 'refuse' : 'only report'} from then on`,
    question: 'Type yes to do it:',
    accepts: (typed) => /^y(?:es)?$/i.test(typed),
  });
  const change = { expectedVersion: expectVersion ?? version };
  const key = await manager.applyProposal(apiKey, { lists, reportOnly: !enforce, secretId }, change);
  showChange(output, key, wordsOf(key, lists), types);
}

function tickedOf({ lists }: Proposal, types: readonly AllowlistType[]): Partial<Allowlists> {
  const ticked = types.map(
    (type) => [type, lists[type].entries.filter(({ isTicked }) => isTicked).map(({ entry }) => entry)] as const,
  );
  return Object.fromEntries(ticked.filter(([, entries]) => entries.length > 0));
}

function wordsOf({ reportOnly }: KeyView, lists: Partial<Allowlists>): string {
  return ALLOWLIST_TYPES.filter((type) => lists[type] !== undefined)
    .map((type) => {
      const effect = reportOnly.includes(type) ? ' (report-only: refuses nothing yet)' : '';
      return `${kebab(type)} adds ${lists[type]!.join(', ')}${effect}`;
    })
    .join('; ');
}

function linesOf(proposal: Proposal, types: readonly AllowlistType[], terminal: Terminal): string[] {
  const { calls, days, lists, togetherAtMost } = proposal;
  const seen = `${counted(calls, 'allowed call')} in ${counted(days, 'day')}`;
  if (types.every((type) => lists[type].entries.length === 0)) return [seen, 'Nothing to propose.'];
  return [
    seen,
    ...types.flatMap((type) => ['', ...linesOfList(type, lists[type], terminal)]),
    '',
    `Together, what is ticked would refuse ${percent(togetherAtMost)} of the calls at most.`,
  ];
}

function linesOfList(type: AllowlistType, { entries, uncovered, others }: ProposedList, terminal: Terminal): string[] {
  if (entries.length === 0) return [`${kebab(type)}: nothing to propose`];
  return [
    `${kebab(type)}: what is ticked would refuse ${percent(uncovered.share)}`,
    ...table(
      [
        { title: '' },
        { title: 'ENTRY', wraps: true },
        { title: 'CALLS' },
        { title: 'SHARE' },
        { title: 'LAST', wraps: true },
      ],
      entries.map(({ entry, calls, share, lastAt, isTicked }) => [
        isTicked ? '[x]' : '[ ]',
        entry,
        String(calls),
        percent(share),
        ago(lastAt),
      ]),
      terminal,
    ),
    ...(others.length === 0
      ? []
      : [`no entry could let pass: ${others.map(({ name, calls }) => `${name} ${String(calls)}`).join(', ')}`]),
  ];
}

function percent(share: number): string {
  return `${String(Math.ceil(share * 10_000) / 100)} %`;
}
