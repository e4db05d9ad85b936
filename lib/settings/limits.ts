/** How much may be asked with a key, or with one of its secrets. Whole credits, 1 to 1,000,000,000. `{}` is no limit. */
export interface Limits {
  /** What the bucket gains a second. */
  readonly perSecond?: number | undefined;
  /** What the bucket holds. Default twice `perSecond`, which it needs. */
  readonly burst?: number | undefined;
  /** From midnight to midnight, UTC. */
  readonly perDay?: number | undefined;
}

export interface KeyLimits extends Limits {
  /** For each address that calls with the key; IPv6 by /64. */
  readonly perAddress?: { readonly perSecond: number; readonly burst?: number | undefined } | undefined;
}
