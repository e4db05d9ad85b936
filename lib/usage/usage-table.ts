import type { Clock } from '../limits/clock';
import { ownText } from '../own-text';
import { HOUR_MS, hourOf } from '../stores/usage-store';
import { KeyHour } from './key-hour';
import type { RowBudget } from './top-names';

export interface UsageTableOptions {
  readonly clock: Clock;
  /** Names this process, and names it afresh where the clock goes back so far that what is stored would be replaced. */
  readonly instance: () => string;
  readonly maxRows?: number;
}

const MAX_ROWS = 200_000;
const DAY_MS = 24 * HOUR_MS;

/** What this process has counted and may still have to tell: the hour that goes on, and those before that are untold. */
export class UsageTable {
  readonly #clock: Clock;
  readonly #nameInstance: () => string;
  readonly #budget: RowBudget;
  readonly #maxRows: number;
  #instance: string;
  #hour = '';
  #beganAt = NaN;
  #current = new Map<string, KeyHour>();
  #past: KeyHour[] = [];

  constructor({ clock, instance, maxRows = MAX_ROWS }: UsageTableOptions) {
    this.#clock = clock;
    this.#nameInstance = instance;
    this.#instance = instance();
    this.#maxRows = maxRows;
    this.#budget = { left: maxRows };
  }

  /** What is counted of a key now. */
  at(apiKey: string, now: number): KeyHour {
    this.#turnAt(now);
    let counted = this.#current.get(apiKey);
    if (counted === undefined) {
      const own = ownText(apiKey);
      counted = new KeyHour(own, this.#hour, this.#instance, this.#budget);
      this.#current.set(own, counted);
    }
    counted.isChanged = true;
    counted.now = now;
    return counted;
  }

  /** What has changed, the oldest hour first. */
  *changed(): Generator<KeyHour, void> {
    for (const counted of this.#past) if (counted.isChanged) yield counted;
    for (const counted of this.#current.values()) if (counted.isChanged) yield counted;
  }

  /** Hours that are over and were told whole are not needed any more. */
  forgetTold(): void {
    this.#turnAt(this.#clock.wall());
    this.#past = this.#past.filter(({ isChanged }) => isChanged);
    this.#budget.left = this.#maxRows - this.#size();
  }

  /** Gives up hours that have been over for an hour. @returns how many rows they had. */
  dropOld(): number {
    const first = hourOf(this.#beganAt - HOUR_MS);
    const old = this.#past.filter(({ hour }) => hour < first);
    this.#past = this.#past.filter(({ hour }) => hour >= first);
    this.#budget.left = this.#maxRows - this.#size();
    return old.reduce((sum, { isChanged, size }) => sum + (isChanged ? size : 0), 0);
  }

  #size(): number {
    let size = 0;
    for (const { size: rows } of this.#past) size += rows;
    for (const { size: rows } of this.#current.values()) size += rows;
    return size;
  }

  /** Where the clock goes back, the hour that it came from goes on: what was told of an earlier one is not at hand. */
  #turnAt(now: number): void {
    if (now < this.#beganAt + HOUR_MS && now >= this.#beganAt - DAY_MS) return;
    if (now < this.#beganAt) this.#instance = this.#nameInstance();
    // Also what counts as told: a write of it that is under way may fail.
    this.#past.push(...this.#current.values());
    this.#current = new Map();
    this.#beganAt = Math.floor(now / HOUR_MS) * HOUR_MS;
    this.#hour = hourOf(now);
  }
}
