/** Reads that may be under way at once, and wait for their turn besides. */
const MAX_AT_ONCE = 100;
const MAX_WAITING = 1000;

/** Bounds the reads of keys not seen before: a flood of made-up keys must not reach the store. */
export class ReadLimiter {
  #reading = 0;
  readonly #waiting: (() => void)[] = [];

  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING;
  }

  /** Resolves when the read may begin. Call `ended` after it. */
  turn(): Promise<void> {
    if (this.#reading >= MAX_AT_ONCE) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#reading++;
    return Promise.resolve();
  }

  ended(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#reading--;
    else next();
  }
}
