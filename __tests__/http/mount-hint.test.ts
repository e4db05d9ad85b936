import express from 'express';
import { MemoryStore, rpcGuard } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, call, post } from '../support/guarded-app';
import { recordingLogger } from '../support/pieces';
import { proxyUnderTest } from '../support/proxy-under-test';
import { serve } from '../support/serve';
import { recordingUpstream } from '../support/upstream';

async function mountedAt(mount: string, path?: string) {
  const upstream = await recordingUpstream();
  const logger = recordingLogger();
  const store = new MemoryStore([{ apiKey: KEY }]);
  const guard = rpcGuard({ upstream: upstream.url, store, logger, ...(path && { path }), ...proxyUnderTest });
  endAfterTest(() => guard.close());
  const { url } = await serve(express().use(mount, guard));
  const hints = () => logger.lines.filter(({ text }) => text.includes('mounted')).map(({ text }) => text);
  return { url, hints, ask: (at: string) => post(`${url}${at}`, call('eth_chainId')) };
}

test('a guard that is mounted under its own path says once where it answers, without the key', async () => {
  const { ask, hints } = await mountedAt('/v3');
  expect((await ask(`/v3/${KEY}`)).status).toBe(404);
  await ask(`/v3/${KEY}`);
  expect(hints()).toEqual([expect.stringContaining('/v3/v3/:apiKey')]);
  expect(hints()[0]).toContain('app.use(guard)');
  expect(hints()[0]).not.toContain(KEY.slice(0, 8));
  expect((await ask(`/v3/v3/${KEY}`)).status).toBe(200);
});

test.each([
  ['/rpc', '/rpc/v3/:apiKey'],
  ['/v3/:key', '/v3/:apiKey'],
])('a guard at %s for %s says so too', async (mount, path) => {
  const { ask, hints } = await mountedAt(mount, path);
  await ask(path.replace(':apiKey', KEY));
  expect(hints()).toHaveLength(1);
  expect(hints()[0]).not.toContain(KEY.slice(0, 8));
});

test.each(['/', '/api'])('a guard at %s says nothing, whatever else is asked there', async (mount) => {
  const { ask, hints } = await mountedAt(mount);
  for (const at of [`/v3/${KEY}`, `/api/v3/${KEY}`, '/other', '/api', `/api/v2/${KEY}`]) await ask(at);
  expect(hints()).toEqual([]);
});
