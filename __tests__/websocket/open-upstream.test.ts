import { once } from 'node:events';
import { MemoryStore } from '../../lib';
import { KEY, call } from '../support/guarded-app';
import { guardedSockets, handshake, openSocket } from '../support/guarded-sockets';
import { rawUpstream } from '../support/raw-upstream';
import { errorOf } from '../support/refusal-table';
import { until } from '../support/until';
import { webSocketUpstream } from '../support/web-socket-upstream';
import { exchange, openWire } from '../support/wire';

const TARGET = `/ws/v3/${KEY}`;
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

function keptLog() {
  const lines: string[] = [];
  const keep = (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, logger: { info: keep, warn: keep, error: keep } };
}

describe('the upstream opens first: a handshake', () => {
  test.each([
    ['HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nup-secret', 'status 401'],
    ['HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 'status 404'],
    ['HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/up-secret\r\nContent-Length: 0\r\n\r\n', 'status 302'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'status 200'],
    [`${SWITCH}Sec-WebSocket-Accept: x\r\n\r\n`, 'Invalid Sec-WebSocket-Accept header'],
    ['nonsense\r\n\r\n', 'HPE_INVALID_CONSTANT'],
    ['', 'ECONNRESET'],
  ])('whose upstream answers %j gets 502, and the log says "%s"', async (head, why) => {
    for (const exposeReason of [true, false]) {
      const { lines, logger } = keptLog();
      const { port } = await rawUpstream((socket) => socket.end(head));
      const upstream = `http://user:up-secret@127.0.0.1:${port}/up-secret`;
      const app = await guardedSockets({ options: { upstream, logger, exposeReason } });
      const { status, json, text } = await exchange(app.port, handshake(TARGET), 'GET');
      expect([status, json.error.code, json.error.message]).toEqual([502, -32603, 'upstream unavailable']);
      if (exposeReason) expect(json.error).toEqual(errorOf('UPSTREAM_UNAVAILABLE'));
      const away = lines.filter((line) => line.startsWith('the upstream is away'));
      expect(away).toEqual([expect.stringContaining(why)]);
      expect(text + lines.join()).not.toContain('up-secret');
      expect(lines.join()).not.toContain(KEY);
      expect(app.decisions).toMatchObject([{ allowed: false, reason: 'UPSTREAM_UNAVAILABLE' }]);
    }
  });

  test('whose upstream is not there gets 502, one that does not answer within upstreamTimeoutMs 504', async () => {
    const silent = await rawUpstream(() => undefined);
    for (const [upstream, status] of [
      ['http://127.0.0.1:1', 502],
      [silent.url, 504],
    ] as const) {
      const { logger } = keptLog();
      const app = await guardedSockets({ options: { upstream, upstreamTimeoutMs: 100, logger } });
      const answer = await exchange(app.port, handshake(TARGET), 'GET');
      const reason = status === 502 ? 'UPSTREAM_UNAVAILABLE' : 'UPSTREAM_TIMEOUT';
      expect([answer.status, answer.json.error]).toEqual([status, errorOf(reason)]);
    }
    for (const socket of silent.sockets) if (!socket.closed) await once(socket, 'close');
  });

  test('under way counts as a socket of its key, and no longer once it is refused', async () => {
    const silent = await rawUpstream(() => undefined);
    const { logger } = keptLog();
    const options = { upstream: silent.url, maxSocketsPerKey: 1, logger };
    const app = await guardedSockets({ options });
    /** A handshake that waits for the upstream's answer. */
    const begun = async (count: number) => {
      const wire = await openWire(app.port);
      wire.write(handshake(TARGET));
      await until(() => silent.sockets.length === count);
      return wire;
    };
    const first = await begun(1);
    expect((await exchange(app.port, handshake(TARGET), 'GET')).status).toBe(429);
    silent.sockets[0]!.destroy();
    expect((await first.answer('GET')).status).toBe(502);
    const second = await begun(2);
    silent.sockets[1]!.destroy();
    expect((await second.answer('GET')).status).toBe(502);
  });

  test.each(['end', 'resetAndDestroy'] as const)('whose caller goes away (%s) gives the upstream up', async (end) => {
    const silent = await rawUpstream(() => undefined);
    const app = await guardedSockets({ options: { upstream: silent.url } });
    const wire = await openWire(app.port);
    wire.write(handshake(TARGET));
    await until(() => silent.sockets.length === 1);
    wire.socket[end]();
    const [socket] = silent.sockets;
    if (!socket!.closed) await once(socket!, 'close');
  });

  test('under way when the guard closes gets 503, and its upstream is given up', async () => {
    const silent = await rawUpstream(() => undefined);
    const app = await guardedSockets({ options: { upstream: silent.url } });
    const wire = await openWire(app.port);
    wire.write(handshake(TARGET));
    await until(() => silent.sockets.length === 1);
    await app.guard.close();
    expect((await wire.answer('GET')).status).toBe(503);
  });

  test('of a key that is disabled while the upstream opens is refused, and reaches nobody', async () => {
    const store = new MemoryStore([{ apiKey: KEY }]);
    const app = await guardedSockets({ store, upstream: await webSocketUpstream({ held: true }) });
    const wire = await openWire(app.port);
    wire.write(handshake(TARGET));
    await until(() => app.upstream.connections === 1);
    await store.set({ apiKey: KEY, enabled: false });
    app.upstream.release();
    expect((await wire.answer('GET')).status).toBe(403);
    expect(app.upstream.messages).toEqual([]);
    await (
      await app.upstream.nextSocket()
    ).closed;
  });

  test('loses nothing that the upstream sends as it opens', async () => {
    const upstream = await webSocketUpstream({ held: true });
    const app = await guardedSockets({ upstream });
    void upstream.nextSocket().then(({ socket }) => {
      socket.send('"first"');
    });
    upstream.release();
    const client = await openSocket(app.socketUrl);
    expect(await client.next()).toBe('"first"');
    client.socket.send(JSON.stringify(call('eth_a')));
    expect(await client.next()).toContain('eth_a');
  });
});
