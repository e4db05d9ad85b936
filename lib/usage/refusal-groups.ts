import { nameOfRefusal } from '../stores/refused-call';
import type { RefusedCall } from '../stores/refused-call';
import type { RefusalDetail, UsageRow } from '../stores/usage-store';
import type { RowBudget } from './top-names';

export interface RefusalNote {
  readonly why: string | undefined;
  readonly requestId: string;
  readonly at: number;
}

/** One group, as it is counted. */
export class RefusalGroup {
  count = 0;
  told = 0;
  last = 0;
  why: string | undefined;
  requestIds: readonly string[] = [];

  constructor(
    /** Within its outcome. */
    readonly id: string,
    readonly refused: RefusedCall,
    readonly first: number,
  ) {}

  add({ why, requestId, at }: RefusalNote): void {
    this.count++;
    this.last = at;
    this.why = why === undefined || why.length <= MAX_WHY ? why : why.slice(0, MAX_WHY);
    const [last, one] = this.requestIds;
    if (last === requestId) return;
    // The last three: a list for each refusal is what a flood of them costs most.
    if (last === undefined) this.requestIds = [requestId];
    else this.requestIds = one === undefined ? [requestId, last] : [requestId, last, one];
  }

  toRow(): Omit<UsageRow, 'apiKey' | 'hour' | 'instance' | 'kind'> {
    const { refused, count, last, first, why, requestIds } = this;
    const detail: RefusalDetail = { first, ...(why !== undefined && { why }), requestIds };
    const none = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };
    return { name: nameOfRefusal(refused), outcome: refused.outcome, calls: count, ...none, lastAt: last, detail };
  }
}

const MAX_WHY = 200;
/** Of the groups that were refused longest ago, so many are looked at for the smallest. */
const LOOKED_AT = 20;

/**
 * Refusals of one key in one hour, in groups: the same one a million times is one group. Where there is no room, the
 * outcome that has most groups gives up the smallest of its oldest, so that a flood of made-up origins pushes out others
 * of its kind, and neither other refusals nor what comes again and again.
 */
export class RefusalGroups {
  readonly #max: number;
  readonly #budget: RowBudget;
  #size = 0;
  #last: RefusalGroup | undefined;
  /** By outcome, then by what they have in common; those of the last refusal come last. */
  readonly #groups = new Map<string, Map<string, RefusalGroup>>();
  readonly #gone = new Map<string, RefusalGroup>();

  constructor(max: number, budget: RowBudget) {
    this.#max = max;
    this.#budget = budget;
  }

  add(refused: RefusedCall, note: RefusalNote): void {
    if (this.#last !== undefined && isAlike(this.#last.refused, refused)) {
      this.#last.add(note);
      return;
    }
    const { outcome } = refused;
    const id = idOf(refused);
    let groups = this.#groups.get(outcome);
    if (groups === undefined) this.#groups.set(outcome, (groups = new Map<string, RefusalGroup>()));
    let group = groups.get(id);
    if (group === undefined) {
      // Of each key there is one at least: keys are known, and not made up.
      const isFull = this.#size >= this.#max || (this.#budget.left <= 0 && this.#size > 0);
      if (isFull) this.#makeRoom();
      else this.#budget.left--;
      group = new RefusalGroup(id, refused, note.at);
      if (this.#gone.size > 0 && this.#gone.delete(`${outcome} ${id}`)) group.told = -1;
      this.#size++;
    } else groups.delete(id);
    groups.set(id, group);
    group.add(note);
    this.#last = group;
  }

  get size(): number {
    return this.#size + this.#gone.size;
  }

  *changed(): Generator<RefusalGroup, void> {
    for (const groups of this.#groups.values()) {
      for (const group of groups.values()) if (group.told !== group.count) yield group;
    }
    yield* this.#gone.values();
  }

  /** The store has been told of those that are gone. */
  forget(told: RefusalGroup): void {
    const id = `${told.refused.outcome} ${told.id}`;
    if (this.#gone.get(id) === told) this.#gone.delete(id);
  }

  #makeRoom(): void {
    let most = new Map<string, RefusalGroup>();
    for (const groups of this.#groups.values()) if (groups.size > most.size) most = groups;
    let smallest: RefusalGroup | undefined;
    let looked = 0;
    for (const group of most.values()) {
      if (smallest === undefined || group.count < smallest.count) smallest = group;
      if (++looked === LOOKED_AT) break;
    }
    const { id, refused, first, told } = smallest!;
    most.delete(id);
    this.#size--;
    if (smallest === this.#last) this.#last = undefined;
    // Without room for it the store keeps an outdated group, which does no harm.
    if (told === 0 || this.#budget.left <= 0) return;
    this.#gone.set(`${refused.outcome} ${id}`, new RefusalGroup(id, refused, first));
    this.#budget.left--;
  }
}

/** A flood is of one group mostly: to compare takes a fraction of finding it. */
function isAlike(a: RefusedCall, b: RefusedCall): boolean {
  return (
    a.outcome === b.outcome &&
    a.method === b.method &&
    a.origin === b.origin &&
    a.userAgent === b.userAgent &&
    a.address === b.address &&
    a.wire === b.wire &&
    a.secretId === b.secretId
  );
}

/** None of them has a line break. To serialise it as JSON, as its row does, takes three times as long. */
function idOf({ method, origin, userAgent, address, wire, secretId }: RefusedCall): string {
  return `${method}\n${origin}\n${userAgent}\n${address}\n${wire}\n${secretId}`;
}
