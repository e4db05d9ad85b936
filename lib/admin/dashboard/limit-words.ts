import type { KeyLimits } from '../../settings/limits';

const GROUPED = new Intl.NumberFormat('en-US');

/** `1,000,000` */
export function grouped(amount: number): string {
  return GROUPED.format(amount);
}

/** `50 a second, burst 100; 1,000,000 a day; 5 a second by address`, or `none`. */
export function limitWords({ perSecond, burst, perDay, perAddress }: KeyLimits = {}): string {
  const words = [
    perSecond === undefined ? [] : [`${grouped(perSecond)} a second, burst ${grouped(burst ?? 2 * perSecond)}`],
    perDay === undefined ? [] : [`${grouped(perDay)} a day`],
    perAddress === undefined ? [] : [`${grouped(perAddress.perSecond)} a second by address`],
  ];
  return words.flat().join('; ') || 'none';
}
