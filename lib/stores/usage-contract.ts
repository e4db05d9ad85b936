import assert from 'node:assert/strict';
import { testRules } from './test-rules';
import type { Rules, Test } from './test-rules';
import { ALLOWED, DAY_INSTANCE } from './usage-store';
import type { UsageRow, UsageStore } from './usage-store';

const KEY = '0123456789abcdef0123456789abcdef';
const NOON = '2027-01-31T12:00:00Z';
const ONE = '2027-01-31T13:00:00Z';
const NEXT_DAY = '2027-02-01T00:00:00Z';
const ALL = { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' };

function row(calls: number, more: Partial<UsageRow> = {}): UsageRow {
  const of = { apiKey: KEY, hour: NOON, instance: 'a', kind: 'method', name: 'eth_call', outcome: ALLOWED } as const;
  const none = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };
  return { ...of, calls, ...none, lastAt: Date.parse(NOON), ...more };
}

/**
 * What counting relies on to keep usage. Registers one test for each rule.
 * @param open makes a store of usage without any row, for one test; `end` is called after it.
 */
export function usageContract(
  test: Test,
  open: () => Promise<{ readonly usage: UsageStore; readonly end?: () => unknown }>,
): void {
  testRules(test, RULES, async () => {
    const { usage, end } = await open();
    return { subject: usage, end };
  });
}

const RULES: Rules<UsageStore> = [
  [
    'gives back rows as they were written',
    async (usage) => {
      const rows = [
        row(3, { credits: 30, bytesIn: 1.5, bytesOut: 2 ** 40, upstreamErrors: 1 }),
        row(4, {
          kind: 'total',
          name: '',
          requests: 2,
          peak: 7,
          milliseconds: [1, 2, 3, ...Array<number>(12).fill(0)],
        }),
        row(5, { kind: 'userAgent', name: 'it\'s "quoted" \\ $1 %', outcome: 'wouldRefuse:ORIGIN_NOT_ALLOWED' }),
        row(6, { kind: 'secret', name: 'with : spaces' }),
        row(7, { kind: 'refusal', name: '["eth_call","a b"]', outcome: 'METHOD_NOT_ALLOWED', detail: DETAIL }),
        row(8, { apiKey: '(none)', kind: 'total', name: '', outcome: 'KEY_UNKNOWN', requests: 8, peak: 0 }),
      ];
      await usage.write(rows);
      assert.deepEqual(sorted(await usage.read(ALL)), sorted(rows));
    },
  ],

  [
    'counts a row that is written twice once, and a smaller one too',
    async (usage) => {
      await usage.write([row(5)]);
      await usage.write([row(7), row(1, { name: 'eth_chainId' })]);
      await usage.write([row(7)]);
      assert.deepEqual(sorted(await usage.read(ALL)), sorted([row(7), row(1, { name: 'eth_chainId' })]));
      await usage.write([row(2)]);
      assert.deepEqual(sorted(await usage.read(ALL)), sorted([row(2), row(1, { name: 'eth_chainId' })]));
    },
  ],

  [
    'ignores a late write that newer ones of its process have overtaken',
    async (usage) => {
      const gone = { name: 'eth_chainId' };
      await usage.write([row(5), row(5, gone)], 1);
      await usage.write([row(7), row(0, gone)], 3);
      await usage.write([row(6), row(6, gone), row(6, { name: 'net_version' })], 2);
      assert.deepEqual(await usage.read(ALL), [row(7)]);
      await usage.write([row(2, { instance: 'b' })], 1);
      await usage.write([row(9)], 4);
      assert.deepEqual(sorted(await usage.read(ALL)), sorted([row(9), row(2, { instance: 'b' })]));
    },
  ],

  [
    'removes a row that no longer has calls',
    async (usage) => {
      await usage.write([row(5), row(5, { name: 'eth_chainId' })]);
      await usage.write([row(0), row(0, { name: 'net_version' })]);
      assert.deepEqual(await usage.read(ALL), [row(5, { name: 'eth_chainId' })]);
      await usage.write([row(3)]);
      assert.equal((await usage.read(ALL)).length, 2);
    },
  ],

  [
    'keeps keys, hours, processes, kinds and outcomes apart, and finds by them',
    async (usage) => {
      const other = row(2, { apiKey: KEY.toUpperCase() });
      const later = row(3, { hour: ONE });
      const process = row(4, { instance: 'b' });
      const refused = row(5, { outcome: 'METHOD_NOT_ALLOWED' });
      const total = row(6, { kind: 'total', name: '', requests: 1, peak: 1 });
      await usage.write([row(1), other, later, refused, total]);
      await usage.write([process]);
      assert.equal((await usage.read(ALL)).length, 6);
      assert.deepEqual(await usage.read({ ...ALL, apiKey: other.apiKey }), [other]);
      assert.deepEqual(await usage.read({ ...ALL, from: ONE }), [later]);
      assert.equal((await usage.read({ ...ALL, to: ONE })).length, 5);
      assert.deepEqual(await usage.read({ ...ALL, kinds: ['total'] }), [total]);
      assert.deepEqual(await usage.read({ ...ALL, apiKey: KEY, kinds: ['code', 'total'] }), [total]);
      assert.deepEqual(await usage.read({ ...ALL, apiKey: 'nobody-knows' }), []);
    },
  ],

  [
    'takes 5000 rows of many keys at once, and rolls them up',
    async (usage) => {
      const rows = Array.from({ length: 5000 }, (_, n) =>
        row(n + 1, { apiKey: `key-${String(n % 250).padStart(4, '0')}`, name: `eth_${String(n)}` }),
      );
      await usage.write(rows);
      assert.equal((await usage.read(ALL)).length, 5000);
      assert.equal((await usage.read({ ...ALL, apiKey: 'key-0007' })).length, 20);
      await usage.roll(NEXT_DAY);
      const days = await usage.read(ALL);
      assert.equal(days.length, 5000);
      assert.ok(days.every(({ instance }) => instance === DAY_INSTANCE));
    },
  ],

  [
    'rolls the hours of all processes up into their day, and leaves later ones',
    async (usage) => {
      const time = { milliseconds: [1, ...Array<number>(14).fill(0)] };
      await usage.write([row(1, { ...time, lastAt: 5 }), row(2, { hour: ONE, ...time, lastAt: 9 }), REFUSED]);
      await usage.write([row(4, { instance: 'b', ...time }), row(8, { instance: 'b', hour: NEXT_DAY })]);
      await usage.roll(NEXT_DAY);
      const day = row(7, { hour: '2027-01-31T00:00:00Z', instance: DAY_INSTANCE, lastAt: Date.parse(NOON) });
      const milliseconds = [3, ...Array<number>(14).fill(0)];
      const left = [{ ...day, milliseconds }, row(8, { instance: 'b', hour: NEXT_DAY })];
      assert.deepEqual(sorted(await usage.read(ALL)), sorted(left));
    },
  ],

  [
    'changes nothing when days are rolled up again, or by two at once',
    async (usage) => {
      await usage.write([row(1), row(2, { hour: ONE }), row(3, { apiKey: 'another-key' })]);
      await Promise.all([usage.roll(NEXT_DAY), usage.roll(NEXT_DAY)]);
      await usage.roll(NEXT_DAY);
      const rows = await usage.read(ALL);
      assert.deepEqual(rows.map(({ calls, instance }) => `${String(calls)} ${instance}`).sort(), [
        '3 (day)',
        '3 (day)',
      ]);
    },
  ],

  [
    'forgets days after 400',
    async (usage) => {
      await usage.write([row(1)]);
      await usage.roll('2027-02-01T00:00:00Z');
      await usage.roll('2028-03-06T00:00:00Z');
      assert.equal((await usage.read(ALL)).length, 1);
      await usage.roll('2028-03-08T00:00:00Z');
      assert.deepEqual(await usage.read(ALL), []);
    },
  ],

  [
    'loses none of many who write at once',
    async (usage) => {
      await Promise.all(Array.from({ length: 8 }, (_, n) => usage.write([row(n + 1, { instance: `i${String(n)}` })])));
      const rows = await usage.read(ALL);
      assert.equal(
        rows.reduce((sum, { calls }) => sum + calls, 0),
        36,
      );
    },
  ],
];

const DETAIL = { first: 1, why: 'limits.perSecond', requestIds: ['c', 'b', 'a'] };
const REFUSED = row(7, { kind: 'refusal', name: '["eth_call"]', outcome: 'METHOD_NOT_ALLOWED', detail: DETAIL });

function sorted(rows: readonly UsageRow[]): readonly UsageRow[] {
  const text = ({ apiKey, hour, instance, kind, name, outcome }: UsageRow) =>
    [apiKey, hour, instance, kind, name, outcome].join(' ');
  return [...rows].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}
