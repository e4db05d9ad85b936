import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MemoryStore } from '../../lib';
import type { KeySettingsInput, SettingsStore } from '../../lib';
import { RpcGuardError } from '../../lib/errors';
import { hashSecret } from '../../lib/settings/secret';
import { SettingsCache } from '../../lib/stores/settings-cache';
import type { CachedStore, Lookup } from '../../lib/stores/settings-cache';
import { KEY, OTHER_KEY, recordingLogger } from '../support/pieces';
import { until } from '../support/until';

const STALE_MS = 60_000;
const HASH = hashSecret('rgs_a-secret');

/** A database that can fail, hang and change; a read returns what was there when it began. */
class Database implements SettingsStore {
  readonly rows = new Map<string, unknown>();
  readonly reads: string[] = [];
  state: 'up' | 'down' | 'hanging' = 'up';
  latencyMs = 0;
  subscribe?: (onChange: (apiKey?: string) => void) => () => void;
  /** Tells whoever has subscribed; no argument means that changes may have been missed. */
  announce: (apiKey?: string) => void = () => undefined;

  constructor({ announces = false } = {}) {
    this.rows.set(KEY, { apiKey: KEY, name: 'first' });
    if (!announces) return;
    const listeners = new Set<(apiKey?: string) => void>();
    this.subscribe = (onChange) => {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    };
    this.announce = (apiKey) => listeners.forEach((listener) => listener(apiKey));
  }

  async get(apiKey: string): Promise<KeySettingsInput | undefined> {
    this.reads.push(apiKey);
    const row = this.rows.get(apiKey) as KeySettingsInput | undefined;
    const { state } = this;
    if (state === 'hanging') await new Promise(() => undefined);
    if (this.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, this.latencyMs));
    if (state === 'down') throw new Error(`connect ECONNREFUSED while it reads ${apiKey}`);
    return row;
  }
}

let logger = recordingLogger();
beforeEach(() => {
  jest.useFakeTimers();
  logger = recordingLogger();
});
afterEach(() => jest.useRealTimers());

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);

function cached(store: SettingsStore, staleIfErrorMs = STALE_MS): CachedStore {
  return new SettingsCache(store, { staleIfErrorMs, logger });
}

/** The name in the settings of a key, or what is known in place of them. */
const told = (lookup: Lookup) => (typeof lookup === 'string' ? lookup : lookup.settings.name);
const nameOf = async (cache: CachedStore, apiKey = KEY) => told(await cache.get(apiKey));

/** The same while time passes, for a store that lets itself be waited for. */
async function nameWithin(ms: number, cache: CachedStore, apiKey = KEY): Promise<string> {
  let name: string | undefined;
  const reading = nameOf(cache, apiKey).then((it) => (name = it));
  for (let waited = 0; name === undefined && waited < ms; waited += 50) await pass(50);
  if (name === undefined) throw new Error(`no answer within ${ms} ms`);
  return reading;
}

const errors = () => logger.lines.filter(({ level }) => level === 'error').map(({ text }) => text);

describe('a key', () => {
  test('is read once and then known at once', async () => {
    const database = new Database();
    const cache = cached(database);
    expect(await nameOf(cache)).toBe('first');
    for (let n = 0; n < 1000; n++) expect(cache.get(KEY)).not.toBeInstanceOf(Promise);
    expect(database.reads).toEqual([KEY]);
  });

  test('is compiled once for as long as it is known', async () => {
    const cache = cached(new Database());
    expect(await cache.get(KEY)).toBe(await cache.get(KEY));
  });

  test.each([undefined, null])('that the store answers with %p is unknown, and asked for once', async (row) => {
    const database = new Database();
    database.rows.set(OTHER_KEY, row);
    const cache = cached(database);
    for (let n = 0; n < 100; n++) expect(await cache.get(OTHER_KEY)).toBe('unknown');
    expect(database.reads).toEqual([OTHER_KEY]);
  });

  test.each(['__proto__', 'constructor', 'hasOwnProperty'])('named %s is unknown like any other', async (key) => {
    const database = new Database();
    const cache = cached(database);
    expect(await cache.get(key)).toBe('unknown');
    expect(database.reads).toEqual([key]);
  });

  test('may come from a store that answers at once', async () => {
    const cache = cached({ get: (apiKey) => ({ apiKey, name: 'at once' }) });
    expect(await nameOf(cache)).toBe('at once');
  });
});

describe('one read serves all who wait for it:', () => {
  const crowd = (cache: CachedStore, apiKey = KEY) =>
    Promise.all(Array.from({ length: 200 }, () => Promise.resolve(cache.get(apiKey)).then(told)));

  test('200 first requests', async () => {
    const database = new Database();
    database.latencyMs = 100;
    const cache = cached(database);
    const names = crowd(cache);
    await pass(100);
    expect(new Set(await names)).toEqual(new Set(['first']));
    expect(database.reads).toEqual([KEY]);
  });

  test('200 requests for an unknown key', async () => {
    const database = new Database();
    expect(new Set(await crowd(cached(database), OTHER_KEY))).toEqual(new Set(['unknown']));
    expect(database.reads).toEqual([OTHER_KEY]);
  });

  test('200 requests when it is no longer fresh', async () => {
    const database = new Database();
    const cache = cached(database);
    await nameOf(cache);
    await pass(5000);
    expect(new Set(await crowd(cache))).toEqual(new Set(['first']));
    expect(database.reads).toEqual([KEY, KEY]);
  });

  test('200 requests when the store is down', async () => {
    const database = new Database();
    database.state = 'down';
    expect(new Set(await crowd(cached(database)))).toEqual(new Set(['unavailable']));
    expect(database.reads).toEqual([KEY]);
  });

  test('200 requests while it starts', async () => {
    const database = new Database() as Database & { init: () => Promise<void> };
    let inits = 0;
    database.init = async () => {
      inits++;
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(database.reads).toEqual([]);
    };
    const cache = cached(database);
    const names = crowd(cache);
    await pass(499);
    expect(database.reads).toEqual([]);
    await pass(1);
    expect(new Set(await names)).toEqual(new Set(['first']));
    expect([inits, database.reads.length]).toEqual([1, 1]);
  });

  test('of each key its own', async () => {
    const database = new Database();
    const keys = Array.from({ length: 50 }, (_, n) => `many-keys-${String(n)}`);
    for (const apiKey of keys) database.rows.set(apiKey, { apiKey, name: apiKey });
    const cache = cached(database);
    const names = await Promise.all([...keys, ...keys].map((apiKey) => nameOf(cache, apiKey)));
    expect(names).toEqual([...keys, ...keys]);
    expect(database.reads.sort()).toEqual(keys.sort());
  });
});

describe('a change', () => {
  const changes: readonly (readonly [what: string, row: unknown, told: string])[] = [
    ['of settings', { apiKey: KEY, name: 'second' }, 'second'],
    ['that deletes the key', undefined, 'unknown'],
    ['that breaks the settings', { apiKey: KEY, requiresecret: true }, 'unavailable'],
  ];

  test.each(changes)('%s is in force at once when it is announced', async (_, row, expected) => {
    const database = new Database({ announces: true });
    const cache = cached(database);
    await nameOf(cache);
    database.rows.set(KEY, row);
    database.announce(KEY);
    expect(await nameOf(cache)).toBe(expected);
  });

  test.each(changes)('%s is in force at once after a gap in the announcements', async (_, row, expected) => {
    const database = new Database({ announces: true });
    const cache = cached(database);
    await nameOf(cache);
    database.rows.set(KEY, row);
    database.announce();
    expect(await nameOf(cache)).toBe(expected);
  });

  test.each(changes)('%s is in force within 5 s when its announcement is lost', async (_, row, expected) => {
    for (let age = 0; age < 5000; age += 350) {
      const database = new Database({ announces: true });
      const cache = cached(database);
      await nameOf(cache);
      await pass(age);
      await nameOf(cache);
      database.rows.set(KEY, row);
      await pass(5000);
      expect(await nameOf(cache)).toBe(expected);
    }
  });

  test.each(changes)('%s is in force within 1 s where there are no announcements', async (_, row, expected) => {
    for (let age = 0; age < 1000; age += 70) {
      const database = new Database();
      const cache = cached(database);
      await nameOf(cache);
      await pass(age);
      await nameOf(cache);
      database.rows.set(KEY, row);
      await pass(1000);
      expect(await nameOf(cache)).toBe(expected);
    }
  });

  test('is in force within 1 s under constant load', async () => {
    const database = new Database();
    const cache = cached(database);
    for (let n = 0; n < 100; n++) {
      await nameOf(cache);
      await pass(13);
    }
    database.rows.set(KEY, { apiKey: KEY, enabled: false, name: 'disabled' });
    for (let waited = 0; waited < 1000; waited += 10) {
      await nameOf(cache);
      await pass(10);
    }
    expect(await nameOf(cache)).toBe('disabled');
  });

  test('that creates an unknown key is in force at once when it is announced', async () => {
    const database = new Database({ announces: true });
    const cache = cached(database);
    expect(await cache.get(OTHER_KEY)).toBe('unknown');
    database.rows.set(OTHER_KEY, { apiKey: OTHER_KEY, name: 'created' });
    database.announce(OTHER_KEY);
    expect(await nameOf(cache, OTHER_KEY)).toBe('created');
  });

  test('that creates an unknown key is in force within 1 s where there are no announcements', async () => {
    const database = new Database();
    const cache = cached(database);
    expect(await cache.get(OTHER_KEY)).toBe('unknown');
    database.rows.set(OTHER_KEY, { apiKey: OTHER_KEY, name: 'created' });
    await pass(1000);
    expect(await nameOf(cache, OTHER_KEY)).toBe('created');
  });

  test('of one key leaves the others known', async () => {
    const database = new Database({ announces: true });
    database.rows.set(OTHER_KEY, { apiKey: OTHER_KEY });
    const cache = cached(database);
    await Promise.all([nameOf(cache), nameOf(cache, OTHER_KEY)]);
    database.announce(KEY);
    await Promise.all([nameOf(cache), nameOf(cache, OTHER_KEY)]);
    expect(database.reads).toEqual([KEY, OTHER_KEY, KEY]);
  });

  test('through a MemoryStore is in force at once', async () => {
    const store = new MemoryStore([{ apiKey: KEY, name: 'first' }]);
    const cache = cached(store);
    expect(await nameOf(cache)).toBe('first');
    await store.set({ apiKey: KEY, name: 'second' });
    expect(await nameOf(cache)).toBe('second');
    await store.delete(KEY);
    expect(await cache.get(KEY)).toBe('unknown');
  });
});

describe('a read that was under way when the change came', () => {
  test.each([
    ['its announcement', (database: Database) => database.announce(KEY)],
    ['a gap in the announcements', (database: Database) => database.announce()],
  ])('never brings the old settings back, after %s', async (_, announce) => {
    const database = new Database({ announces: true });
    database.latencyMs = 400;
    const cache = cached(database);
    const waiting = Array.from({ length: 20 }, () => nameOf(cache));
    await pass(200);
    database.rows.set(KEY, { apiKey: KEY, name: 'second' });
    announce(database);
    const late = nameOf(cache);
    await pass(1000);
    expect(new Set(await Promise.all([...waiting, late]))).toEqual(new Set(['second']));
    expect(await nameOf(cache)).toBe('second');
    expect(database.reads).toHaveLength(2);
  });

  test('never brings a deleted key back', async () => {
    const database = new Database({ announces: true });
    database.latencyMs = 400;
    const cache = cached(database);
    const waiting = nameOf(cache);
    await pass(200);
    database.rows.delete(KEY);
    database.announce(KEY);
    await pass(1000);
    expect(await waiting).toBe('unknown');
    expect(await cache.get(KEY)).toBe('unknown');
  });

  test('never brings the old settings back when it ends after the new one', async () => {
    const database = new Database({ announces: true });
    database.latencyMs = 1500;
    const cache = cached(database);
    const slow = nameOf(cache);
    await pass(100);
    database.latencyMs = 10;
    database.rows.set(KEY, { apiKey: KEY, name: 'second' });
    database.announce(KEY);
    const fast = nameOf(cache);
    await pass(50);
    expect(await fast).toBe('second');
    await pass(1500);
    expect(await slow).toBe('second');
    expect(await nameOf(cache)).toBe('second');
  });

  test('follows several changes to the last', async () => {
    const database = new Database({ announces: true });
    database.latencyMs = 400;
    const cache = cached(database);
    const waiting = nameOf(cache);
    for (const name of ['second', 'third', 'fourth']) {
      await pass(300);
      database.rows.set(KEY, { apiKey: KEY, name });
      database.announce(KEY);
    }
    await pass(3000);
    expect(await waiting).toBe('fourth');
    expect(await nameOf(cache)).toBe('fourth');
  });

  test('never brings the old settings back when it was given up as too slow', async () => {
    const database = new Database();
    database.latencyMs = 6000;
    const cache = cached(database);
    expect(await nameWithin(5000, cache)).toBe('unavailable');
    database.rows.set(KEY, { apiKey: KEY, name: 'second' });
    database.latencyMs = 0;
    await pass(1100);
    expect(await nameOf(cache)).toBe('second');
    await pass(500);
    for (let n = 0; n < 60; n++) {
      expect(await nameOf(cache)).toBe('second');
      await pass(100);
    }
  });

  test('ends in a failure that a change came after: the key is read again', async () => {
    const database = new Database({ announces: true });
    const cache = cached(database);
    database.state = 'down';
    database.latencyMs = 100;
    const waiting = nameOf(cache);
    await pass(50);
    database.state = 'up';
    database.rows.set(KEY, { apiKey: KEY, name: 'second' });
    database.announce(KEY);
    await pass(500);
    expect(await waiting).toBe('second');
    expect(errors()).toEqual([]);
  });
});

describe.each([
  ['refuses', 'down'],
  ['does not answer', 'hanging'],
] as const)('while the store %s', (_, state) => {
  test('settings that were read before go on serving for as long as they may, then no longer', async () => {
    for (const staleMs of [10_000, STALE_MS]) {
      const database = new Database();
      const cache = cached(database, staleMs);
      await nameOf(cache);
      database.state = state;
      const begin = performance.now();
      while (performance.now() - begin < staleMs - 3000) expect(await nameWithin(3000, cache)).toBe('first');
      while (performance.now() - begin < staleMs) await pass(100);
      expect(await nameWithin(3000, cache)).toBe('unavailable');
      for (let n = 0; n < 5; n++) expect(await nameWithin(3000, cache)).toBe('unavailable');
    }
  });

  test('nothing stale serves when nothing may', async () => {
    const database = new Database();
    const cache = cached(database, 0);
    await nameOf(cache);
    database.state = state;
    await pass(1000);
    expect(await nameWithin(3000, cache)).toBe('unavailable');
  });

  test('a key that was never read is unavailable, not unknown and not open', async () => {
    const database = new Database();
    database.state = state;
    const cache = cached(database);
    for (let n = 0; n < 5; n++) {
      expect(await nameWithin(3000, cache)).toBe('unavailable');
      expect(await nameWithin(3000, cache, OTHER_KEY)).toBe('unavailable');
    }
  });

  test('an unknown key stays unknown', async () => {
    const database = new Database();
    const cache = cached(database);
    expect(await cache.get(OTHER_KEY)).toBe('unknown');
    database.state = state;
    database.rows.set(OTHER_KEY, { apiKey: OTHER_KEY });
    for (let n = 0; n < 10; n++) {
      await pass(2000);
      expect(await nameWithin(3000, cache, OTHER_KEY)).toBe('unknown');
    }
  });

  test('settings that did not parse stay refused', async () => {
    const database = new Database();
    database.rows.set(KEY, { apiKey: KEY, requiresecret: true });
    const cache = cached(database);
    expect(await cache.get(KEY)).toBe('unavailable');
    database.state = state;
    await pass(5000);
    expect(await nameWithin(3000, cache)).toBe('unavailable');
  });

  test('a change that is announced stops what was read before', async () => {
    const database = new Database({ announces: true });
    const cache = cached(database);
    await nameOf(cache);
    database.state = state;
    database.announce(KEY);
    expect(await nameWithin(3000, cache)).toBe('unavailable');
  });

  test('it is asked about once a second, however many ask for however many keys', async () => {
    const database = new Database();
    const keys = Array.from({ length: 20 }, (__, n) => `many-keys-${String(n)}`);
    for (const apiKey of keys) database.rows.set(apiKey, { apiKey, name: apiKey });
    const cache = cached(database);
    await Promise.all(keys.map((apiKey) => nameOf(cache, apiKey)));
    database.state = state;
    await pass(5000);
    await nameWithin(3000, cache, keys[0]);
    const before = database.reads.length;
    const answers: Promise<string>[] = [];
    for (let passed = 0, n = 0; passed < 20_000; passed += 50) {
      for (const apiKey of keys) answers.push(nameOf(cache, apiKey));
      answers.push(nameOf(cache, `unknown-${String(n++)}`), nameOf(cache));
      await pass(50);
    }
    expect(database.reads.length - before).toBeLessThanOrEqual(21);
    expect(database.reads.length - before).toBeGreaterThanOrEqual(6);
    await pass(3000);
    expect(new Set(await Promise.all(answers))).toEqual(new Set([...keys, 'unavailable']));
  });

  test('requests that do not probe it are answered at once', async () => {
    const database = new Database();
    database.rows.set(OTHER_KEY, { apiKey: OTHER_KEY, name: 'other' });
    const cache = cached(database);
    await Promise.all([nameOf(cache), nameOf(cache, OTHER_KEY)]);
    database.state = state;
    await pass(5000);
    await nameWithin(3000, cache);
    await pass(1500);
    const probing = nameOf(cache);
    expect(await nameOf(cache, OTHER_KEY)).toBe('other');
    await pass(3000);
    expect(await probing).toBe('first');
  });

  test('the log says so once, and once that it is back, without a key', async () => {
    const database = new Database();
    const cache = cached(database);
    await nameOf(cache);
    database.state = state;
    for (let n = 0; n < 10; n++) {
      await pass(1500);
      await nameWithin(3000, cache);
    }
    expect(errors()).toHaveLength(1);
    database.state = 'up';
    await pass(1500);
    await nameOf(cache);
    expect(logger.lines.filter(({ level }) => level === 'info')).toHaveLength(1);
    expect(JSON.stringify(logger.lines)).not.toContain(KEY);
  });

  test('it serves again within about a second of its return, changed keys changed', async () => {
    const database = new Database();
    const cache = cached(database);
    await nameOf(cache);
    database.state = state;
    await pass(STALE_MS + 1000);
    expect(await nameWithin(3000, cache)).toBe('unavailable');
    database.state = 'up';
    database.rows.set(KEY, { apiKey: KEY, name: 'second' });
    await pass(1000);
    expect(await nameWithin(100, cache)).toBe('second');
  });
});

describe('a slow store', () => {
  test('is waited for', async () => {
    const database = new Database();
    database.latencyMs = 1000;
    const cache = cached(database);
    expect(await nameWithin(1500, cache)).toBe('first');
    expect(errors()).toEqual([]);
  });

  test('is not waited for without end', async () => {
    const cache = cached({ get: () => new Promise(() => undefined) });
    expect(await nameWithin(5000, cache)).toBe('unavailable');
  });

  test('whose start does not end is not waited for without end', async () => {
    const cache = cached({ get: () => ({ apiKey: KEY }), init: () => new Promise(() => undefined) });
    expect(await nameWithin(5000, cache)).toBe('unavailable');
  });
});

describe('a store that cannot start', () => {
  test('opens nothing, is started again about once a second, and then serves', async () => {
    const database = new Database() as Database & { init: () => Promise<void> };
    let inits = 0;
    let isBroken = true;
    database.init = () => {
      inits++;
      return isBroken ? Promise.reject(new Error('no database')) : Promise.resolve();
    };
    const cache = cached(database);
    await pass(0);
    for (let n = 0; n < 100; n++) {
      expect(await nameOf(cache)).toBe('unavailable');
      await pass(100);
    }
    expect(inits).toBeLessThanOrEqual(12);
    expect(database.reads).toEqual([]);
    expect(errors()).toHaveLength(1);
    isBroken = false;
    await pass(1100);
    expect(await nameOf(cache)).toBe('first');
  });

  test.each<readonly [string, Partial<SettingsStore>]>([
    [
      'whose init throws',
      {
        init: () => {
          throw new Error('broken');
        },
      },
    ],
    [
      'whose subscribe throws',
      {
        subscribe: () => {
          throw new Error('broken');
        },
      },
    ],
    [
      'whose get throws',
      {
        get: () => {
          throw new Error('broken');
        },
      },
    ],
  ])('%s opens nothing and crashes nothing', async (_, broken) => {
    const cache = cached({ get: () => ({ apiKey: KEY }), ...broken });
    expect(await cache.get(KEY)).toBe('unavailable');
    expect(errors()).toHaveLength(1);
  });
});

describe('a store that lies', () => {
  const lies: readonly (readonly [what: string, row: unknown])[] = [
    ["another key's settings", { apiKey: OTHER_KEY, name: 'first' }],
    ['the key in another case', { apiKey: KEY.toUpperCase() }],
    ['no key', { name: 'first' }],
    ['true', true],
    ['false', false],
    ['0', 0],
    ['an empty string', ''],
    ['JSON', JSON.stringify({ apiKey: KEY })],
    ['bytes', Buffer.from(JSON.stringify({ apiKey: KEY }))],
    ['[]', []],
    ['rows', [{ apiKey: KEY }]],
    ['{}', {}],
    ['a function', () => ({ apiKey: KEY })],
    ['a map', new Map([['apiKey', KEY]])],
    ['an error', new Error(KEY)],
    ['a column too many', { apiKey: KEY, row_id: 1 }],
    ['31 entries', { apiKey: KEY, allowlists: { methods: Array(31).fill('eth_call') } }],
    ['an entry that cannot be parsed', { apiKey: KEY, allowlists: { origins: ['https://example.com/'] } }],
    ['null for a list', { apiKey: KEY, allowlists: { origins: null } }],
    ['null for the lists', { apiKey: KEY, allowlists: null }],
    ['text for a boolean', { apiKey: KEY, requireSecret: 'true' }],
    ['a hash in upper case', { apiKey: KEY, secrets: [{ hash: HASH.toUpperCase() }] }],
    [
      'settings that cannot be read',
      {
        get apiKey(): never {
          throw new Error('no such column');
        },
      },
    ],
  ];

  test.each(lies)('with %s gets its key refused and a line in the log', async (_, row) => {
    const database = new Database();
    database.rows.set(KEY, row);
    const cache = cached(database);
    expect(await cache.get(KEY)).toBe('unavailable');
    for (let n = 0; n < 5; n++) {
      await pass(1500);
      expect(await cache.get(KEY)).toBe('unavailable');
    }
    expect(errors()).toHaveLength(1);
    expect(errors().join()).not.toContain(KEY);
    expect(errors().join()).not.toContain(HASH.toUpperCase());
  });

  test.each(lies)('with %s does not serve what it returned before', async (_, row) => {
    const database = new Database({ announces: true });
    const cache = cached(database);
    expect(await nameOf(cache)).toBe('first');
    database.rows.set(KEY, row);
    database.announce(KEY);
    expect(await cache.get(KEY)).toBe('unavailable');
    database.rows.set(KEY, { apiKey: KEY, name: 'mended' });
    database.announce(KEY);
    await pass(1000);
    expect(await nameOf(cache)).toBe('mended');
  });

  test.each(lies)('with %s still has its other keys read', async (_, row) => {
    const database = new Database();
    database.rows.set('wronged-key', row);
    const cache = cached(database);
    for (const name of ['second', 'third', 'fourth']) {
      database.rows.set(KEY, { apiKey: KEY, name });
      await pass(1000);
      expect(await cache.get('wronged-key')).toBe('unavailable');
      expect(await nameOf(cache)).toBe(name);
    }
  });

  test('by an error of one key alone, as FileStore has it, still has its other keys read', async () => {
    const database = new Database();
    const problem = new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'enabled: Invalid input');
    const cache = cached({
      get: (apiKey) => (apiKey === OTHER_KEY ? Promise.reject(problem) : database.get(apiKey)),
    });
    expect(await cache.get(OTHER_KEY)).toBe('unavailable');
    expect(await nameOf(cache)).toBe('first');
    expect(errors()).toHaveLength(1);
    expect(errors()[0]).toContain('enabled: Invalid input');
  });

  test('by changing the object that it returned changes nothing until the key is read again', async () => {
    const row = {
      apiKey: KEY,
      name: 'first',
      requireSecret: true,
      secrets: [{ hash: HASH }],
      allowlists: { methods: ['eth_call'] },
    };
    const cache = cached({ get: () => row });
    const before = await cache.get(KEY);
    if (typeof before === 'string') throw new Error(before);
    row.requireSecret = false;
    row.secrets.length = 0;
    row.allowlists.methods.length = 0;
    row.name = 'changed';
    const after = await cache.get(KEY);
    expect(after).toBe(before);
    expect(before.settings).toMatchObject({ requireSecret: true, allowlists: { methods: ['eth_call'] } });
    expect(before.secrets).toHaveLength(1);
    expect(before.allowlists.methods?.matches('eth_sendRawTransaction')).toBe(false);
    await pass(1000);
    expect(await nameOf(cache)).toBe('changed');
  });

  test('and logs its problems itself does not have them logged again', async () => {
    const cache = cached({
      get: () => ({ apiKey: KEY, enabled: 'yes' }),
      problems: () => [],
    } as unknown as SettingsStore);
    expect(await nameOf(cache)).toBe('unavailable');
    expect(errors()).toEqual([]);
  });

  test('by returning one object for every key opens one key at most', async () => {
    const cache = cached({ get: () => ({ apiKey: KEY, name: 'first' }) });
    expect(await nameOf(cache)).toBe('first');
    expect(await cache.get(OTHER_KEY)).toBe('unavailable');
    expect(await cache.get('unknown-key')).toBe('unavailable');
  });
});

describe('unknown keys', () => {
  /** Far fewer than the default: fake timers make each read slow. */
  const MAX = 1000;
  const small = (store: SettingsStore) => new SettingsCache(store, { staleIfErrorMs: STALE_MS, logger, max: MAX });
  const flood = async (cache: CachedStore, count: number) => {
    for (let n = 0; n < count; n += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => nameOf(cache, `unknown-${String(n + i)}`)));
    }
  };

  test('are each read once, however often they come', async () => {
    const database = new Database({ announces: true });
    const cache = small(database);
    await flood(cache, 1000);
    await flood(cache, 1000);
    await flood(cache, 1000);
    expect(database.reads).toHaveLength(1000);
  });

  test('push no known key out of the cache', async () => {
    const database = new Database({ announces: true });
    const cache = small(database);
    await nameOf(cache);
    await flood(cache, 2 * MAX);
    expect(cache.get(KEY)).not.toBeInstanceOf(Promise);
    expect(await nameOf(cache)).toBe('first');
    expect(database.reads.filter((apiKey) => apiKey === KEY)).toHaveLength(1);
  });

  test('make room for each other', async () => {
    const database = new Database({ announces: true });
    const cache = small(database);
    await flood(cache, MAX + 500);
    const before = database.reads.length;
    await flood(cache, 500);
    expect(database.reads.length).toBe(before + 500);
  });

  test('in any number delay no key that is created', async () => {
    const database = new Database({ announces: true });
    const cache = small(database);
    await flood(cache, 1500);
    for (const apiKey of ['unknown-0', 'unknown-1499', 'never-asked']) {
      database.rows.set(apiKey, { apiKey, name: 'created' });
      database.announce(apiKey);
      expect(await nameOf(cache, apiKey)).toBe('created');
    }
  });
});

describe('many unknown keys', () => {
  /** A store that counts its reads, in all and at one time, and answers those of unknown keys when it may. */
  class Counting extends Database {
    now = 0;
    mostAtOnce = 0;
    mayAnswer: Promise<void> = Promise.resolve();

    override async get(apiKey: string): Promise<KeySettingsInput | undefined> {
      this.mostAtOnce = Math.max(this.mostAtOnce, ++this.now);
      if (apiKey !== KEY) await this.mayAnswer;
      const settings = await super.get(apiKey);
      this.now--;
      return settings;
    }
  }
  const madeUp = (n: number) => `made-up-${String(n).padStart(24, '0')}`;

  test('at once cause few reads and delay no known key', async () => {
    const database = new Counting();
    const cache = new SettingsCache(database, { staleIfErrorMs: STALE_MS, logger, ttlMs: STALE_MS });
    expect(await nameOf(cache)).toBe('first');
    let answer = (): void => undefined;
    database.mayAnswer = new Promise((resolve) => (answer = resolve));
    const lookups: Promise<Lookup>[] = [];
    for (let n = 0; n < 20_000; n++) {
      lookups.push(Promise.resolve(cache.get(madeUp(n))));
      await Promise.resolve(); // requests come one by one
    }
    expect(cache.get(KEY)).toMatchObject({ settings: { apiKey: KEY } });
    answer();
    expect(new Set(await Promise.all(lookups))).toEqual(new Set(['unknown', 'unavailable']));
    expect(database.reads.length).toBeLessThan(2000);
    expect(database.mostAtOnce).toBeLessThanOrEqual(100);
  });

  test('one after the other take no more memory than fill the cache', async () => {
    jest.useRealTimers();
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heap = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    let reads = 0;
    const store = { get: () => (reads++, undefined) };
    const cache = new SettingsCache(store, { staleIfErrorMs: STALE_MS, logger, ttlMs: STALE_MS, max: 1000 });
    async function ask(from: number, to: number): Promise<void> {
      for (let n = from; n < to; n += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, i) => Promise.resolve(cache.get(madeUp(n + i)))));
      }
    }
    await ask(0, 2000);
    const before = heap();
    await ask(2000, 30_000);
    // One collection does not find all that there is to collect.
    await until(() => heap() - before < 2 * 1024 * 1024);
    await ask(29_000, 30_000); // known to be unknown
    expect(reads).toBe(30_000);
  });
});

describe('close', () => {
  test('ends the subscription and closes the store', async () => {
    const ended: string[] = [];
    const cache = cached({
      get: () => ({ apiKey: KEY }),
      subscribe: () => () => ended.push('subscription'),
      close: async () => {
        await Promise.resolve();
        ended.push('store');
      },
    });
    await cache.get(KEY);
    await cache.close();
    expect(ended).toEqual(['subscription', 'store']);
  });

  test('works for a store with neither subscribe nor close', async () => {
    const cache = cached({ get: () => ({ apiKey: KEY }) });
    await expect(cache.close()).resolves.toBeUndefined();
  });

  test('before the store has started leaves no subscription behind', async () => {
    let subscriptions = 0;
    const cache = cached({
      get: () => ({ apiKey: KEY }),
      init: () => new Promise((resolve) => setTimeout(resolve, 500)),
      subscribe: () => {
        subscriptions++;
        return () => subscriptions--;
      },
    });
    await cache.close();
    await pass(1000);
    expect(subscriptions).toBe(0);
  });
});
