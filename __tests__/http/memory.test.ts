import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { endAfterTest } from '../support/cleanup';
import { KEY, call } from '../support/guarded-app';
import { settled } from '../support/guarded-sockets';
import { OTHER_KEY } from '../support/pieces';
import { post } from '../support/reply';
import { smallGuard } from '../support/small-guard';
import { until } from '../support/until';
import { recordingUpstream } from '../support/upstream';
import { chunked, openWire, requestBytes } from '../support/wire';

const KEYS = [KEY, OTHER_KEY].map((apiKey) => ({ apiKey, allowlists: { methods: ['eth_*'] } }));
const MIXED = [call('eth_a', [], 1), call('net_x', [], 2)];
const MIB = 1024 * 1024;
/** 400 by hand: a few show it too. */
const BODIES = Number(process.env['BODIES'] ?? 24);

/** An upstream that holds its answers, and keeps nothing of what it is sent. */
async function holdingUpstream(): Promise<{ url: string; held: ServerResponse[]; release: () => void }> {
  const held: ServerResponse[] = [];
  let isHolding = true;
  const server = createServer((req, res) => {
    req.resume();
    if (isHolding) held.push(res);
    else res.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endAfterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  const release = () => {
    isHolding = false;
    for (const res of held.splice(0)) res.end('{}');
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, held, release };
}

/** A connection that sends and reads nothing. */
function deafCaller(port: number, bytes: Buffer): Socket {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined).pause();
  socket.write(bytes);
  endAfterTest(() => socket.destroy());
  return socket;
}

describe('bodies', () => {
  test('that are inflated are 16 of 2 MiB at once for a key, and the next ones wait', async () => {
    const upstream = await holdingUpstream();
    const { port, usage } = await smallGuard({ upstream: upstream.url, keys: KEYS });
    const before = (await usage()).peak;
    const text = JSON.stringify(call('eth_call', ['x'.repeat(2 * MIB - 200)]));
    const body = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
    expect(body.length).toBeLessThan(120);
    const request = requestBytes({ target: `/v3/${KEY}`, headers: ['Content-Encoding: br'], body });
    const wires = await Promise.all(Array.from({ length: BODIES }, () => openWire(port)));
    for (const wire of wires) wire.write(request);
    await until(() => upstream.held.length >= 16);
    expect(await settled(() => upstream.held.length)).toBe(16);
    upstream.release();
    const answers = await Promise.all(wires.map((wire) => wire.answer()));
    expect(answers.map(({ status }) => status)).toEqual(wires.map(() => 200));
    expect((await usage()).peak - before).toBeLessThan(300);
  });

  test('of one-byte chunks cost about what they hold', async () => {
    const upstream = await holdingUpstream();
    upstream.release();
    const { port, usage } = await smallGuard({ upstream: upstream.url, keys: KEYS });
    const bytes = chunked(JSON.stringify(call('eth_call', ['x'.repeat(96 * 1024)])), 1);
    // What the first takes is for what it loads.
    const first = await openWire(port);
    first.write(requestBytes({ target: `/v3/${KEY}`, headers: ['Transfer-Encoding: chunked'], body: bytes }));
    await first.answer();
    const before = (await usage()).peak;
    const wires = await Promise.all(Array.from({ length: 8 }, () => openWire(port)));
    const request = requestBytes({ target: `/v3/${KEY}`, headers: ['Transfer-Encoding: chunked'], body: bytes });
    for (const wire of wires) wire.write(request);
    const answers = await Promise.all(wires.map((wire) => wire.answer()));
    expect(answers.map(({ status }) => status)).toEqual(wires.map(() => 200));
    expect((await usage()).peak - before).toBeLessThan(120);
  });
});

describe('answers that nobody takes', () => {
  const LONG = gzipSync(JSON.stringify([{ jsonrpc: '2.0', id: 1, result: 'x'.repeat(9 * MIB) }]));
  const answerLong = (_req: unknown, res: ServerResponse) =>
    res.writeHead(200, { 'Content-Encoding': 'gzip' }).end(LONG);

  test('are one of a connection where they are put together, and their caller is cut off', async () => {
    const upstream = await recordingUpstream(answerLong);
    const { port, usage } = await smallGuard({ upstream: upstream.url, keys: KEYS, callerIdleMs: 300 });
    const before = (await usage()).peak;
    const request = requestBytes({ target: `/v3/${KEY}`, body: MIXED });
    deafCaller(port, Buffer.concat(Array.from({ length: 120 }, () => request)));
    await until(() => upstream.seen.length > 0);
    await until(async () => (await usage()).connections === 0);
    expect(upstream.seen).toHaveLength(1);
    expect((await usage()).peak - before).toBeLessThan(120);
  });

  test('are 64 MiB of a key where they are put together, and leave room for another key', async () => {
    const upstream = await recordingUpstream(answerLong);
    const { port, usage } = await smallGuard({ upstream: upstream.url, keys: KEYS, callerIdleMs: 2000 });
    const before = (await usage()).peak;
    const request = requestBytes({ target: `/v3/${KEY}`, body: MIXED });
    const callers = Array.from({ length: DEAF }, () => deafCaller(port, request));
    await until(() => upstream.seen.length === DEAF);
    const answer = await post(`http://127.0.0.1:${port}/v3/${OTHER_KEY}`, MIXED);
    expect([answer.status, answer.text.length > 9 * MIB]).toEqual([200, true]);
    // Those whose answers found no room have a short one, which the kernel took.
    const statuses = await Promise.all(callers.map(statusOf));
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(7);
    expect(statuses).toContain(503);
    expect((await usage()).peak - before).toBeLessThan(300);
  });

  test('are bounded where they are relayed on one connection, too', async () => {
    const result = 'x'.repeat(60_000);
    const upstream = await recordingUpstream((_req, res) => res.end(`{"jsonrpc":"2.0","id":1,"result":"${result}"}`));
    const { port, usage } = await smallGuard({ upstream: upstream.url, keys: KEYS, callerIdleMs: 300 });
    const request = requestBytes({ target: `/v3/${KEY}`, body: call('eth_a') });
    const before = (await usage()).peak;
    deafCaller(port, Buffer.concat(Array.from({ length: 1000 }, () => request)));
    await until(() => upstream.seen.length > 100);
    await until(async () => (await usage()).connections === 0);
    expect((await usage()).peak - before).toBeLessThan(120);
  });
});

/** 40 by hand. */
const DEAF = Number(process.env['DEAF'] ?? 12);

/** Reads at last what came, as far as it came. */
async function statusOf(socket: Socket): Promise<number> {
  const head = await new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text ||= chunk.toString('latin1', 0, 20);
      resolve(text);
    });
    socket.on('close', () => {
      resolve(text);
    });
    socket.resume();
  });
  socket.destroy();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
}
