import type { KeySettingsInput, WritableSettingsStore } from '../../lib';
import { hashSecret } from '../../lib';
import { KEY } from './pieces';

const OTHER_KEY = 'fedcba9876543210fedcba9876543210';
const settings = (more: Partial<KeySettingsInput> = {}): KeySettingsInput => ({ apiKey: KEY, ...more });

const stale = { code: 'ERR_RPC_GUARD_STALE_WRITE' };
const malformed = { code: 'ERR_RPC_GUARD_SETTINGS' };

/** What the guard and its management rely on, whichever store they are given. `open` makes an empty one. */
export function describeWritableStore(open: () => WritableSettingsStore): void {
  let store: WritableSettingsStore;
  beforeEach(() => {
    store = open();
  });

  test('knows no key at first', async () => {
    expect(await store.get(KEY)).toBeUndefined();
    expect(await store.list()).toEqual([]);
  });

  test.each(['__proto__', 'constructor', 'toString_', 'hasOwnProperty'])(
    'takes %s for a key as any other',
    async (key) => {
      expect(await store.get(key)).toBeUndefined();
      await store.set({ apiKey: key, name: 'named' });
      expect(await store.get(key)).toMatchObject({ apiKey: key, name: 'named' });
      expect(await store.get(KEY)).toBeUndefined();
      expect(await store.delete(key)).toBe(true);
      expect(await store.get(key)).toBeUndefined();
    },
  );

  test('gives back what was written, with its defaults', async () => {
    const written = await store.set(settings({ name: 'dapp', secrets: [{ hash: hashSecret('x'), label: 'server' }] }));
    expect(written).toMatchObject({ apiKey: KEY, name: 'dapp', enabled: true, requireSecret: false, version: 1 });
    expect(await store.get(KEY)).toEqual(written);
    expect(await store.list()).toEqual([written]);
  });

  test('keeps keys apart by case', async () => {
    await store.set({ apiKey: 'abcdefgh', name: 'lower' });
    await store.set({ apiKey: 'ABCDEFGH', name: 'upper' });
    expect(await store.get('abcdefgh')).toMatchObject({ name: 'lower' });
    expect(await store.get('Abcdefgh')).toBeUndefined();
  });

  test('counts versions, keeps the time of creation and moves that of the change', async () => {
    const first = await store.set(settings());
    const second = await store.set(settings({ name: 'again' }), 1);
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(second.createdAt).toBe(first.createdAt);
    expect(Date.parse(second.updatedAt)).toBeGreaterThanOrEqual(Date.parse(first.updatedAt));
  });

  test('refuses a stale write and leaves things as they are', async () => {
    const first = await store.set(settings({ name: 'first' }));
    const second = await store.set({ ...first, name: 'second' });
    await expect(store.set({ ...first, name: 'stale' })).rejects.toMatchObject(stale);
    for (const version of [0, 1, 3, 99]) {
      await expect(store.set(settings({ name: 'stale' }), version)).rejects.toMatchObject(stale);
      await expect(store.delete(KEY, version)).rejects.toMatchObject(stale);
    }
    expect(await store.get(KEY)).toEqual(second);
    expect(second).toMatchObject({ name: 'second', version: 2 });
  });

  test('lets one of two writers of a version win', async () => {
    await store.set(settings());
    const writes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => store.set(settings({ name: String(n) }), 1)),
    );
    const won = writes.filter((write) => write.status === 'fulfilled');
    expect(won).toHaveLength(1);
    expect(await store.get(KEY)).toEqual(won[0]?.value);
    for (const write of writes) if (write.status === 'rejected') expect(write.reason).toMatchObject(stale);
  });

  test('creates with version 0 only what is not there', async () => {
    await store.set(settings({ name: 'first' }), 0);
    await expect(store.set(settings({ name: 'second' }), 0)).rejects.toMatchObject(stale);
    await expect(store.set({ apiKey: OTHER_KEY }, 1)).rejects.toMatchObject(stale);
    expect(await store.get(OTHER_KEY)).toBeUndefined();
    expect(await store.get(KEY)).toMatchObject({ name: 'first' });
  });

  test('does not write settings that do not parse', async () => {
    await store.set(settings({ name: 'good' }));
    const entries = Array.from({ length: 31 }, (_, n) => `eth_${String(n)}`);
    for (const wrong of [
      { allowlists: { methods: entries } },
      { allowlists: { origins: ['not an origin'] } },
      { secrets: [{ hash: 'x' }] },
      { requiresecret: true },
      { name: 7 },
    ]) {
      await expect(store.set({ ...settings(), ...wrong } as KeySettingsInput)).rejects.toMatchObject(malformed);
    }
    for (const apiKey of ['', 'short', `${KEY} `, `${KEY}/x`]) {
      await expect(store.set({ apiKey })).rejects.toMatchObject(malformed);
    }
    expect(await store.list()).toMatchObject([{ name: 'good', version: 1 }]);
  });

  test('does not follow the object that was written', async () => {
    const mutable = { apiKey: KEY, allowlists: { methods: ['eth_call'] } };
    const written = await store.set(mutable);
    mutable.allowlists.methods.push('eth_*');
    expect((await store.get(KEY))?.allowlists.methods).toEqual(['eth_call']);
    expect(() => (written.allowlists.methods as string[]).push('eth_*')).toThrow(TypeError);
  });

  test('deletes, and tells whether there was anything', async () => {
    await store.set(settings());
    expect(await store.delete(KEY, 1)).toBe(true);
    expect(await store.get(KEY)).toBeUndefined();
    expect(await store.delete(KEY)).toBe(false);
    expect(await store.set(settings())).toMatchObject({ version: 1 });
  });

  test('lists in the order of the keys, page by page', async () => {
    for (const apiKey of ['key-c-03', 'key-a-01', 'key-B-02', 'key-d-04']) await store.set({ apiKey });
    const keysOf = async (page?: { after?: string; limit?: number }) => (await store.list(page)).map((it) => it.apiKey);
    const all = ['key-B-02', 'key-a-01', 'key-c-03', 'key-d-04'];
    expect(await keysOf()).toEqual(all);
    expect(await keysOf({ limit: 2 })).toEqual(all.slice(0, 2));
    expect(await keysOf({ after: 'key-a-01' })).toEqual(all.slice(2));
    expect(await keysOf({ after: 'key-b-between', limit: 1 })).toEqual(['key-c-03']);
    expect(await keysOf({ after: 'key-d-04' })).toEqual([]);
  });

  test('announces the key of every change until the subscription ends', async () => {
    const changed: (string | undefined)[] = [];
    const unsubscribe = store.subscribe?.((apiKey) => changed.push(apiKey));
    await store.set(settings());
    await store.set({ apiKey: OTHER_KEY });
    await store.set(settings({ enabled: false }));
    await store.delete(OTHER_KEY);
    expect(changed).toEqual([KEY, OTHER_KEY, KEY, OTHER_KEY]);
    unsubscribe?.();
    await store.delete(KEY);
    expect(changed).toHaveLength(4);
  });

  test('announces a change when it can be read', async () => {
    const seen: Promise<unknown>[] = [];
    store.subscribe?.(() => seen.push(store.get(KEY)));
    await store.set(settings({ name: 'new' }));
    await store.delete(KEY);
    expect(await Promise.all(seen)).toEqual([expect.objectContaining({ name: 'new' }), undefined]);
  });

  test('announces nothing that did not happen', async () => {
    await store.set(settings());
    const changed: unknown[] = [];
    store.subscribe?.((apiKey) => changed.push(apiKey));
    await expect(store.set(settings(), 7)).rejects.toMatchObject(stale);
    await expect(store.set(settings({ name: 7 as unknown as string }))).rejects.toMatchObject(malformed);
    await expect(store.delete(KEY, 7)).rejects.toMatchObject(stale);
    expect(changed).toEqual([]);
  });
}
