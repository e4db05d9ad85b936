import { ALLOWLISTS } from '../allowlists';
import type { AllowlistType } from '../settings/key-settings';

export interface CheckedEntry {
  readonly entry: string;
  readonly problem: string | null;
  /** What is surprising in a good entry. */
  readonly doubt: string | null;
}

export interface Preview {
  readonly entries: readonly CheckedEntry[];
  readonly samples: readonly { readonly sample: string; readonly matchedBy: string | null }[];
}

/** What is wrong with each entry, and which of the good ones lets each sample pass, by the guard's own matching. */
export function preview(type: AllowlistType, entries: readonly string[], samples: readonly string[]): Preview {
  const { problem, doubt, compile } = ALLOWLISTS[type];
  const checked = entries.map((entry) => {
    const wrong = problem(entry) ?? null;
    return { entry, problem: wrong, doubt: wrong === null ? (doubt(entry) ?? null) : null };
  });
  const good = checked
    .filter((each) => each.problem === null)
    .map(({ entry }) => ({ entry, matches: compile([entry]) }));
  return {
    entries: checked,
    samples: samples.map((sample) => ({
      sample,
      matchedBy: good.find(({ matches }) => matches(sample))?.entry ?? null,
    })),
  };
}
