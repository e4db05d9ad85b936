import { styleText } from 'node:util';

/** The terminal's features, for lines that people read. */
export interface Terminal {
  /** Characters of a line; `Infinity` where it is no terminal. */
  readonly width: number;
  readonly hasUnicode: boolean;
  readonly hasColours: boolean;
}

export interface Output {
  readonly isJson: boolean;
  readonly terminal: Terminal;
  /** The result, on stdout: as JSON for scripts, as lines for people. */
  result(json: object, lines: () => readonly string[]): void;
  /** Text on stdout as it is. */
  raw(text: string): void;
  /** A part of the result, with its newlines. Resolves when whoever reads it has taken it. */
  part(text: string): Promise<void>;
  /** A line for people, on stderr. With `--json`, stderr holds nothing but an error. */
  note(line: string): void;
}

export function openOutput(isJson: boolean): Output {
  const write = (text: string) => void process.stdout.write(`${text}\n`);
  return {
    isJson,
    terminal: terminalOf(process.stdout, process.env),
    result(json, lines) {
      if (isJson) write(jsonOf(json, 2));
      else for (const line of lines()) write(line);
    },
    raw: write,
    part: (text) => new Promise((resolve) => void process.stdout.write(text, () => resolve())),
    note(line) {
      if (isJson) return;
      const { width } = terminalOf(process.stderr, process.env);
      for (const part of wrap(printable(line), width)) process.stderr.write(`${part}\n`);
    },
  };
}

/** The features of a stream, told by itself and by the environment. */
export function terminalOf(
  { isTTY = false, columns = 0 }: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
  platform: string = process.platform,
): Terminal {
  const locale =
    [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '') ?? '';
  const isPlain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return {
    width: isTTY ? Math.max(columns === 0 ? 80 : columns, 40) : Infinity,
    hasUnicode: /utf-?8/i.test(locale) || platform === 'darwin' || env['WT_SESSION'] !== undefined,
    hasColours: isTTY && !isPlain,
  };
}

export type Colour = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

export function paint(text: string, colour: Colour | undefined, { hasColours }: Terminal): string {
  return hasColours && colour !== undefined && text !== '' ? styleText(colour, text) : text;
}

/** Escapes as JSON does what could move the cursor or turn the line around: names and headers may hold it. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** JSON for a terminal as much as for a parser: `JSON.stringify` leaves U+009B, which begins an escape, as it is. */
export function jsonOf(value: object, indent?: number): string {
  // The newline of its indentation is the only such character outside of strings.
  return JSON.stringify(value, null, indent).replace(UNPRINTABLE, (it) => (it === '\n' ? it : escaped(it)));
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escaped(character: string): string {
  return character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * The lines that a text takes. A word that is longer than the width stays whole: the terminal goes on with it, and it can
 * be copied.
 */
export function wrap(text: string, width: number): string[] {
  if (widthOf(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && widthOf(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

const COMBINING = /\p{M}/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Columns that a terminal shows it in: two for Chinese, Japanese, Korean and emoji. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}
