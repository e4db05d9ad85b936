/** By how much the worst window exceeds what it may let through. */
export function worstExcess(
  passed: readonly { readonly at: number; readonly cost: number }[],
  { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
): number {
  let worst = -Infinity;
  for (let from = 0; from < passed.length; from++) {
    let sum = 0;
    for (let to = from; to < passed.length; to++) {
      sum += passed[to]!.cost;
      worst = Math.max(worst, sum - burst - ((passed[to]!.at - passed[from]!.at) * perSecond) / 1000);
    }
  }
  return worst;
}
