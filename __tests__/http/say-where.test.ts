import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { MemoryStore, rpcGuard } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, recordingLogger } from '../support/pieces';
import { proxyUnderTest } from '../support/proxy-under-test';

async function told(mount: string, { hears = false, options = {} } = {}): Promise<readonly string[]> {
  const logger = recordingLogger();
  const store = new MemoryStore([]);
  const guard = rpcGuard({ upstream: 'http://127.0.0.1:1', store, logger, ...options, ...proxyUnderTest });
  endAfterTest(() => guard.close());
  const server = createServer(express().use(mount, guard));
  if (hears) server.on('upgrade', guard.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endAfterTest(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (let n = 0; n < 3; n++) await fetch(`http://127.0.0.1:${String(port)}${mount}/elsewhere`);
  return logger.lines.filter(({ level }) => level === 'info').map(({ text }) => text);
}

test('the first request logs once where the guard answers, if its mount point is known', async () => {
  expect(await told('/rpc', { hears: true })).toEqual([
    'the guard answers {"http":"POST /rpc/v3/:apiKey","webSocket":"/ws/v3/:apiKey"}',
  ]);
  const options = { path: '/eth/:apiKey/rpc', wsPath: '/sockets' };
  expect(await told('/', { hears: true, options })).toEqual([
    'the guard answers {"http":"POST /eth/:apiKey/rpc","webSocket":"/sockets/:apiKey"}',
  ]);
});

test('a forgotten upgrade is logged with the line to write', async () => {
  expect(await told('/rpc')).toEqual([
    `the guard answers {"http":"POST /rpc/v3/:apiKey","webSocket":"nowhere; write server.on('upgrade', guard.upgrade)"}`,
  ]);
});

test('without a logger the line goes to stderr, once', async () => {
  const written: string[] = [];
  const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  endAfterTest(() => write.mockRestore());
  await told('/rpc', { hears: true, options: { logger: undefined } });
  expect(written).toEqual([
    'rpc-guard: the guard answers {"http":"POST /rpc/v3/:apiKey","webSocket":"/ws/v3/:apiKey"}\n',
  ]);
});

test('a part of the mount point that may be a key is not logged', async () => {
  expect((await told(`/${KEY}`)).join()).not.toContain(KEY);
});
