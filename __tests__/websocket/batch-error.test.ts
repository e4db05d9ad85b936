import { call } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { webSocketUpstream } from '../support/web-socket-upstream';

const TOO_LARGE = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}';

describe('an error object with a null id', () => {
  test('answers the oldest batch under way, and the socket lives on', async () => {
    const upstream = await webSocketUpstream({ answer: () => undefined });
    const app = await guardedSockets({ upstream, options: { upstreamTimeoutMs: 60_000 } });
    const client = await app.open();
    client.socket.send(JSON.stringify([call('eth_a', [], 1)]));
    client.socket.send(JSON.stringify([call('eth_b', [], 2)]));
    await client.upstream.next();
    await client.upstream.next();
    client.upstream.socket.send(TOO_LARGE);
    expect(await client.next()).toBe(TOO_LARGE);
    client.upstream.socket.send('[{"jsonrpc":"2.0","id":2,"result":"b"}]');
    expect(await client.next()).toBe('[{"jsonrpc":"2.0","id":2,"result":"b"}]');
    // The first is over: its id is free again at once.
    client.socket.send(JSON.stringify([call('eth_c', [], 1)]));
    expect(await client.upstream.next()).toContain('eth_c');
  });

  test('answers each forwarded call of a batch of which a call was refused', async () => {
    const upstream = await webSocketUpstream({ answer: () => undefined });
    const app = await guardedSockets({ upstream, options: { upstreamTimeoutMs: 60_000 } });
    const client = await app.open();
    client.socket.send(JSON.stringify([call('eth_a', [], 1), call('admin_peers', [], 2)]));
    await client.upstream.next();
    client.upstream.socket.send(TOO_LARGE);
    expect(JSON.parse(await client.next())).toMatchObject([
      { id: 1, error: { code: -32600, message: 'batch too large' } },
      { id: 2, error: { code: -32601 } },
    ]);
  });

  test('goes to the caller as it came when no batch is under way', async () => {
    const client = await (await guardedSockets()).open();
    client.upstream.socket.send(TOO_LARGE);
    expect(await client.next()).toBe(TOO_LARGE);
  });
});
