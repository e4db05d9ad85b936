/** A request that is to be handed off. */
export interface Place {
  readonly key: string;
  /** The caller's connection, on which any number of requests may be pipelined. */
  readonly connection: object;
}

interface Waiter {
  readonly place: Place;
  readonly settle: (isIn: boolean) => void;
}

/** Of one connection: 12,000 pipelined requests once opened 12,000 sockets to the upstream. */
const MAX_PER_CONNECTION = 64;
const MAX_WAITING = 1000;

/**
 * Bounds the requests under way to the upstream. What is over waits in order, and whose key has the fewest under way
 * goes first, so that one key cannot take more than its share.
 */
export class UpstreamQueue {
  readonly #maxConcurrent: number;
  readonly #byConnection = new WeakMap<object, number>();
  readonly #byKey = new Map<string, number>();
  readonly #waiting = new Map<string, Waiter[]>();
  #underWay = 0;
  #waitingCount = 0;

  constructor(maxConcurrent: number) {
    this.#maxConcurrent = maxConcurrent;
  }

  /** Whether the request may go, at once or when its turn comes; `false` when too many wait. Then call `leave`. */
  enter(place: Place): boolean | Promise<boolean> {
    if (this.#underWay < this.#maxConcurrent && this.#hasRoom(place)) {
      this.#begin(place);
      return true;
    }
    if (this.#waitingCount >= MAX_WAITING && !this.#dropForOther(place.key)) return false;
    return new Promise((settle) => {
      const ofKey = this.#waiting.get(place.key) ?? [];
      ofKey.push({ place, settle });
      this.#waiting.set(place.key, ofKey);
      this.#waitingCount++;
    });
  }

  /** For each request that was let in. */
  leave({ key, connection }: Place): void {
    this.#underWay--;
    this.#byConnection.set(connection, (this.#byConnection.get(connection) ?? 1) - 1);
    const left = (this.#byKey.get(key) ?? 1) - 1;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#remove(next);
      this.#begin(next.place);
      next.settle(true);
    }
  }

  /** Forgets a request that waits: its caller has gone. */
  drop(place: Place): void {
    const waiter = this.#waiting.get(place.key)?.find((other) => other.place === place);
    if (waiter === undefined) return;
    this.#remove(waiter);
    waiter.settle(false);
  }

  #hasRoom({ connection }: Place): boolean {
    return (this.#byConnection.get(connection) ?? 0) < MAX_PER_CONNECTION;
  }

  #begin({ key, connection }: Place): void {
    this.#underWay++;
    this.#byConnection.set(connection, (this.#byConnection.get(connection) ?? 0) + 1);
    this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1);
  }

  #next(): Waiter | undefined {
    if (this.#underWay >= this.#maxConcurrent) return undefined;
    let next: Waiter | undefined;
    for (const [key, waiters] of this.#waiting) {
      if (next !== undefined && this.#countOf(key) >= this.#countOf(next.place.key)) continue;
      next = waiters.find(({ place }) => this.#hasRoom(place)) ?? next;
    }
    return next;
  }

  #countOf(key: string): number {
    return this.#byKey.get(key) ?? 0;
  }

  /** Makes room for a key by turning away the last of the key that has most waiting. */
  #dropForOther(key: string): boolean {
    const own = this.#waiting.get(key)?.length ?? 0;
    const [greediest] = [...this.#waiting.values()].sort((a, b) => b.length - a.length);
    const last = greediest?.at(-1);
    if (greediest === undefined || last === undefined || greediest.length <= own + 1) return false;
    this.#remove(last);
    last.settle(false);
    return true;
  }

  #remove(waiter: Waiter): void {
    const { key } = waiter.place;
    const left = (this.#waiting.get(key) ?? []).filter((other) => other !== waiter);
    this.#waitingCount--;
    if (left.length > 0) this.#waiting.set(key, left);
    else this.#waiting.delete(key);
  }
}
