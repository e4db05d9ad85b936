export const DAY_MS = 24 * 60 * 60 * 1000;

/** A day's name in stores: `2027-01-31`. */
export function nameOfDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** The end of a day, when its count starts over: ISO 8601, UTC. */
export function endOfDay(day: number): string {
  return new Date((day + 1) * DAY_MS).toISOString();
}

/** One process's spending on one day, of one key or one of its secrets. */
export interface SpentRow {
  readonly apiKey: string;
  /** The secret whose own limits it counts for; without it, the key's. */
  readonly secretId?: string | undefined;
  /** In UTC: `2027-01-31`. */
  readonly day: string;
  /** The process that spent it: up to 64 characters of `0-9 a-z`. `''` asks alone. */
  readonly instance: string;
  /** The total of that day, never a difference: a row that is written twice counts once. */
  readonly credits: number;
  /** The bucket's level as this process knows it, for display; may be below zero. Absent without `perSecond`. */
  readonly level?: number | undefined;
  /** When the row was made, in milliseconds since 1970. */
  readonly at: number;
}

/** Where processes share what they have spent. */
export interface LimitStore {
  /**
   * Replaces the rows of an instance, and returns those of all other instances for the same keys, secrets and days.
   * A row of the instance `''` is not stored. Up to 500 rows; all are of one instance. A row may be forgotten two days
   * after its day. A rejection, or no answer within 300 ms, means that the store is away.
   */
  exchange(rows: readonly SpentRow[]): Promise<readonly SpentRow[]>;
  /** Milliseconds from one exchange to the next. Default 500. */
  readonly intervalMs?: number | undefined;
}
