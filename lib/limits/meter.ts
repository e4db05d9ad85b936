import type { CompiledLimits } from '../settings/compile';
import { Bucket } from './bucket';
import type { Rate } from './bucket';

/** What another process was last heard to have spent. */
export interface Peer {
  credits: number;
  /** When it was so, by its own clock: milliseconds since 1970. */
  at: number;
  /** In milliseconds of the monotonic clock. */
  changedAt: number;
  /** The last outage of the store after which it was heard of. */
  outage: number;
}

/** The other processes that charge the same limits. A meter has them once it has heard of one: most keep to themselves. */
export class Others {
  /** What they have spent today, as last heard. */
  spent = 0;
  /** Processes that charge, this one included. */
  processes = 1;
  /** How many outages of the store there had been at the last look. */
  outage = 0;
  /** Whether this process held itself to its part still when it heard of the others again. */
  hasHeardApart = false;
  readonly peers = new Map<string, Peer>();

  /** @param isApart whether this process holds itself to its part of the rate. */
  constructor(public isApart: boolean) {}
}

/** What has been spent of one key's or secret's limits. Day and bucket stay when the limits change. */
export class Meter {
  readonly bucket = new Bucket();
  /** Days since 1970; -1 before the first. */
  day = -1;
  /** On that day, by this process. */
  spent = 0;
  /** Of `spent`, what the others have been told. */
  told = 0;
  hasLooked = false;
  others: Others | undefined = undefined;

  constructor(
    readonly apiKey: string,
    readonly secretId: string | undefined,
    public limits: CompiledLimits,
  ) {}

  /** Begins a day. */
  turnTo(day: number): void {
    if (day === this.day) return;
    this.day = day;
    this.spent = 0;
    this.told = 0;
    const { others } = this;
    if (others === undefined) return;
    others.spent = 0;
    for (const [instance, peer] of others.peers) {
      // Who spent nothing all day has ended.
      if (peer.credits === 0) others.peers.delete(instance);
      else peer.credits = 0;
    }
  }

  /**
   * Brings the bucket up to now. Cut off from the others, it keeps and gains this process' part.
   * @returns the rate in force.
   */
  refill(rate: Rate, now: number, isApart: boolean): Rate {
    const { others } = this;
    if (others !== undefined && isApart !== others.isApart) this.#turn(others, rate, now, isApart);
    const inForce = isApart ? partOf(rate, others) : rate;
    this.bucket.refill(inForce, now);
    return inForce;
  }

  #turn(others: Others, rate: Rate, now: number, isApart: boolean): void {
    const { bucket } = this;
    const { processes } = others;
    others.isApart = isApart;
    if (isApart) {
      bucket.refill(rate, now);
      // What was there at the last look: the others may have spent as much since.
      bucket.keepPart(processes, this.spent - this.told);
      return;
    }
    bucket.refill(partOf(rate, others), now);
    // As much as waits here for its part waits with each of the others.
    if (others.hasHeardApart) bucket.spend((processes - 1) * Math.min(bucket.promised, rate.burst / processes));
    others.hasHeardApart = false;
  }

  /** What is left of the day's limit; `Infinity` without one. */
  leftToday(isAlone: boolean): number {
    const { perDay } = this.limits;
    if (perDay === undefined) return Infinity;
    const { spent, processes } = this.others ?? ALONE;
    if (isAlone) return Math.max(0, perDay - spent) - this.spent;
    // The others cannot be heard: what was left at the last look is theirs too.
    const share = Math.max(0, perDay - spent - this.told) / processes;
    return Math.floor(this.told + share) - this.spent;
  }
}

const ALONE: Pick<Others, 'spent' | 'processes'> = { spent: 0, processes: 1 };

/** A process's share of a rate while several processes cannot reach each other. */
function partOf(rate: Rate, { processes }: Pick<Others, 'processes'> = ALONE): Rate {
  return processes === 1 ? rate : { perSecond: rate.perSecond / processes, burst: rate.burst / processes };
}
