import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { ALLOWLISTS, ALLOWLIST_TYPES } from '../allowlists';
import type { AllowlistType, Allowlists } from '../settings/key-settings';

/** What `<key>` takes. */
export const KEY_ARGUMENT = 'the API key, its first characters or its name';

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `90d`, `24h`, `15m`, `30s`, `2w` and `0`, in milliseconds. */
export function parseDuration(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * UNITS[unit]!;
  if (text === '0') return 0;
  throw new InvalidArgumentError('Write a duration such as 24h, 90m, 7d or 0.');
}

/** A duration from now, or a time as it is: KeyManager checks it. */
export function parseExpiry(text: string): string {
  if (/^\d{4}-/.test(text)) return text;
  let expiry: Date;
  try {
    expiry = new Date(Date.now() + parseDuration(text));
  } catch {
    throw new InvalidArgumentError('Write a duration such as 90d or a time such as 2027-01-31T00:00:00Z.');
  }
  if (!Number.isNaN(expiry.getTime()) && expiry.getUTCFullYear() < 10_000) return expiry.toISOString();
  throw new InvalidArgumentError('That is too far in the future.');
}

/** For an option that may come several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function parseWhole(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number, 1 or more.');
}

export function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('Write a port from 0 to 65535; 0 takes any free one.');
}

/** A list as people write it: `origins`, `origin`, `user-agent`, `contractAddresses`, `contracts`, `method`. */
export function parseListType(text: string): AllowlistType {
  const plain = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
  const meant = ALLOWLIST_TYPES.find((type) =>
    [type, ...ALLOWLISTS[type].aliases].some((name) => plain(name) === plain(text)),
  );
  if (meant !== undefined) return meant;
  throw new InvalidArgumentError(`Write one of ${ALLOWLIST_TYPES.map(kebab).join(', ')}.`);
}

/** `origins,methods`, or `none`. */
export function parseListTypes(text: string): readonly AllowlistType[] {
  return text === 'none' ? [] : text.split(',').map((name) => parseListType(name.trim()));
}

/** `contract-addresses`, for `contractAddresses`. */
export function kebab(type: AllowlistType): string {
  return type.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Entries by the option of their list: `{ origin: ['https://a.example'] }`. */
export type ListOptions = object;

/** Adds an option for entries of each list. */
export function addListOptions(command: Command): Command {
  for (const type of ALLOWLIST_TYPES) command.addOption(optionOf(type));
  return command;
}

/** `undefined` where no entry was given. */
export function listsOf(options: ListOptions): Partial<Allowlists> | undefined {
  const given = options as Readonly<Record<string, readonly string[] | undefined>>;
  const present = ALLOWLIST_TYPES.map((type) => [type, given[optionOf(type).attributeName()]] as const).filter(
    ([, entries]) => entries !== undefined,
  );
  return present.length > 0 ? Object.fromEntries(present) : undefined;
}

function optionOf(type: AllowlistType): Option {
  return new Option(ALLOWLISTS[type].flag, `an entry of ${kebab(type)}; repeatable`).argParser(collect);
}

export interface ChangeFlags {
  readonly expectVersion?: number;
}

/** Adds `--expect-version`, which every change takes. */
export function addExpectVersion(command: Command): Command {
  return command.option('--expect-version <n>', 'change nothing if the key is not of this version', parseWhole);
}

/** Examples below a command's help. A line is up to 80 characters. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  const text = lines.map((line) => `  ${line}`).join('\n');
  return command.addHelpText('after', `\nExamples:\n${text}`);
}
