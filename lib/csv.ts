/** What a spreadsheet would take for a formula. */
const FORMULA = /^[=+\-@]/;
const NEEDS_QUOTES = /[",\r\n]/;

/** A cell's value; `undefined` and `null` are empty. */
export type CsvCell = string | number | boolean | undefined | null;

/**
 * CSV by RFC 4180, a line each. A text that begins with `=`, `+`, `-` or `@` gets a leading `'`, so that no spreadsheet
 * runs it; numbers stay numbers.
 */
export function csvOf(header: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [header, ...rows].map((cells) => `${cells.map(cellOf).join(',')}\r\n`).join('');
}

function cellOf(value: CsvCell): string {
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value ?? '');
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
