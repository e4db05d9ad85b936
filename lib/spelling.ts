/** The candidate that a mistyped word most likely means; `undefined` when none is near. */
export function nearestTo(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let nearest: string | undefined;
  let distance = Math.min(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const found = editsBetween(wanted, candidate.toLowerCase(), distance);
    if (found < distance) [nearest, distance] = [candidate, found];
  }
  return nearest;
}

/** Letters to change, add, leave out or swap with their neighbour (Damerau–Levenshtein); `limit` at most. */
function editsBetween(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let older: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const edits = [above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + (isSame ? 0 : 1)];
      if (isSwapped) edits.push(older[column - 2]! + 1);
      current.push(Math.min(...edits));
    }
    if (Math.min(...current) >= limit) return limit;
    [older, above] = [above, current];
  }
  return Math.min(above[b.length]!, limit);
}

/** `1 call`, `1,000 calls` */
export function counted(amount: number, one: string): string {
  return `${grouped(amount)} ${one}${amount === 1 ? '' : 's'}`;
}

/** `1,000,000` */
export function grouped(amount: number): string {
  return amount.toLocaleString('en-US');
}
