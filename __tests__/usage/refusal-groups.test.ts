import { refusedCallOf } from '../../lib/stores/refused-call';
import { RefusalGroups } from '../../lib/usage/refusal-groups';

const ROOM = { left: 200_000 };
const CALL = {
  outcome: 'METHOD_NOT_ALLOWED',
  method: 'eth_call',
  origin: 'https://app.example.com',
  userAgent: 'ethers',
  address: '',
  wire: 'http',
  secretId: '',
};

function idsIn(groups: RefusalGroups): readonly string[] {
  return [...groups.changed()].flatMap(({ requestIds }) => requestIds);
}

test('the same refusal again and again is one group with its last three ids', () => {
  const groups = new RefusalGroups(100, { ...ROOM });
  for (let n = 0; n < 50_000; n++) groups.add(CALL, { why: 'because', requestId: `id-${String(n)}`, at: n });
  const [group, ...others] = [...groups.changed()].map((it) => it.toRow());
  expect(others).toEqual([]);
  expect(group).toMatchObject({
    calls: 50_000,
    lastAt: 49_999,
    detail: { first: 0, why: 'because', requestIds: ['id-49999', 'id-49998', 'id-49997'] },
  });
  expect(refusedCallOf(group!)).toEqual(CALL);
});

test('refusals that differ in one thing are groups of their own, in whichever order they come', () => {
  const groups = new RefusalGroups(100, { ...ROOM });
  const calls = Object.keys(CALL).map((member) => ({ ...CALL, [member]: 'another' }));
  for (const [n, call] of [CALL, ...calls, CALL, CALL, ...calls].entries()) {
    groups.add(call, { why: undefined, requestId: String(n), at: n });
  }
  expect([...groups.changed()].map(({ count }) => count).sort()).toEqual([...calls.map(() => 2), 3]);
});

test('a flood of made-up origins pushes out neither other refusals nor one that comes again', () => {
  const groups = new RefusalGroups(100, { ...ROOM });
  const flooded = { ...CALL, outcome: 'ORIGIN_NOT_ALLOWED', method: '' };
  groups.add(CALL, { why: undefined, requestId: 'support-seeks', at: 0 });
  groups.add(flooded, { why: undefined, requestId: 'before', at: 0 });
  groups.add(flooded, { why: undefined, requestId: 'again', at: 1 });
  for (let n = 0; n < 10_000; n++) {
    groups.add(
      { ...flooded, origin: `https://${String(n)}.example` },
      { why: undefined, requestId: `x${n}`, at: 2 + n },
    );
  }
  expect(groups.size).toBe(100);
  expect(idsIn(groups)).toEqual(expect.arrayContaining(['support-seeks', 'before', 'again', 'x9999']));
});

test('groups take their room from the rows of the process, and a key has one at least', () => {
  const budget = { left: 3 };
  const keys = [new RefusalGroups(100, budget), new RefusalGroups(100, budget)];
  for (const groups of keys) {
    for (let n = 0; n < 10; n++) {
      groups.add({ ...CALL, origin: `https://${String(n)}.example` }, { why: undefined, requestId: `x${n}`, at: n });
    }
  }
  expect(keys.map(({ size }) => size)).toEqual([3, 1]);
  expect(idsIn(keys[1]!)).toEqual(['x9']);
});

test('a displaced group is reported as gone', () => {
  const groups = new RefusalGroups(1, { ...ROOM });
  groups.add(CALL, { why: undefined, requestId: 'a', at: 0 });
  for (const group of groups.changed()) group.told = group.count;
  groups.add({ ...CALL, method: 'eth_chainId' }, { why: undefined, requestId: 'b', at: 1 });
  const told = [...groups.changed()];
  expect(told.map(({ count }) => count)).toEqual([1, 0]);
  groups.forget(told[1]!);
  expect([...groups.changed()]).toHaveLength(1);
});
