import type { ServerResponse } from 'node:http';
import type { RequestEvent } from '../../lib';
import { KEY, call, guardedApp, post } from '../support/guarded-app';
import { guardedSockets, openSocket } from '../support/guarded-sockets';
import { recordingUpstream } from '../support/upstream';
import { until } from '../support/until';
import { openWire, requestBytes } from '../support/wire';

/** An upstream whose answers wait. */
async function heldUpstream() {
  const held: ServerResponse[] = [];
  const upstream = await recordingUpstream((_req, res) => held.push(res));
  const answer = () => {
    for (const res of held.splice(0)) {
      res.setHeader('Content-Type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
    }
  };
  return { upstream, held, answer };
}

describe('a guard that closes', () => {
  test('answers what is under way, and ends its connection with it', async () => {
    const { upstream, held, answer } = await heldUpstream();
    const { guard, rpcUrl } = await guardedApp({ upstream });
    const answers = Promise.all([1, 2, 3].map(() => post(rpcUrl, call('eth_chainId'))));
    await until(() => held.length === 3);
    const closed = guard.close();
    answer();
    const seen = (await answers).map(({ status, headers }) => [status, headers.get('connection')]);
    expect(seen).toEqual(Array(3).fill([200, 'close']));
    await closed;
  });

  test('refuses new requests with 503 and Retry-After, and the upstream sees nothing', async () => {
    const { upstream, held, answer } = await heldUpstream();
    const { guard, rpcUrl } = await guardedApp({ upstream });
    const first = post(rpcUrl, call('eth_chainId'));
    await until(() => held.length === 1);
    const closed = guard.close();
    const late = await post(rpcUrl, call('eth_blockNumber'));
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '01']);
    const error = { code: -32603, message: 'the service is shutting down, try again' };
    expect(late.json).toMatchObject({ id: 1, error });
    expect(upstream.seen).toHaveLength(1);
    answer();
    expect((await first).status).toBe(200);
    await closed;
  });

  test('cuts what is under way after graceMs', async () => {
    const { upstream, held } = await heldUpstream();
    const { guard, rpcUrl } = await guardedApp({ upstream });
    const request = post(rpcUrl, call('eth_chainId'));
    request.catch(() => undefined);
    await until(() => held.length === 1);
    await guard.close({ graceMs: 1 });
    await expect(request).rejects.toThrow('fetch failed');
  });

  test('forgets answers that waited behind another on a connection that is gone', async () => {
    const { upstream, held } = await heldUpstream();
    const events: RequestEvent[] = [];
    const { guard, port } = await guardedApp({ upstream, options: { onRequest: (event) => events.push(event) } });
    const wire = await openWire(port);
    wire.write(requestBytes({ target: `/v3/${KEY}`, body: JSON.stringify(call('eth_chainId')) }));
    wire.write(...Array.from({ length: 5 }, () => 'GET /v3/ HTTP/1.1\r\nHost: a\r\n\r\n'));
    await until(() => held.length === 1 && events.length === 5);
    wire.socket.destroy();
    await until(() => events.length === 6);
    await guard.close({ graceMs: 600_000 });
  });

  test("counts what it cut as failed, and not as the caller's going away", async () => {
    const { upstream, held } = await heldUpstream();
    const events: RequestEvent[] = [];
    const { guard, rpcUrl } = await guardedApp({ upstream, options: { onRequest: (event) => events.push(event) } });
    const request = post(rpcUrl, call('eth_chainId'));
    request.catch(() => undefined);
    await until(() => held.length === 1);
    await guard.close({ graceMs: 1 });
    expect(events).toMatchObject([{ outcome: 'failed', reason: 'SETTINGS_UNAVAILABLE', aborted: false }]);
  });

  test('closes sockets with 1001 and refuses handshakes with 503 and Retry-After', async () => {
    const app = await guardedSockets();
    const { closed } = await app.open();
    await app.guard.close();
    expect((await closed).code).toBe(1001);
    await expect(openSocket(app.socketUrl)).rejects.toThrow('503');
  });

  test('closes once, however often it is asked', async () => {
    const { guard } = await guardedApp();
    await Promise.all([guard.close(), guard.close(), guard.close()]);
  });

  test('names a misspelt option', async () => {
    const { guard } = await guardedApp();
    expect(() => guard.close({ gracems: 1 } as never)).toThrow('did you mean graceMs?');
  });
});
