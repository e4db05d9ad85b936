import { paint, printable } from './output';
import type { Colour, Terminal } from './output';

export interface ColouredCell {
  readonly text: string;
  readonly colour: Colour;
}

export type Cell = string | ColouredCell;

export interface Column {
  /** `''` for none. */
  readonly title: string;
  /** Cells of this column wrap if the terminal is too narrow. Others are never broken. */
  readonly wraps?: boolean;
}

const GAP = '  ';
const NARROWEST = 10;

/** Rows under the titles of their columns, aligned and within the terminal's width. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], terminal: Terminal): string[] {
  const titles = columns.map(({ title }): Cell => ({ text: title, colour: 'bold' }));
  const hasTitles = columns.some(({ title }) => title !== '');
  const all = (hasTitles ? [titles, ...rows] : rows).map((row) => row.map(cell));
  const widths = columns.map((_, at) => greatest(all, (row) => widthOf(row[at]!.text)));
  const words = columns.map((_, at) => greatest(all, (row) => greatest(row[at]!.text.split(' '), widthOf)));
  fit(columns, widths, words, terminal.width);
  return all.flatMap((row) => {
    const wrapped = row.map(({ text }, at) => wrap(text, widths[at]!));
    const height = greatest(wrapped, ({ length }) => length);
    return Array.from({ length: height }, (_, line) =>
      row
        .map(({ colour }, at) => {
          const text = wrapped[at]![line] ?? '';
          const padding = ' '.repeat(at === row.length - 1 ? 0 : Math.max(widths[at]! - widthOf(text), 0));
          return paint(text, colour, terminal) + padding;
        })
        .join(GAP)
        .trimEnd(),
    );
  });
}

/** No `Math.max(...)`: as arguments, a hundred thousand rows are too many. */
function greatest<T>(items: readonly T[], sizeOf: (item: T) => number): number {
  return items.reduce((most, item) => Math.max(most, sizeOf(item)), 0);
}

export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : GAP + line));
}

function cell(it: Cell): { readonly text: string; readonly colour: Colour | undefined } {
  const { text, colour } = typeof it === 'string' ? { text: it, colour: undefined } : it;
  return { text: printable(text), colour };
}

/** Narrows the widest wrapping column until all fit: first down to its longest word, then within words. */
function fit(columns: readonly Column[], widths: number[], words: readonly number[], width: number): void {
  const excess = () => widths.reduce((sum, each) => sum + each, GAP.length * (widths.length - 1)) - width;
  for (const floors of [words, words.map(() => NARROWEST)]) {
    while (excess() > 0) {
      const wrapping = columns.flatMap(({ wraps }, at) => (wraps === true && widths[at]! > floors[at]! ? [at] : []));
      const [first] = wrapping;
      if (first === undefined) break;
      const widest = wrapping.reduce((a, b) => (widths[b]! > widths[a]! ? b : a), first);
      widths[widest]!--;
    }
  }
}

function wrap(text: string, width: number): string[] {
  if (widthOf(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    for (const character of word) {
      if (widthOf(line + character) > width) {
        lines.push(line);
        line = '';
      }
      line += character;
    }
  }
  return [...lines, line];
}

const COMBINING = /\p{M}/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Columns that a terminal shows it in: two for Chinese, Japanese, Korean and emoji. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}
