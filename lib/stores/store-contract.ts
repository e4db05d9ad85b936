import assert from 'node:assert/strict';
import type { KeySettings } from '../settings/key-settings';
import { cursorOf } from './key-query';
import type { KeyQuery, WritableSettingsStore } from './settings-store';
import { testStoreRules } from './test-rules';
import type { Rules, Test } from './test-rules';

export { auditContract } from './audit-contract';
export type { AuditedStore } from './audit-contract';
export { limitContract } from './limit-contract';
export { usageContract } from './usage-contract';
export { sumOfDay } from './usage-rows';
export type { Test };

const KEY = '0123456789abcdef0123456789abcdef';
const OTHER_KEY = 'fedcba9876543210fedcba9876543210';
const HASH = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
const STALE = { code: 'ERR_RPC_GUARD_STALE_WRITE' };
const MALFORMED = { code: 'ERR_RPC_GUARD_SETTINGS' };
/** Milliseconds within which a change must be announced. */
const ANNOUNCED_MS = 1000;
const READY_MS = 5000;

/**
 * What the guard and its management rely on, whichever store they are given. Registers one test for each rule.
 * @param open makes a store without any key, for one test; it is initialised and closed by that.
 */
export function storeContract(test: Test, open: () => WritableSettingsStore | Promise<WritableSettingsStore>): void {
  testStoreRules(test, RULES, open);
}

const RULES: Rules<WritableSettingsStore> = [
  [
    'has no key at first',
    async (store) => {
      assert.equal((await store.get(KEY)) ?? undefined, undefined);
      assert.deepEqual(await store.list(), []);
    },
  ],

  [
    'can be initialised again',
    async (store) => {
      await store.set({ apiKey: KEY });
      await Promise.all([store.init?.(), store.init?.()]);
      assert.equal((await store.get(KEY))?.apiKey, KEY);
    },
  ],

  [
    'treats names of object members as keys like any other',
    async (store) => {
      for (const apiKey of ['__proto__', 'constructor', 'hasOwnProperty']) {
        assert.equal((await store.get(apiKey)) ?? undefined, undefined);
        await store.set({ apiKey, name: 'named' });
        assert.equal((await store.get(apiKey))?.name, 'named');
        assert.equal(await store.delete(apiKey), true);
      }
    },
  ],

  [
    'gives back what was written, with its defaults',
    async (store) => {
      const secrets = [{ hash: HASH, label: 'server' }];
      const allowlists = { origins: ['https://bücher.example'], userAgents: [`it's "quoted" \\`] };
      const written = await store.set({ apiKey: KEY, name: 'dapp ☃ \'";--', secrets, allowlists });
      assert.equal(written.version, 1);
      assert.equal(written.enabled, true);
      assert.deepEqual(await store.get(KEY), written);
      assert.deepEqual(await store.list(), [written]);
    },
  ],

  [
    'keeps keys apart by case',
    async (store) => {
      await store.set({ apiKey: 'abcdefgh', name: 'lower' });
      await store.set({ apiKey: 'ABCDEFGH', name: 'upper' });
      assert.equal((await store.get('abcdefgh'))?.name, 'lower');
      assert.equal((await store.get('Abcdefgh')) ?? undefined, undefined);
    },
  ],

  [
    'counts versions and keeps the time of creation',
    async (store) => {
      const first = await store.set({ apiKey: KEY });
      const second = await store.set({ apiKey: KEY, name: 'again' }, 1);
      assert.deepEqual([first.version, second.version], [1, 2]);
      assert.equal(second.createdAt, first.createdAt);
      assert.ok(Date.parse(second.updatedAt) >= Date.parse(first.updatedAt));
    },
  ],

  [
    'refuses a stale write and leaves things as they are',
    async (store) => {
      const first = await store.set({ apiKey: KEY, name: 'first' });
      const second = await store.set({ ...first, name: 'second' });
      await assert.rejects(store.set({ ...first, name: 'stale' }), STALE);
      for (const version of [0, 1, 3, 99]) {
        await assert.rejects(store.set({ apiKey: KEY, name: 'stale' }, version), STALE);
        await assert.rejects(store.delete(KEY, version), STALE);
      }
      assert.deepEqual(await store.get(KEY), second);
    },
  ],

  [
    'lets one of many writers of a version win and refuses the others',
    async (store) => {
      await store.set({ apiKey: KEY });
      const writes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, n) => store.set({ apiKey: KEY, name: String(n) }, 1)),
      );
      const won = writes.filter((write) => write.status === 'fulfilled');
      assert.equal(won.length, 1);
      assert.deepEqual(await store.get(KEY), won[0]?.value);
      for (const write of writes) {
        if (write.status === 'rejected') assert.equal((write.reason as { code?: string }).code, STALE.code);
      }
    },
  ],

  [
    'lets all of many unconditional writers through, one after the other',
    async (store) => {
      await Promise.all(Array.from({ length: 10 }, (_, n) => store.set({ apiKey: KEY, name: String(n) })));
      assert.equal((await store.get(KEY))?.version, 10);
    },
  ],

  [
    'creates with version 0 only what is not there',
    async (store) => {
      await store.set({ apiKey: KEY, name: 'first' }, 0);
      await assert.rejects(store.set({ apiKey: KEY, name: 'second' }, 0), STALE);
      await assert.rejects(store.set({ apiKey: OTHER_KEY }, 1), STALE);
      assert.equal((await store.get(OTHER_KEY)) ?? undefined, undefined);
    },
  ],

  [
    'does not write settings that do not parse',
    async (store) => {
      await store.set({ apiKey: KEY, name: 'good' });
      const entries = Array.from({ length: 31 }, (_, n) => `eth_${String(n)}`);
      const wrong = [{ allowlists: { methods: entries } }, { secrets: [{ hash: 'x' }] }, { requiresecret: true }];
      for (const more of wrong) {
        await assert.rejects(store.set({ apiKey: KEY, ...more }), MALFORMED);
      }
      await assert.rejects(store.set({ apiKey: 'short' }), MALFORMED);
      assert.equal((await store.get(KEY))?.name, 'good');
    },
  ],

  [
    'deletes, and returns whether there was anything',
    async (store) => {
      await store.set({ apiKey: KEY });
      assert.equal(await store.delete(KEY, 1), true);
      assert.equal((await store.get(KEY)) ?? undefined, undefined);
      assert.equal(await store.delete(KEY), false);
      assert.equal((await store.set({ apiKey: KEY })).version, 1);
    },
  ],

  [
    'lists in the order of the keys, page by page',
    async (store) => {
      for (const apiKey of ['key-c-03', 'key-a-01', 'key-B-02', 'key-d-04']) await store.set({ apiKey });
      const keysOf = async (page?: { after?: string; limit?: number }) =>
        (await store.list(page)).map((it) => it.apiKey);
      assert.deepEqual(await keysOf(), ['key-B-02', 'key-a-01', 'key-c-03', 'key-d-04']);
      assert.deepEqual(await keysOf({ limit: 2 }), ['key-B-02', 'key-a-01']);
      assert.deepEqual(await keysOf({ after: 'key-a-01' }), ['key-c-03', 'key-d-04']);
      assert.deepEqual(await keysOf({ after: 'key-b-between', limit: 1 }), ['key-c-03']);
      assert.deepEqual(await keysOf({ after: 'key-d-04' }), []);
    },
  ],

  [
    'finds keys by name, beginning, end and state, and sorts them',
    async (store) => {
      await store.set({ apiKey: 'key-c-wxyz', name: 'Shop' });
      await store.set({ apiKey: 'key-a-shop', name: 'Übung' });
      await store.set({ apiKey: 'key-b-1234', name: 'workshop %', enabled: false });
      const find = async (query: KeyQuery) =>
        (await store.list(query)).map(({ apiKey }) => apiKey.slice(4, 5)).join('');
      assert.equal(await find({ search: 'SHOP' }), 'bc');
      assert.equal(await find({ search: 'shop' }), 'abc');
      assert.equal(await find({ search: 'übu' }), 'a');
      assert.equal(await find({ search: '%' }), 'b');
      assert.equal(await find({ search: ' key-c ' }), 'c');
      assert.equal(await find({ search: '1234' }), 'b');
      assert.equal(await find({ search: '234' }), '');
      assert.equal(await find({ state: 'enabled' }), 'ac');
      assert.equal(await find({ state: 'disabled', search: 'key-b' }), 'b');
      assert.equal(await find({ sort: 'name' }), 'cba');
      assert.equal(await find({ sort: 'name', descending: true, limit: 2 }), 'ab');
      assert.equal(await find({ descending: true }), 'cba');
      assert.equal(await find({ search: 'shop', sort: 'name', limit: 2 }), 'cb');
      assert.equal(await find({ after: 'key-c-wxyz', descending: true }), 'ba');
    },
  ],

  [
    'refuses a query with a misspelt member or a wrong value, and names the right one',
    async (store) => {
      const code = 'ERR_RPC_GUARD_ARGUMENT';
      const list = (query: object) => store.list(query);
      await assert.rejects(list({ stat: 'enabled' }), { code, message: /stat: does not exist; did you mean state\?/ });
      await assert.rejects(list({ state: 'on' }), {
        code,
        message: /state: got "on"; it takes "enabled" or "disabled"/,
      });
      await assert.rejects(list({ limit: 0 }), { code, message: /limit: got 0; it takes a whole number/ });
    },
  ],

  [
    'sorts equal names by their creation, and by creation and change',
    async (store) => {
      const days = ['2026-01-03T00:00:00Z', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];
      for (const [n, createdAt] of days.entries()) {
        await store.set({ apiKey: `key-000${String(n)}`, name: n === 0 ? 'SAME' : 'same', createdAt });
      }
      await store.set({ apiKey: 'key-0003', name: 'same\tname', createdAt: days[1]! });
      const order = async (query: KeyQuery) => (await store.list(query)).map(({ apiKey }) => apiKey.at(-1)).join('');
      assert.equal(await order({ sort: 'name' }), '1203');
      assert.equal(await order({ sort: 'created' }), '1320');
      assert.equal(await order({ sort: 'created', descending: true }), '0231');
      await new Promise((resolve) => setTimeout(resolve, 5)); // for a later time of change
      await store.set({ apiKey: 'key-0001', name: 'a later change' });
      assert.equal((await order({ sort: 'updated' })).at(-1), '1');
      assert.equal(await order({ sort: 'name' }), '1203');
      await store.delete('key-0002');
      assert.equal(await order({ sort: 'name' }), '103');
    },
  ],

  [
    'goes through any order page by page',
    async (store) => {
      for (const n of [3, 1, 4, 5, 2])
        await store.set({ apiKey: `key-000${String(n)}`, name: n > 3 ? 'same' : String(n) });
      for (const sort of ['key', 'name', 'created', 'updated'] as const) {
        for (const descending of [false, true]) {
          const all = await store.list({ sort, descending });
          const paged: KeySettings[] = [];
          for (let after: string | undefined; paged.length < all.length;) {
            const page = await store.list({ sort, descending, limit: 2, after });
            assert.ok(page.length > 0);
            paged.push(...page);
            after = cursorOf(page.at(-1)!, sort);
          }
          assert.deepEqual(paged, all);
        }
      }
    },
  ],

  [
    'announces the key of every change, when it can be read, until the subscription ends',
    async (store) => {
      if (store.subscribe === undefined) return;
      const announced: string[] = [];
      const readings: Promise<unknown>[] = [];
      const unsubscribe = store.subscribe((apiKey) => {
        if (apiKey === undefined) return;
        announced.push(apiKey);
        if (apiKey === KEY) readings.push(store.get(KEY));
      });
      // A subscription over a network takes a while to begin.
      await until(READY_MS, async () => {
        await store.set({ apiKey: OTHER_KEY });
        return announced.length > 0;
      });
      const { name } = await store.set({ apiKey: KEY, name: 'new' });
      await until(ANNOUNCED_MS, () => readings.length === 1);
      assert.equal(((await readings[0]) as { name?: string }).name, name);
      await store.delete(KEY);
      await until(ANNOUNCED_MS, () => readings.length === 2);
      assert.equal((await readings[1]) ?? undefined, undefined);
      await assert.rejects(store.set({ apiKey: KEY }, 7), STALE);
      unsubscribe();
      const before = announced.length;
      await store.set({ apiKey: KEY });
      assert.equal(announced.length, before);
    },
  ],
];

async function until(withinMs: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `not within ${String(withinMs)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
