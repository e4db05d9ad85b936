import type { AllowlistType } from '../settings/key-settings';

/** What usage has counted of one name and outcome in one hour or day. */
export interface CountedRow {
  readonly kind: string;
  readonly name: string;
  /** `allowed`, `wouldRefuse:<REASON>` or `<REASON>`. */
  readonly outcome: string;
  /** When the hour or the day began: ISO 8601, UTC. */
  readonly hour: string;
  readonly calls: number;
  /** Milliseconds since 1970. */
  readonly lastAt: number;
}

export interface ProposedEntry {
  readonly entry: string;
  readonly calls: number;
  /** Of all that was counted for the list: 0 to 1. */
  readonly share: number;
  /** ISO 8601, UTC. */
  readonly lastAt: string;
  /** The proposed entries that it would make needless: those of subdomains under a `*.`. */
  readonly covers: readonly string[];
  /** Whether it is proposed to be added; the others are to be looked at. */
  readonly isTicked: boolean;
}

export interface ProposedList {
  /** Those that are on the list already are not among them. */
  readonly entries: readonly ProposedEntry[];
  /** All that was counted for the list. */
  readonly calls: number;
  /** What neither the list as it is nor the ticked entries let pass. */
  readonly uncovered: { readonly calls: number; readonly share: number };
  /**
   * What of it is no entry either, the 10 with the most calls: what anybody can send, what found no room, `(none)` for
   * calls that say nothing, `(unknown)` for methods that the guard does not know, `(other)` for rare names.
   */
  readonly others: readonly { readonly name: string; readonly calls: number }[];
  /** What the guard refused meanwhile, for any reason: never proposed. */
  readonly refused: readonly { readonly entry: string; readonly calls: number; readonly lastAt: string }[];
}

/** Lists that would let pass what was seen. */
export interface Proposal {
  /** Calls that were allowed. */
  readonly calls: number;
  /** ISO 8601, UTC: when the first of them were counted, and the last. */
  readonly from: string;
  readonly to: string;
  readonly days: number;
  readonly lists: Readonly<Record<AllowlistType, ProposedList>>;
  /** The share of calls that all ticked entries together would refuse at most: counts of one list know nothing of others. */
  readonly togetherAtMost: number;
  /** What to know before entries are taken over. */
  readonly notes: readonly string[];
}
