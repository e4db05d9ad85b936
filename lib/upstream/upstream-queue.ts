/** A request that is to be handed off. */
export interface Place {
  readonly key: string;
  /** The caller's connection, on which any number of requests may be pipelined, with those that are under way. */
  readonly connection: { underWay: number };
  /** The size of its body, which is held while it waits. */
  readonly bytes: number;
  /** Whether the caller's connection is ready for it. */
  readonly isReady: () => boolean;
}

interface Waiter {
  readonly place: Place;
  readonly settle: (isIn: boolean) => void;
}

/** Without a bound per connection, 12,000 pipelined requests opened 12,000 sockets to the upstream. */
const MAX_PER_CONNECTION = 64;
const MAX_WAITING = 1000;
/** Bytes of all waiting bodies; each counts for at least its share of `MAX_WAITING`. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/**
 * Bounds the requests under way to the upstream. The rest wait in order; the key with the fewest under way goes first,
 * so that no key takes more than its share. Waiting bodies have been read already, so their bytes are bounded too.
 */
export class UpstreamQueue {
  readonly #maxConcurrent: number;
  readonly #byKey = new Map<string, number>();
  readonly #waiting = new Map<string, Waiter[]>();
  #underWay = 0;
  /** Of all that wait. */
  #cost = 0;

  constructor(maxConcurrent: number) {
    this.#maxConcurrent = maxConcurrent;
  }

  /** Whether the request may go, now or when its turn comes; `false` if too many wait. Call `leave` after it went. */
  enter(place: Place): boolean | Promise<boolean> {
    if (this.#underWay < this.#maxConcurrent && this.#hasRoom(place)) {
      this.#begin(place);
      return true;
    }
    while (this.#cost + costOf(place) > MAX_WAITING_BYTES) {
      if (!this.#dropForOther(place)) return false;
    }
    return new Promise((settle) => {
      const ofKey = this.#waiting.get(place.key) ?? [];
      ofKey.push({ place, settle });
      this.#waiting.set(place.key, ofKey);
      this.#cost += costOf(place);
    });
  }

  /** Call it once for each request that was let in. */
  leave({ key, connection }: Place): void {
    this.#underWay--;
    connection.underWay--;
    const left = (this.#byKey.get(key) ?? 1) - 1;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
    this.look();
  }

  /** Lets waiting requests in. Call it when something has become ready. */
  look(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#remove(next);
      this.#begin(next.place);
      next.settle(true);
    }
  }

  /** Removes a waiting request whose caller has gone. */
  drop(place: Place): void {
    const waiter = this.#waiting.get(place.key)?.find((other) => other.place === place);
    if (waiter === undefined) return;
    this.#remove(waiter);
    waiter.settle(false);
  }

  #hasRoom({ connection, isReady }: Place): boolean {
    return isReady() && connection.underWay < MAX_PER_CONNECTION;
  }

  #begin({ key, connection }: Place): void {
    this.#underWay++;
    connection.underWay++;
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

  /** Makes room for a request by turning away the last one of the key with the most waiting bytes. */
  #dropForOther(place: Place): boolean {
    const own = waitingCost(this.#waiting.get(place.key) ?? []);
    const costs = [...this.#waiting.values()].map((waiters) => ({ last: waiters.at(-1), cost: waitingCost(waiters) }));
    const [greediest] = costs.sort((a, b) => b.cost - a.cost);
    const last = greediest?.last;
    if (greediest === undefined || last === undefined || greediest.cost <= own + costOf(place)) return false;
    this.#remove(last);
    last.settle(false);
    return true;
  }

  #remove(waiter: Waiter): void {
    const { key } = waiter.place;
    const left = (this.#waiting.get(key) ?? []).filter((other) => other !== waiter);
    this.#cost -= costOf(waiter.place);
    if (left.length > 0) this.#waiting.set(key, left);
    else this.#waiting.delete(key);
  }
}

function costOf({ bytes }: Place): number {
  return Math.max(bytes, Math.floor(MAX_WAITING_BYTES / MAX_WAITING));
}

function waitingCost(waiters: readonly Waiter[]): number {
  return waiters.reduce((sum, { place }) => sum + costOf(place), 0);
}
