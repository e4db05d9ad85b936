import { isAskedFor } from './audit-store';
import type { AskedMembers, AuditQuery } from './audit-store';

/** Of events by their ids, those that a query finds, the newest first. */
export function newestOf<T extends AskedMembers>(events: readonly T[], query: AuditQuery): T[] {
  const { before, limit } = query;
  const found: T[] = [];
  let at = before === undefined ? events.length : placeOf(before, events);
  while (found.length < limit && --at >= 0) if (isAskedFor(events[at]!, query)) found.push(events[at]!);
  return found;
}

/** Among events by their ids, the place of an id, or where it would be. */
export function placeOf(id: string, events: readonly Pick<AskedMembers, 'id'>[]): number {
  let [from, to] = [0, events.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (events[middle]!.id < id) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** By their ids, each once. */
export function inOrder<T extends Pick<AskedMembers, 'id'>>(events: readonly T[]): T[] {
  const isInOrder = events.every(({ id }, at) => at === 0 || id > events[at - 1]!.id);
  if (isInOrder) return [...events];
  const sorted = [...events].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return sorted.filter(({ id }, at) => id !== sorted[at - 1]?.id);
}
