import { join } from 'node:path';
import type { WritableSettingsStore } from '../../lib';
import { MemoryStore } from '../../lib';
import { auditContract, usageContract } from '../../lib/stores/store-contract';
import { expectSuccess, run } from '../support/installed-package';
import { storeContract } from './store-contract';

type Rule = () => Promise<void>;

/** What the contract registers for a store. */
function rulesFor(open: () => WritableSettingsStore): ReadonlyMap<string, Rule> {
  const rules = new Map<string, Rule>();
  storeContract((name, rule) => rules.set(name, rule), open);
  return rules;
}

test('the contracts run in node:test', async () => {
  const file = join(__dirname, '../support/store-contract.node-test.cjs');
  const { stdout } = await expectSuccess(run(process.execPath, ['--test', file], { cwd: __dirname }));
  let count = 0;
  const counted = () => {
    count++;
  };
  storeContract(counted, () => new MemoryStore());
  auditContract(counted, () => new MemoryStore());
  usageContract(counted, () => Promise.resolve({ usage: new MemoryStore().usage }));
  expect(stdout).toMatch(new RegExp(`(?:#|ℹ) pass ${count}\\b`));
  expect(stdout).toMatch(/(?:#|ℹ) fail 0\b/);
});

test('a store is initialised before each rule and closed after it, also when the rule fails', async () => {
  const calls: string[] = [];
  class Watched extends MemoryStore {
    init(): void {
      calls.push('init');
    }
    close(): void {
      calls.push('close');
    }
    override list(): Promise<never> {
      return Promise.reject(new Error('no list'));
    }
  }
  await expect(rulesFor(() => new Watched()).get('has no key at first')?.()).rejects.toThrow('no list');
  expect(calls).toEqual(['init', 'close']);
});

test('a store without announcements keeps the contract too', async () => {
  class Silent extends MemoryStore {
    override subscribe = undefined as never;
  }
  for (const rule of rulesFor(() => new Silent()).values()) await rule();
});

describe('the contract finds a store that', () => {
  class Forgetful extends MemoryStore {
    override set(...[settings]: Parameters<MemoryStore['set']>): ReturnType<MemoryStore['set']> {
      return super.set({ ...settings, version: undefined as never });
    }
  }
  class OneCase extends MemoryStore {
    override get(apiKey: string): ReturnType<MemoryStore['get']> {
      return super.get(apiKey.toLowerCase());
    }
  }
  class Backwards extends MemoryStore {
    override async list(...page: Parameters<MemoryStore['list']>): ReturnType<MemoryStore['list']> {
      return [...(await super.list(...page))].reverse();
    }
  }
  class Silent extends MemoryStore {
    override subscribe(): () => void {
      return () => undefined;
    }
  }
  class Undying extends MemoryStore {
    override async delete(apiKey: string): Promise<boolean> {
      return (await super.get(apiKey)) !== undefined;
    }
  }
  test.each([
    ['does not look at versions', Forgetful],
    ['mixes up upper and lower case', OneCase],
    ['lists in another order', Backwards],
    ['says nothing of changes', Silent],
    ['does not delete', Undying],
  ])('%s', async (_fault, Store) => {
    const outcomes = await Promise.allSettled([...rulesFor(() => new Store()).values()].map((rule) => rule()));
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
  });
});
