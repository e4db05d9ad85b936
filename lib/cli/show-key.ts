import { ALLOWLIST_TYPES } from '../allowlists';
import type { AllowlistType, Allowlists } from '../settings/key-settings';
import type { KeyView, SecretView } from '../settings/key-view';
import type { LimitsInUse } from '../keys/limits-in-use';
import { warningsOf } from '../keys/warnings';
import { kebab } from './arguments';
import { limitWords, useWords } from './limit-options';
import { paint, printable, wrap } from './output';
import { indent, table } from './table';
import type { Output, Terminal } from './output';
import type { Cell } from './table';

/** Prints the key and its warnings as the result of a command. */
export function showKey(output: Output, key: KeyView, use?: LimitsInUse): void {
  const lines = (): string[] => linesOfKey(key, output.terminal, use && useWords(use));
  output.result({ key, warnings: warningsOf(key), ...(use !== undefined && { limits: use }) }, lines);
  noteWarnings(output, key);
}

/**
 * Prints one line about a changed key; with `--json`, the whole key.
 * @param lists that were changed: what is surprising in the others was said when they were.
 */
export function showChange(output: Output, key: KeyView, change: string, lists: readonly AllowlistType[] = []): void {
  const { apiKey, name, version } = key;
  const which = name === '' ? apiKey : `${apiKey} (${name})`;
  const line = printable(`${which}, version ${String(version)}: ${change}`);
  output.result({ key, warnings: warningsOf(key) }, () => wrap(line, output.terminal.width));
  for (const { at, message } of warningsOf(key)) {
    const isElsewhere = at in key.allowlists && !lists.includes(at as AllowlistType);
    if (!isElsewhere) output.note(`warning: ${message}`);
  }
}

/** `which` key they are of, where there are several. */
export function noteWarnings(output: Output, key: KeyView, which = ''): void {
  const of = which === '' ? '' : ` ${which}:`;
  for (const { message } of warningsOf(key)) output.note(`warning:${of} ${message}`);
}

function linesOfKey(key: KeyView, terminal: Terminal, use = ''): string[] {
  const heading = (text: string) => ['', paint(text, 'bold', terminal)];
  const { secrets } = key;
  return [
    // A key that goes over two lines cannot be copied.
    `Key         ${key.apiKey}`,
    ...table(
      [{ title: '' }, { title: '', wraps: true }],
      [
        ['Name', key.name === '' ? '(none)' : key.name],
        ['State', stateOf(key)],
        ['Secret', secretRule(key)],
        ['Allowlists', overrideRule(key)],
        ...(key.reportOnly.length === 0 ? [] : [['Report-only', reportOnlyWords(key)]]),
        ['Limits', use === '' ? limitWords(key) : `${limitWords(key)} (${use})`],
        ['Version', String(key.version)],
        ['Created', when(key.createdAt)],
        ['Changed', when(key.updatedAt)],
        ...(key.lastUsedAt === undefined ? [] : [['Last used', when(key.lastUsedAt)]]),
      ],
      terminal,
    ),
    ...heading('Secrets'),
    ...(secrets.length === 0 ? ['  none'] : indent(linesOfSecrets(secrets, narrower(terminal)))),
    ...secrets.flatMap((secret) =>
      secret.limits === undefined
        ? []
        : [
            ...heading(`Limits of the secret ${secret.id}`),
            ...indent(wrap(limitWords(secret), narrower(terminal).width)),
          ],
    ),
    ...heading('Allowlists'),
    ...indent(linesOfLists(key.allowlists, narrower(terminal))),
    ...secrets.flatMap(({ id, allowlists }) =>
      allowlists === undefined
        ? []
        : [...heading(`Allowlists of the secret ${id}`), ...indent(linesOfLists(allowlists, narrower(terminal)))],
    ),
  ];
}

export function secretRule({ requireSecret }: KeyView): string {
  return requireSecret ? 'required' : 'not required';
}

export function overrideRule({ overrideAllowlists }: KeyView): string {
  return overrideAllowlists ? 'overridden by a valid secret' : 'hold with and without a secret';
}

/** Which lists only report, and since when. */
export function reportOnlyWords({ reportOnly, reportOnlySince = {} }: KeyView): string {
  const words = reportOnly.map((type) => {
    const since = reportOnlySince[type];
    return since === undefined ? kebab(type) : `${kebab(type)} since ${toTheSecond(since)}`;
  });
  return words.length === 0 ? 'none' : words.join(', ');
}

export function stateOf({ enabled }: KeyView): Cell {
  return enabled ? { text: 'enabled', colour: 'green' } : { text: 'disabled', colour: 'red' };
}

function linesOfSecrets(secrets: readonly SecretView[], terminal: Terminal): string[] {
  return table(
    [
      { title: 'ID' },
      { title: 'BEGINS' },
      { title: 'LABEL', wraps: true },
      { title: 'STATE' },
      { title: 'CREATED' },
      { title: 'EXPIRES', wraps: true },
    ],
    secrets.map(({ id, hint, label, state, createdAt, expiresAt }) => [
      id,
      hint,
      label,
      state === 'active' ? { text: state, colour: 'green' } : { text: state, colour: 'red' },
      ago(createdAt),
      expiresAt === undefined ? 'never' : when(expiresAt),
    ]),
    terminal,
  );
}

export const NO_LIST = 'no list: everything passes';

function linesOfLists(lists: Allowlists, terminal: Terminal): string[] {
  return table(
    [{ title: '' }, { title: '', wraps: true }],
    ALLOWLIST_TYPES.flatMap((type): Cell[][] => {
      const [first = { text: NO_LIST, colour: 'dim' as const }, ...more] = lists[type];
      return [[kebab(type), first], ...more.map((entry) => ['', entry])];
    }),
    terminal,
  );
}

function narrower(terminal: Terminal): Terminal {
  return { ...terminal, width: terminal.width - 2 };
}

const UNITS: readonly (readonly [one: string, many: string, milliseconds: number])[] = [
  ['year', 'years', 31_536_000_000],
  ['month', 'months', 2_592_000_000],
  ['day', 'days', 86_400_000],
  ['h', 'h', 3_600_000],
  ['min', 'min', 60_000],
  ['s', 's', 1000],
];

/** How long ago or ahead, and the instant itself, to the second. */
export function when(time: string): string {
  return `${ago(time)} (${toTheSecond(time)})`;
}

function toTheSecond(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}

/** `4 s ago`, `12 min ago`, `in 3 days`, or `now`. */
export function ago(time: string): string {
  const ahead = Date.parse(time) - Date.now();
  const found = UNITS.find(([, , milliseconds]) => Math.abs(ahead) >= milliseconds);
  if (found === undefined) return 'now';
  const [one, many, milliseconds] = found;
  const number = Math.round(Math.abs(ahead) / milliseconds);
  const length = `${String(number)} ${number === 1 ? one : many}`;
  return ahead < 0 ? `${length} ago` : `in ${length}`;
}
