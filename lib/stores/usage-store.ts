export const HOUR_MS = 60 * 60 * 1000;

/** Hours are kept this long, then they become days. */
export const HOURS_KEPT_DAYS = 7;
export const DAYS_KEPT = 400;

/** The instance under which a whole day stands. */
export const DAY_INSTANCE = '(day)';
/** The instance under which the demo puts what it has made up. */
export const DEMO_INSTANCE = 'demo';
/** The key of requests that have none, or one that nobody knows. */
export const NO_KEY = '(none)';
/** What stands for names that made room for others. */
export const OTHER = '(other)';
export const ALLOWED = 'allowed';
/** Begins the outcome of what passed a list that only reports. */
export const WOULD_REFUSE = 'wouldRefuse:';

/**
 * What a row counts by. `refusal` rows are groups of refusals, for who asks why. `ofSecret` rows are what secrets do that
 * have lists of their own, `method eth_call 4f1c2d3e4f5a`: other rows do not tell whose calls they are of.
 */
export const USAGE_KINDS = [
  'total',
  'method',
  'origin',
  'address',
  'userAgent',
  'secret',
  'wire',
  'code',
  'ofSecret',
  'refusal',
] as const;
export type UsageKind = (typeof USAGE_KINDS)[number];

/** Upper ends of the classes of a histogram, in milliseconds; the last class has none. */
export const CLASSES_MS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];

/** Names of a kind that are kept of a key and hour, of what was allowed and of what was refused apart. */
export const NAMES_KEPT: Readonly<Partial<Record<UsageKind, number>>> = {
  method: 100,
  origin: 50,
  address: 50,
  userAgent: 30,
  secret: 100,
  code: 50,
  ofSecret: 200,
};

/** What a group of refusals tells besides. */
export interface RefusalDetail {
  /** In milliseconds since 1970. */
  readonly first: number;
  readonly why?: string | undefined;
  /** The last three, the newest first. */
  readonly requestIds: readonly string[];
}

/** What one process has counted of one name and outcome in one hour, or of a day in all. */
export interface UsageRow {
  /** `(none)` for requests without a known key. */
  readonly apiKey: string;
  /** When the hour began, or the day: `2027-01-31T12:00:00Z`. */
  readonly hour: string;
  /** The process: up to 64 characters of `0-9 a-z`. `(day)` for a day as a whole. */
  readonly instance: string;
  readonly kind: UsageKind;
  /** `''` in `total` rows. */
  readonly name: string;
  /** `allowed`, `wouldRefuse:<REASON>` or `<REASON>`. */
  readonly outcome: string;
  /** In all in that hour: never a difference, so that a row which is written twice counts once. */
  readonly calls: number;
  readonly credits: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Allowed calls that got no answer from the upstream. */
  readonly upstreamErrors: number;
  /** When it last counted something, in milliseconds since 1970. */
  readonly lastAt: number;
  /** Of `total` rows: requests and messages, and the most credits in one second, of all outcomes together so far. */
  readonly requests?: number | undefined;
  readonly peak?: number | undefined;
  /** How many took up to 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000 ms, and longer. */
  readonly milliseconds?: readonly number[] | undefined;
  /** Of `refusal` rows. */
  readonly detail?: RefusalDetail | undefined;
}

export interface UsageQuery {
  /** Default: every key, and `(none)`. */
  readonly apiKey?: string | undefined;
  /** The first hour, and the one after the last. */
  readonly from: string;
  readonly to: string;
  /** Default: all. */
  readonly kinds?: readonly UsageKind[] | undefined;
}

/** Where processes keep what they have counted. */
export interface UsageStore {
  /**
   * Replaces rows: of each key, hour, instance, kind, name and outcome there is one. A row without calls is removed. Up
   * to 5000 rows, all of one instance, none twice. A rejection means that the store is away.
   * @param sequence grows with each write of an instance. One with a smaller number than the store has seen of that
   * instance comes late, and changes nothing: what it says has been told anew meanwhile. Default 0.
   */
  write(rows: readonly UsageRow[], sequence?: number): Promise<void>;
  /** The rows of all instances, in any order. */
  read(query: UsageQuery): Promise<readonly UsageRow[]>;
  /**
   * Makes one of the hours of each day before this one (`2027-01-31T00:00:00Z`): `sumOfDay` of them stands under the
   * instance `(day)`, and the hours go. Running it twice, or in two processes at once, changes nothing. Days older than
   * 400 days go.
   */
  roll(before: string): Promise<void>;
}

/** The hour that a time is in. */
export function hourOf(milliseconds: number): string {
  return isoOf(Math.floor(milliseconds / HOUR_MS) * HOUR_MS);
}

/** To the second: `2027-01-31T12:00:00Z`. */
export function isoOf(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** The day of an hour: `2027-01-31`. */
export function dayOf(hour: string): string {
  return hour.slice(0, 10);
}

/** The beginning of a day of an hour, as an hour. */
export function beginningOfDay(hour: string): string {
  return `${dayOf(hour)}T00:00:00Z`;
}

/** The first day that is kept, as an hour. */
export function firstDayKept(before: string): string {
  return beginningOfDay(isoOf(Date.parse(before) - DAYS_KEPT * 24 * HOUR_MS));
}
