import { MemoryStore } from '../../lib';
import { auditEvent } from '../../lib/stores/audit-event';
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

  test('keeps the last 10,000 events of its history', async () => {
    const { audit } = new MemoryStore();
    const what = { actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY } as const;
    const events = Array.from({ length: 10_002 }, (_, version) => auditEvent({ ...what, version }));
    await audit.append(events);
    const [newest] = await audit.list({ limit: 1 });
    const kept = await audit.list({ limit: 20_000 });
    expect([newest?.version, kept.at(-1)?.version, kept.length]).toEqual([10_001, 2, 10_000]);
  });

  test('does not start with keys that do not parse', () => {
    for (const wrong of [{ apiKey: 'short' }, { apiKey: KEY, allowlists: { methods: [''] } }, { apiKey: KEY, x: 1 }]) {
      expect(() => new MemoryStore([{ apiKey: 'another-key' }, wrong])).toThrow(
        expect.objectContaining({ code: 'ERR_RPC_GUARD_SETTINGS' }) as Error,
      );
    }
  });
});
