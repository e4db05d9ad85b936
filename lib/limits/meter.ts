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

/** What has been spent of one key's or secret's limits. Day and bucket stay when the limits change. */
export class Meter {
  readonly bucket = new Bucket();
  /** Days since 1970. */
  day = -Infinity;
  /** On that day, by this process. */
  spent = 0;
  /** On that day, by others, as last heard. */
  spentByOthers = 0;
  /** Of `spent`, what the others have been told. */
  told = 0;
  /** Processes that charge, this one included. */
  processes = 1;
  hasLooked = false;
  /** How many outages of the store there had been at the last look. */
  outage = 0;
  /** In which absence of the store the bucket was cut to this process' part. */
  partOfAbsence = 0;
  peers: Map<string, Peer> | undefined = undefined;

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
    this.spentByOthers = 0;
    this.told = 0;
    for (const peer of this.peers?.values() ?? []) peer.credits = 0;
  }

  /**
   * The others cannot be heard any more: keeps this process' part of the bucket as it was at the last look. The others may
   * have spent as much since.
   */
  keepPart(absence: number): void {
    this.partOfAbsence = absence;
    this.bucket.keepPart(this.processes, this.spent - this.told);
  }

  /** What is left of the day's limit; `Infinity` without one. */
  leftToday(isAlone: boolean): number {
    const { perDay } = this.limits;
    if (perDay === undefined) return Infinity;
    if (isAlone) return Math.max(0, perDay - this.spentByOthers) - this.spent;
    // The others cannot be heard: what was left at the last look is theirs too.
    const share = Math.max(0, perDay - this.spentByOthers - this.told) / this.processes;
    return Math.floor(this.told + share) - this.spent;
  }
}

/** A process's share of a rate while several processes cannot reach each other. */
export function partOf(rate: Rate, processes: number): Rate {
  return processes === 1 ? rate : { perSecond: rate.perSecond / processes, burst: rate.burst / processes };
}
