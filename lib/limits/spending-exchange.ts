import { nameInstance } from '../instance-name';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import type { LimitStore, SpentRow } from '../stores/limit-store';
import { nameOfDay } from '../stores/limit-store';
import type { Rate } from './bucket';
import { withinTime } from './clock';
import type { Clock } from './clock';
import { Others } from './meter';
import type { Meter } from './meter';

export interface SpendingExchangeOptions {
  readonly store: LimitStore;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The name of this process among the others; for tests. Default: fresh. */
  readonly instance?: string;
}

const DEFAULT_INTERVAL_MS = 500;
const MAX_ROWS = 500;
const ANSWER_MS = 300;
/** How often a store that is away is tried. */
const RETRY_MS = 250;
/** Who hears again holds itself to its part for so long: until the others hear again they hold themselves to theirs. */
const REJOIN_MS = RETRY_MS + ANSWER_MS + 50;
/** What is learnt after an outage that was longer is too old to be taken off a bucket. */
const SHORT_OUTAGE_MS = 1000;
/** A row from the future is of a clock that cannot tell how old it is. */
const CLOCKS_DIFFER_MS = 1000;
/** A process that has charged a key within this time charges it still. */
const ACTIVE_MS = 60_000;

/**
 * Tells the other processes what this one has spent, and hears of theirs: after the fact, so that no request waits for
 * the store. Each writes the whole of what it has spent today, so that nothing counts twice.
 */
export class SpendingExchange {
  readonly instance: string;
  readonly #store: LimitStore;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  /** Charged since they were last told. */
  readonly #untold = new Set<Meter>();
  #isExchanging = false;
  #lastExchange = Promise.resolve();
  #isHurried = false;
  #isClosed = false;
  #lastEndedAt = -Infinity;
  #stopTimer: (() => void) | undefined;
  #awaySince: number | undefined;
  #apartUntil = -Infinity;
  #outages = 0;

  constructor({ store, logger, clock, instance = nameInstance() }: SpendingExchangeOptions) {
    this.instance = instance;
    this.#store = store;
    this.#logger = logger;
    this.#clock = clock;
    this.#intervalMs = store.intervalMs ?? DEFAULT_INTERVAL_MS;
  }

  /** Whether the store cannot be reached. */
  get isAway(): boolean {
    return this.#awaySince !== undefined;
  }

  /** Whether each process holds itself to its part: the others cannot be heard, or may not hear yet. */
  isApart(now: number): boolean {
    return this.isAway || now < this.#apartUntil;
  }

  /** Takes note of what a meter has just been charged. */
  charged(meter: Meter): void {
    this.#untold.add(meter);
    const { limits, spent, told } = meter;
    const processes = meter.others?.processes ?? 1;
    const isMuch = limits.second !== undefined && spent - told >= limits.second.burst / (5 * processes);
    if (isMuch && !this.#isHurried && !this.isAway) {
      this.#isHurried = true;
      if (!this.#isExchanging) this.#clock.after(0, () => this.#tick());
    } else if (this.#stopTimer === undefined && !this.#isExchanging) this.#schedule();
  }

  /** Tells the rest. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    await this.#lastExchange;
    while (this.#untold.size > 0) {
      const batch = this.#nextBatch();
      try {
        await withinTime(this.#clock, ANSWER_MS, this.#store.exchange(batch.map((meter) => this.#rowOf(meter))));
      } catch {
        return;
      }
    }
  }

  #schedule(): void {
    if (this.#isClosed) return;
    const rest = this.#lastEndedAt + (this.isAway ? RETRY_MS : this.#intervalMs) - this.#clock.now();
    this.#stopTimer = this.#clock.after(Math.max(0, rest), () => this.#tick());
  }

  #tick(): void {
    if (this.#isExchanging || this.#isClosed) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (this.#untold.size > 0) this.#lastExchange = this.#exchange();
  }

  async #exchange(): Promise<void> {
    this.#isExchanging = true;
    this.#isHurried = false;
    const batch = this.#nextBatch();
    const rows = batch.map((meter) => this.#rowOf(meter));
    const before = batch.map(({ told, day }) => ({ told, day }));
    for (const meter of batch) meter.told = meter.spent;
    try {
      const learnt = await withinTime(this.#clock, ANSWER_MS, this.#store.exchange(rows));
      const byName = groupRows(learnt);
      this.#back();
      for (const meter of batch) this.#learn(meter, byName.get(nameOf(meter)) ?? []);
    } catch (error) {
      batch.forEach((meter, n) => {
        if (meter.day !== before[n]!.day) return; // nobody counts on that day any more
        meter.told = before[n]!.told;
        this.#untold.add(meter);
      });
      this.#fail(error);
    }
    this.#isExchanging = false;
    this.#lastEndedAt = this.#clock.now();
    if (this.#isInHurry(batch)) this.#clock.after(0, () => this.#tick());
    // Also where there is nothing to tell: set by a charge, the timer took 20 µs of one decision in 25.
    else this.#schedule();
  }

  #isInHurry(batch: readonly Meter[]): boolean {
    return !this.isAway && (this.#isHurried || batch.length === MAX_ROWS);
  }

  #nextBatch(): readonly Meter[] {
    const batch: Meter[] = [];
    for (const meter of this.#untold) {
      this.#untold.delete(meter);
      if (batch.push(meter) === MAX_ROWS) break;
    }
    return batch;
  }

  #rowOf({ apiKey, secretId, day, spent, bucket, limits }: Meter): SpentRow {
    return {
      apiKey,
      ...(secretId !== undefined && { secretId }),
      day: nameOfDay(day),
      instance: this.instance,
      credits: spent,
      ...(limits.second !== undefined && { level: bucket.level - bucket.promised }),
      at: this.#clock.wall(),
    };
  }

  #learn(meter: Meter, rows: readonly SpentRow[]): void {
    const now = this.#clock.now();
    const isApart = this.isApart(now);
    const today = nameOfDay(meter.day);
    const known = rows.filter(
      ({ instance, day, credits }) =>
        instance !== this.instance && day === today && Number.isSafeInteger(credits) && credits >= 0,
    );
    if (known.length > 0) meter.others ??= new Others(isApart);
    const since = known.reduce((sum, row) => sum + this.#hear(meter, row, now), 0);
    this.#subtract(meter, known, since, now);
    meter.hasLooked = true;
    const { others } = meter;
    if (others === undefined) return;
    others.hasHeardApart = isApart;
    others.outage = this.#outages;
    others.spent = known.reduce((sum, { credits }) => sum + credits, 0);
    others.processes = 1 + [...others.peers.values()].filter((it) => now - it.changedAt < ACTIVE_MS).length;
  }

  /** @returns what another has spent since it was last heard of. */
  #hear({ others, hasLooked, limits }: Meter, { instance, credits, at }: SpentRow, now: number): number {
    const { peers } = others!;
    const peer = peers.get(instance);
    if (peer === undefined) {
      // For a row seen for the first time, only its writer's clock says how old it is.
      const isOld = !hasLooked && Math.abs(this.#clock.wall() - at) > ACTIVE_MS;
      peers.set(instance, { credits, at, changedAt: isOld ? -Infinity : now, outage: this.#outages });
      return Math.min(credits, limits.second?.burst ?? Infinity);
    }
    // What piled up in an outage is no debt, nor the past of a process that was not heard of before.
    const hasOutage = peer.outage !== this.#outages && !(at - peer.at <= SHORT_OUTAGE_MS);
    const since = hasOutage ? 0 : credits - peer.credits;
    if (credits !== peer.credits) {
      peers.set(instance, { credits, at, changedAt: now, outage: hasOutage ? this.#outages : peer.outage });
    }
    return since;
  }

  #subtract(meter: Meter, rows: readonly SpentRow[], since: number, now: number): void {
    const { bucket, others, hasLooked } = meter;
    const { second } = meter.limits;
    if (second === undefined) return;
    const isApart = this.isApart(now);
    meter.refill(second, now, isApart);
    // A process that joins at noon must not inherit the day as debt, only what is missing from the bucket now.
    const missing = missingFrom(rows, second, this.#clock.wall());
    if (!hasLooked) bucket.subtract(missing, second.burst);
    else if (isApart || (others !== undefined && others.outage !== this.#outages)) bucket.overflow = 0;
    else bucket.subtract(since, second.burst, second.burst - missing);
  }

  #fail(error: unknown): void {
    if (this.#awaySince !== undefined) return;
    this.#awaySince = this.#clock.now();
    const reason = describeError(error);
    this.#logger.error({ reason }, 'the store of limits is away; each process holds itself to its part');
  }

  #back(): void {
    if (this.#awaySince === undefined) return;
    const now = this.#clock.now();
    if (now - this.#awaySince > SHORT_OUTAGE_MS) {
      this.#outages++;
      this.#apartUntil = now + REJOIN_MS;
    }
    this.#awaySince = undefined;
    this.#logger.info({}, 'the store of limits is back');
  }
}

/** What the process that knows of the least in the bucket lacks by now, up to two bursts: the second is debt. */
function missingFrom(rows: readonly SpentRow[], { perSecond, burst }: Rate, wall: number): number {
  let missing = 0;
  for (const { level, at } of rows) {
    const age = wall - at;
    if (level === undefined || !Number.isFinite(level) || !(age > -CLOCKS_DIFFER_MS)) continue;
    missing = Math.max(missing, burst - level - (Math.max(0, age) * perSecond) / 1000);
  }
  return Math.min(missing, 2 * burst);
}

function nameOf({ apiKey, secretId }: Pick<SpentRow, 'apiKey' | 'secretId'>): string {
  return secretId === undefined ? apiKey : `${apiKey} ${secretId}`;
}

function groupRows(rows: readonly SpentRow[]): ReadonlyMap<string, readonly SpentRow[]> {
  const groups = new Map<string, SpentRow[]>();
  for (const row of rows) {
    const group = groups.get(nameOf(row));
    if (group === undefined) groups.set(nameOf(row), [row]);
    else group.push(row);
  }
  return groups;
}
