import { MemoryStore } from '../../lib';
import type { KeySettings, SettingsStore } from '../../lib';
import { KEY, call, guardedApp, post } from '../support/guarded-app';
import { guardedSockets, openSocket } from '../support/guarded-sockets';
import { answerWithMethod, recordingUpstream } from '../support/upstream';
import { until } from '../support/until';

const UNUSED = 'http://127.0.0.1:1';

function failingStore(): SettingsStore & { isDown: boolean } {
  const settings = { apiKey: KEY } as KeySettings;
  return {
    isDown: true,
    get() {
      if (this.isDown) throw new Error('away');
      return settings;
    },
  };
}

test('before the first request the upstream is unknown, and nothing was asked', async () => {
  const { guard, upstream } = await guardedApp();
  const host = `127.0.0.1:${upstream.port}`;
  const health = { ok: true, store: 'up', upstreams: { [host]: 'unknown' }, limitStore: 'up', sockets: 0 };
  expect([guard.health(), guard.health(), upstream.connections]).toEqual([health, health, 0]);
});

test('the upstream is up after its first answer, down when it has gone, and up again', async () => {
  let isAway = false;
  const upstream = await recordingUpstream((req, res, body) => {
    if (isAway) req.socket.destroy();
    else answerWithMethod(req, res, body);
  });
  const { guard, rpcUrl } = await guardedApp({ upstream });
  const state = () => [guard.health().ok, ...Object.values(guard.health().upstreams)];
  await post(rpcUrl, call('eth_chainId'));
  expect(state()).toEqual([true, 'up']);
  isAway = true;
  await post(rpcUrl, call('eth_chainId'));
  expect(state()).toEqual([false, 'down']);
  isAway = false;
  await post(rpcUrl, call('eth_chainId'));
  expect(state()).toEqual([true, 'up']);
});

test('an upstream that refuses the handshakes of WebSockets is down', async () => {
  const upstream = await recordingUpstream();
  const { guard, socketUrl } = await guardedSockets({ upstream: { ...upstream, url: UNUSED } as never });
  await expect(openSocket(socketUrl)).rejects.toThrow('502');
  expect(guard.health()).toMatchObject({ ok: false, upstreams: { '127.0.0.1:1': 'down' } });
});

test('the store is down from the first failed read until the next good one', async () => {
  const store = failingStore();
  const { guard, rpcUrl } = await guardedApp({ store });
  expect((await post(rpcUrl, call('eth_chainId'))).status).toBe(503);
  expect(guard.health()).toMatchObject({ ok: false, store: 'down' });
  expect('limitStore' in guard.health()).toBe(false);
  store.isDown = false;
  await until(async () => (await post(rpcUrl, call('eth_chainId'))).status === 200);
  expect(guard.health()).toMatchObject({ ok: true, store: 'up' });
});

test('the store of limits is down while processes cannot share what they have spent', async () => {
  const store = new MemoryStore([{ apiKey: KEY, limits: { perSecond: 100 } }]);
  const shared = Object.assign(store, { limits: { exchange: () => Promise.reject(new Error('away')), intervalMs: 1 } });
  const { guard, rpcUrl } = await guardedApp({ store: shared });
  await post(rpcUrl, call('eth_chainId'));
  await until(() => guard.health().limitStore === 'down');
  expect(guard.health().ok).toBe(true);
});

test('open WebSockets are counted', async () => {
  const app = await guardedSockets();
  const { socket, closed } = await app.open();
  expect(app.guard.health().sockets).toBe(1);
  socket.close();
  await closed;
  await until(() => app.guard.health().sockets === 0);
});
