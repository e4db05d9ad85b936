import { ALLOWED, NAMES_KEPT, NO_KEY } from '../stores/usage-store';
import type { UsageKind, UsageRow } from '../stores/usage-store';
import { Counts } from './counts';
import { RefusalGroups } from './refusal-groups';
import type { RefusalGroup } from './refusal-groups';
import { TopNames } from './top-names';
import type { RowBudget } from './top-names';

/** The kinds that names are counted of, in an order of their own. */
export const NAMED_KINDS = ['method', 'address', 'origin', 'userAgent', 'secret', 'wire', 'code', 'ofSecret'] as const;
/** The places of kinds in `NAMED_KINDS`. */
export const [METHOD, ADDRESS, ORIGIN, USER_AGENT, SECRET, WIRE, CODE, OF_SECRET] = [0, 1, 2, 3, 4, 5, 6, 7] as const;

const GROUPS_OF_KEY = 100;
const GROUPS_WITHOUT_KEY = 1000;

/** A row to write, and what to do once it is known whether the store has it. */
export interface Telling {
  readonly row: UsageRow;
  readonly settle: (isTold: boolean) => void;
}

/** Who calls, as rows name it. `''` for what is not counted, or not there. */
export interface Caller {
  readonly wire: string;
  readonly origin: string;
  readonly userAgent: string;
  readonly secretId: string;
  /** The headers that `origin` and `userAgent` were read from last. */
  sentOrigin: string | undefined;
  sentUserAgent: string | undefined;
}

/** Takes what no row is for. */
const UNTOLD = new Counts('', '');
const NOBODY: Caller = {
  wire: '',
  origin: '',
  userAgent: '',
  secretId: '',
  sentOrigin: undefined,
  sentUserAgent: undefined,
};

/** What has been counted of one key in one hour. */
export class KeyHour {
  /** When what is being counted happened, and who called. */
  now = 0;
  caller = NOBODY;
  /** Whether something was counted that the store has not been told. */
  isChanged = false;
  peak = 0;
  /** By the place of their kind in `NAMED_KINDS`: found faster than in a map. */
  readonly #names: (TopNames | undefined)[] = NAMED_KINDS.map(() => undefined);
  readonly #totals = new Map<string, Counts>();
  readonly #allowed: Counts;
  #groups: RefusalGroups | undefined;
  /** What requests of the last caller count in, of the last outcome. */
  #rows: readonly Counts[] = [];
  #rowsOf = NOBODY;
  #outcome = '';
  #second = -1;
  #creditsInSecond = 0;

  constructor(
    readonly apiKey: string,
    readonly hour: string,
    readonly instance: string,
    private readonly budget: RowBudget,
  ) {
    this.#allowed = new Counts('', ALLOWED);
    this.#totals.set(ALLOWED, this.#allowed);
  }

  total(outcome: string): Counts {
    if (outcome === ALLOWED) return this.#allowed;
    let counts = this.#totals.get(outcome);
    if (counts === undefined) this.#totals.set(outcome, (counts = new Counts('', outcome)));
    return counts;
  }

  of(kind: number): TopNames {
    return (this.#names[kind] ??= new TopNames(NAMES_KEPT[NAMED_KINDS[kind]!] ?? Infinity, this.budget));
  }

  /**
   * The rows that a request of `caller` counts in as a whole. Remembered, they take 100 ns less a request. Names of callers
   * are looked up nowhere else: none of these makes room before others take their place here.
   */
  rows(outcome: string): readonly Counts[] {
    if (this.#rowsOf !== this.caller || this.#outcome !== outcome) {
      this.#rows = this.#find(this.caller, outcome);
      // Where there is no room for a name, there may be some once the store has been told.
      this.#rowsOf = this.budget.left > 0 ? this.caller : NOBODY;
      this.#outcome = outcome;
    }
    return this.#rows;
  }

  #find({ wire, origin, userAgent, secretId }: Caller, outcome: string): readonly Counts[] {
    if (this.apiKey === NO_KEY) return [this.total(outcome)];
    return [
      this.total(outcome),
      this.of(WIRE).of(wire, outcome),
      origin === '' ? UNTOLD : this.of(ORIGIN).of(origin, outcome),
      userAgent === '' ? UNTOLD : this.of(USER_AGENT).of(userAgent, outcome),
      secretId === '' ? UNTOLD : this.of(SECRET).of(secretId, outcome),
    ];
  }

  get refusals(): RefusalGroups {
    return (this.#groups ??= new RefusalGroups(
      this.apiKey === NO_KEY ? GROUPS_WITHOUT_KEY : GROUPS_OF_KEY,
      this.budget,
    ));
  }

  /** Takes note of the second in which most was spent. */
  spend(credits: number): void {
    const second = Math.floor(this.now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#creditsInSecond = 0;
    }
    this.#creditsInSecond += credits;
    if (this.#creditsInSecond > this.peak) this.peak = this.#creditsInSecond;
  }

  get size(): number {
    let size = this.#totals.size + (this.#groups?.size ?? 0);
    for (const names of this.#names) size += names?.size ?? 0;
    return size;
  }

  /** Each row that has changed since the store was told. They count as told, unless `settle(false)` is called. */
  *changed(): Generator<Telling, void> {
    for (const counts of this.#totals.values()) {
      if (counts.told === counts.calls) continue;
      const { requests } = counts;
      // Of the key as a whole, in each: whatever outcome was charged last tells it.
      const { peak } = this;
      yield this.#tell('total', counts, { ...counts.toRow(), requests, peak });
    }
    for (const [at, names] of this.#names.entries()) {
      for (const counts of names?.changed() ?? []) {
        yield this.#tell(NAMED_KINDS[at]!, counts, counts.toRow(), names);
      }
    }
    for (const group of this.#groups?.changed() ?? []) yield this.#tellGroup(group, this.#groups!);
  }

  #tell(kind: UsageKind, counts: Counts, counted: ReturnType<Counts['toRow']>, names?: TopNames): Telling {
    counts.told = counts.calls;
    return {
      row: this.#row(kind, counted),
      settle: (isTold) => {
        if (!isTold) counts.told = -1;
        else if (counted.calls === 0) names?.forget(counts);
      },
    };
  }

  #tellGroup(group: RefusalGroup, groups: RefusalGroups): Telling {
    group.told = group.count;
    const counted = group.toRow();
    return {
      row: this.#row('refusal', counted),
      settle: (isTold) => {
        if (!isTold) group.told = -1;
        else if (counted.calls === 0) groups.forget(group);
      },
    };
  }

  #row(kind: UsageKind, counted: ReturnType<Counts['toRow']>): UsageRow {
    const { apiKey, hour, instance } = this;
    return { apiKey, hour, instance, kind, ...counted };
  }
}
