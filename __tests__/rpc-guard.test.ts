import { KEY, basic, call, guardedApp, post } from './support/guarded-app';
import { startAnvil } from './support/anvil';

test('forwards an allowed call', async () => {
  const app = await guardedApp();
  const answer = await post(app.rpcUrl, call('eth_blockNumber'));
  expect(answer.json).toEqual({ jsonrpc: '2.0', id: 1, result: 'eth_blockNumber' });
  expect(app.upstream.seen).toHaveLength(1);
});

test('refuses an unknown key', async () => {
  const app = await guardedApp({ expressVersion: 4 });
  const answer = await post(`${app.url}/v3/${KEY}x`, call('eth_blockNumber'), basic('x'));
  expect(answer.json.error.data.reason).toBe('KEY_UNKNOWN');
  expect(app.upstream.seen).toHaveLength(0);
});

test('anvil', async () => {
  const anvil = await startAnvil();
  const app = await guardedApp({ options: { upstream: anvil.url } });
  const answer = await post(app.rpcUrl, call('eth_chainId'));
  expect(answer.json.result).toBe('0x7a69');
  await anvil.stop();
});
