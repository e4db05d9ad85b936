import { printable, terminalOf, wrap } from '../../lib/cli/output';
import { ago } from '../../lib/cli/show-key';
import { table } from '../../lib/cli/table';
import type { Terminal } from '../../lib/cli/output';

const WIDE: Terminal = { width: Infinity, hasUnicode: true, hasColours: false };
const COLUMNS = [{ title: 'KEY' }, { title: 'NAME', wraps: true }, { title: 'STATE' }];

test('columns are aligned, and no line ends in blanks', () => {
  expect(
    table(
      COLUMNS,
      [
        ['abc', '', 'on'],
        ['d', 'a name', ''],
      ],
      WIDE,
    ),
  ).toEqual(['KEY  NAME    STATE', 'abc          on', 'd    a name']);
});

test('where the longest words do not fit side by side, each row is a block of lines with titles', () => {
  const rows = [
    ['k'.repeat(32), 'of the internationalisation', 'enabled'],
    ['another', '', 'disabled'],
  ];
  expect(table(COLUMNS, rows, { ...WIDE, width: 40 })).toEqual([
    `KEY    ${'k'.repeat(32)}`,
    'NAME   of the internationalisation',
    'STATE  enabled',
    '',
    'KEY    another',
    'STATE  disabled',
  ]);
});

test('a table fits the terminal: columns that may go over several lines do, and nothing is lost', () => {
  const key = 'k'.repeat(32);
  const name = 'a rather long name of a key and averyverylongword';
  const lines = table(COLUMNS, [[key, name, 'enabled']], { ...WIDE, width: 60 });
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(60);
  expect(lines[1]).toContain(key);
  const column = lines.slice(1).map((line) => line.slice(34, 51).trim());
  expect(column.join('').replaceAll(' ', '')).toBe(name.replaceAll(' ', ''));
});

test('words are never broken: columns are as wide as their longest one', () => {
  const columns = [{ title: '' }, { title: '', wraps: true }, { title: '', wraps: true }];
  const rows = [['k'.repeat(32), 'a backend of the explorer', '1 active, required']];
  const lines = table(columns, rows, { ...WIDE, width: 52 });
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(52);
  const words = lines.join(' ').split(/ +/).slice(1).sort();
  expect(words).toEqual(['1', 'a', 'active,', 'backend', 'explorer', 'of', 'required', 'the']);
});

test('a text goes over several lines between its words, and a word that is too long stays whole', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  const url = `https://${'a'.repeat(30)}.example`;
  expect(wrap(`see ${url} for it`, 10)).toEqual(['see', url, 'for it']);
  const rows = [
    ['a', `${url} x`],
    ['b', 'some more words'],
  ];
  const lines = table([{ title: '' }, { title: '', wraps: true }], rows, { ...WIDE, width: 13 });
  expect(lines).toEqual([`a  ${url}`, '   x', 'b  some more', '   words']);
});

test.each([
  [40, '40 s ago'],
  [4, '4 s ago'],
  [0.9, 'now'],
  [90, '2 min ago'],
  [7200, '2 h ago'],
  [86_400, '1 day ago'],
  [-33 * 86_400, 'in 1 month'],
  [0, 'now'],
  [-40, 'in 40 s'],
])('%d s ago is written "%s"', (seconds, text) => {
  jest.useFakeTimers({ now: 1_800_000_000_000 });
  try {
    expect(ago(new Date(Date.now() - seconds * 1000).toISOString())).toBe(text);
  } finally {
    jest.useRealTimers();
  }
});

test('a key is never broken, however narrow the terminal is', () => {
  const key = 'k'.repeat(128);
  expect(table(COLUMNS, [[key, 'name', 'on']], { ...WIDE, width: 40 }).some((line) => line.includes(key))).toBe(true);
});

test('wide characters count twice, and combining ones not at all', () => {
  const rows = table(
    [{ title: '' }, { title: '' }],
    [
      ['鍵', '1'],
      ['🔑', '2'],
      ['e\u0301e\u0301', '3'],
      ['ab', '4'],
    ],
    WIDE,
  );
  expect(rows).toEqual(['鍵  1', '🔑  2', 'e\u0301e\u0301  3', 'ab  4']);
});

test('what could move the cursor or turn the line around is escaped', () => {
  expect(printable('a\x1b[31m\r\n\u009b\u202e\u{e0041}é鍵')).toBe(
    'a\\u001b[31m\\u000d\\u000a\\u009b\\u202e\\udb40\\udc41é鍵',
  );
  expect(table([{ title: '' }], [['\x1b[2J']], WIDE)).toEqual(['\\u001b[2J']);
});

test('colours are for terminals that want them', () => {
  const tty = { isTTY: true, columns: 100 };
  expect(terminalOf(tty, {})).toMatchObject({ hasColours: true, width: 100 });
  expect(terminalOf(tty, { NO_COLOR: '1' }).hasColours).toBe(false);
  expect(terminalOf(tty, { NO_COLOR: '' }).hasColours).toBe(true);
  expect(terminalOf(tty, { TERM: 'dumb' }).hasColours).toBe(false);
  expect(terminalOf({}, {})).toMatchObject({ hasColours: false, width: Infinity });
});

test('marks beyond ASCII are for terminals in UTF-8', () => {
  const unicode = (env: Record<string, string>, platform = 'linux') => terminalOf({}, env, platform).hasUnicode;
  expect(unicode({ LANG: 'de_DE.UTF-8' })).toBe(true);
  expect(unicode({ LC_ALL: 'C.utf8', LANG: 'C' })).toBe(true);
  expect(unicode({ LC_ALL: 'C', LANG: 'de_DE.UTF-8' })).toBe(false);
  expect(unicode({ LC_ALL: '', LANG: 'de_DE.UTF-8' })).toBe(true);
  expect(unicode({})).toBe(false);
  expect(unicode({}, 'darwin')).toBe(true);
});
