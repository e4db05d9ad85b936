import type { SettingsStore } from './settings-store';
import { DAY_INSTANCE, NAMES_KEPT, OTHER, ALLOWED, beginningOfDay, dayOf, firstDayKept } from './usage-store';
import type { UsageQuery, UsageRow, UsageStore } from './usage-store';

/** What a row is of: another one of it takes its place. */
export function usageId({ apiKey, hour, instance, kind, name, outcome }: UsageRow): string {
  return JSON.stringify([apiKey, hour, instance, kind, name, outcome]);
}

export function isAsked({ apiKey, from, to, kinds }: UsageQuery, row: UsageRow): boolean {
  const isOfKey = apiKey === undefined || row.apiKey === apiKey;
  return isOfKey && row.hour >= from && row.hour < to && (kinds === undefined || kinds.includes(row.kind));
}

/** One row of two of the same kind, name and outcome. Of different hours a peak is the higher one. */
export function added(a: UsageRow, b: UsageRow): UsageRow {
  const peak = Math.max(a.peak ?? 0, b.peak ?? 0);
  const milliseconds = a.milliseconds?.map((count, n) => count + (b.milliseconds?.[n] ?? 0)) ?? b.milliseconds;
  return {
    ...a,
    calls: a.calls + b.calls,
    credits: a.credits + b.credits,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    upstreamErrors: a.upstreamErrors + b.upstreamErrors,
    lastAt: Math.max(a.lastAt, b.lastAt),
    ...(a.requests !== undefined && { requests: a.requests + (b.requests ?? 0), peak }),
    ...(milliseconds !== undefined && { milliseconds }),
  };
}

/** The rows of the hours of one day as rows of the day. Groups of refusals are left out: they are not kept for longer. */
export function sumOfDay(hours: readonly UsageRow[]): readonly UsageRow[] {
  const sums = new Map<string, UsageRow>();
  for (const row of hours) {
    if (row.kind === 'refusal') continue;
    const ofDay = { ...row, hour: beginningOfDay(row.hour), instance: DAY_INSTANCE };
    const id = usageId(ofDay);
    const sum = sums.get(id);
    sums.set(id, sum === undefined ? ofDay : added(sum, ofDay));
  }
  return boundNames([...sums.values()]);
}

/** So many names as an hour may have: a day of made-up ones must not be 24 times as large. */
function boundNames(rows: readonly UsageRow[]): readonly UsageRow[] {
  const kept = new Map<string, UsageRow>();
  const counts = new Map<string, number>();
  for (const row of [...rows].sort((a, b) => b.calls - a.calls)) {
    const list = JSON.stringify([row.apiKey, row.kind, row.outcome === ALLOWED]);
    const count = counts.get(list) ?? 0;
    const hasRoom = row.name === OTHER || count < (NAMES_KEPT[row.kind] ?? Infinity);
    if (hasRoom && row.name !== OTHER) counts.set(list, count + 1);
    const named = hasRoom ? row : { ...row, name: OTHER };
    const before = kept.get(usageId(named));
    kept.set(usageId(named), before === undefined ? named : added(before, named));
  }
  return [...kept.values()];
}

export function groupByDay(rows: readonly UsageRow[]): ReadonlyMap<string, readonly UsageRow[]> {
  const days = new Map<string, UsageRow[]>();
  for (const row of rows) {
    const day = days.get(dayOf(row.hour));
    if (day === undefined) days.set(dayOf(row.hour), [row]);
    else day.push(row);
  }
  return days;
}

/** Which writes of a process come late, for stores that are in one. */
export class WriteTurns {
  /** By instance: the greatest number so far. */
  readonly #last = new Map<string, number>();

  isLate(rows: readonly UsageRow[], sequence = 0): boolean {
    const instance = rows[0]?.instance ?? '';
    if (sequence < (this.#last.get(instance) ?? 0)) return true;
    this.#last.set(instance, sequence);
    return false;
  }
}

/** All that this process may hold; beyond, the oldest hours go. */
const MAX_ROWS = 200_000;

/** Rows in the memory of this process. */
export class UsageRows implements UsageStore {
  /** By hour, then by what they are of. */
  #hours = new Map<string, Map<string, UsageRow>>();
  #count = 0;
  readonly #turns = new WriteTurns();

  write(rows: readonly UsageRow[], sequence?: number): Promise<void> {
    if (this.#turns.isLate(rows, sequence)) return Promise.resolve();
    for (const row of rows) this.#put(row);
    while (this.#count > MAX_ROWS) this.#drop([...this.#hours.keys()].sort()[0]!);
    return Promise.resolve();
  }

  read(query: UsageQuery): Promise<readonly UsageRow[]> {
    const found = [...this.#hours.values()].flatMap((rows) => [...rows.values()].filter((row) => isAsked(query, row)));
    return Promise.resolve(found);
  }

  async roll(before: string): Promise<void> {
    const old = await this.read({ from: '', to: before });
    for (const rows of groupByDay(old).values()) {
      const isRolled = rows.some(({ instance }) => instance === DAY_INSTANCE);
      const day = isRolled ? rows.filter(({ instance }) => instance === DAY_INSTANCE) : sumOfDay(rows);
      for (const { hour } of rows) this.#drop(hour);
      for (const row of day) if (row.hour >= firstDayKept(before)) this.#put(row);
    }
  }

  #put(row: UsageRow): void {
    const rows = this.#hours.get(row.hour) ?? new Map<string, UsageRow>();
    this.#hours.set(row.hour, rows);
    this.#count -= rows.size;
    if (row.calls === 0) rows.delete(usageId(row));
    else rows.set(usageId(row), row);
    this.#count += rows.size;
  }

  #drop(hour: string): void {
    this.#count -= this.#hours.get(hour)?.size ?? 0;
    this.#hours.delete(hour);
  }
}

const inMemory = new WeakMap<SettingsStore, UsageRows>();

/** Where the usage of a store's keys is: in this process, where the store keeps none. */
export function usageOf(store: SettingsStore): UsageStore {
  if (store.usage !== undefined) return store.usage;
  const rows = inMemory.get(store) ?? new UsageRows();
  inMemory.set(store, rows);
  return rows;
}
