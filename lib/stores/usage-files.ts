import { appendFile, mkdir, readFile, readdir, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from './durable-file';
import { lockFile } from './file-lock';
import { WriteTurns, groupByDay, isAsked, sumOfDay, usageId } from './usage-rows';
import { dayOf, firstDayKept } from './usage-store';
import type { UsageQuery, UsageRow, UsageStore } from './usage-store';

/** What this process has written of a day. */
interface OwnDay {
  readonly rows: Map<string, UsageRow>;
  /** Of the file: a row that is written again stands below the one before. */
  lines: number;
  /** Whether the file may end within a line. */
  isTorn: boolean;
}

/** `2027-01-31-<instance>.jsonl`, and `2027-01-31.jsonl` for a day as a whole. */
const NAME = /^(\d{4}-\d{2}-\d{2})(-[0-9a-z]{1,64})?\.jsonl$/;
const OWN_DAYS = 2;
/** A file is written anew when so many of its lines, and as many as half, are outdated. */
const OUTDATED_LINES = 5000;

/**
 * Rows in a folder: a file for each process and day, to which lines are added, and one for each day that is over for a
 * week. It is made when there is something to tell.
 */
export class UsageFiles implements UsageStore {
  readonly #folder: string;
  /** By day and instance. */
  readonly #own = new Map<string, OwnDay>();
  readonly #turns = new WriteTurns();
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** One write after the other: the last line of a row is the one that counts. */
  write(rows: readonly UsageRow[], sequence?: number): Promise<void> {
    const written = this.#writing.then(() => (this.#turns.isLate(rows, sequence) ? undefined : this.#write(rows)));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #write(rows: readonly UsageRow[]): Promise<void> {
    for (const [day, ofDay] of groupByDay(rows)) {
      await this.#writeDay(day, ofDay);
      const oldest = new Date(Date.parse(day) - OWN_DAYS * 86_400_000).toISOString().slice(0, 10);
      for (const own of this.#own.keys()) if (own < oldest) this.#own.delete(own);
    }
  }

  async read(query: UsageQuery): Promise<readonly UsageRow[]> {
    const [first, last] = [dayOf(query.from), dayOf(query.to)];
    const names = (await this.#names()).filter(({ day }) => day >= first && day <= last);
    // What is left of hours beside their day is of a process that was ended while it removed them.
    const rolled = new Set(names.filter(({ isDay }) => isDay).map(({ day }) => day));
    const found: UsageRow[] = [];
    for (const { name, day, isDay } of names) {
      if (rolled.has(day) && !isDay) continue;
      for (const row of await this.#readFile(name, query.apiKey)) if (isAsked(query, row)) found.push(row);
    }
    return found;
  }

  async roll(before: string): Promise<void> {
    const [last, kept] = [dayOf(before), dayOf(firstDayKept(before))];
    const isDue = ({ day, isDay }: { readonly day: string; readonly isDay: boolean }) =>
      day < kept || (day < last && !isDay);
    if (!(await this.#names()).some(isDue)) return;
    const lock = await lockFile(join(this.#folder, 'roll'));
    try {
      const names = await this.#names();
      const due = names.filter(isDue);
      for (const day of new Set(due.map((it) => it.day))) {
        const isRolled = day < kept || names.some((it) => it.day === day && it.isDay);
        const ofDay = due.filter((it) => it.day === day).map(({ name }) => name);
        if (!isRolled) await this.#rollDay(day, ofDay, () => lock.assertHeld());
        for (const name of ofDay) await unlink(join(this.#folder, name));
      }
    } finally {
      await lock.release();
    }
  }

  async #rollDay(day: string, names: readonly string[], assertHeld: () => Promise<void>): Promise<void> {
    const hours: UsageRow[] = [];
    for (const name of names) hours.push(...(await this.#readFile(name)));
    const text = sumOfDay(hours)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join('');
    await writeDurably(join(this.#folder, `${day}.jsonl`), [Buffer.from(text)], assertHeld);
  }

  async #writeDay(day: string, rows: readonly UsageRow[]): Promise<void> {
    const instance = rows[0]!.instance;
    const name = `${day}-${instance}`;
    const own = this.#own.get(name) ?? { rows: new Map<string, UsageRow>(), lines: 0, isTorn: false };
    this.#own.set(name, own);
    for (const row of rows) {
      if (row.calls === 0) own.rows.delete(usageId(row));
      else own.rows.set(usageId(row), row);
    }
    await mkdir(this.#folder, { mode: 0o700 }).catch(unlessThere);
    const path = join(this.#folder, `${name}.jsonl`);
    const outdated = own.lines - own.rows.size;
    if (own.isTorn || outdated > Math.max(OUTDATED_LINES, own.rows.size)) {
      await writeFile(`${path}.tmp`, linesOf([...own.rows.values()]), { mode: 0o600 });
      await rename(`${path}.tmp`, path);
      own.lines = own.rows.size;
      own.isTorn = false;
      return;
    }
    own.isTorn = true;
    await appendFile(path, linesOf(rows), { mode: 0o600 });
    own.isTorn = false;
    own.lines += rows.length;
  }

  async #names(): Promise<readonly { readonly name: string; readonly day: string; readonly isDay: boolean }[]> {
    const names = await readdir(this.#folder).catch(unlessMissing);
    return (names ?? []).flatMap((name) => {
      const [, day, instance] = NAME.exec(name) ?? [];
      return day === undefined ? [] : [{ name, day, isDay: instance === undefined }];
    });
  }

  async #readFile(name: string, apiKey?: string): Promise<readonly UsageRow[]> {
    const text = (await readFile(join(this.#folder, name), 'utf8').catch(unlessMissing)) ?? '';
    const rows = new Map<string, UsageRow>();
    for (const line of text.split('\n')) {
      if (line === '' || (apiKey !== undefined && !line.includes(apiKey))) continue;
      const row = parse(line);
      if (row === undefined) continue;
      if (row.calls === 0) rows.delete(usageId(row));
      else rows.set(usageId(row), row);
    }
    return [...rows.values()];
  }
}

function linesOf(rows: readonly UsageRow[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

/** `undefined` for a line that was not written to its end. */
function parse(line: string): UsageRow | undefined {
  try {
    return JSON.parse(line) as UsageRow;
  } catch {
    return undefined;
  }
}

function unlessThere(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
