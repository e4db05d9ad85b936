import { ALLOWLISTS, ALLOWLIST_TYPES, forEachType } from '../allowlists';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { withChecksum } from '../allowlists/eip-55';
import { counted, grouped } from '../spelling';
import type { AllowlistType, Allowlists } from '../settings/key-settings';
import { foldsOf, isOwnOrigin } from './propose-origins';
import type { DomainOf } from './propose-origins';
import type { CountedRow, Proposal, ProposedEntry, ProposedList } from './proposal';

export interface ProposeParts {
  /** The lists as they are. */
  readonly allowlists: Allowlists;
  /** Entries with a smaller share are not ticked. */
  readonly minimumShare: number;
  /** What one organisation registers: `example.com` of `a.b.example.com`, `me.vercel.app` of itself. */
  readonly domainOf: DomainOf;
}

const MIN_CALLS = 100;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** What came up only in the last tenth of the time may be an attacker's. */
const NEW_SHARE = 0.1;
const BROWSER = 'Mozilla';
/** A shorter part would occur in many other headers. */
const MIN_PRODUCT = 3;
const MAX_REFUSED = 30;
const MAX_OTHERS = 10;
/** A list is not for traffic of which no entry could cover so much: nothing of it is ticked. */
const UNCOVERABLE = 0.1;
/** How methods are counted that no table knows. */
const UNKNOWN = '(unknown)';
const KINDS: Readonly<Record<AllowlistType, string>> = {
  contractAddresses: 'address',
  userAgents: 'userAgent',
  origins: 'origin',
  methods: 'method',
};

/** What was counted of one name. */
interface Seen {
  readonly name: string;
  calls: number;
  /** Milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Proposes lists from what was allowed. Refused calls are shown beside it and never proposed. */
export function proposalOf(rows: readonly CountedRow[], parts: ProposeParts): Proposal {
  const totals = rows.filter(({ kind, outcome }) => kind === 'total' && isAllowed(outcome));
  const calls = sumOf(totals);
  const span = spanOf(totals);
  const length = span.to - span.from;
  const isEnough = calls >= MIN_CALLS && length >= DAY_MS;
  const lists = forEachType((type) => listOf(type, rows, span, isEnough ? parts : undefined));
  const ticked = ALLOWLIST_TYPES.filter((type) => lists[type].entries.some(({ isTicked }) => isTicked));
  const uncovered = ticked.reduce((sum, type) => sum + lists[type].uncovered.calls, 0);
  return {
    calls,
    from: isoOf(span.from),
    to: isoOf(span.to),
    days: Math.round((length / DAY_MS) * 10) / 10,
    lists,
    togetherAtMost: calls === 0 ? 0 : Math.min(1, uncovered / calls),
    notes: isEnough ? [...notesOf(rows, length), ...uncoverableNotes(lists)] : [tooLittle(calls)],
  };
}

function spanOf(totals: readonly CountedRow[]): Span {
  if (totals.length === 0) return { from: 0, to: 0 };
  const from = totals.reduce((first, { hour }) => Math.min(first, Date.parse(hour)), Infinity);
  return { from, to: totals.reduce((last, { lastAt }) => Math.max(last, lastAt), from) };
}

function listOf(
  type: AllowlistType,
  rows: readonly CountedRow[],
  span: Span,
  parts: ProposeParts | undefined,
): ProposedList {
  const ofKind = rows.filter(({ kind }) => kind === KINDS[type]);
  const seen = sumByName(ofKind.filter(({ outcome }) => isAllowed(outcome)));
  const offered = parts === undefined ? [] : entriesOf(type, seen, span, parts);
  const passes = parts === undefined ? none : passesOf(type, parts.allowlists);
  // Which addresses calls of a method query that nobody knows cannot be told: the list refuses them.
  const unread = type === 'contractAddresses' ? unknownCalls(rows) : 0;
  const calls = sumOf(seen) + unread;
  const names = new Set(offered.map(({ entry }) => entry));
  const others = seen.filter(({ name }) => !passes(name) && !names.has(entryOf(type, name)));
  if (unread > 0) others.push({ name: UNKNOWN, calls: unread, firstAt: 0, lastAt: 0 });
  const isCovering = sumOf(others) < UNCOVERABLE * calls;
  const entries = isCovering ? offered : offered.map((it) => ({ ...it, isTicked: false }));
  const passing = sumOf(seen.filter(({ name }) => passes(name)));
  const uncovered = calls - passing - sumOf(entries.filter(({ isTicked }) => isTicked));
  return {
    entries,
    calls,
    uncovered: { calls: uncovered, share: calls === 0 ? 0 : uncovered / calls },
    others: others
      .sort((a, b) => b.calls - a.calls)
      .slice(0, MAX_OTHERS)
      .map(({ name, calls: count }) => ({ name: entryOf(type, name), calls: count })),
    refused: sumByName(ofKind.filter(({ outcome }) => !isAllowed(outcome)))
      .filter(({ name }) => isEntry(type, name))
      .slice(0, MAX_REFUSED)
      .map(({ name, calls: count, lastAt }) => ({ entry: entryOf(type, name), calls: count, lastAt: isoOf(lastAt) })),
  };
}

function entriesOf(
  type: AllowlistType,
  seen: readonly Seen[],
  { from, to }: Span,
  { allowlists, minimumShare, domainOf }: ProposeParts,
): readonly ProposedEntry[] {
  const all = sumOf(seen);
  if (type === 'userAgents' && isBrowsers(seen)) return [];
  const passes = passesOf(type, allowlists);
  const newFrom = to - NEW_SHARE * (to - from);
  const offered = seen.filter(
    ({ name }) => isEntry(type, name) && !passes(name) && (type !== 'origins' || isOwnOrigin(name, domainOf)),
  );
  const room = MAX_ENTRIES - allowlists[type].length;
  const entries = offered.slice(0, room).map(({ name, calls, firstAt, lastAt }) => {
    const share = calls / all;
    const isTicked = share >= minimumShare && firstAt < newFrom;
    return { entry: entryOf(type, name), calls, share, lastAt: isoOf(lastAt), covers: [], isTicked };
  });
  return type === 'origins' ? [...entries, ...foldsOf(entries, all, domainOf)] : entries;
}

/** Those with the most calls first. */
function sumByName(rows: readonly CountedRow[]): readonly Seen[] {
  const names = new Map<string, Seen>();
  for (const { name, calls, hour, lastAt } of rows) {
    const firstAt = Date.parse(hour);
    const seen = names.get(name);
    if (seen === undefined) names.set(name, { name, calls, firstAt, lastAt });
    else {
      seen.calls += calls;
      seen.firstAt = Math.min(seen.firstAt, firstAt);
      seen.lastAt = Math.max(seen.lastAt, lastAt);
    }
  }
  return [...names.values()].sort((a, b) => b.calls - a.calls || (a.name < b.name ? -1 : 1));
}

function sumOf(counted: readonly { readonly calls: number }[]): number {
  return counted.reduce((sum, { calls }) => sum + calls, 0);
}

function isAllowed(outcome: string): boolean {
  return outcome === 'allowed' || outcome.startsWith('wouldRefuse:');
}

/** Not what stands for names, as `(other)` and `(none)` do. */
function isEntry(type: AllowlistType, name: string): boolean {
  if (name.startsWith('(') || name.includes('*') || ALLOWLISTS[type].problem(name) !== undefined) return false;
  return type !== 'userAgents' || name.length >= MIN_PRODUCT;
}

/** What the list as it is lets pass; names that stand for others, never. */
function passesOf(type: AllowlistType, { [type]: entries }: Allowlists): (name: string) => boolean {
  if (entries.length === 0) return none;
  const matches = ALLOWLISTS[type].compile(entries);
  return (name) => !name.startsWith('(') && matches(name);
}

function entryOf(type: AllowlistType, name: string): string {
  return type === 'contractAddresses' && !name.startsWith('(') ? withChecksum(name) : name;
}

function isBrowsers(products: readonly Seen[]): boolean {
  const all = sumOf(products);
  return (products.find(({ name }) => name === BROWSER)?.calls ?? 0) > all / 2;
}

function unknownCalls(rows: readonly CountedRow[]): number {
  const unknown = rows.filter(({ kind, name, outcome }) => kind === 'method' && name === UNKNOWN && isAllowed(outcome));
  return sumOf(unknown);
}

function tooLittle(calls: number): string {
  return `Too little was seen to propose anything: ${counted(calls, 'allowed call')}. It takes ${String(MIN_CALLS)}, over a day.`;
}

function notesOf(rows: readonly CountedRow[], length: number): readonly string[] {
  const allowed = rows.filter(({ outcome }) => isAllowed(outcome));
  const of = (kind: string) => sumByName(allowed.filter((row) => row.kind === kind));
  const notes: string[] = [];
  if (length < WEEK_MS) notes.push('Less than a week was seen: nothing that runs weekly was.');
  if (isBrowsers(of('userAgent'))) notes.push('Most user agents are browsers, which all say Mozilla: use origins.');
  const noOrigin = of('origin').find(({ name }) => name === '(none)');
  if (noOrigin !== undefined) {
    notes.push(`${grouped(noOrigin.calls)} calls had no Origin header: a list of origins refuses servers and apps.`);
  }
  const unknown = unknownCalls(allowed);
  if (unknown > 0) {
    notes.push(
      `${grouped(unknown)} calls were of methods that the guard does not know: a list of addresses refuses them.`,
    );
  }
  const bySecret = sumOf(of('secret'));
  if (bySecret > 0) {
    notes.push(
      `${grouped(bySecret)} calls came with a secret: what they did is counted too, whatever lists hold for them.`,
    );
  }
  return notes;
}

function uncoverableNotes(lists: Proposal['lists']): readonly string[] {
  return ALLOWLIST_TYPES.filter((type) => {
    const { entries, uncovered, calls } = lists[type];
    const single = entries.filter(({ covers, isTicked }) => covers.length === 0 && !isTicked);
    return entries.length > 0 && uncovered.calls - sumOf(single) >= UNCOVERABLE * calls;
  }).map((type) => `Nothing of ${type} is ticked: of a tenth of the calls or more it could cover none.`);
}

function none(): boolean {
  return false;
}

function isoOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
