import type { OptionRule } from '../option-rules';

const SPAN = /^([1-9][0-9]{0,3})([hd])$/;
const HOUR_MS = 60 * 60 * 1000;

export const SINCE_RULE: OptionRule = {
  accepts: (value) => typeof value === 'string' && (isSpan(value) || !Number.isNaN(Date.parse(value))),
  takes: '"24h", "7d" or a time such as "2027-01-31T12:00:00Z"',
};

/** The time that `24h`, `7d` or a time itself says, seen from another: milliseconds. */
export function timeOf(since: string, fromMs: number): number {
  const [, count, unit] = SPAN.exec(since) ?? [];
  return count === undefined ? Date.parse(since) : fromMs - Number(count) * HOUR_MS * (unit === 'h' ? 1 : 24);
}

export function isSpan(since: string): boolean {
  return SPAN.test(since);
}
