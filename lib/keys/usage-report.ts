import { checkArgument, isText } from '../option-rules';
import type { OptionRules } from '../option-rules';
import type { KeyView } from '../settings/key-view';
import { added } from '../stores/usage-rows';
import {
  ALLOWED,
  CLASSES_MS,
  DEMO_INSTANCE,
  HOURS_KEPT_DAYS,
  HOUR_MS,
  USAGE_KINDS,
  WOULD_REFUSE,
  beginningOfDay,
  hourOf,
  isoOf,
} from '../stores/usage-store';
import type { UsageKind, UsageRow, UsageStore } from '../stores/usage-store';
import { wrong } from './changes';
import { SINCE_RULE, isSpan, isTime, timeOf } from './since';

/** What a report lists names of: a kind, the reasons of refusals, or keys. */
export type UsageBy = Exclude<UsageKind, 'total' | 'ofSecret' | 'refusal'> | 'reason' | 'key';

export interface UsageOptions {
  /** `24h`, `7d`, or when it begins: ISO 8601. Default `24h`. It is put back to the beginning of its hour or day. */
  readonly since?: string | undefined;
  /** ISO 8601. Default: now. */
  readonly until?: string | undefined;
  /** Default: `hour` up to 7 days, else `day`. Hours are kept for 7 days. */
  readonly step?: 'hour' | 'day' | undefined;
  /** Default: `method` of one key, `key` of all. */
  readonly by?: UsageBy | undefined;
  /** Lists names of this outcome alone: `allowed`, or a reason. */
  readonly outcome?: string | undefined;
}

/** Calls. What a list would refuse that only reports is in `wouldRefuse` and not in `allowed`, though it passed. */
export interface UsagePoint {
  /** When the hour or the day began. */
  readonly at: string;
  readonly allowed: number;
  readonly refused: number;
  readonly wouldRefuse: number;
  readonly credits: number;
  /** Milliseconds that half of the requests took at most, and 95 of 100; `undefined` where there were none. */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
}

export interface UsageName {
  readonly name: string;
  readonly allowed: number;
  readonly refused: number;
  readonly wouldRefuse: number;
  readonly credits: number;
  /** Of all calls: 0 to 1. */
  readonly share: number;
  readonly lastAt: string;
}

export interface UsageReport {
  readonly from: string;
  readonly to: string;
  readonly step: 'hour' | 'day';
  readonly by: UsageBy;
  readonly points: readonly UsagePoint[];
  /** Those with the most calls first. */
  readonly rows: readonly UsageName[];
  readonly requests: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Allowed calls that got no answer from the upstream. */
  readonly upstreamErrors: number;
  /** The most credits in one second, and in one point. */
  readonly busiest: {
    readonly second: number;
    readonly point: { readonly at: string; readonly credits: number } | undefined;
  };
  /** Whether the demo made some of it up. It is not known of days whose hours are gone. */
  readonly isDemo: boolean;
  /** Whether the last point goes on: it will grow. */
  readonly isPartial: boolean;
}

const MINUTE_MS = 60_000;
const NAMED = USAGE_KINDS.filter((kind) => kind !== 'total' && kind !== 'ofSecret' && kind !== 'refusal');
const BYS: readonly string[] = [...NAMED, 'reason', 'key'];
const DAY_MS = 24 * HOUR_MS;
const MAX_POINTS = 1000;

const RULES: OptionRules<UsageOptions> = {
  since: SINCE_RULE,
  until: { accepts: isTime, takes: 'a time such as "2027-01-31T12:00:00Z"' },
  step: { accepts: (value) => value === 'hour' || value === 'day', takes: '"hour" or "day"' },
  by: { accepts: (value) => BYS.includes(String(value)), takes: `one of ${BYS.join(', ')}` },
  outcome: { accepts: isText, takes: '"allowed" or a reason, such as "METHOD_NOT_ALLOWED"' },
};

/** What one key did, or all of them, as their processes last told the store: 10 s ago at most. */
export async function usageReport(
  store: UsageStore,
  apiKey: string | undefined,
  options: UsageOptions,
  nowMs: number,
): Promise<UsageReport> {
  checkArgument('usage', RULES, options);
  const { by = apiKey === undefined ? 'key' : 'method', outcome } = options;
  if (by === 'key' && apiKey !== undefined) throw wrong('by: "key" is for all keys; leave the key out');
  const { from, to, step } = rangeOf(options, nowMs);
  const kinds: UsageKind[] = by === 'reason' || by === 'key' ? ['total'] : ['total', by];
  const read = await store.read({ apiKey, from: isoOf(from), to: isoOf(to), kinds });
  const totals = read.filter(({ kind }) => kind === 'total');
  const points = pointsOf(totals, { from, to, step });
  const sum = sumOf(totals);
  const named = namesOf(by === 'key' || by === 'reason' ? totals : read.filter(({ kind }) => kind === by), by);
  const [peak] = [...points].sort((a, b) => b.credits - a.credits);
  return {
    from: isoOf(from),
    to: isoOf(Math.min(to, nowMs)),
    step,
    by,
    points,
    rows: ranked(named, outcome, sum.calls),
    requests: sum.requests ?? 0,
    bytesIn: sum.bytesIn,
    bytesOut: sum.bytesOut,
    upstreamErrors: sum.upstreamErrors,
    busiest: {
      second: busiestSecond(totals),
      point: peak === undefined || peak.credits === 0 ? undefined : { at: peak.at, credits: peak.credits },
    },
    isDemo: totals.some(({ instance }) => instance === DEMO_INSTANCE),
    isPartial: to > nowMs,
  };
}

interface Range {
  readonly from: number;
  /** The end of the last step. */
  readonly to: number;
  readonly step: 'hour' | 'day';
}

function rangeOf({ since = '24h', until, step: asked }: UsageOptions, nowMs: number): Range {
  const end = until === undefined ? nowMs : Date.parse(until);
  const begin = timeOf(since, end);
  if (begin >= end) throw wrong('since: it begins after its end');
  const isOld = begin < nowMs - HOURS_KEPT_DAYS * DAY_MS - HOUR_MS;
  // A day whose hours are gone would stand as if all of it had been in its first hour.
  if (asked === 'hour' && isOld) throw wrong('step: hours are kept for 7 days; take "day"');
  const step = asked ?? (isOld || end - begin > HOURS_KEPT_DAYS * DAY_MS ? 'day' : 'hour');
  const length = step === 'hour' ? HOUR_MS : DAY_MS;
  // An hour ago is in the hour before this one: of 24 hours the one that has just begun is the last.
  const isMoved = isSpan(since) && begin % length !== 0;
  const from = Math.floor(begin / length) * length + (isMoved ? length : 0);
  const to = Math.ceil(end / length) * length;
  if ((to - from) / length > MAX_POINTS) throw wrong(`step: more than ${String(MAX_POINTS)} of them; take "day"`);
  return { from: Math.min(from, to - length), to, step };
}

function pointsOf(totals: readonly UsageRow[], { from, to, step }: Range): readonly UsagePoint[] {
  const length = step === 'hour' ? HOUR_MS : DAY_MS;
  const groups = groupBy(totals, ({ hour }) => (step === 'hour' ? hour : beginningOfDay(hour)));
  const points: UsagePoint[] = [];
  for (let at = from; at < to; at += length) {
    const rows = groups.get(isoOf(at)) ?? [];
    const { credits, milliseconds } = sumOf(rows);
    const [p50, p95] = [0.5, 0.95].map((part) => quantile(milliseconds ?? [], part));
    points.push({ at: isoOf(at), ...byOutcome(rows), credits, p50, p95 });
  }
  return points;
}

function byOutcome(rows: readonly UsageRow[]): Pick<UsagePoint, 'allowed' | 'refused' | 'wouldRefuse'> {
  let [allowed, refused, wouldRefuse] = [0, 0, 0];
  for (const { outcome, calls } of rows) {
    if (outcome === ALLOWED) allowed += calls;
    else if (outcome.startsWith(WOULD_REFUSE)) wouldRefuse += calls;
    else refused += calls;
  }
  return { allowed, refused, wouldRefuse };
}

function namesOf(rows: readonly UsageRow[], by: UsageBy): ReadonlyMap<string, readonly UsageRow[]> {
  if (by === 'key') return groupBy(rows, ({ apiKey }) => apiKey);
  if (by === 'reason') {
    const refused = rows.filter(({ outcome }) => outcome !== ALLOWED);
    return groupBy(refused, ({ outcome }) => outcome.replace(WOULD_REFUSE, ''));
  }
  return groupBy(rows, ({ name }) => name);
}

function ranked(
  names: ReadonlyMap<string, readonly UsageRow[]>,
  wanted: string | undefined,
  all: number,
): readonly UsageName[] {
  const rows = [...names].flatMap(([name, found]): UsageName[] => {
    const counted = wanted === undefined ? found : found.filter(({ outcome }) => outcome === wanted);
    if (counted.length === 0) return [];
    const { calls, credits, lastAt } = sumOf(counted);
    return [{ name, ...byOutcome(counted), credits, share: all === 0 ? 0 : calls / all, lastAt: isoOf(lastAt) }];
  });
  const callsOf = ({ allowed, refused, wouldRefuse }: UsageName) => allowed + refused + wouldRefuse;
  return rows.sort((a, b) => callsOf(b) - callsOf(a) || (a.name < b.name ? -1 : 1));
}

const NOTHING: UsageRow = {
  apiKey: '',
  hour: '',
  instance: '',
  kind: 'total',
  name: '',
  outcome: '',
  calls: 0,
  credits: 0,
  bytesIn: 0,
  bytesOut: 0,
  upstreamErrors: 0,
  lastAt: 0,
  requests: 0,
};

function sumOf(rows: readonly UsageRow[]): UsageRow {
  return rows.reduce(added, NOTHING);
}

/**
 * Of a process and hour, the row that was told last has the highest. Processes may have had theirs in the same second:
 * theirs of one hour are added.
 */
function busiestSecond(totals: readonly UsageRow[]): number {
  const peaks = [...groupBy(totals, ({ hour, apiKey }) => `${hour} ${apiKey}`).values()].map((rows) =>
    [...groupBy(rows, ({ instance }) => instance).values()].reduce((sum, ofProcess) => sum + highestPeak(ofProcess), 0),
  );
  return peaks.reduce((most, peak) => Math.max(most, peak), 0);
}

function highestPeak(rows: readonly UsageRow[]): number {
  return rows.reduce((most, { peak = 0 }) => Math.max(most, peak), 0);
}

/** As a histogram tells it: within its class evenly spread. */
function quantile(milliseconds: readonly number[], part: number): number | undefined {
  const all = milliseconds.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let before = 0;
  for (const [place, count] of milliseconds.entries()) {
    if (count > 0 && before + count >= part * all) {
      const low = CLASSES_MS[place - 1] ?? 0;
      const high = CLASSES_MS[place] ?? low;
      return Math.round((low + ((part * all - before) / count) * (high - low)) * 10) / 10;
    }
    before += count;
  }
  return CLASSES_MS.at(-1);
}

function groupBy(rows: readonly UsageRow[], of: (row: UsageRow) => string): ReadonlyMap<string, readonly UsageRow[]> {
  const groups = new Map<string, UsageRow[]>();
  for (const row of rows) {
    const name = of(row);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  return groups;
}

/** When a key and its secrets were last used, to the minute. */
export interface LastUsed {
  readonly key: string | undefined;
  readonly secrets: ReadonlyMap<string, string>;
}

/** Looks at the last week first, and at the many days before only where a secret was not used in it. */
export async function lastUsed(
  store: UsageStore,
  { apiKey, createdAt, secrets: listed }: KeyView,
  nowMs: number,
): Promise<LastUsed> {
  const to = isoOf(nowMs + DAY_MS);
  const week = hourOf(nowMs - HOURS_KEPT_DAYS * DAY_MS);
  const recent = await store.read({ apiKey, from: week, to, kinds: ['total', 'secret'] });
  const isComplete = recent.length > 0 && listed.every(({ id }) => recent.some(({ name }) => name === id));
  const before = { apiKey, from: isoOf(0), to: week, kinds: ['total', 'secret'] } as const;
  const all = isComplete ? recent : [...recent, ...(await store.read(before))];
  const key = lastIn(
    all.filter(({ kind }) => kind === 'total'),
    createdAt,
  );
  const creation = new Map(listed.map((secret) => [secret.id, secret.createdAt]));
  const bySecret = groupBy(
    all.filter(({ kind }) => kind === 'secret'),
    ({ name }) => name,
  );
  const secrets = [...bySecret].map(([id, rows]): [string, string] => [id, lastIn(rows, creation.get(id))!]);
  return { key, secrets: new Map(secrets) };
}

/** In the minute of its creation, rounding would put the last use before it. */
function lastIn(rows: readonly UsageRow[], createdAt = ''): string | undefined {
  if (rows.length === 0) return undefined;
  const last = rows.reduce((latest, row) => Math.max(latest, row.lastAt), 0);
  const minute = Math.floor(last / MINUTE_MS) * MINUTE_MS;
  const sinceMinute = Date.parse(createdAt) - minute;
  return sinceMinute > 0 && sinceMinute < MINUTE_MS ? createdAt : isoOf(minute);
}
