import { nameOfRefusal } from '../stores/refused-call';
import type { RefusedCall } from '../stores/refused-call';
import type { RefusalDetail, UsageRow } from '../stores/usage-store';

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
    readonly name: string,
    readonly outcome: string,
    readonly first: number,
  ) {}

  add({ why, requestId, at }: RefusalNote): void {
    this.count++;
    this.last = at;
    this.why = why?.slice(0, MAX_WHY);
    if (this.requestIds[0] !== requestId) this.requestIds = [requestId, ...this.requestIds].slice(0, IDS_KEPT);
  }

  toRow(): Omit<UsageRow, 'apiKey' | 'hour' | 'instance' | 'kind'> {
    const { name, outcome, count, last, first, why, requestIds } = this;
    const detail: RefusalDetail = { first, ...(why !== undefined && { why }), requestIds };
    const none = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };
    return { name, outcome, calls: count, ...none, lastAt: last, detail };
  }
}

const IDS_KEPT = 3;
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
  #size = 0;
  /** By outcome, then by name; those of the last refusal come last. */
  readonly #groups = new Map<string, Map<string, RefusalGroup>>();
  readonly #gone = new Map<string, RefusalGroup>();

  constructor(max: number) {
    this.#max = max;
  }

  add(refused: RefusedCall, note: RefusalNote): void {
    const { outcome } = refused;
    const name = nameOfRefusal(refused);
    let groups = this.#groups.get(outcome);
    if (groups === undefined) this.#groups.set(outcome, (groups = new Map<string, RefusalGroup>()));
    let group = groups.get(name);
    if (group === undefined) {
      if (this.#size >= this.#max) this.#makeRoom();
      group = new RefusalGroup(name, outcome, note.at);
      if (this.#gone.delete(`${outcome} ${name}`)) group.told = -1;
      this.#size++;
    } else groups.delete(name);
    groups.set(name, group);
    group.add(note);
  }

  get size(): number {
    return this.#size;
  }

  *changed(): Generator<RefusalGroup, void> {
    for (const groups of this.#groups.values()) {
      for (const group of groups.values()) if (group.told !== group.count) yield group;
    }
    yield* this.#gone.values();
  }

  /** The store has been told of those that are gone. */
  forget(told: RefusalGroup): void {
    const id = `${told.outcome} ${told.name}`;
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
    const { name, outcome, first, told } = smallest!;
    most.delete(name);
    this.#size--;
    if (told !== 0) this.#gone.set(`${outcome} ${name}`, new RefusalGroup(name, outcome, first));
  }
}
