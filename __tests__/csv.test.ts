import { csvOf } from '../lib/csv';

test('writes lines that end with CRLF, and quotes commas, quotes and line ends', () => {
  const csv = csvOf(['at', 'what'], [['2026-11-26', 'a, "b"\nc']]);
  expect(csv).toBe('at,what\r\n2026-11-26,"a, ""b""\nc"\r\n');
});

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1+1', ' =1+1', '\u0000@A1'])(
  'puts a quote before the text %s, which a spreadsheet would run',
  (cell) => {
    expect(csvOf(['x'], [[cell]])).toBe(`x\r\n'${cell}\r\n`);
  },
);

test.each(['\r=1+1', '\n=1+1', ' \r\n\t=1+1'])('does so too before %j, within its quotes', (cell) => {
  expect(csvOf(['x'], [[cell]])).toBe(`x\r\n"'${cell}"\r\n`);
});

test('leaves numbers numbers, and what is not there empty', () => {
  expect(csvOf(['a', 'b', 'c'], [[-1, undefined, null]])).toBe('a,b,c\r\n-1,,\r\n');
});
