/**
 * Options of an `LRUCache` that holds up to so many entries, and takes its memory as it fills. With `max` it would take
 * all of it at once: 1.5 ms for 10,000 entries, 14 ms and 3 MB for 100,000.
 */
export function growingTo(entries: number): { readonly maxSize: number; readonly sizeCalculation: () => number } {
  return { maxSize: entries, sizeCalculation: () => 1 };
}
