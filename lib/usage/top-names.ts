import { ALLOWED, OTHER } from '../stores/usage-store';
import { Counts } from './counts';

/** Bounds the rows of a process. */
export interface RowBudget {
  left: number;
}

/**
 * The most frequent names of one kind, of what was allowed and of what was refused apart (Space-Saving): when there is no
 * room the rarest one makes some, and what was counted of it goes to `(other)`. A newcomer takes over the rank of the name
 * that it replaces, so that one name after the other cannot push out what is frequent; what is shown of it is only what
 * was counted since. A name with more than one part in `limit` of the calls is never pushed out. Names are kept as they
 * come: not as parts of a body or a header, which would stay in memory with them.
 */
export class TopNames {
  readonly #limit: number;
  readonly #budget: RowBudget;
  readonly #allowed = new Map<string, Counts>();
  /** By outcome, then by name; there is one limit for all of them. */
  #refused: Map<string, Map<string, Counts>> | undefined;
  #refusedSize = 0;
  /** The rank of what made room last, allowed and refused: ranks only grow, and where it is found none is lower. */
  readonly #fewest: [allowed: number, refused: number] = [0, 0];
  /** By outcome: what made room. */
  #others: Map<string, Counts> | undefined;
  /** Those that the store knows and that have made room since. */
  #gone: Map<string, Counts> | undefined;

  constructor(limit: number, budget: RowBudget) {
    this.#limit = limit;
    this.#budget = budget;
  }

  of(name: string, outcome: string): Counts {
    if (outcome === ALLOWED) return this.#allowed.get(name) ?? this.#take(name, outcome);
    return this.#refused?.get(outcome)?.get(name) ?? this.#take(name, outcome);
  }

  /** What is counted of an allowed name already. */
  known(name: string): Counts | undefined {
    return this.#allowed.get(name);
  }

  /** How many rows there are. */
  get size(): number {
    return this.#allowed.size + this.#refusedSize + (this.#others?.size ?? 0) + (this.#gone?.size ?? 0);
  }

  *changed(): Generator<Counts, void> {
    for (const names of [this.#allowed, ...(this.#refused?.values() ?? []), this.#others ?? []]) {
      for (const counts of names.values()) if (counts.told !== counts.calls) yield counts;
    }
    // Its row goes: what was in it stands with the others now.
    for (const counts of this.#gone?.values() ?? []) yield counts;
  }

  /** The store has been told of those that are gone. */
  forget(told: Counts): void {
    const id = `${told.outcome} ${told.name}`;
    if (this.#gone?.get(id) === told) this.#gone.delete(id);
  }

  #take(name: string, outcome: string): Counts {
    const isAllowed = outcome === ALLOWED;
    const isFull = (isAllowed ? this.#allowed.size : this.#refusedSize) >= this.#limit;
    // Also what comes as `(other)`: two rows of one name would take each other's place, and PostgreSQL refuses the write.
    if (name === OTHER || this.#budget.left <= 0) return this.#other(outcome);
    const counts = new Counts(name, outcome);
    if (isFull) counts.guess = this.#makeRoom(isAllowed);
    else this.#budget.left--;
    (isAllowed ? this.#allowed : this.#refusedOf(outcome)).set(name, counts);
    if (!isAllowed) this.#refusedSize++;
    // It may come back before the store has been told that it went.
    if (this.#gone?.delete(`${outcome} ${name}`) === true) counts.told = -1;
    return counts;
  }

  #refusedOf(outcome: string): Map<string, Counts> {
    this.#refused ??= new Map();
    let names = this.#refused.get(outcome);
    if (names === undefined) this.#refused.set(outcome, (names = new Map<string, Counts>()));
    return names;
  }

  /** @returns the rank of what has gone. */
  #makeRoom(isAllowed: boolean): number {
    const gone = isAllowed ? this.#rarest([this.#allowed], 0) : this.#rarest(this.#refused!.values(), 1);
    const rank = gone.calls + gone.guess;
    this.#fewest[isAllowed ? 0 : 1] = rank;
    (isAllowed ? this.#allowed : this.#refusedOf(gone.outcome)).delete(gone.name);
    if (!isAllowed) this.#refusedSize--;
    this.#other(gone.outcome).absorb(gone);
    if (gone.told !== 0) {
      const empty = new Counts(gone.name, gone.outcome);
      (this.#gone ??= new Map()).set(`${gone.outcome} ${gone.name}`, empty);
      this.#budget.left--;
    }
    return rank;
  }

  #rarest(all: Iterable<Map<string, Counts>>, list: 0 | 1): Counts {
    const fewest = this.#fewest[list];
    let rarest: Counts | undefined;
    for (const names of all) {
      for (const counts of names.values()) {
        const rank = counts.calls + counts.guess;
        if (rank <= fewest) return counts;
        if (rarest === undefined || rank < rarest.calls + rarest.guess) rarest = counts;
      }
    }
    return rarest!;
  }

  #other(outcome: string): Counts {
    this.#others ??= new Map();
    let counts = this.#others.get(outcome);
    if (counts === undefined) this.#others.set(outcome, (counts = new Counts(OTHER, outcome)));
    return counts;
  }
}
