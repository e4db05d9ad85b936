/** A bucket's gain per second, and its capacity. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * A token bucket. It starts full. A charge passes when the level is at least `min(cost, burst)`, and the level falls by
 * the cost, below zero if need be: a charge above `burst` is paid off before the next.
 */
export class Bucket {
  level = NaN;
  /** The time of that level, in milliseconds of the monotonic clock. */
  at = 0;
  /** What flowed over since other processes' spending was last subtracted: they may have spent it. */
  overflow = 0;
  /** What the charges cost that wait and will be taken from it. */
  promised = 0;
  /** Of these, what those cost that it had no room for when it was last looked at: they go before all that come. */
  ahead = 0;

  /** Brings the level up to now. A level above a burst that has become smaller is cut. */
  refill({ perSecond, burst }: Rate, now: number): void {
    const gained = Number.isNaN(this.level) ? burst : this.level + (Math.max(0, now - this.at) * perSecond) / 1000;
    this.at = now;
    this.level = Math.min(gained, burst);
    this.overflow += gained - this.level;
  }

  /** Milliseconds until a charge has room behind those that are `ahead` of it; 0 for now. Refill it before. */
  waitFor(cost: number, { perSecond, burst }: Rate, ahead = this.promised): number {
    const missing = Math.min(cost, burst) + ahead - this.level;
    return missing <= 0 ? 0 : (missing * 1000) / perSecond;
  }

  spend(cost: number): void {
    this.level -= cost;
  }

  /**
   * What others have spent since this was last called, or given back where it is negative. What flowed over pays first, up to
   * what they know to be there (`most`): it may have flowed over before they spent a burst.
   */
  subtract(credits: number, burst: number, most = burst): void {
    const left = this.level - credits;
    const paid = Math.min(this.overflow, Math.max(0, credits));
    this.level = Math.min(burst, Math.max(left, Math.min(left + paid, most)));
    this.overflow = 0;
  }

  /** Keeps one of `parts` of what was there before `spent`, less that. The rest counts as flowed over. */
  keepPart(parts: number, spent: number): void {
    const kept = (this.level - this.promised + spent) / parts - spent + this.promised;
    this.overflow += this.level - kept;
    this.level = kept;
  }

  promise(cost: number): void {
    this.promised += cost;
  }

  release(cost: number): void {
    this.promised -= cost;
    if (this.promised === 0) this.ahead = 0;
  }
}
