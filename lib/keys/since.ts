import type { OptionRule } from '../option-rules';

const SPAN = /^([1-9][0-9]{0,3})([hd])$/;
/** A day of UTC, or a time with its zone: without one it would depend on where the process runs. */
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const HOUR_MS = 60 * 60 * 1000;

export const SINCE_RULE: OptionRule = {
  accepts: (value) => typeof value === 'string' && (isSpan(value) || isTime(value)),
  takes: '"24h", "7d" or a time such as "2027-01-31T12:00:00Z"',
};

/** Whether it is a time that is the same everywhere: `2027-01-31`, `2027-01-31T12:00:00Z`, `2027-01-31T12:00+01:00`. */
export function isTime(value: unknown): boolean {
  return typeof value === 'string' && TIME.test(value) && !Number.isNaN(Date.parse(value));
}

/** The time that `24h`, `7d` or a time itself says, seen from another: milliseconds. */
export function timeOf(since: string, fromMs: number): number {
  const [, count, unit] = SPAN.exec(since) ?? [];
  return count === undefined ? Date.parse(since) : fromMs - Number(count) * HOUR_MS * (unit === 'h' ? 1 : 24);
}

export function isSpan(since: string): boolean {
  return SPAN.test(since);
}
