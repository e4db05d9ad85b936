import type { KeySettingsInput, WritableSettingsStore } from '../../lib';
import { KEY, OTHER_KEY } from './pieces';

const stale = { code: 'ERR_RPC_GUARD_STALE_WRITE' };
const malformed = { code: 'ERR_RPC_GUARD_SETTINGS' };

/** What a store that keeps settings in this process's memory does besides the contract. `open` makes an empty one. */
export function describeLocalStore(open: () => WritableSettingsStore): void {
  let store: WritableSettingsStore;
  beforeEach(() => {
    store = open();
  });

  test('does not follow the object that was written', async () => {
    const mutable = { apiKey: KEY, allowlists: { methods: ['eth_call'] } };
    const written = await store.set(mutable);
    mutable.allowlists.methods.push('eth_*');
    expect((await store.get(KEY))?.allowlists.methods).toEqual(['eth_call']);
    expect(() => (written.allowlists.methods as string[]).push('eth_*')).toThrow(TypeError);
  });

  test('writes nothing of settings that do not parse', async () => {
    await store.set({ apiKey: KEY, name: 'good' });
    for (const wrong of [{ allowlists: { origins: ['not an origin'] } }, { name: 7 }]) {
      await expect(store.set({ apiKey: KEY, ...wrong } as KeySettingsInput)).rejects.toMatchObject(malformed);
    }
    for (const apiKey of ['', `${KEY} `, `${KEY}/x`]) {
      await expect(store.set({ apiKey })).rejects.toMatchObject(malformed);
    }
    expect(await store.list()).toMatchObject([{ name: 'good', version: 1 }]);
  });

  test('announces each change before the write resolves, and nothing that did not happen', async () => {
    const changed: (string | undefined)[] = [];
    store.subscribe?.((apiKey) => changed.push(apiKey));
    await store.set({ apiKey: KEY });
    await store.set({ apiKey: OTHER_KEY });
    await store.set({ apiKey: KEY, enabled: false });
    await store.delete(OTHER_KEY);
    expect(changed).toEqual([KEY, OTHER_KEY, KEY, OTHER_KEY]);
    await expect(store.set({ apiKey: KEY }, 7)).rejects.toMatchObject(stale);
    await expect(store.set({ apiKey: KEY, name: 7 as unknown as string })).rejects.toMatchObject(malformed);
    await expect(store.delete(KEY, 7)).rejects.toMatchObject(stale);
    expect(changed).toHaveLength(4);
  });
}
