import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { splitWords } from '../../lib/cli/shell-words';

/** What bash makes of a line: each argument, ended by a NUL. */
function bash(line: string): string[] {
  const script = `words() { printf '%s\\0' "$@"; }\nwords ${line}`;
  const { stdout, status, stderr } = spawnSync('bash', ['--norc', '-c', script], { env: { LC_ALL: 'C.UTF-8' } });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout.toString().split('\0').slice(0, -1);
}

const hasBash = spawnSync('bash', ['-c', 'true']).status === 0;
if (!hasBash) console.warn('bash is not on this machine: lines are not compared with what it makes of them');
const testWithBash = hasBash ? test : test.skip;

test.each([
  ['words between blanks', `curl  -s\thttps://a/v3/KEY`, ['curl', '-s', 'https://a/v3/KEY']],
  ['single quotes', `-d '{"a":"b \\ $c"}'`, ['-d', '{"a":"b \\ $c"}']],
  ['double quotes', `-d "{\\"a\\":\\"\\$b \\\\ \\n\\"}"`, ['-d', '{"a":"$b \\ \\n"}']],
  ['a quote within quotes', `'it'\\''s'`, ["it's"]],
  ['empty words', `-d '' -A ""`, ['-d', '', '-A', '']],
  ['a backslash at the end of a line', `curl \\\n  -d 'a\\\nb' "c\\\nd" \\\r\n e`, ['curl', '-d', 'a\\\nb', 'cd', 'e']],
  ['escapes of bash', `$'{"a":"it\\'s \\u00e9\\n\\x41\\101"}'`, [`{"a":"it's é\nAA"}`]],
  ['parts that touch', `a'b'"c"\\ d`, ['abc d']],
  ['a comment', `a #b 'c`, ['a']],
])('splits as a shell does: %s', (_what, line, words) => {
  expect(splitWords(line).words).toEqual(words);
  if (hasBash && !line.includes('\r')) expect(bash(line)).toEqual(words);
});

testWithBash('splits any quoted words as bash does', () => {
  const plain = fc.stringMatching(/^[A-Za-z0-9_/.:@%+,=-]{1,8}$/);
  const single = fc.stringMatching(/^[^'\0\r]{0,12}$/).map((text) => `'${text}'`);
  const double = fc.stringMatching(/^(?:[^"`$\\!\0\r]|\\["\\$`]|\\\n){0,12}$/).map((text) => `"${text}"`);
  const escaped = fc.stringMatching(/^[ "'$\\&;|<>(){}*?#]$/).map((character) => `\\${character}`);
  const word = fc
    .array(fc.oneof(plain, single, double, escaped), { minLength: 1, maxLength: 4 })
    .map((it) => it.join(''));
  const separator = fc.constantFrom(' ', '  ', '\t', ' \\\n ');
  const line = fc.array(fc.tuple(word, separator), { minLength: 1, maxLength: 6 }).map((it) => it.flat().join(''));
  // One bash for all of them.
  const lines = fc.sample(line, 300).filter((it) => !/[^\x00-\x7f]/.test(it));
  const script = lines.map((it) => `words ${it}x`).join('\n');
  const run = spawnSync('bash', ['--norc', '-c', `words() { printf '%s\\0' "$@"; printf '\\n\\0'; }\n${script}`]);
  expect(run.status).toBe(0);
  const expected = lines.map((it) => [...splitWords(`${it}x`).words, '\n'].join('\0') + '\0').join('');
  expect(expected).toBe(run.stdout.toString());
});

test('expands the variables that are given, and leaves and reports others', () => {
  const line = `a "$SECRET" \${SECRET} '$SECRET' $OTHER "x$"`;
  const { words, variables } = splitWords(line, { SECRET: 'b c' });
  expect(words).toEqual(['a', 'b c', 'b c', '$SECRET', '$OTHER', 'x$']);
  expect([...variables]).toEqual(['SECRET', 'OTHER']);
});

test.each(['a | b', 'a > b', 'a 2>b', 'a; b', 'a && b', 'a & b', 'a\nb'])('ends with the first command: %j', (line) => {
  expect(splitWords(line)).toMatchObject({ words: ['a'], rest: expect.stringContaining('b') as string });
});

test.each(['$(id)', '"$(id)"', '`id`', '"a`id`"', '$((1))'])('runs nothing: %s', (line) => {
  expect(() => splitWords(`curl ${line}`)).toThrow(/is not run here/);
});

test.each([`'a`, `"a`, `"a\\"`, `$'a`, `$'a\\'`])('refuses a quotation that is not closed: %s', (line) => {
  expect(() => splitWords(line)).toThrow(/is not closed/);
});
