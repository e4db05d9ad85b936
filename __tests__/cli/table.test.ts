import { table } from '../../lib/cli/table';

test('a table may have more rows than a function takes arguments', () => {
  const rows = Array.from({ length: 130_000 }, (_, n) => [String(n)]);
  const lines = table([{ title: 'key' }], rows, { width: 80, colours: false } as never);
  expect([lines.length, lines.at(-1)]).toEqual([130_001, '129999']);
});
