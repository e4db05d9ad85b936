import { KeyManager, MemoryStore } from '../../lib';
import { call, guardedApp, post } from '../support/guarded-app';
import { KEY } from '../support/pieces';

test('says what is left of a key’s limits, without charging it', async () => {
  const store = new MemoryStore([{ apiKey: KEY, limits: { perSecond: 1, burst: 1000, perDay: 5000 } }]);
  const manager = new KeyManager(store);
  const unused = { second: { limit: 1, burst: 1000, level: 1000 }, day: { limit: 5000, used: 0 }, instances: 0 };
  expect(await manager.limits(KEY)).toMatchObject(unused);
  const { rpcUrl } = await guardedApp({ store });
  await post(
    rpcUrl,
    Array.from({ length: 600 }, (_, n) => call('eth_blockNumber', [], n)),
  );
  let { day, second, instances } = await manager.limits(KEY);
  while (day?.used !== 600) ({ day, second, instances } = await manager.limits(KEY));
  expect(second?.level).toBeGreaterThanOrEqual(400);
  expect(second?.level).toBeLessThan(500);
  expect(instances).toBe(1);
  expect(day.resetAt).toMatch(/T00:00:00\.000Z$/);
});

test('a key without limits has no use to show', async () => {
  const manager = new KeyManager(new MemoryStore([{ apiKey: KEY }]));
  expect(await manager.limits(KEY)).toEqual({ instances: 0 });
  await expect(manager.limits('unknown-key')).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_KEY_UNKNOWN' });
});

test('for a store that does not count, only the limits are shown', async () => {
  const store = new MemoryStore([{ apiKey: KEY, limits: { perSecond: 5, perDay: 9 } }]);
  const manager = new KeyManager(Object.assign(store, { limits: undefined }));
  const { second, day } = await manager.limits(KEY);
  expect(second).toEqual({ limit: 5, burst: 10, level: undefined });
  expect(day?.used).toBeUndefined();
});
