import { setImmediate } from 'node:timers';

/** Milliseconds of one turn of the event loop that may go to reading bodies. */
const TURN_MS = 10;
/** Bytes of one key's bodies that may wait. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

interface Waiter {
  readonly bytes: number;
  readonly work: () => void;
}

/**
 * Bounds the time that bodies which arrive together block the event loop: after `TURN_MS` the rest wait for its next
 * turn, the keys taking turns, so that other requests are served meanwhile.
 */
export class ParseTurns {
  readonly #now: () => number;
  readonly #waiting = new Map<string, { readonly waiters: Waiter[]; bytes: number }>();
  #spentMs = 0;
  #isTurnEndAwaited = false;

  /** `now` is in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether another body of this key may wait. */
  hasRoom(key: string): boolean {
    return (this.#waiting.get(key)?.bytes ?? 0) < MAX_WAITING_BYTES;
  }

  /** The result of `work`, which reads a body of so many bytes: now, or when its turn comes. A key's bodies stay in order. */
  run<T>(key: string, bytes: number, work: () => T | Promise<T>): T | Promise<T> {
    if (this.#waiting.size === 0 && this.#spentMs < TURN_MS) return this.#measure(work);
    return new Promise((resolve, reject) => {
      this.#wait(key, {
        bytes,
        work: () => {
          try {
            resolve(this.#measure(work));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        },
      });
    });
  }

  #measure<T>(work: () => T): T {
    this.#awaitTurnEnd();
    const from = this.#now();
    try {
      return work();
    } finally {
      this.#spentMs += this.#now() - from;
    }
  }

  #wait(key: string, waiter: Waiter): void {
    const ofKey = this.#waiting.get(key) ?? { waiters: [], bytes: 0 };
    ofKey.waiters.push(waiter);
    ofKey.bytes += waiter.bytes;
    this.#waiting.set(key, ofKey);
    this.#awaitTurnEnd();
  }

  #awaitTurnEnd(): void {
    if (this.#isTurnEndAwaited) return;
    this.#isTurnEndAwaited = true;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#isTurnEndAwaited = false;
    this.#spentMs = 0;
    while (this.#waiting.size > 0 && this.#spentMs < TURN_MS) this.#takeNext();
    if (this.#waiting.size > 0) this.#awaitTurnEnd();
  };

  /** The next body of the key that has waited longest for its turn. */
  #takeNext(): void {
    for (const [key, ofKey] of this.#waiting) {
      const { bytes, work } = ofKey.waiters.shift()!;
      ofKey.bytes -= bytes;
      this.#waiting.delete(key);
      if (ofKey.waiters.length > 0) this.#waiting.set(key, ofKey);
      work();
      return;
    }
  }
}

/** One for the process: there is one event loop, however many guards. */
export const parseTurns = new ParseTurns();
