import { ALLOWLISTS, ALLOWLIST_TYPES, forEachType } from '../allowlists';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { withChecksum } from '../allowlists/eip-55';
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
  const calls = totals.reduce((sum, row) => sum + row.calls, 0);
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
    notes: isEnough ? notesOf(rows, length) : [tooLittle(calls)],
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
  const all = seen.reduce((sum, { calls }) => sum + calls, 0);
  const entries = parts === undefined ? [] : entriesOf(type, seen, span, parts);
  const passes = parts && parts.allowlists[type].length > 0 ? ALLOWLISTS[type].compile(parts.allowlists[type]) : none;
  const ticked = new Set(entries.filter(({ isTicked }) => isTicked).map(({ entry }) => entry));
  const covered = seen.filter(({ name }) => passes(name) || ticked.has(entryOf(type, name)));
  // Which addresses calls of a method query that nobody knows cannot be told: the list refuses them.
  const unread = type === 'contractAddresses' ? unknownCalls(rows) : 0;
  const calls = all - covered.reduce((sum, row) => sum + row.calls, 0) + unread;
  return {
    entries,
    uncovered: { calls, share: all + unread === 0 ? 0 : calls / (all + unread) },
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
  const all = seen.reduce((sum, { calls }) => sum + calls, 0);
  if (type === 'userAgents' && isBrowsers(seen)) return [];
  const present = allowlists[type];
  const passes = present.length > 0 ? ALLOWLISTS[type].compile(present) : none;
  const newFrom = to - NEW_SHARE * (to - from);
  const offered = seen.filter(
    ({ name }) => isEntry(type, name) && !passes(name) && (type !== 'origins' || isOwnOrigin(name, domainOf)),
  );
  const room = MAX_ENTRIES - present.length;
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

function isAllowed(outcome: string): boolean {
  return outcome === 'allowed' || outcome.startsWith('wouldRefuse:');
}

/** Not what stands for names, as `(other)` and `(none)` do. */
function isEntry(type: AllowlistType, name: string): boolean {
  if (name.startsWith('(') || name.includes('*') || ALLOWLISTS[type].problem(name) !== undefined) return false;
  return type !== 'userAgents' || name.length >= MIN_PRODUCT;
}

function entryOf(type: AllowlistType, name: string): string {
  return type === 'contractAddresses' ? withChecksum(name) : name;
}

function isBrowsers(products: readonly Seen[]): boolean {
  const all = products.reduce((sum, { calls }) => sum + calls, 0);
  return (products.find(({ name }) => name === BROWSER)?.calls ?? 0) > all / 2;
}

function unknownCalls(rows: readonly CountedRow[]): number {
  const unknown = rows.filter(
    ({ kind, name, outcome }) => kind === 'method' && name === '(unknown)' && isAllowed(outcome),
  );
  return unknown.reduce((sum, { calls }) => sum + calls, 0);
}

function tooLittle(calls: number): string {
  return `Too little was seen to propose anything: ${String(calls)} allowed calls. It takes ${String(MIN_CALLS)}, over a day.`;
}

function notesOf(rows: readonly CountedRow[], length: number): readonly string[] {
  const allowed = rows.filter(({ outcome }) => isAllowed(outcome));
  const of = (kind: string) => sumByName(allowed.filter((row) => row.kind === kind));
  const notes: string[] = [];
  if (length < WEEK_MS) notes.push('Less than a week was seen: nothing that runs weekly was.');
  if (isBrowsers(of('userAgent'))) notes.push('Most user agents are browsers, which all say Mozilla: use origins.');
  const noOrigin = of('origin').find(({ name }) => name === '(none)');
  if (noOrigin !== undefined) {
    notes.push(`${String(noOrigin.calls)} calls had no Origin header: a list of origins refuses servers and apps.`);
  }
  const unknown = unknownCalls(allowed);
  if (unknown > 0) {
    notes.push(
      `${String(unknown)} calls were of methods that the guard does not know: a list of addresses refuses them.`,
    );
  }
  const bySecret = of('secret').reduce((sum, { calls }) => sum + calls, 0);
  if (bySecret > 0) {
    notes.push(
      `${String(bySecret)} calls came with a secret: what they did is counted too, whatever lists hold for them.`,
    );
  }
  return notes;
}

function none(): boolean {
  return false;
}

function isoOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
