import type { ProposedEntry, ProposedList } from '../../keys/proposal';
import type { AllowlistType } from '../../settings/key-settings';

/** What was ticked and unticked by hand, by list and entry. */
export type Ticks = ReadonlyMap<string, boolean>;

export function tickId(type: AllowlistType, entry: string): string {
  return `${type} ${entry}`;
}

export function isTicked(ticks: Ticks, type: AllowlistType, { entry, isTicked: byItself }: ProposedEntry): boolean {
  return ticks.get(tickId(type, entry)) ?? byItself;
}

/** What would be added: the ticked ones, without those that a ticked `*.` makes needless. */
export function chosenOf(type: AllowlistType, { entries }: ProposedList, ticks: Ticks): readonly ProposedEntry[] {
  const ticked = entries.filter((entry) => isTicked(ticks, type, entry));
  const needless = new Set(ticked.flatMap(({ covers }) => covers));
  return ticked.filter(({ entry }) => !needless.has(entry));
}

export interface Effect {
  /** Calls that the list would refuse. */
  readonly calls: number;
  /** Whose they are, the most first: entries that are not chosen, and names that are no entries. */
  readonly names: readonly { readonly name: string; readonly calls: number }[];
}

/** What a list would have refused with these entries added. */
export function effectOf({ entries, uncovered, others }: ProposedList, chosen: readonly ProposedEntry[]): Effect {
  const passing = new Set(chosen.flatMap(({ entry, covers }) => [entry, ...covers]));
  const single = entries.filter(({ covers }) => covers.length === 0);
  const left = single.filter(({ entry }) => !passing.has(entry));
  const sum = (counted: readonly ProposedEntry[]) => counted.reduce((calls, it) => calls + it.calls, 0);
  const calls = uncovered.calls + sum(single.filter((it) => it.isTicked)) - sum(single) + sum(left);
  const names = [...left.map(({ entry, calls: count }) => ({ name: entry, calls: count })), ...others];
  return { calls, names: names.sort((a, b) => b.calls - a.calls) };
}
