import { KEY } from '../support/guarded-app';
import { guardedSockets, handshake, openRaw } from '../support/guarded-sockets';
import { exchange } from '../support/wire';

describe('a handshake', () => {
  test.each(['12', '14', 'x', ''])(
    'of version "%s" is answered with version 13, and opens nothing',
    async (version) => {
      const app = await guardedSockets();
      const request = handshake(`/ws/v3/${KEY}`).replace('Version: 13', `Version: ${version}`);
      const { status, headers } = await exchange(app.port, request, 'GET');
      expect([status, headers.get('sec-websocket-version')]).toEqual([400, '13']);
      expect(app.upstream.connections).toBe(0);
    },
  );

  test('of version 13 that is refused for another reason is answered without a version', async () => {
    const app = await guardedSockets();
    const request = handshake(`/ws/v3/${KEY}`).replace(/(Sec-WebSocket-Key:).*/, '$1 short');
    const { status, headers } = await exchange(app.port, request, 'GET');
    expect([status, headers.get('sec-websocket-version')]).toEqual([400, undefined]);
  });

  test.each(['chat', 'a, b', 'graphql-ws, wamp.2.json'])('that offers %s gets no subprotocol', async (offer) => {
    const app = await guardedSockets();
    const { head } = await openRaw(app.port, undefined, [`Sec-WebSocket-Protocol: ${offer}`]);
    expect(head).not.toMatch(/Sec-WebSocket-Protocol/i);
  });
});
