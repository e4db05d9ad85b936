export function medianOf(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** From the least to the greatest, as a part of the median. */
export function spreadOf(numbers) {
  return (Math.max(...numbers) - Math.min(...numbers)) / medianOf(numbers);
}
