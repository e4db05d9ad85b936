import assert from 'node:assert/strict';
import type { LimitStore, SpentRow } from './limit-store';
import { testRules } from './test-rules';
import type { Rules, Test } from './test-rules';

const KEY = '0123456789abcdef0123456789abcdef';
const DAY = '2027-01-31';

function row(instance: string, credits: number, more: Partial<SpentRow> = {}): SpentRow {
  return { apiKey: KEY, day: DAY, instance, credits, level: -1.5, at: 1_801_396_800_000, ...more };
}

/**
 * What limits rely on to count several processes together. Registers one test for each rule.
 * @param open makes a store of limits without any row, for one test; `end` is called after it.
 */
export function limitContract(
  test: Test,
  open: () => Promise<{ readonly limits: LimitStore; readonly end?: () => unknown }>,
): void {
  testRules(test, RULES, async () => {
    const { limits, end } = await open();
    return { subject: limits, end };
  });
}

const RULES: Rules<LimitStore> = [
  [
    'returns what the others have spent, and not what the process has spent itself',
    async (limits) => {
      assert.deepEqual(await limits.exchange([row('a', 5)]), []);
      assert.deepEqual(await limits.exchange([row('b', 7)]), [row('a', 5)]);
      assert.deepEqual(await limits.exchange([row('a', 6)]), [row('b', 7)]);
      assert.deepEqual(await limits.exchange([row('c', 1)]).then(sorted), [row('a', 6), row('b', 7)]);
    },
  ],

  [
    'counts a row that is written twice once',
    async (limits) => {
      await limits.exchange([row('a', 5)]);
      await limits.exchange([row('a', 5)]);
      await limits.exchange([row('a', 4)]);
      assert.deepEqual(await limits.exchange([row('b', 1)]), [row('a', 4)]);
    },
  ],

  [
    'keeps keys, secrets and days apart',
    async (limits) => {
      const rows = [
        row('a', 1),
        row('a', 2, { secretId: 'x' }),
        row('a', 3, { secretId: 'y:"\\' }),
        row('a', 4, { apiKey: KEY.toUpperCase() }),
      ];
      await limits.exchange(rows);
      for (const asked of rows) assert.deepEqual(await limits.exchange([{ ...asked, instance: '' }]), [asked]);
      assert.deepEqual(await limits.exchange([row('b', 9, { day: '2027-02-01' })]), []);
      assert.deepEqual(await limits.exchange([row('c', 9, { day: '2027-02-01' })]), [
        row('b', 9, { day: '2027-02-01' }),
      ]);
    },
  ],

  [
    'stores nothing of a process that only asks',
    async (limits) => {
      await limits.exchange([row('', 0)]);
      assert.deepEqual(await limits.exchange([row('a', 5)]), []);
      assert.deepEqual(await limits.exchange([row('', 0)]), [row('a', 5)]);
    },
  ],

  [
    'takes 500 rows at once, and large numbers',
    async (limits) => {
      const rows = Array.from({ length: 500 }, (_, n) =>
        row('a', 1_000_000_000_000 + n, { apiKey: `key-${String(n).padStart(6, '0')}` }),
      );
      await limits.exchange(rows);
      assert.deepEqual((await limits.exchange(rows.map((it) => ({ ...it, instance: 'b' })))).length, 500);
      assert.deepEqual(await limits.exchange([{ ...rows[499]!, instance: '' }]).then(sorted), [
        rows[499],
        { ...rows[499], instance: 'b' },
      ]);
    },
  ],

  [
    'loses none of many who write at once',
    async (limits) => {
      const instances = Array.from({ length: 8 }, (_, n) => `i${String(n)}`);
      await Promise.all(instances.map((instance, n) => limits.exchange([row(instance, n + 1)])));
      const rows = await limits.exchange([row('', 0)]);
      assert.equal(
        rows.reduce((sum, { credits }) => sum + credits, 0),
        36,
      );
    },
  ],

  [
    'leaves the level out where there is none',
    async (limits) => {
      const { apiKey, day, instance, credits, at } = row('a', 5);
      const bare = { apiKey, day, instance, credits, at };
      await limits.exchange([bare]);
      assert.deepEqual(await limits.exchange([row('', 0)]), [bare]);
    },
  ],
];

function sorted(rows: readonly SpentRow[]): readonly SpentRow[] {
  return [...rows].sort((a, b) => (a.instance < b.instance ? -1 : 1));
}
