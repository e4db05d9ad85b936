import { counters } from '../counters';
import { withinTime } from '../limits/clock';
import type { Clock } from '../limits/clock';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { HOURS_KEPT_DAYS, HOUR_MS, beginningOfDay, isoOf } from '../stores/usage-store';
import type { UsageRow, UsageStore } from '../stores/usage-store';
import type { KeyHour, Telling } from './key-hour';
import type { UsageTable } from './usage-table';

export interface UsageFlushOptions {
  readonly table: UsageTable;
  readonly store: UsageStore;
  readonly logger: Logger;
  readonly clock: Clock;
}

const INTERVAL_MS = 10_000;
const MAX_ROWS = 5000;
const ANSWER_MS = 10_000;
/** Writes whose answers are still to come; with more of them, a store that hangs would fill the memory. */
const MAX_UNANSWERED = 3;
const RETRY_ROLL_MS = HOUR_MS;

interface Batch {
  readonly tellings: Telling[];
  readonly hours: Set<KeyHour>;
}

/**
 * Tells the store every 10 s what has been counted: each row as a whole, so that one whose answer was lost, and that is
 * told again, counts once. Once a day it lets the store make days of old hours.
 */
export class UsageFlush {
  readonly #options: UsageFlushOptions;
  #stopTimer: (() => void) | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #rolling: Promise<void> = Promise.resolve();
  #rolledTo = '';
  #rolledAt = -Infinity;
  #isAway = false;
  #sequence = 0;
  #unanswered = 0;
  #isClosed = false;

  constructor(options: UsageFlushOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Tells what there is to tell. Never rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    await this.flush();
    // Days that are not made now are made by the next process.
    await withinTime(this.#options.clock, ANSWER_MS, this.#rolling).catch(() => undefined);
  }

  #schedule(): void {
    this.#stopTimer = this.#options.clock.after(INTERVAL_MS, () => {
      void this.flush().then(() => {
        if (!this.#isClosed) this.#schedule();
      });
    });
  }

  async #flush(): Promise<void> {
    const { table } = this.#options;
    let batch: Batch = { tellings: [], hours: new Set() };
    for (const counted of table.changed()) {
      counted.isChanged = false;
      for (const telling of counted.changed()) {
        if (isFull(batch, telling)) {
          if (!(await this.#write(batch))) {
            telling.settle(false);
            counted.isChanged = true;
            return;
          }
          batch = { tellings: [], hours: new Set() };
        }
        batch.tellings.push(telling);
        batch.hours.add(counted);
      }
    }
    if (batch.tellings.length > 0 && !(await this.#write(batch))) return;
    table.forgetTold();
    if (!this.#isClosed) this.#roll();
  }

  /** @returns whether the store has it. */
  async #write({ tellings, hours }: Batch): Promise<boolean> {
    try {
      await withinTime(this.#options.clock, ANSWER_MS, this.#send(tellings.map(({ row }) => row)));
      for (const { settle } of tellings) settle(true);
      this.#back();
      return true;
    } catch (error) {
      for (const { settle } of tellings) settle(false);
      for (const counted of hours) counted.isChanged = true;
      this.#fail(error);
      return false;
    }
  }

  /** Numbered: one that was given up may arrive after those that have told anew what it says. */
  async #send(rows: readonly UsageRow[]): Promise<void> {
    if (this.#unanswered === MAX_UNANSWERED) throw new Error('earlier writes are still without an answer');
    this.#unanswered++;
    try {
      await this.#options.store.write(rows, ++this.#sequence);
    } finally {
      this.#unanswered--;
    }
  }

  #fail(error: unknown): void {
    const { logger, table } = this.#options;
    if (!this.#isAway) {
      const reason = describeError(error);
      logger.error({ reason }, 'usage cannot be stored; an hour of it is kept until the store is back');
    }
    this.#isAway = true;
    const rows = table.dropOld();
    if (rows === 0) return;
    counters.usageDropped += rows;
    logger.error({ rows }, 'the store has been away for too long: an hour of usage is lost');
  }

  #back(): void {
    if (this.#isAway) this.#options.logger.info({}, 'usage is stored again');
    this.#isAway = false;
  }

  #roll(): void {
    const { clock } = this.#options;
    const now = clock.wall();
    const before = beginningOfDay(isoOf(now - HOURS_KEPT_DAYS * 24 * HOUR_MS));
    if (before === this.#rolledTo || clock.now() - this.#rolledAt < RETRY_ROLL_MS) return;
    this.#rolledAt = clock.now();
    this.#rolling = this.#makeDays(before);
  }

  async #makeDays(before: string): Promise<void> {
    const { store, logger } = this.#options;
    try {
      // A store of the user's own may throw, or have no `roll`.
      await store.roll(before);
      this.#rolledTo = before;
    } catch (error) {
      logger.error({ reason: describeError(error) }, 'days of usage could not be summed up; tried again in an hour');
    }
  }
}

function isFull({ tellings }: Batch, { row }: Telling): boolean {
  const [first] = tellings;
  return first !== undefined && (tellings.length === MAX_ROWS || first.row.instance !== row.instance);
}
