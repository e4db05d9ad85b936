import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { MemoryStore, hashSecret, rpcGuard } from '../../lib';
import type { Allowlists, KeySettingsInput, RpcGuardOptions, SettingsStore } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { CALL, KEY, basic, call } from '../support/guarded-app';
import { OPCODE, frame, guardedSockets, handshake, openRaw, openSocket, settled } from '../support/guarded-sockets';
import { OTHER_KEY } from '../support/pieces';
import { proxyUnderTest } from '../support/proxy-under-test';
import { errorOf, expectRefusal } from '../support/refusal-table';
import type { TabledReason } from '../support/refusal-table';
import { webSocketUpstream } from '../support/web-socket-upstream';
import type { WebSocketUpstream } from '../support/web-socket-upstream';
import { exchange, openWire } from '../support/wire';
import {
  text,
  isoIn,
  ask,
  expectAlive,
  ALIVE,
  upgradeAnswer,
  allClosed,
  headerLines,
  heldStore,
} from '../support/socket-session';

const SECRET = 'a-secret-brought-along-from-elsewhere';
const MIB = 1024 * 1024;

describe('the handshake', () => {
  const lists: Partial<Allowlists> = { userAgents: ['wallet/'], origins: ['https://app.example.com'] };
  const good = { Origin: 'https://app.example.com', 'User-Agent': 'wallet/1' };

  test('opens a socket at the upstream that has nothing of the caller but its messages', async () => {
    const app = await guardedSockets({ keys: [{ apiKey: KEY, secrets: [{ hash: hashSecret(SECRET) }] }] });
    const client = await app.open({
      headers: {
        ...basic(SECRET),
        Cookie: 'session=1',
        'X-Forwarded-For': '10.0.0.1',
        Forwarded: 'for=10.0.0.1',
        'X-Api-Key': 'x',
        'User-Agent': 'wallet/1',
        'Accept-Language': 'en',
      },
      origin: 'https://app.example.com',
      perMessageDeflate: true,
    });
    expect(client.upstream.url).toBe('/');
    expect(Object.keys(client.upstream.headers).sort()).toEqual([
      'connection',
      'host',
      'sec-websocket-key',
      'sec-websocket-version',
      'upgrade',
    ]);
    expect(client.upstream.headers.host).toBe(`127.0.0.1:${app.upstream.port}`);
    expect(app.upstream.sockets).toHaveLength(1);
  });

  test("goes to the upstream's own path, with its own credentials and headers, over ws, or to wsUrl", async () => {
    const upstream = await webSocketUpstream();
    const host = `127.0.0.1:${upstream.port}`;
    const authorization = (user: string) => `Basic ${Buffer.from(user).toString('base64')}`;
    const upstreams: readonly (readonly [RpcGuardOptions['upstream'], string, Record<string, string | undefined>])[] = [
      [`http://${host}/v3/up-key?x=%2F`, '/v3/up-key?x=%2F', { authorization: undefined }],
      [`HTTP://us%40er:p%3Ass@${host}/a`, '/a', { authorization: authorization('us@er:p:ss') }],
      [{ url: `http://${host}/a`, headers: { 'X-Up': 'yes' } }, '/a', { 'x-up': 'yes' }],
      [
        { url: 'http://127.0.0.1:1/a', wsUrl: `ws://${host}/ws?k=v`, headers: { 'X-Up': 'yes' } },
        '/ws?k=v',
        { 'x-up': 'yes' },
      ],
      [
        { url: 'http://h:p@127.0.0.1:1/', wsUrl: `ws://u:p@${host}/ws` },
        '/ws',
        { authorization: authorization('u:p') },
      ],
    ];
    for (const [option, url, headers] of upstreams) {
      const app = await guardedSockets({ upstream, options: { upstream: option } });
      const client = await app.open();
      expect(client.upstream.url).toBe(url);
      for (const [name, value] of Object.entries(headers)) expect(client.upstream.headers[name]).toBe(value);
      await expectAlive(client);
    }
  });

  describe('is refused by the answers of HTTP, and opens nothing', () => {
    interface RefusedHandshake {
      readonly reason: TabledReason;
      readonly key?: string;
      readonly settings?: Omit<KeySettingsInput, 'apiKey'>;
      readonly store?: SettingsStore;
      readonly headers?: Record<string, string>;
      readonly lines?: readonly string[];
    }
    const secrets = [{ hash: hashSecret(SECRET) }];
    const base64 = (value: string) => Buffer.from(value).toString('base64');
    const handshakes: Readonly<Record<string, readonly RefusedHandshake[]>> = {
      'without a key': ['', '/', '?', '/?', `?${KEY}`].map((key) => ({ reason: 'KEY_REQUIRED', key })),
      'with an unknown key': [
        '/__proto__',
        '/constructor',
        '/short',
        `/${OTHER_KEY}`,
        `/${KEY.toUpperCase()}`,
        `/${KEY}0`,
      ].map((key) => ({ reason: 'KEY_UNKNOWN', key })),
      'of a disabled key': [{ reason: 'KEY_DISABLED', settings: { enabled: false } }],
      'without the secret': [
        { reason: 'SECRET_REQUIRED', settings: { requireSecret: true, secrets } },
        { reason: 'SECRET_REQUIRED', settings: { requireSecret: true } },
      ],
      'with a wrong secret': [
        'Basic',
        'Basic ',
        'Basic !!!!',
        `Bearer ${base64(`:${SECRET}`)}`,
        `Basic ${base64(SECRET)}`,
        `Basic ${base64(`:${SECRET}x`)}`,
        `Basic ${base64(`:${SECRET.toUpperCase()}`)}`,
        `Basic ${base64(`other:${SECRET}`)}`,
        `Basic ${base64(`:${SECRET}`)}, Basic ${base64(`:${SECRET}`)}`,
        `Basic ${base64(`:${SECRET}`).replace(/=*$/, '')}==x`,
        `Basic ${base64(':')}`,
        '',
      ].map((authorization) => ({
        reason: 'SECRET_INVALID',
        settings: { secrets },
        headers: { Authorization: authorization },
      })),
      'with a secret that has expired': [
        {
          reason: 'SECRET_INVALID',
          settings: { secrets: [{ hash: hashSecret(SECRET), expiresAt: isoIn(-1) }] },
          headers: basic(SECRET),
        },
      ],
      'by its User-Agent': [{}, { 'User-Agent': 'Wallet/1' }, { 'User-Agent': '' }].map((headers) => ({
        reason: 'USER_AGENT_NOT_ALLOWED',
        settings: { allowlists: { userAgents: ['wallet/'] } },
        headers,
      })),
      'by its Origin': [
        {},
        { Origin: 'null' },
        { Origin: 'http://app.example.com' },
        { Origin: 'https://evil-app.example.com' },
        { Origin: 'https://app.example.com.evil.io' },
        { Origin: 'https://app.example.com/' },
        { 'Sec-WebSocket-Origin': 'https://app.example.com' },
      ].map((headers) => ({
        reason: 'ORIGIN_NOT_ALLOWED',
        settings: { allowlists: { origins: ['https://app.example.com'] } },
        headers,
      })),
      'with a header twice': [
        'Origin: https://app.example.com',
        'User-Agent: wallet/1',
        'Authorization: Basic eA==',
      ].map((line) => ({ reason: 'DUPLICATE_HEADER', lines: [line, line] })),
      'while settings are not to be had': [
        { reason: 'SETTINGS_UNAVAILABLE', store: { get: () => Promise.reject(new Error('down')) } },
        { reason: 'SETTINGS_UNAVAILABLE', store: { get: () => ({ apiKey: KEY, allowlists: { origins: ['a b'] } }) } },
        { reason: 'SETTINGS_UNAVAILABLE', store: { get: () => ({ apiKey: OTHER_KEY }) } },
      ],
    };

    test.each(Object.entries(handshakes))('%s', async (_how, cases) => {
      const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
      for (const { reason, key = `/${KEY}`, settings, store, headers = {}, lines = [] } of cases) {
        const app = await guardedSockets({
          keys: [{ apiKey: KEY, ...settings }],
          ...(store && { store }),
          options: { logger: quiet },
        });
        const sent = ['X-Request-Id: the-same', ...headerLines(headers), ...lines];
        const answer = await upgradeAnswer(app.port, `/ws/v3${key}`, sent);
        expectRefusal(answer, reason, { upstream: app.upstream });

        const request = ['POST', `/v3${key}`, 'HTTP/1.1\r\nHost: guard.test\r\nContent-Length: 2\r\n'].join(' ');
        const overHttp = await exchange(app.port, `${request}${sent.map((line) => `${line}\r\n`).join('')}\r\n{}`);
        expect([reason, answer.status, answer.text]).toEqual([reason, overHttp.status, overHttp.text]);
        for (const name of [
          'www-authenticate',
          'retry-after',
          'x-request-id',
          'access-control-allow-origin',
          'content-type',
        ]) {
          expect([name, answer.headers.get(name)]).toEqual([name, overHttp.headers.get(name)]);
        }
        expect(app.decisions.map((decision) => [decision.allowed, decision.reason])).toEqual([
          [false, reason],
          [false, reason],
        ]);
        expect(app.upstream.sockets).toEqual([]);
      }
    });
  });

  test('is allowed by key, secret, User-Agent and Origin together', async () => {
    const secrets = [{ hash: hashSecret(SECRET) }];
    const app = await guardedSockets({ keys: [{ apiKey: KEY, requireSecret: true, secrets, allowlists: lists }] });
    for (const headers of [basic(SECRET), basic(SECRET, KEY)]) {
      await expectAlive(await app.open({ headers: { ...good, ...headers } }));
    }
  });

  test('passes the lists with a valid secret where the key says so, and is held against the lists of its own', async () => {
    const secrets = [
      { hash: hashSecret(SECRET) },
      { hash: hashSecret(`${SECRET}-2`), allowlists: { methods: ['eth_alive'] } },
    ];
    const allowlists = { ...lists, methods: ['eth_chainId'] };
    const app = await guardedSockets({ keys: [{ apiKey: KEY, overrideAllowlists: true, secrets, allowlists }] });
    await expectAlive(await app.open({ headers: basic(SECRET) }));
    const limited = await app.open({ headers: basic(`${SECRET}-2`) });
    await expectAlive(limited);
    expect((await ask(limited, CALL)).error).toEqual(errorOf('METHOD_NOT_ALLOWED'));
    const listed = await app.open({ headers: good });
    expect((await ask(listed, call('eth_alive'))).error).toEqual(errorOf('METHOD_NOT_ALLOWED'));
  });

  test('knows one spelling of a key and of its path, and asks the store for no other', async () => {
    const store = new MemoryStore([{ apiKey: KEY }]);
    const asked: string[] = [];
    const app = await guardedSockets({
      store: {
        get(apiKey) {
          asked.push(apiKey);
          return store.get(apiKey);
        },
      },
    });
    for (const target of [
      `/ws/v3/%30${KEY.slice(1)}`,
      `//ws/v3/${KEY}`,
      `/ws//v3/${KEY}`,
      `/ws/v3//${KEY}`,
      `/WS/v3/${KEY}`,
      `/ws/V3/${KEY}`,
      `/ws/v3/${KEY}/..`,
      `/ws/v3/${KEY}//`,
      `/ws/v3/${KEY}/x`,
      `/ws/v3/${KEY};x`,
      `/ws/v3/${KEY}%00`,
      `/ws/v3/${KEY}#`,
      `/ws/v3/x/../${KEY}`,
      `/ws%2fv3/${KEY}`,
      `/v3/${KEY}`,
      `/ws/${KEY}`,
      `http://guard.test//ws/v3/${KEY}`,
      `http://u@guard.test/ws/v3/${KEY}`,
      '*',
    ]) {
      const { status } = await upgradeAnswer(app.port, target);
      expect([target, [400, 401, 404].includes(status)]).toEqual([target, true]);
    }
    expect(asked).toEqual([]);
    expect(app.upstream.sockets).toEqual([]);
    for (const target of [`/ws/v3/${KEY}/`, `/ws/v3/${KEY}?apiKey=${OTHER_KEY}`]) {
      await expectAlive(await openSocket(`ws://127.0.0.1:${app.port}${target}`));
    }
    for (const origin of ['http://guard.test', 'WS://other.test:8080']) {
      await openRaw(app.port, `${origin}/ws/v3/${KEY}`);
    }
    expect(new Set(asked)).toEqual(new Set([KEY]));
  });

  test('is accepted at wsPath, from the root of the server', async () => {
    const app = await guardedSockets({ mount: '/rpc', options: { wsPath: '/sockets/eth' } });
    await expectAlive(await openSocket(`ws://127.0.0.1:${app.port}/sockets/eth/${KEY}`));
    for (const target of [`/ws/v3/${KEY}`, `/rpc/ws/v3/${KEY}`, `/rpc/sockets/eth/${KEY}`]) {
      expect((await upgradeAnswer(app.port, target)).status).toBe(404);
    }
  });

  test('that is malformed is refused, whatever the key, and opens nothing', async () => {
    const app = await guardedSockets();
    const proper = handshake(`/ws/v3/${KEY}`);
    for (const request of [
      proper.replace('GET', 'POST'),
      proper.replace('GET', 'OPTIONS'),
      proper.replace('Version: 13', 'Version: 12'),
      proper.replace(/Sec-WebSocket-Version.*\r\n/, ''),
      proper.replace(/Sec-WebSocket-Key.*\r\n/, ''),
      proper.replace(/(Sec-WebSocket-Key:).*/, '$1 short'),
      proper.replace(/(Sec-WebSocket-Key:.*\r\n)/, '$1$1'),
      proper.replace('Upgrade: websocket', 'Upgrade: h2c'),
      proper.replace('Upgrade: websocket', 'Upgrade: websocket, h2c'),
      proper.replace('Upgrade: websocket', 'Upgrade: x'),
      proper.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: a,,b\r\n\r\n'),
    ]) {
      const { status } = await exchange(app.port, request, 'GET');
      expect([request, status >= 400 && status < 500]).toEqual([request, true]);
      // Each is told once.
      expect([request, app.decisions.splice(0)]).toMatchObject([
        request,
        [{ allowed: false, reason: 'INVALID_REQUEST' }],
      ]);
    }
    expect(app.upstream.sockets).toEqual([]);
    await expectAlive(await app.open());
  });

  test('declines every offer of compression', async () => {
    const app = await guardedSockets();
    for (const offer of [
      'permessage-deflate',
      'permessage-deflate; client_max_window_bits; server_max_window_bits=8',
      'permessage-deflate; server_no_context_takeover, permessage-deflate',
      'x-webkit-deflate-frame',
      'permessage-deflate; bogus="',
    ]) {
      const { head } = await openRaw(app.port, undefined, [`Sec-WebSocket-Extensions: ${offer}`]);
      expect(head).not.toMatch(/sec-websocket-extensions/i);
    }
    const client = await app.open({ perMessageDeflate: true });
    expect(client.socket.extensions).toBe('');
    await expectAlive(client);
  });

  test('refused, ends the connection, also of a client that keeps its end open and goes on sending', async () => {
    const app = await guardedSockets();
    for (const target of [`/ws/v3/${OTHER_KEY}`, '/ws/v3', '/elsewhere']) {
      const wire = await openWire(app.port);
      wire.socket.allowHalfOpen = true;
      wire.write(handshake(target), frame(OPCODE.text, ALIVE), `POST /v3/${KEY} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect((await wire.answer('GET')).status).toBeGreaterThanOrEqual(400);
      wire.write(Buffer.alloc(MIB));
    }
    await allClosed(app.connections);
    expect(app.connections).toHaveLength(3);
    expect(app.upstream.sockets).toEqual([]);
    expect(app.upstream.seen).toEqual([]);
  });

  test('refused, holds no connection of a client that has gone', async () => {
    const app = await guardedSockets();
    for (const target of [`/ws/v3/${OTHER_KEY}`, '/elsewhere']) {
      const wire = await openWire(app.port);
      wire.write(handshake(target));
      await wire.answer('GET');
      wire.socket.end();
      await wire.closed;
    }
    await allClosed(app.connections);
  });

  test('of a client that goes away while its key is looked up opens nothing', async () => {
    const { store, looked, find } = heldStore();
    const app = await guardedSockets({ store });
    const wire = await openWire(app.port);
    wire.write(handshake(`/ws/v3/${KEY}`));
    await looked;
    wire.socket.resetAndDestroy();
    await wire.closed;
    await settled(() => app.connections.filter(({ destroyed }) => destroyed).length);
    find();
    await expectAlive(await openSocket(app.socketUrl));
    expect(app.upstream.sockets).toHaveLength(1);
  });

  describe('after an HTTP request on the same connection', () => {
    const request = `POST /v3/${KEY} HTTP/1.1\r\nHost: guard.test\r\nContent-Length: ${text(CALL).length}\r\n\r\n${text(CALL)}`;

    test('with the right key is a WebSocket, with a wrong one refused', async () => {
      const app = await guardedSockets();
      for (const [key, status] of [
        [OTHER_KEY, 401],
        [KEY, 101],
      ] as const) {
        const wire = await openWire(app.port);
        expect((await wire.write(request).answer()).json.result).toBe('eth_blockNumber');
        wire.write(handshake(`/ws/v3/${key}`));
        await wire.receives(`HTTP/1.1 ${status} `);
        wire.socket.destroy();
      }
      expect(app.upstream.seen).toHaveLength(2);
      expect(app.upstream.sockets.length).toBeLessThanOrEqual(1);
    });

    test('in the same packet with a wrong key opens nothing, and with a right one harms nobody', async () => {
      const app = await guardedSockets();
      for (const key of [OTHER_KEY, KEY]) {
        const wire = await openWire(app.port);
        wire.write(request + handshake(`/ws/v3/${key}`));
        await wire.receives('HTTP/1.1 ').catch(() => undefined);
        if (key === OTHER_KEY) {
          await wire.closed;
          expect(wire.received.toString()).not.toContain('HTTP/1.1 101');
          expect(app.upstream.sockets).toEqual([]);
        }
        wire.socket.destroy();
      }
      await expectAlive(await openSocket(app.socketUrl));
    });
  });

  test('is refused to one more socket than maxSocketsPerKey, until one closes', async () => {
    const app = await guardedSockets({
      keys: [{ apiKey: KEY }, { apiKey: OTHER_KEY }],
      options: { maxSocketsPerKey: 2 },
    });
    const first = await app.open();
    await app.open();
    const refused = await upgradeAnswer(app.port, `/ws/v3/${KEY}`);
    expect(refused.status).toBe(429);
    expect(refused.json.error).toMatchObject({ data: { reason: 'TOO_MANY_SOCKETS' } });
    expect(app.upstream.sockets).toHaveLength(2);
    await expectAlive(await app.open({}, OTHER_KEY));

    first.socket.close();
    await first.upstream.closed;
    await expectAlive(await app.open());
    expect((await upgradeAnswer(app.port, `/ws/v3/${KEY}`)).status).toBe(429);
  });

  test('of many at once is counted correctly', async () => {
    const app = await guardedSockets({ options: { maxSocketsPerKey: 5 } });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const wire = await openWire(app.port);
        wire.write(handshake(`/ws/v3/${KEY}`));
        await wire.receives('\r\n\r\n');
        return wire.received.subarray(9, 12).toString();
      }),
    );
    expect(answers.filter((status) => status === '101')).toHaveLength(5);
    expect(answers.filter((status) => status === '429')).toHaveLength(15);
  });
});

describe('other listeners of the server', () => {
  interface Listening {
    readonly port: number;
    readonly upstream: WebSocketUpstream;
    readonly connections: Socket[];
  }

  /** A server on which `listeners` wait for upgrades, in their order; `guards` are where guards wait. */
  async function listening(
    ...given: readonly (string | ((req: { url?: string | undefined }, socket: Socket, head: Buffer) => void))[]
  ): Promise<Listening> {
    const upstream = await webSocketUpstream();
    const server = createServer();
    const connections: Socket[] = [];
    server.on('connection', (connection: Socket) => connections.push(connection));
    for (const listener of given) {
      if (typeof listener !== 'string') {
        server.on('upgrade', listener);
        continue;
      }
      const store = new MemoryStore([{ apiKey: KEY }]);
      const guard = rpcGuard({ upstream: upstream.url, store, wsPath: listener, ...proxyUnderTest });
      endAfterTest(() => guard.close());
      server.on('upgrade', guard.upgrade);
    }
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endAfterTest(
      () =>
        new Promise((resolve) => {
          server.close(resolve);
          for (const connection of connections) connection.destroy();
        }),
    );
    return { port: (server.address() as AddressInfo).port, upstream, connections };
  }

  /** A WebSocket server of somebody else's, on one path. */
  function foreign(path: string): (req: { url?: string | undefined }, socket: Socket, head: Buffer) => void {
    const handshakes = new WebSocketServer({ noServer: true, clientTracking: false });
    return (req, socket, head) => {
      if (req.url !== path) return;
      handshakes.handleUpgrade(req as never, socket, head, (opened) => {
        opened.on('message', (data: Buffer) => {
          opened.send(`foreign ${data.toString()}`);
        });
      });
    };
  }

  test('keep their paths, whichever of them comes first', async () => {
    for (const listeners of [
      ['/ws/v3', foreign('/hmr')],
      [foreign('/hmr'), '/ws/v3'],
      ['/a', foreign('/hmr'), '/ws/v3'],
    ]) {
      const app = await listening(...listeners);
      const other = await openSocket(`ws://127.0.0.1:${app.port}/hmr`);
      other.socket.send('hello');
      expect(await other.next()).toBe('foreign hello');
      await expectAlive(await openSocket(`ws://127.0.0.1:${app.port}/ws/v3/${KEY}`));
      expect(app.upstream.sockets).toHaveLength(1);
    }
  });

  test('are left alone with an unknown path', async () => {
    const seen: unknown[] = [];
    const app = await listening('/ws/v3', (req, socket) => {
      seen.push(req.url);
      setImmediate(() => socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'));
    });
    expect((await upgradeAnswer(app.port, '/nobody')).status).toBe(418);
    expect(seen).toEqual(['/nobody']);
  });

  test('may be guards, each with its own path; a handshake for none of them does not hang', async () => {
    const app = await listening('/ws/v3', '/ws/v4', '/other');
    for (const path of ['/ws/v3', '/ws/v4', '/other']) {
      await expectAlive(await openSocket(`ws://127.0.0.1:${app.port}${path}/${KEY}`));
      expectRefusal(await upgradeAnswer(app.port, path), 'KEY_REQUIRED');
    }
    for (const target of ['/', '/ws', `/v3/${KEY}`, '/socket.io/?EIO=4&transport=websocket']) {
      expect((await upgradeAnswer(app.port, target)).status).toBe(404);
    }
    expect(app.upstream.sockets).toHaveLength(3);
  });

  test('are absent: a foreign upgrade is answered, and its connection ended', async () => {
    const app = await listening('/ws/v3');
    const wire = await openWire(app.port);
    wire.write(handshake('/hmr'));
    expect((await wire.answer('GET')).status).toBe(404);
    await allClosed(app.connections);
  });
});
