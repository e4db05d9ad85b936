import { once } from 'node:events';
import { WebSocket } from 'ws';
import { CALL } from '../support/guarded-app';
import { OPCODE, guardedSockets, openRaw, settled } from '../support/guarded-sockets';
import type { GuardedPeer } from '../support/guarded-sockets';
import { until } from '../support/until';
import { webSocketUpstream } from '../support/web-socket-upstream';
import { text, expectAlive, fake } from '../support/socket-session';

const MIB = 1024 * 1024;

afterEach(() => {
  jest.useRealTimers();
});

describe('a dead peer', () => {
  const PING_MS = 30_000;

  test('is found: a client that answers no ping is cut off, and its upstream closed', async () => {
    fake('setInterval');
    const app = await guardedSockets();
    const raw = await openRaw(app.port);
    const upstream = await app.upstream.nextSocket();
    await jest.advanceTimersByTimeAsync(PING_MS);
    await raw.receives(OPCODE.ping);
    expect(raw.wire.socket.closed).toBe(false);
    await jest.advanceTimersByTimeAsync(PING_MS);
    expect((await upstream.closed).code).toBe(1001);
    await raw.wire.closed;
  });

  test('is found: an upstream that answers no ping closes its client with 1011', async () => {
    fake('setInterval');
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const app = await guardedSockets({ upstream: await webSocketUpstream({ autoPong: false }), options: { logger } });
    const client = await app.open();
    await jest.advanceTimersByTimeAsync(PING_MS);
    await heard(client);
    await jest.advanceTimersByTimeAsync(PING_MS);
    expect((await client.closed).code).toBe(1011);
  });

  test('is found, though notifications go out to it', async () => {
    fake('setInterval');
    const app = await guardedSockets();
    const raw = await openRaw(app.port);
    const upstream = await app.upstream.nextSocket();
    for (let n = 0; n < 4 && upstream.socket.readyState === WebSocket.OPEN; n++) {
      await jest.advanceTimersByTimeAsync(PING_MS);
      upstream.socket.send('{"jsonrpc":"2.0","method":"eth_subscription"}');
      await settled(() => raw.frames().length);
    }
    expect(upstream.socket.readyState).not.toBe(WebSocket.OPEN);
  });

  test('is found, though messages go out to it', async () => {
    fake('setInterval');
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const upstream = await webSocketUpstream({ autoPong: false, answer: () => undefined });
    const app = await guardedSockets({ upstream, options: { logger } });
    const client = await app.open();
    for (let n = 0; n < 4 && client.socket.readyState === WebSocket.OPEN; n++) {
      await jest.advanceTimersByTimeAsync(PING_MS);
      client.socket.send(text(CALL));
      await heard(client);
    }
    expect(client.socket.readyState).not.toBe(WebSocket.OPEN);
  });

  /** Resolves when the guard has dealt with all that has been sent to it on both sides. */
  async function heard({ socket, upstream }: GuardedPeer): Promise<void> {
    for (const end of [socket, upstream.socket]) {
      if (end.readyState !== WebSocket.OPEN) continue;
      end.ping();
      await Promise.race([once(end, 'pong'), once(end, 'close')]);
    }
  }

  test('is not one that reads slowly, until it reads nothing', async () => {
    fake('setInterval');
    const app = await guardedSockets();
    const { wire } = await openRaw(app.port);
    const upstream = await app.upstream.nextSocket();
    const piece = 'x'.repeat(MIB / 4);
    wire.socket.pause();
    for (let n = 0; n < 200; n++) upstream.socket.send(piece);
    await settled(() => upstream.socket.bufferedAmount);
    for (let n = 1; n <= 3; n++) {
      await jest.advanceTimersByTimeAsync(PING_MS);
      wire.socket.resume();
      await until(() => wire.received.length > n * 5 * MIB);
      wire.socket.pause();
      await settled(() => upstream.socket.bufferedAmount);
    }
    await jest.advanceTimersByTimeAsync(PING_MS);
    expect(upstream.socket.readyState).toBe(WebSocket.OPEN);

    await jest.advanceTimersByTimeAsync(PING_MS);
    expect((await upstream.closed).code).toBe(1001);
  });

  test('is not one that is silent and answers pings', async () => {
    fake('setInterval');
    const app = await guardedSockets();
    const client = await app.open();
    for (let n = 0; n < 5; n++) {
      const pinged = Promise.all([once(client.socket, 'ping'), once(client.upstream.socket, 'ping')]);
      await jest.advanceTimersByTimeAsync(PING_MS);
      await pinged;
      await heard(client);
    }
    await expectAlive(client);
  });
});
