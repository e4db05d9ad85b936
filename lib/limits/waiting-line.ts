import type { Clock } from './clock';

/** A charge in the line. */
export interface InLine {
  readonly bytes: number;
}

const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** A look at 10,000 takes 0.7 ms: then there is one every 4 ms, less often the more wait. */
const LOOKED_AT_A_MILLISECOND = 4000;

/**
 * Charges that wait, in order of arrival. They have one timer: one for each took 12 µs of the 46 of a decision that finds
 * the processor's caches empty.
 */
export class WaitingLine<Waiter extends InLine> {
  readonly #clock: Clock;
  readonly #look: () => number;
  readonly #waiters = new Set<Waiter>();
  #bytes = 0;
  #timerAt = Infinity;
  #stopTimer = (): void => undefined;

  /** @param look removes those that need not wait any longer, and returns when to look again. */
  constructor(clock: Clock, look: () => number) {
    this.#clock = clock;
    this.#look = look;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#waiters.size < MAX_WAITING && this.#bytes + bytes <= MAX_WAITING_BYTES;
  }

  has(waiter: Waiter): boolean {
    return this.#waiters.has(waiter);
  }

  /** Those that wait. */
  get waiters(): ReadonlySet<Waiter> {
    return this.#waiters;
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter);
    this.#bytes += waiter.bytes;
  }

  remove(waiter: Waiter): void {
    if (this.#waiters.delete(waiter)) this.#bytes -= waiter.bytes;
  }

  /** Looks at that time, by the monotonic clock, or before. */
  lookAt(at: number): void {
    if (at >= this.#timerAt || this.#waiters.size === 0) return;
    this.#stopTimer();
    this.#timerAt = at;
    const shortest = 1 + this.#waiters.size / LOOKED_AT_A_MILLISECOND;
    const wait = Math.ceil(Math.max(shortest, at - this.#clock.now()));
    this.#stopTimer = this.#clock.after(wait, () => {
      this.#timerAt = Infinity;
      this.lookAt(this.#look());
    });
  }

  /** Looks no more, unless another comes after all. */
  close(): void {
    this.#stopTimer();
    this.#timerAt = Infinity;
  }
}
