interface Waiter {
  readonly key: string;
  readonly bytes: number;
  readonly settle: (isIn: boolean) => void;
}

/**
 * Bounds the bytes that all requests together hold in memory. A key may hold no more than it leaves free, so that
 * others find room whatever one does.
 */
export class ByteBudget {
  readonly #total: number;
  readonly #byKey = new Map<string, number>();
  readonly #waiting = new Set<Waiter>();
  #held = 0;

  constructor(total: number) {
    this.#total = total;
  }

  take(key: string, bytes: number): boolean {
    const ofKey = this.#byKey.get(key) ?? 0;
    const free = this.#total - this.#held;
    // What is larger than the budget may go alone.
    if (this.#held > 0 && (bytes > free || (ofKey > 0 && ofKey + bytes > free))) return false;
    this.#held += bytes;
    this.#byKey.set(key, ofKey + bytes);
    return true;
  }

  /** Takes the bytes at once or when its turn comes, in order. `false` once it is dropped. */
  wait(key: string, bytes: number, onDrop: (drop: () => void) => void): boolean | Promise<boolean> {
    if (this.#waiting.size === 0 && this.take(key, bytes)) return true;
    return new Promise((settle) => {
      const waiter = { key, bytes, settle };
      this.#waiting.add(waiter);
      this.#letIn();
      onDrop(() => {
        if (this.#waiting.delete(waiter)) settle(false);
      });
    });
  }

  give(key: string, bytes: number): void {
    this.#held -= bytes;
    const left = (this.#byKey.get(key) ?? 0) - bytes;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
    this.#letIn();
  }

  #letIn(): void {
    for (const waiter of this.#waiting) {
      if (this.#held >= this.#total) return;
      if (!this.take(waiter.key, waiter.bytes)) continue;
      this.#waiting.delete(waiter);
      waiter.settle(true);
    }
  }
}

/** What one request holds of a budget. */
export class Holding {
  readonly #budget: ByteBudget;
  readonly #key: string;
  #bytes = 0;

  constructor(budget: ByteBudget, key: string) {
    this.#budget = budget;
    this.#key = key;
  }

  /** Whether there is room for so many bytes more. */
  grow(bytes: number): boolean {
    const isIn = this.#budget.take(this.#key, bytes);
    if (isIn) this.#bytes += bytes;
    return isIn;
  }

  /** Waits for room. `onDrop` is handed what ends the wait; then it is `false`. */
  async growInTurn(bytes: number, onDrop: (drop: () => void) => void): Promise<boolean> {
    const isIn = await this.#budget.wait(this.#key, bytes, onDrop);
    if (isIn) this.#bytes += bytes;
    return isIn;
  }

  /** Gives back all but so many bytes. May be called again. */
  shrinkTo(bytes: number): void {
    const over = this.#bytes - bytes;
    if (over <= 0) return;
    this.#bytes = bytes;
    this.#budget.give(this.#key, over);
  }
}
