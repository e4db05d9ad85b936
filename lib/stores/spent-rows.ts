import type { LimitStore, SpentRow } from './limit-store';

/** What a row is of: another row of the same instance takes its place. */
export function subjectOf({ apiKey, secretId, day }: SpentRow): string {
  return JSON.stringify([day, apiKey, secretId ?? '']);
}

/** What a process has spent, without what it has spent it on. */
export type Spent = Pick<SpentRow, 'credits' | 'level' | 'at'>;

/** What a row is of, without who has spent how much. */
export function whatOf({ apiKey, secretId, day }: SpentRow): Pick<SpentRow, 'apiKey' | 'secretId' | 'day'> {
  return { apiKey, ...(secretId !== undefined && { secretId }), day };
}

/** Rows in the memory of this process. Those of a day before are forgotten when another begins. */
export class SpentRows implements LimitStore {
  readonly intervalMs = 500;
  #day = '';
  #rows = new Map<string, Map<string, SpentRow>>();

  exchange(rows: readonly SpentRow[]): Promise<readonly SpentRow[]> {
    return Promise.resolve(rows.flatMap((row) => this.#swap(row)));
  }

  #swap(row: SpentRow): readonly SpentRow[] {
    if (row.day > this.#day) {
      this.#day = row.day;
      this.#rows = new Map();
    }
    const subject = subjectOf(row);
    const known = this.#rows.get(subject) ?? new Map<string, SpentRow>();
    const others = [...known.values()].filter(({ instance }) => instance !== row.instance);
    if (row.instance !== '') this.#rows.set(subject, known.set(row.instance, row));
    return others;
  }
}
