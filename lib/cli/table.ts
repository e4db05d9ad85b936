import { paint, printable, widthOf, wrap } from './output';
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
const BLOCK: readonly Column[] = [{ title: '' }, { title: '', wraps: true }];

/**
 * Rows under the titles of their columns, aligned and within the terminal's width. No word is broken: where the longest
 * ones do not fit side by side, each row becomes a block of lines, a cell after its title.
 */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], terminal: Terminal): string[] {
  const hasTitles = columns.some(({ title }) => title !== '');
  const titles = columns.map(({ title }): Cell => ({ text: title, colour: 'bold' }));
  const all = (hasTitles ? [titles, ...rows] : rows).map((row) => row.map(cell));
  const widths = columns.map((_, at) => greatest(all, (row) => widthOf(row[at]!.text)));
  const words = columns.map((_, at) => greatest(all, (row) => greatest(row[at]!.text.split(' '), widthOf)));
  const excess = fit(columns, widths, words, terminal.width);
  if (excess > 0 && hasTitles) return blocks(columns, rows, terminal);
  // A word that is longer still goes beyond the last column, and the others do not.
  if (columns.at(-1)?.wraps === true) widths[widths.length - 1]! -= excess;
  return all.flatMap((row) => linesOf(row, widths, terminal));
}

/** Each row by itself, without its empty cells. */
function blocks(columns: readonly Column[], rows: readonly (readonly Cell[])[], terminal: Terminal): string[] {
  const width = greatest(columns, ({ title }) => title.length);
  const titles = columns.map(({ title }): Cell => ({ text: title.padEnd(width), colour: 'bold' }));
  return rows.flatMap((row, n) => {
    const pairs = row.flatMap((value, at) => (cell(value).text === '' ? [] : [[titles[at]!, value]]));
    return [...(n === 0 ? [] : ['']), ...table(BLOCK, pairs, terminal)];
  });
}

function linesOf(row: readonly PlainCell[], widths: readonly number[], terminal: Terminal): string[] {
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
}

/** No `Math.max(...)`: as arguments, a hundred thousand rows are too many. */
function greatest<T>(items: readonly T[], sizeOf: (item: T) => number): number {
  return items.reduce((most, item) => Math.max(most, sizeOf(item)), 0);
}

export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : GAP + line));
}

interface PlainCell {
  readonly text: string;
  readonly colour: Colour | undefined;
}

function cell(it: Cell): PlainCell {
  const { text, colour } = typeof it === 'string' ? { text: it, colour: undefined } : it;
  return { text: printable(text), colour };
}

/**
 * Narrows the widest wrapping column until all fit, or each is as narrow as its longest word.
 * @returns by how much they are too wide then.
 */
function fit(columns: readonly Column[], widths: number[], words: readonly number[], width: number): number {
  const excess = () => widths.reduce((sum, each) => sum + each, GAP.length * (widths.length - 1)) - width;
  while (excess() > 0) {
    const wrapping = columns.flatMap(({ wraps }, at) => (wraps === true && widths[at]! > words[at]! ? [at] : []));
    const [first] = wrapping;
    if (first === undefined) return excess();
    const widest = wrapping.reduce((a, b) => (widths[b]! > widths[a]! ? b : a), first);
    widths[widest]!--;
  }
  return 0;
}
