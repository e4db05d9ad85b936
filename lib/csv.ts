/** What a spreadsheet would take for a formula; some pass over blanks and control characters in front of one. */
const FORMULA = /^[\s\p{Cc}]*[=+\-@]/u;
const NEEDS_QUOTES = /[",\r\n]/;

/** A cell's value; `undefined` and `null` are empty. */
export type CsvCell = string | number | boolean | undefined | null;

/**
 * CSV by RFC 4180, a line each. A text that begins with `=`, `+`, `-` or `@`, also behind blanks, gets a leading `'`, so
 * that no spreadsheet runs it; numbers stay numbers.
 */
export function csvOf(header: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return csvRows([header, ...rows]);
}

/** The same, without a header. */
export function csvRows(rows: readonly (readonly CsvCell[])[]): string {
  return rows.map((cells) => `${cells.map(cellOf).join(',')}\r\n`).join('');
}

function cellOf(value: CsvCell): string {
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value ?? '');
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
