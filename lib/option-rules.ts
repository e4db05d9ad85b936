import { RpcGuardError } from './errors';
import type { RpcGuardErrorCode } from './errors';
import { stderrLogger } from './logger';
import { nearestTo } from './spelling';

/** What one option takes. */
export interface OptionRule {
  readonly accepts: (value: unknown) => boolean;
  /** Ends the sentence "it takes …", with a right value. */
  readonly takes: string;
  /** Stands in for an option that is left out. */
  readonly default?: unknown;
  readonly isRequired?: boolean;
  /** Shows a wrong value, where `quoteValue` would show what is secret, or too little. */
  readonly quote?: (value: unknown) => string;
}

/** A rule for each member that an object of options may have. */
export type OptionRules<Options> = Readonly<Record<keyof Options, OptionRule>>;

export const MAX_TIMER_MS = 2 ** 31 - 1;

/** A longer or odder name may be a key or a secret in the wrong place: it is not shown. */
const NAME_TO_SHOW = /^[A-Za-z_]{1,24}$/;

export const isFunction = (value: unknown) => typeof value === 'function';
export const isText = (value: unknown) => typeof value === 'string';
export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
export const hasMethods = (value: unknown, ...names: string[]) =>
  isObject(value) && names.every((name) => isFunction((value as Record<string, unknown>)[name]));
export const isWhole = (min: number, max: number) => (value: unknown) =>
  Number.isInteger(value) && Number(value) >= min && Number(value) <= max;

/** Not a Headers or a Map, whose entries are where a spread does not find them. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (!isObject(value) || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

export const LOGGER_RULE: OptionRule = {
  accepts: (value) => hasMethods(value, 'info', 'warn', 'error'),
  takes: 'an object with info, warn and error, such as pino()',
  default: stderrLogger,
};

export const BOOLEAN_RULE: OptionRule = { accepts: (value) => typeof value === 'boolean', takes: 'true or false' };

/**
 * Checks what a constructor or a factory was given, and fills in the defaults.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem, the value found and a right one.
 */
export function checkOptions<Options extends object>(
  whose: string,
  rules: OptionRules<Options>,
  given: Options | undefined,
): Options {
  assertNoProblems('ERR_RPC_GUARD_OPTIONS', `${whose} cannot start`, problemsOf(rules, given));
  const values: Partial<Record<string, unknown>> = { ...given };
  for (const [name, rule] of entriesOf(rules)) values[name] ??= rule.default;
  return values as Options;
}

/**
 * Checks the object that a method was given.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` with every problem, the value found and a right one.
 */
export function checkArgument<Argument extends object>(
  whose: string,
  rules: OptionRules<Argument>,
  given: Argument | undefined,
): void {
  assertNoProblems('ERR_RPC_GUARD_ARGUMENT', whose, problemsOf(rules, given));
}

/** Every problem in words; `[]` when there is none. `at` stands before the names of a nested object's members. */
export function problemsOf<Options extends object>(rules: OptionRules<Options>, given: unknown, at = ''): string[] {
  const names = Object.keys(rules);
  const isReadable = given === undefined || isPlainObject(given);
  const values: Record<string, unknown> = isReadable ? { ...given } : {};
  const problems = Object.keys(values)
    .filter((name) => !Object.hasOwn(rules, name))
    .map((name) => at + unknownMember(name, names));
  if (!isReadable) problems.push(`${at}got ${kindOf(given)}; it takes an object with ${names.join(', ')}`);
  for (const [name, rule] of entriesOf(rules)) {
    const value = values[name];
    if (value === undefined) {
      if (rule.isRequired === true) problems.push(`${at}${name}: is required; it takes ${rule.takes}`);
    } else if (!rule.accepts(value)) {
      problems.push(`${at}${name}: got ${(rule.quote ?? quoteValue)(value)}; it takes ${rule.takes}`);
    }
  }
  return problems;
}

export function assertNoProblems(code: RpcGuardErrorCode, what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const separator = code === 'ERR_RPC_GUARD_OPTIONS' ? '\n  ' : ' ';
  throw new RpcGuardError(code, `${what}:${separator}${problems.join(separator === ' ' ? '; ' : separator)}`);
}

/** A misspelt member, with the right one of that object, or all of them. */
export function unknownMember(name: string, names: readonly string[]): string {
  const shown = NAME_TO_SHOW.test(name) ? name : 'a member with a long or odd name';
  const meant = nearestTo(name, names);
  const right = meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`;
  return `${shown}: does not exist; ${right}`;
}

/** A value in a few words. What stands inside an object or behind an `@` may be secret. */
export function quoteValue(value: unknown): string {
  if (typeof value === 'string') {
    return value.includes('@') ? 'a string with an "@" in it' : JSON.stringify(value.slice(0, 100));
  }
  return ['number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  return isObject(value) ? 'an object' : `a ${typeof value}`;
}

function entriesOf<Options extends object>(rules: OptionRules<Options>): [string, OptionRule][] {
  return Object.entries(rules);
}
