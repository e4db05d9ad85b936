import { MemoryStore } from '../../lib';
import { KEY } from '../support/pieces';
import { describeLocalStore } from '../support/local-store';
import { storeContract } from './store-contract';

describe('MemoryStore', () => {
  storeContract(test, () => new MemoryStore());
  describeLocalStore(() => new MemoryStore());

  test('takes keys that are written in code', async () => {
    const store = new MemoryStore([{ apiKey: KEY, requireSecret: true }, { apiKey: 'another-key' }]);
    expect(await store.get(KEY)).toMatchObject({ requireSecret: true, enabled: true });
    expect((await store.list()).map(({ apiKey }) => apiKey)).toEqual([KEY, 'another-key']);
  });

  test('does not start with keys that do not parse', () => {
    for (const wrong of [{ apiKey: 'short' }, { apiKey: KEY, allowlists: { methods: [''] } }, { apiKey: KEY, x: 1 }]) {
      expect(() => new MemoryStore([{ apiKey: 'another-key' }, wrong])).toThrow(
        expect.objectContaining({ code: 'ERR_RPC_GUARD_SETTINGS' }) as Error,
      );
    }
  });
});
