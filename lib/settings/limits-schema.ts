import { z } from 'zod';
import { exactly } from './exact-object';
import type { Limits } from './limits';

const MAX = 1_000_000_000;

const amount = z.custom<number>(isAmount, { error: ({ input }) => amountProblem(input) });
const BURST_ALONE = { path: ['burst'], message: 'needs perSecond; add it, or leave burst out' };

const LIMITS = { perSecond: amount.optional(), burst: amount.optional(), perDay: amount.optional() };
const hasRate = ({ perSecond, burst }: Limits): boolean => burst === undefined || perSecond !== undefined;

const SUCH_AS = 'an object; write { "perSecond": 50, "perDay": 1000000 }';

export const limitsSchema = exactly(LIMITS, SUCH_AS).refine(hasRate, BURST_ALONE);

export const keyLimitsSchema = exactly(
  {
    ...LIMITS,
    perAddress: exactly(
      { perSecond: amount, burst: amount.optional() },
      'an object; write { "perSecond": 5 }',
    ).optional(),
  },
  SUCH_AS,
).refine(hasRate, BURST_ALONE);

function isAmount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX;
}

function amountProblem(value: unknown): string {
  if (value === undefined) return 'is missing; write a whole number from 1';
  const found = typeof value === 'number' ? `is ${String(value)}` : 'is no number';
  const range = typeof value === 'number' && value > MAX ? `up to ${String(MAX)}` : 'from 1';
  return `${found}; write a whole number ${range}, or leave it out for no limit`;
}
