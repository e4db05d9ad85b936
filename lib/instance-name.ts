import { randomBytes } from 'node:crypto';

/** A name for this process among those that share a store: 12 hex digits, new each time. */
export function nameInstance(): string {
  return randomBytes(6).toString('hex');
}
