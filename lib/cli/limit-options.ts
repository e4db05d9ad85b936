import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { KeyView } from '../settings/key-view';
import type { LimitsInUse } from '../keys/limits-in-use';
import type { KeyLimits, Limits } from '../settings/limits';
import { grouped } from '../spelling';

/** `none` takes a limit away. */
type Amount = number | 'none';

/** The values of the limit options. */
export interface LimitFlags {
  readonly perSecond?: Amount;
  readonly burst?: Amount;
  readonly perDay?: Amount;
  readonly perAddress?: Amount;
}

/** `50`, `1k` and `1m`, or `none`. */
export function parseAmount(text: string): Amount {
  if (text === 'none') return 'none';
  const [, digits = '', unit = ''] = /^([1-9]\d{0,9})([km]?)$/i.exec(text) ?? [];
  const amount = Number(digits) * { '': 1, k: 1000, m: 1_000_000 }[unit.toLowerCase() as '' | 'k' | 'm'];
  if (amount >= 1 && amount <= 1_000_000_000) return amount;
  throw new InvalidArgumentError('Write a whole number, 1 or more, such as 50, 10k or 1m, or none for no limit.');
}

/** Adds `--per-second`, `--burst` and `--per-day`. */
export function addLimitOptions(command: Command): Command {
  return command
    .option('--per-second <n>', 'credits that it gains a second, or none', parseAmount)
    .option('--burst <n>', 'credits that it may save up; default twice --per-second', parseAmount)
    .option('--per-day <n>', 'credits from midnight to midnight (UTC), or none', parseAmount);
}

/** Adds `--per-address`. */
export function addAddressOption(command: Command): Command {
  return command.option('--per-address <n>', "credits a second for each caller's address, or none", parseAmount);
}

export function isLimitGiven({ perSecond, burst, perDay, perAddress }: LimitFlags): boolean {
  return [perSecond, burst, perDay, perAddress].some((given) => given !== undefined);
}

/** The limits with what was given changed, `null` where nothing is left of them. Without `perSecond` there is no burst. */
export function changedLimits(before: Limits | KeyLimits = {}, flags: LimitFlags): KeyLimits | null {
  const after = new Map<string, unknown>(Object.entries(before));
  const set = (name: keyof KeyLimits, given: Amount | undefined, value: unknown = given): void => {
    if (given === 'none') after.delete(name);
    else if (given !== undefined) after.set(name, value);
  };
  set('perSecond', flags.perSecond);
  if (flags.perSecond === 'none') after.delete('burst');
  set('burst', flags.burst);
  set('perDay', flags.perDay);
  set('perAddress', flags.perAddress, { perSecond: flags.perAddress });
  return after.size === 0 ? null : Object.fromEntries(after);
}

/** `50 a second, burst 100; 1,000,000 a day; 5 a second by address`, or `none`. */
export function limitWords({ limits = {} }: Pick<KeyView, 'limits'>): string {
  const { perSecond, burst, perDay, perAddress } = limits;
  const words = [
    perSecond === undefined ? [] : [`${grouped(perSecond)} a second, burst ${grouped(burst ?? 2 * perSecond)}`],
    perDay === undefined ? [] : [`${grouped(perDay)} a day`],
    perAddress === undefined ? [] : [`${grouped(perAddress.perSecond)} a second by address`],
  ];
  return words.flat().join('; ') || 'none';
}

/** `57 of 100 now; 196 of 20,000 used today`; empty where nothing is known. */
export function useWords({ second, day }: LimitsInUse): string {
  const words = [
    second?.level === undefined ? [] : [`${grouped(second.level)} of ${grouped(second.burst)} left now`],
    day?.used === undefined ? [] : [`${grouped(day.used)} of ${grouped(day.limit)} used today`],
  ];
  return words.flat().join('; ');
}
