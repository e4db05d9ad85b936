import { DAY_MS } from '../stores/limit-store';

/** The clock that limits use. */
export interface Clock {
  /** Whole milliseconds that only grow. For 24 days they fit into a bucket without a number of their own on the heap. */
  now(): number;
  /** Milliseconds since 1970, which may jump. */
  wall(): number;
  /** `wall()` at a moment of `performance.now()` that has just been. A jump may be noticed a second late. */
  wallAt(moment: number): number;
  /**
   * Calls `work` after so many milliseconds, after 0 in this turn of the event loop, unless the function that it returns is
   * called before.
   */
  after(milliseconds: number, work: () => void): () => void;
}

/** What `work` comes to; rejects once it has taken so many milliseconds. */
export async function withinTime<T>(clock: Clock, milliseconds: number, work: Promise<T>): Promise<T> {
  let stop = (): void => undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    stop = clock.after(milliseconds, () => {
      reject(new Error(`no answer within ${String(milliseconds)} ms`));
    });
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    stop();
  }
}

/** How far the wall clock is ahead of `performance.now()`, and when that was looked at. */
let ahead = 0;
let lookedAt = -Infinity;

export const systemClock: Clock = {
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  /** To read a second clock takes 80 ns, a fifth of counting a request. */
  wallAt(moment) {
    if (moment - lookedAt >= 1000) {
      lookedAt = moment;
      ahead = Date.now() - moment;
    }
    return Math.floor(moment + ahead);
  },
  after(milliseconds, work) {
    if (milliseconds === 0) {
      const immediate = setImmediate(work).unref();
      return () => {
        clearImmediate(immediate);
      };
    }
    const timer = setTimeout(work, milliseconds).unref();
    return () => {
      clearTimeout(timer);
    };
  },
};

/** The day that limits count, in days since 1970, UTC. It goes back only if the clock was wrong by days. */
export class DayClock {
  #today = -Infinity;

  constructor(private readonly clock: Clock) {}

  /** `now` as the clock tells it. */
  today(now: number): number {
    const day = Math.floor(this.clock.wallAt(now) / DAY_MS);
    if (day > this.#today || day < this.#today - 1) this.#today = day;
    return this.#today;
  }
}
