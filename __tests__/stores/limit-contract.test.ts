import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../lib';
import type { LimitStore, SpentRow } from '../../lib/stores/limit-store';
import { limitContract } from '../../lib/stores/store-contract';
import { endAfterTest } from '../support/cleanup';
import { describeEachStore } from '../support/each-store';

/** One shelf, but a store for each process: as over a network. */
function acrossStores(stores: readonly LimitStore[]): LimitStore {
  const byInstance = new Map<string, LimitStore>();
  return {
    exchange(rows) {
      const instance = rows[0]?.instance ?? '';
      const store = byInstance.get(instance) ?? stores[byInstance.size % stores.length]!;
      byInstance.set(instance, store);
      return store.exchange(rows);
    },
  };
}

describeEachStore((fresh) => {
  limitContract(test, async () => {
    const shelf = fresh();
    const stores = await Promise.all(Array.from({ length: 10 }, () => shelf.open()));
    return { limits: acrossStores(stores.map(({ limits }) => limits!)) };
  });
});

describe('a file store', () => {
  const ROW: SpentRow = { apiKey: 'first-key', day: '2027-01-31', instance: 'before', credits: 5, at: 1 };

  function folder(): string {
    const made = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
    endAfterTest(() => rmSync(made, { recursive: true }));
    return made;
  }

  function open(path: string): FileStore {
    const store = new FileStore(path);
    endAfterTest(() => store.close());
    return store;
  }

  test('remembers over a restart what was spent, in a file that only its owner reads', async () => {
    const path = join(folder(), 'keys.json');
    await open(path).limits.exchange([ROW]);
    expect(readdirSync(`${path}.usage`)).toEqual(['spent-before.json']);
    expect(await open(path).limits.exchange([{ ...ROW, instance: 'after' }])).toEqual([ROW]);
  });

  test('skips a file that is not whole, and removes those of earlier days', async () => {
    const path = join(folder(), 'keys.json');
    const { limits } = open(path);
    await limits.exchange([ROW]);
    writeFileSync(join(`${path}.usage`, 'spent-broken.json'), '{"rows":[');
    const old = join(`${path}.usage`, 'spent-old.json');
    writeFileSync(old, JSON.stringify({ rows: [{ ...ROW, instance: 'old' }] }));
    utimesSync(old, 0, 0);
    expect(await limits.exchange([ROW])).toEqual([]);
    expect(readdirSync(`${path}.usage`).sort()).toEqual(['spent-before.json', 'spent-broken.json']);
  });

  test('makes no folder when it is only read', async () => {
    const path = join(folder(), 'keys.json');
    expect(await open(path).limits.exchange([{ ...ROW, instance: '' }])).toEqual([]);
    expect(() => readdirSync(`${path}.usage`)).toThrow('ENOENT');
  });
});
