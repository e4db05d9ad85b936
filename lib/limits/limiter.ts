import { LRUCache } from 'lru-cache';
import { growingTo } from '../growing-to';
import type { CompiledLimits } from '../settings/compile';
import { Bucket } from './bucket';
import type { Rate } from './bucket';
import { DAY_MS } from '../stores/limit-store';
import { DayClock } from './clock';
import type { Clock } from './clock';
import { Meter, Others } from './meter';
import type { SpendingExchange } from './spending-exchange';
import { WaitingLine } from './waiting-line';
import type { InLine } from './waiting-line';

/** Whose limits hold for a body or a message. */
export interface Payer {
  readonly apiKey: string;
  readonly limits: CompiledLimits | undefined;
  readonly secret: { readonly id: string; readonly limits: CompiledLimits | undefined } | undefined;
  /** What `perAddress` counts by. */
  readonly caller: string;
}

/** Why a charge is refused: nothing was charged. */
export type Denial =
  | { readonly limit: 'second' | 'address'; readonly retryAfterMs: number }
  | { readonly limit: 'day'; readonly day: number };

/** A charge that waits for room. */
export interface Delay {
  /** Settles when it has passed (`undefined`), or is refused after all. */
  readonly outcome: Promise<Denial | undefined>;
  /** The caller has gone: gives the credits back, unless they are more than a burst. */
  readonly leave: () => void;
}

/** What is left, for display. Absent members have no limit. */
export interface Room {
  readonly second: { readonly rate: Rate; readonly level: number } | undefined;
  readonly day: { readonly limit: number; readonly left: number; readonly endsInMs: number } | undefined;
}

/** What others have spent of a key or a secret; `undefined` where nobody tells. */
export interface Spending {
  /** What is in the bucket. */
  readonly level: number | undefined;
  /** Today. */
  readonly used: number | undefined;
}

export interface LimiterOptions {
  /** Milliseconds that a charge may wait. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly exchange: SpendingExchange | undefined;
}

/** A bucket that a charge is taken from; `meter` is that of a key or secret, which others may charge too. */
interface Share {
  readonly bucket: Bucket;
  readonly rate: Rate;
  readonly meter: Meter | undefined;
}

/** A class: the same as a copied object with two closures took 18 µs of a decision that finds the processor's caches empty. */
class Waiter implements InLine {
  settle: ((denial: Denial | undefined) => void) | undefined = undefined;
  readonly day: number;

  constructor(
    readonly cost: number,
    readonly bytes: number,
    readonly shares: readonly Share[],
    readonly meters: readonly Meter[],
    readonly arrivedAt: number,
  ) {
    this.day = meters[0]?.day ?? 0;
  }
}

const MAX_ADDRESSES = 100_000;
const PASSED = undefined;

/**
 * Charges bodies and messages to the limits of a key, its secret and the caller's address: to all of them or to none.
 * What there will be room for within `waitMs` waits, in the order of arrival.
 */
export class Limiter {
  readonly #options: LimiterOptions;
  readonly #days: DayClock;
  /** By key, and by key and secret. A meter that is not charged for a day is dropped. */
  #meters = new Map<string, Meter>();
  #yesterdaysMeters = new Map<string, Meter>();
  #today = -Infinity;
  #addresses: LRUCache<string, Bucket> | undefined;
  readonly #line: WaitingLine<Waiter>;

  constructor(options: LimiterOptions) {
    this.#options = options;
    this.#days = new DayClock(options.clock);
    this.#line = new WaitingLine(options.clock, () => this.#look());
  }

  /** `undefined` when it has passed. `bytes` are held while it waits. */
  charge(payer: Payer, cost: number, bytes: number): Denial | Delay | undefined {
    if (cost === 0) return PASSED;
    const now = this.#options.clock.now();
    const meters = this.#metersOf(payer, now);
    for (const meter of meters)
      if (meter.leftToday(!this.#isApart(now)) < cost) return { limit: 'day', day: meter.day };
    const shares = this.#sharesOf(payer, meters);
    const { tightest, wait } = this.#waitOf(shares, cost, now);
    if (wait > 0) {
      const denial = { limit: tightest, retryAfterMs: wait };
      const isLong = wait > this.#options.waitMs;
      return isLong ? denial : this.#delay(new Waiter(cost, bytes, shares, meters, now), denial);
    }
    for (const { bucket } of shares) bucket.spend(cost);
    this.#count(meters, cost);
    return PASSED;
  }

  /**
   * Undoes a charge that has passed.
   * @returns whether it did: to a caller that has left (`hasLeft`) it gives nothing back above a burst.
   */
  giveBack(payer: Payer, cost: number, hasLeft = false): boolean {
    if (cost === 0) return true;
    const now = this.#options.clock.now();
    const meters = this.#metersOf(payer, now);
    const shares = this.#sharesOf(payer, meters);
    if (hasLeft && isAboveBurst(cost, shares)) return false;
    for (const { bucket } of shares) bucket.spend(-cost);
    // Another day may have begun since.
    for (const meter of meters) this.#count([meter], -Math.min(cost, meter.spent));
    this.#line.lookAt(now);
    return true;
  }

  /** Whether there is no room at all, so that a body that costs anything need not be read. */
  refusesUnread(payer: Payer): Denial | undefined {
    const now = this.#options.clock.now();
    const meters = this.#metersOf(payer, now);
    for (const meter of meters) if (meter.leftToday(!this.#isApart(now)) <= 0) return { limit: 'day', day: meter.day };
    const shares = this.#sharesOf(payer, meters);
    const { tightest, wait } = this.#waitOf(shares, 1, now);
    const isEmpty = shares.some(({ bucket }) => bucket.level - bucket.promised <= 0);
    return isEmpty ? { limit: tightest, retryAfterMs: wait } : undefined;
  }

  /** What is left for this payer, the tighter of key and secret. */
  roomFor(payer: Payer): Room {
    const { clock } = this.#options;
    const now = clock.now();
    let second: Room['second'];
    let day: Room['day'];
    for (const meter of this.#metersOf(payer, now)) {
      const { second: rate, perDay } = meter.limits;
      if (rate !== undefined) {
        this.#refill({ bucket: meter.bucket, rate, meter }, now);
        const level = meter.bucket.level - meter.bucket.promised;
        if (second === undefined || level < second.level) second = { rate, level };
      }
      if (perDay === undefined) continue;
      const left = Math.max(0, meter.leftToday(!this.#isApart(now)));
      const endsInMs = (meter.day + 1) * DAY_MS - clock.wallAt(now);
      if (day === undefined || left < day.left) day = { limit: perDay, left, endsInMs };
    }
    return { second, day };
  }

  /** Begins where others are with the key and the secret of a payer, in place of a full bucket and an unspent day. */
  beginAt(payer: Payer, spendingOf: (secretId: string | undefined) => Spending): void {
    const now = this.#options.clock.now();
    for (const meter of this.#metersOf(payer, now)) {
      const { level, used } = spendingOf(meter.secretId);
      meter.others = new Others(false);
      meter.others.spent = used ?? 0;
      if (level === undefined) continue;
      meter.bucket.level = level;
      meter.bucket.at = now;
    }
  }

  /** Keys and secrets that are counted. */
  get size(): number {
    return this.#meters.size + this.#yesterdaysMeters.size;
  }

  /** Refuses waiting charges, and writes what was spent. */
  async close(): Promise<void> {
    this.#line.close();
    for (const waiter of this.#line.waiters) this.#end(waiter, { limit: 'second', retryAfterMs: 1000 });
    await this.#options.exchange?.close();
  }

  /** Whether the other processes can be heard; `undefined` where nothing is shared. */
  get isShared(): boolean | undefined {
    const { exchange } = this.#options;
    return exchange && !exchange.isAway;
  }

  #isApart(now: number): boolean {
    return this.#options.exchange?.isApart(now) === true;
  }

  #metersOf({ apiKey, limits, secret }: Payer, now: number): readonly Meter[] {
    const today = this.#days.today(now);
    if (today !== this.#today) this.#begin(today);
    const ofKey = isCounted(limits) ? this.#meter(apiKey, apiKey, undefined, limits) : undefined;
    if (secret === undefined || !isCounted(secret.limits)) return ofKey === undefined ? [] : [ofKey];
    const ofSecret = this.#meter(`${apiKey} ${secret.id}`, apiKey, secret.id, secret.limits);
    return ofKey === undefined ? [ofSecret] : [ofKey, ofSecret];
  }

  #meter(name: string, apiKey: string, secretId: string | undefined, limits: CompiledLimits): Meter {
    let meter = this.#meters.get(name);
    if (meter === undefined) {
      meter = this.#yesterdaysMeters.get(name) ?? new Meter(apiKey, secretId, limits);
      this.#yesterdaysMeters.delete(name);
      this.#meters.set(name, meter);
    }
    meter.limits = limits;
    meter.turnTo(this.#today);
    return meter;
  }

  #begin(today: number): void {
    this.#today = today;
    this.#yesterdaysMeters = this.#meters;
    this.#meters = new Map();
  }

  #sharesOf({ apiKey, limits, caller }: Payer, meters: readonly Meter[]): readonly Share[] {
    const shares: Share[] = [];
    for (const meter of meters) {
      const rate = meter.limits.second;
      if (rate !== undefined) shares.push({ bucket: meter.bucket, rate, meter });
    }
    const rate = limits?.perAddress;
    if (rate !== undefined) shares.push({ bucket: this.#addressBucket(`${apiKey} ${caller}`), rate, meter: undefined });
    return shares;
  }

  #addressBucket(name: string): Bucket {
    this.#addresses ??= new LRUCache(growingTo(MAX_ADDRESSES));
    let bucket = this.#addresses.get(name);
    if (bucket === undefined) this.#addresses.set(name, (bucket = new Bucket()));
    return bucket;
  }

  #waitOf(
    shares: readonly Share[],
    cost: number,
    now: number,
  ): { readonly tightest: 'second' | 'address'; readonly wait: number } {
    let wait = 0;
    let tightest: 'second' | 'address' = 'second';
    for (const share of shares) {
      const { bucket } = share;
      const own = Math.max(bucket.waitFor(cost, this.#refill(share, now)), bucket.ahead > 0 ? 1 : 0);
      if (own > wait) tightest = share.meter === undefined ? 'address' : 'second';
      wait = Math.max(wait, own);
    }
    return { tightest, wait };
  }

  /** @returns the rate in force: a process' part of it while the others cannot be heard. */
  #refill({ bucket, rate, meter }: Share, now: number): Rate {
    // The settings may have changed since a waiting charge came.
    if (meter !== undefined) return meter.refill(meter.limits.second ?? rate, now, this.#isApart(now));
    bucket.refill(rate, now);
    return rate;
  }

  #count(meters: readonly Meter[], cost: number): void {
    for (const meter of meters) {
      meter.spent += cost;
      this.#options.exchange?.charged(meter);
    }
  }

  #delay(waiter: Waiter, denial: Denial & { readonly retryAfterMs: number }): Denial | Delay {
    const { cost, bytes, shares, meters } = waiter;
    if (!this.#line.hasRoomFor(bytes)) return denial;
    const outcome = new Promise<Denial | undefined>((resolve) => (waiter.settle = resolve));
    this.#line.add(waiter);
    this.#line.lookAt(waiter.arrivedAt + denial.retryAfterMs);
    this.#goAhead(waiter, waiter.arrivedAt);
    for (const { bucket } of shares) bucket.promise(cost);
    this.#count(meters, cost);
    return {
      outcome,
      leave: () => {
        if (isAboveBurst(cost, shares)) return;
        this.#end(waiter, denial);
        this.#line.lookAt(this.#options.clock.now());
      },
    };
  }

  /** Lets those pass that there is room for. @returns when there will be for the next. */
  #look(): number {
    const now = this.#options.clock.now();
    const latest = 2 * this.#options.waitMs;
    let next = Infinity;
    for (const { shares } of this.#line.waiters) for (const { bucket } of shares) bucket.ahead = 0;
    for (const waiter of this.#line.waiters) {
      let wait = 0;
      for (const share of waiter.shares) wait = Math.max(wait, this.#waitBehind(share, waiter.cost, now));
      if (wait === 0) this.#pass(waiter);
      // Others have spent more than was known: it waits on, but no longer than twice what is asked of a caller.
      else if (now + wait - waiter.arrivedAt > latest) this.#end(waiter, { limit: 'second', retryAfterMs: wait });
      else {
        this.#goAhead(waiter, now);
        next = Math.min(next, now + wait);
      }
    }
    return next;
  }

  /** How long a charge waits for room in a bucket behind those that came before it and find none there. */
  #waitBehind(share: Share, cost: number, now: number): number {
    return share.bucket.waitFor(cost, this.#refill(share, now), share.bucket.ahead);
  }

  /** Whoever comes to a bucket that has no room for this charge waits for it. */
  #goAhead({ shares, cost }: Waiter, now: number): void {
    for (const share of shares) if (this.#waitBehind(share, cost, now) > 0) share.bucket.ahead += cost;
  }

  #pass(waiter: Waiter): void {
    this.#remove(waiter);
    for (const { bucket } of waiter.shares) bucket.spend(waiter.cost);
    waiter.settle?.(PASSED);
  }

  /** Ends the waiting and gives the day's credits back. */
  #end(waiter: Waiter, denial: Denial): void {
    if (!this.#line.has(waiter)) return;
    this.#remove(waiter);
    this.#count(
      waiter.meters.filter(({ day }) => day === waiter.day),
      -waiter.cost,
    );
    waiter.settle?.(denial);
  }

  #remove(waiter: Waiter): void {
    this.#line.remove(waiter);
    for (const { bucket } of waiter.shares) bucket.release(waiter.cost);
  }
}

/** Given back, it would keep others from the key for nothing, again and again: far more than an address may spend. */
function isAboveBurst(cost: number, shares: readonly Share[]): boolean {
  return shares.some(({ rate }) => cost > rate.burst);
}

/** Whether a key's or secret's own spending matters, beside that of each address. */
function isCounted(limits: CompiledLimits | undefined): limits is CompiledLimits {
  return limits !== undefined && (limits.second !== undefined || limits.perDay !== undefined);
}
