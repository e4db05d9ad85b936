import { METHOD_GROUPS } from '../../lib/admin/method-groups';
import { METHOD_ROWS } from '../../lib/allowlists/address-table';

const offered = METHOD_GROUPS.flatMap(({ methods }) => methods);

test('the dashboard offers no method that the guard does not know', () => {
  const known = new Set(METHOD_ROWS.map(([method]) => method));
  expect(offered.filter((method) => !known.has(method))).toEqual([]);
});

test('the dashboard offers no method twice', () => {
  expect(offered).toEqual([...new Set(offered)]);
});
