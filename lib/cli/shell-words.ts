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
  return new Splitter(line, given).split();
}

class Splitter {
  private readonly words: string[] = [];
  private readonly variables = new Set<string>();
  private word: string | undefined;
  private at = 0;

  constructor(
    private readonly line: string,
    private readonly given: Readonly<Record<string, string>>,
  ) {}

  split(): ShellWords {
    const { line } = this;
    while (this.at < line.length) {
      if (!this.skip() && !this.quoted() && this.ends()) break;
    }
    this.endWord();
    return { words: this.words, variables: this.variables, rest: line.slice(this.at).trim() };
  }

  /** Skips what separates words: space, comments and continued lines. */
  private skip(): boolean {
    const { line } = this;
    if (this.isNext('\\\n')) this.at += 2;
    else if (this.isNext('\\\r\n')) this.at += 3;
    else if (' \t\r'.includes(line.charAt(this.at))) {
      this.endWord();
      this.at++;
    } else if (this.isNext('#') && this.word === undefined) {
      const end = line.indexOf('\n', this.at);
      this.at = end === -1 ? line.length : end;
    } else return false;
    return true;
  }

  /** Reads a quotation, an escape or a variable. */
  private quoted(): boolean {
    if (this.isNext("'")) this.singleQuoted();
    else if (this.isNext("$'")) this.ansiQuoted();
    else if (this.isNext('$"')) this.at++;
    else if (this.isNext('"')) this.doubleQuoted();
    else if (this.isNext('$') || this.isNext('`')) this.variable();
    else if (this.isNext('\\')) {
      this.add(this.line.charAt(this.at + 1));
      this.at += 2;
    } else return false;
    return true;
  }

  /** Reads one plain character. Whether the command ends at it. */
  private ends(): boolean {
    const character = this.line.charAt(this.at);
    if (!'\n;|&<>()'.includes(character)) {
      this.add(character);
      this.at++;
      return false;
    }
    // The number of a redirection, as in 2>/dev/null, is no word.
    if ('<>'.includes(character) && /^\d+$/.test(this.word ?? '')) this.word = undefined;
    if (this.words.length > 0 || this.word !== undefined) return true;
    if (character !== '\n') throw usage(`the line begins with ${character}`);
    this.at++;
    return false;
  }

  private isNext(text: string): boolean {
    return this.line.startsWith(text, this.at);
  }

  private add(text: string): void {
    this.word = (this.word ?? '') + text;
  }

  private endWord(): void {
    if (this.word !== undefined) this.words.push(this.word);
    this.word = undefined;
  }

  private singleQuoted(): void {
    const end = this.line.indexOf("'", this.at + 1);
    if (end === -1) throw unclosed("'");
    this.add(this.line.slice(this.at + 1, end));
    this.at = end + 1;
  }

  private doubleQuoted(): void {
    this.add('');
    for (this.at++; !this.isNext('"');) {
      if (this.at >= this.line.length) throw unclosed('"');
      if (this.isNext('$') || this.isNext('`')) this.variable();
      else if (this.isNext('\\')) {
        const next = this.line.charAt(this.at + 1);
        this.add('$`"\\'.includes(next) ? next : next === '\n' ? '' : `\\${next}`);
        this.at += 2;
      } else this.add(this.line.charAt(this.at++));
    }
    this.at++;
  }

  private ansiQuoted(): void {
    const from = this.at + 2;
    for (this.at = from; !this.isNext("'"); this.at += this.isNext('\\') ? 2 : 1) {
      if (this.at >= this.line.length) throw unclosed("'");
    }
    this.add(this.line.slice(from, this.at).replace(ANSI_C, unescape));
    this.at++;
  }

  private variable(): void {
    if (this.isNext('$(') || this.isNext('`')) {
      throw usage('the line runs another command, $(…) or `…`: it is not run here; write its output instead');
    }
    const [whole = '$', braced, bare] = /^\$(?:\{(\w+)\}|([A-Za-z_]\w*))/.exec(this.line.slice(this.at)) ?? [];
    const name = braced ?? bare;
    if (name !== undefined) this.variables.add(name);
    this.add(name !== undefined && Object.hasOwn(this.given, name) ? this.given[name]! : whole);
    this.at += whole.length;
  }
}

/** `codes` are what the groups of `ANSI_C` hold: hex, `u`, `U`, octal and a letter. */
function unescape(whole: string, ...codes: readonly (string | undefined)[]): string {
  const [hex, short, long, octal, letter] = codes;
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
