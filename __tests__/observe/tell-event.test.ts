import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { call, guardedApp, post } from '../support/guarded-app';

const CHANNEL = 'rpc-guard:request';

test('the channel publishes every event of every guard, the same that onRequest gets', async () => {
  const told: unknown[] = [];
  const listener = (event: unknown) => told.push(event);
  subscribe(CHANNEL, listener);
  const events: unknown[] = [];
  const [one, other] = [
    await guardedApp({ options: { onRequest: (event) => events.push(event) } }),
    await guardedApp(),
  ];
  await post(one.rpcUrl, call('eth_a'));
  await post(other.rpcUrl, call('eth_b'));
  unsubscribe(CHANNEL, listener);
  await post(other.rpcUrl, call('eth_c'));
  expect(told).toMatchObject([{ methods: { eth_a: 1 } }, { methods: { eth_b: 1 } }]);
  expect(told[0]).toBe(events[0]);
});

test('onRequest harms nothing when it throws or rejects', async () => {
  const listeners: readonly (() => unknown)[] = [
    () => {
      throw new Error('of the listener');
    },
    () => Promise.reject(new Error('of the listener')),
  ];
  for (const onRequest of listeners) {
    const app = await guardedApp({ options: { onRequest } });
    expect((await post(app.rpcUrl, call('eth_a'))).status).toBe(200);
    expect((await post(app.rpcUrl, call('eth_b'))).status).toBe(200);
  }
});

test('a subscriber that throws keeps no request from its answer, and no other subscriber from its event', () => {
  const script = `
    const { createServer } = require('node:http');
    const { subscribe } = require('node:diagnostics_channel');
    const { MemoryStore, rpcGuard } = require(${JSON.stringify(join(__dirname, '../../dist'))});
    let thrown = 0;
    let told = 0;
    process.on('uncaughtException', () => thrown++);
    subscribe('${CHANNEL}', () => { throw new Error('of the subscriber'); });
    subscribe('${CHANNEL}', () => told++);
    const logger = { info() {}, warn() {}, error() {} };
    const store = new MemoryStore([{ apiKey: 'key-key-key', enabled: false }]);
    const server = createServer(rpcGuard({ upstream: 'http://127.0.0.1:9', store, logger })).listen(0, async () => {
      const url = 'http://127.0.0.1:' + server.address().port + '/v3/key-key-key';
      const { status } = await fetch(url, { method: 'POST', body: '{}' });
      console.log(JSON.stringify({ status, thrown, told }));
      process.exit();
    });`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  expect([stdout.trim(), stderr]).toEqual(['{"status":403,"thrown":1,"told":1}', '']);
});
