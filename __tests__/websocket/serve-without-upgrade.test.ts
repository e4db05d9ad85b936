import { once } from 'node:events';
import type { Socket } from 'node:net';
import { KEY, call, guardedApp } from '../support/guarded-app';
import type { GuardedApp, GuardedAppOptions } from '../support/guarded-app';
import { curl } from '../support/curl';
import { handshake } from '../support/guarded-sockets';
import { OTHER_KEY } from '../support/pieces';
import { expectRefusal } from '../support/refusal-table';
import { chunked, exchange, openWire, requestBytes } from '../support/wire';

const OFFER = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA'];

/** An application whose guard listens for upgrades, as it does for WebSocket. */
async function upgradingApp(options: GuardedAppOptions = {}): Promise<GuardedApp> {
  const app = await guardedApp({
    before: [(req, res, next) => (req.url === '/health' ? res.send('well') : next())],
    ...options,
  });
  app.server.on('upgrade', app.guard.upgrade);
  return app;
}

function offering(body: string, headers: readonly string[] = [], target = `/v3/${KEY}`): Buffer {
  return requestBytes({ target, headers: [...OFFER, ...headers], body });
}

const text = (method: string) => JSON.stringify(call(method));

describe('a request that offers another protocol than WebSocket', () => {
  test('is served over HTTP/1.1, and decided on like any other', async () => {
    const app = await upgradingApp({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }] });
    const answer = await exchange(app.port, offering(text('eth_a')));
    expect([answer.status, answer.json]).toMatchObject([200, { id: 1 }]);
    expect(app.upstream.seen.map(({ body }) => body)).toEqual([text('eth_a')]);
    expect(answer.headers.get('connection')).toBe('keep-alive');

    expectRefusal(await exchange(app.port, offering(text('eth_b'))), 'METHOD_NOT_ALLOWED', { id: 1 });
    expectRefusal(await exchange(app.port, offering('{}', [], `/v3/${OTHER_KEY}`)), 'KEY_UNKNOWN');
    const twice = ['Authorization: a', 'Authorization: b'];
    expectRefusal(await exchange(app.port, offering('{}', twice)), 'DUPLICATE_HEADER');
    const unread = requestBytes({ method: 'GET', target: `/v3/${KEY}`, headers: OFFER });
    expectRefusal(await exchange(app.port, unread, 'GET'), 'METHOD_NOT_POST');
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('of curl --http2 is served, one after the other on one connection', async () => {
    const app = await upgradingApp();
    const calls = Array.from({ length: 15 }, () => ['--next', '-s', '--http2', '-d', text('eth_a'), app.rpcUrl]);
    const { stdout } = await curl(calls.flat().slice(1));
    expect(stdout.match(/"jsonrpc"/g)).toHaveLength(15);
    expect(app.upstream.seen).toHaveLength(15);
  });

  test('is served whatever of its body comes with its head, and however that is framed', async () => {
    const app = await upgradingApp();
    const body = text('eth_a');
    const parts: readonly (readonly Buffer[])[] = [
      [offering(body).subarray(0, -body.length), Buffer.from(body)],
      [offering(body).subarray(0, -5), Buffer.from(body.slice(-5))],
      [offering('', ['Transfer-Encoding: chunked']), chunked(body)],
      [Buffer.concat([offering('', ['Transfer-Encoding: chunked']), chunked(body)])],
      [offering('', ['Expect: 100-continue', `Content-Length: ${body.length}`]), Buffer.from(body)],
    ];
    for (const [first, second] of parts) {
      const wire = await openWire(app.port);
      const served = once(app.server, 'upgrade');
      wire.write(first!);
      await served;
      if (second !== undefined) wire.write(second);
      expect((await wire.answer()).status).toBe(200);
      // The connection goes on.
      expect((await wire.write(requestBytes({ target: `/v3/${KEY}`, body })).answer()).status).toBe(200);
    }
    expect(new Set(app.upstream.seen.map((seen) => seen.body))).toEqual(new Set([body]));
    expect(app.upstream.seen).toHaveLength(10);
  });

  test('is answered in its turn where requests came before it and come after it in one packet', async () => {
    const app = await upgradingApp();
    const bodies = ['eth_a', 'eth_b', 'eth_c', 'eth_d', 'eth_e'].map(text);
    const requests = bodies.map((body, n) =>
      n % 2 === 0 ? requestBytes({ target: `/v3/${KEY}`, body }) : offering(body),
    );
    const wire = await openWire(app.port);
    wire.write(Buffer.concat(requests));
    for (const body of bodies) {
      const answer = await wire.answer();
      expect([body, answer.status]).toEqual([body, 200]);
    }
    expect(app.upstream.seen.map(({ body }) => body)).toEqual(bodies);
  });

  test('smuggles nothing: its body is its body, and framing that two hops read in two ways is refused', async () => {
    const app = await upgradingApp();
    const hidden = requestBytes({ target: `/v3/${KEY}`, body: text('eth_hidden') }).toString();
    const many = (framing: string) => [...Array.from({ length: 1100 }, (_, n) => `a${n}:`), framing];
    const requests: readonly Buffer[] = [
      offering(hidden),
      Buffer.concat([
        offering('', ['Transfer-Encoding: chunked', 'Content-Length: 5']),
        chunked('12345', hidden.length),
        Buffer.from(hidden),
      ]),
      // Past the headers that Node keeps: the one that frames the body would be lost.
      Buffer.concat([offering('', many(`Content-Length: ${hidden.length}`)), Buffer.from(hidden)]),
      Buffer.concat([offering('', many('Transfer-Encoding: chunked')), chunked(hidden, hidden.length)]),
      offering(hidden, [`Content-Length: ${hidden.length}`, 'Content-Length: 0']),
      offering(hidden, [`X-Folded: a\r\n Content-Length: 0`]),
    ];
    for (const request of requests) {
      const wire = await openWire(app.port);
      expect((await wire.write(request).answer()).status).toBeGreaterThanOrEqual(400);
      wire.socket.destroy();
    }
    expect(app.upstream.seen).toEqual([]);
    expect((await exchange(app.port, offering(text('eth_a')))).status).toBe(200);
  });

  test('leaves nothing behind on a connection that goes on', async () => {
    const app = await upgradingApp();
    let connection: Socket | undefined;
    app.server.once('connection', (accepted: Socket) => (connection = accepted));
    const wire = await openWire(app.port);
    const counts = new Set<number>();
    for (let n = 0; n < 12; n++) {
      await wire.write(offering(text('eth_a'))).answer();
      counts.add(connection!.eventNames().reduce((sum, name) => sum + connection!.listenerCount(name), 0));
    }
    expect([...counts].slice(1)).toEqual([]);
  });

  test('to the rest of the application is served as if no guard listened', async () => {
    const app = await upgradingApp({ mount: '/rpc' });
    const health = await exchange(app.port, requestBytes({ method: 'GET', target: '/health', headers: OFFER }), 'GET');
    expect([health.status, health.text]).toEqual([200, 'well']);
    expect((await exchange(app.port, offering(text('eth_a'), [], `/rpc/v3/${KEY}`))).status).toBe(200);
    // A WebSocket still finds nobody there.
    expect((await exchange(app.port, handshake('/health'), 'GET')).status).toBe(404);
  });

  test('is served once where several guards listen, and left to others elsewhere', async () => {
    const app = await upgradingApp();
    app.server.on('upgrade', app.guard.upgrade);
    expect((await exchange(app.port, offering(text('eth_a')))).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(1);
    app.server.on('upgrade', (req, socket) => {
      if (req.url === '/own') socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n');
    });
    expect((await exchange(app.port, offering('', [], '/own'))).status).toBe(418);
    expect((await exchange(app.port, offering(text('eth_a')))).status).toBe(200);
    expect(app.upstream.seen).toHaveLength(2);
  });
});
