import { usage } from './exit';

export interface ShellWords {
  readonly words: readonly string[];
  /** Variables that the line names, whether or not they were given. */
  readonly variables: ReadonlySet<string>;
  /** What follows the first command: a pipe, a redirection, another command. */
  readonly rest: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const ANSI_C = /\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|([^]))/g;

/**
 * Splits the first command of a line into words as a POSIX shell does, `$'…'` of bash and zsh included. Nothing is run, and
 * nothing expanded but the variables given: others stay as they are written.
 */
export function splitWords(line: string, given: Readonly<Record<string, string>> = {}): ShellWords {
  const words: string[] = [];
  const variables = new Set<string>();
  let word: string | undefined;
  let at = 0;

  const isNext = (text: string) => line.startsWith(text, at);
  const add = (text: string): void => {
    word = (word ?? '') + text;
  };
  const endWord = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  const until = (quote: string, from: number): string => {
    const end = line.indexOf(quote, from);
    if (end === -1) throw unclosed(quote);
    at = end + 1;
    return line.slice(from, end);
  };
  const variable = (): void => {
    if (isNext('$(') || isNext('`')) {
      throw usage('the line runs another command, $(…) or `…`: nothing of it is run here; write what it gives');
    }
    const [whole = '$', braced, bare] = /^\$(?:\{(\w+)\}|([A-Za-z_]\w*))/.exec(line.slice(at)) ?? [];
    const name = braced ?? bare;
    if (name !== undefined) variables.add(name);
    add(name !== undefined && Object.hasOwn(given, name) ? given[name]! : whole);
    at += whole.length;
  };
  const doubleQuoted = (): void => {
    add('');
    for (at++; !isNext('"');) {
      if (at >= line.length) throw unclosed('"');
      if (isNext('$') || isNext('`')) variable();
      else if (isNext('\\')) {
        const next = line.charAt(at + 1);
        add('$`"\\'.includes(next) ? next : next === '\n' ? '' : `\\${next}`);
        at += 2;
      } else add(line.charAt(at++));
    }
    at++;
  };
  const ansiQuoted = (): void => {
    const from = at + 2;
    for (at = from; !isNext("'"); at += isNext('\\') ? 2 : 1) if (at >= line.length) throw unclosed("'");
    add(line.slice(from, at).replace(ANSI_C, unescape));
    at++;
  };

  while (at < line.length) {
    const character = line.charAt(at);
    if (isNext('\\\n') || isNext('\\\r\n')) at += isNext('\\\n') ? 2 : 3;
    else if (character === ' ' || character === '\t' || character === '\r') {
      endWord();
      at++;
    } else if ('\n;|&<>()'.includes(character)) {
      // The number of a redirection, as in 2>/dev/null, is no word.
      if ('<>'.includes(character) && /^\d+$/.test(word ?? '')) word = undefined;
      if (words.length > 0 || word !== undefined) break;
      if (character !== '\n') throw usage(`the line begins with ${character}`);
      at++;
    } else if (character === '#' && word === undefined)
      at = !line.includes('\n', at) ? line.length : line.indexOf('\n', at);
    else if (character === "'") add(until("'", at + 1));
    else if (isNext("$'")) ansiQuoted();
    else if (isNext('$"')) at++;
    else if (character === '"') doubleQuoted();
    else if (character === '$' || character === '`') variable();
    else if (character === '\\') {
      add(line.charAt(at + 1));
      at += 2;
    } else {
      add(character);
      at++;
    }
  }
  endWord();
  return { words, variables, rest: line.slice(at).trim() };
}

function unescape(
  whole: string,
  hex: string | undefined,
  short: string | undefined,
  long: string | undefined,
  octal: string | undefined,
  letter: string | undefined,
): string {
  const code = hex ?? short ?? long;
  if (code !== undefined) return fromCode(Number.parseInt(code, 16), whole);
  if (octal !== undefined) return fromCode(Number.parseInt(octal, 8), whole);
  if (letter === undefined) return whole;
  return ESCAPES[letter] ?? ('\'"\\?'.includes(letter) ? letter : whole);
}

function fromCode(code: number, whole: string): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

function unclosed(quote: string): Error {
  return usage(`the line ends within a quotation: its ${quote} is not closed`);
}
