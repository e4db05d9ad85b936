import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocket, WebSocketServer } from 'ws';
import { MemoryStore, hashSecret, rpcGuard } from '../../lib';
import type { Allowlists, KeySettingsInput, RpcGuardOptions, SettingsStore } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { KEY, basic, call, post } from '../support/guarded-app';
import {
  OPCODE,
  closeFrame,
  closeOf,
  frame,
  guardedSockets,
  handshake,
  openRaw,
  openSocket,
  settled,
  until,
} from '../support/guarded-sockets';
import type { GuardedPeer, GuardedSockets, RawSocket } from '../support/guarded-sockets';
import { proxyUnderTest } from '../support/proxy-under-test';
import { errorOf, expectRefusal } from '../support/refusal-table';
import type { TabledReason } from '../support/refusal-table';
import type { Reply } from '../support/reply';
import { answerWithMethod, webSocketUpstream } from '../support/web-socket-upstream';
import type { Peer, WebSocketUpstream } from '../support/web-socket-upstream';
import { exchange, openWire } from '../support/wire';
import type { WireAnswer } from '../support/wire';

const SECRET = 'a-secret-brought-along-from-elsewhere';
const CONTRACT = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const OTHER_CONTRACT = '0x00000000000000000000000000000000000abcde';
const OTHER_KEY = 'f'.repeat(32);
const CALL = call('eth_blockNumber');
const MIB = 1024 * 1024;

const text = (message: unknown) => (typeof message === 'string' ? message : JSON.stringify(message));
const isoIn = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

/** Sends a message and reads the next answer. */
async function ask(peer: Peer, message: unknown): Promise<Reply> {
  peer.socket.send(text(message));
  return JSON.parse(await peer.next()) as Reply;
}

/** A call that passes the guard and tells that all before it has been dealt with. */
async function expectAlive(peer: Peer): Promise<void> {
  expect(await ask(peer, call('eth_alive', [], 'alive'))).toMatchObject({ id: 'alive', result: 'eth_alive' });
}

const ALIVE = text(call('eth_alive', [], 'alive'));

function upgradeAnswer(port: number, target: string, headers: readonly string[] = []): Promise<WireAnswer> {
  return exchange(port, handshake(target, headers), 'GET');
}

async function allClosed(connections: readonly Socket[]): Promise<void> {
  for (const connection of connections) if (!connection.closed) await once(connection, 'close');
}

function headerLines(headers: Record<string, string>): string[] {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
}

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

/** Bytes that this process holds, once all that can go has gone. */
function heldBytes(): number {
  collectGarbage();
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}

/** Above the guard's own bounds in both directions, and far below what is sent. */
const MAX_HELD_BYTES = 16 * MIB;

/** Holds what this process has come to hold against the bound; what is on its way to be freed is waited for. */
async function expectBounded(before: number): Promise<void> {
  let grown = heldBytes() - before;
  for (let n = 0; n < 40 && grown >= MAX_HELD_BYTES; n++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    grown = heldBytes() - before;
  }
  expect(grown).toBeLessThan(MAX_HELD_BYTES);
}

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

  test('is taken where wsPath says, from the root of the server', async () => {
    const app = await guardedSockets({ mount: '/rpc', options: { wsPath: '/sockets/eth' } });
    await expectAlive(await openSocket(`ws://127.0.0.1:${app.port}/sockets/eth/${KEY}`));
    for (const target of [`/ws/v3/${KEY}`, `/rpc/ws/v3/${KEY}`, `/rpc/sockets/eth/${KEY}`]) {
      expect((await upgradeAnswer(app.port, target)).status).toBe(404);
    }
  });

  test('that is none is refused, whatever the key, and opens nothing', async () => {
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
    let look: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => (look = resolve));
    let find: () => void = () => undefined;
    const found = new Promise<void>((resolve) => (find = resolve));
    const app = await guardedSockets({
      store: {
        async get(apiKey) {
          look();
          await found;
          return { apiKey };
        },
      },
    });
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

  test('of many at once is counted rightly', async () => {
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

  test('are left alone with a path that nobody knows', async () => {
    const seen: unknown[] = [];
    const app = await listening('/ws/v3', (req, socket) => {
      seen.push(req.url);
      setImmediate(() => socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'));
    });
    expect((await upgradeAnswer(app.port, '/nobody')).status).toBe(418);
    expect(seen).toEqual(['/nobody']);
  });

  test('may be guards of their own, each with its path; what is nobody of theirs does not hang', async () => {
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

  test('none, and a foreign upgrade is answered and its connection ended', async () => {
    const app = await listening('/ws/v3');
    const wire = await openWire(app.port);
    wire.write(handshake('/hmr'));
    expect((await wire.answer('GET')).status).toBe(404);
    await allClosed(app.connections);
  });
});

describe('a message', () => {
  /** What is sent over both wires must fare alike on both. */
  async function expectAlike(app: GuardedSockets, client: GuardedPeer, message: string): Promise<Reply> {
    app.upstream.seen.length = 0;
    app.upstream.messages.length = 0;
    client.socket.send(message);
    const answer = await client.next();
    const overHttp = await post(app.rpcUrl, message, { 'X-Request-Id': 'the-same' });
    expect([message, answer]).toEqual([message, overHttp.text]);
    expect(app.upstream.messages).toEqual(app.upstream.seen.map(({ body }) => body));
    return JSON.parse(answer) as Reply;
  }

  const sameId = { headers: { 'X-Request-Id': 'the-same' } };

  test('reaches the upstream as it was checked, and its answer the caller, as over HTTP', async () => {
    const app = await guardedSockets();
    const client = await app.open(sameId);
    const messages: readonly (readonly [string, string])[] = [
      ['{"method":"eth_a","jsonrpc":"2.0","id":1}', '{"jsonrpc":"2.0","id":1,"method":"eth_a"}'],
      [
        ' {"jsonrpc":"2.0","id":1700000000000000001,"method":"eth_a","params":[1.0,-0,1E2,"\\u0041"],"x":{"y":1}}\n',
        '{"jsonrpc":"2.0","id":1700000000000000001,"method":"eth_a","params":[1.0,-0,1E2,"A"]}',
      ],
      ['{"jsonrpc":"2.0","id":null,"method":"eth_a"}', '{"jsonrpc":"2.0","id":null,"method":"eth_a"}'],
      ['[{"jsonrpc":"2.0","id":"1","method":"eth_a"}]', '[{"jsonrpc":"2.0","id":"1","method":"eth_a"}]'],
      [
        '[{"jsonrpc":"2.0","id":1,"method":"eth_a"},{"jsonrpc":"2.0","method":"eth_n"},{"jsonrpc":"2.0","id":1,"method":"eth_b"}]',
        '[{"jsonrpc":"2.0","id":1,"method":"eth_a"},{"jsonrpc":"2.0","method":"eth_n"},{"jsonrpc":"2.0","id":1,"method":"eth_b"}]',
      ],
    ];
    for (const [message, forwarded] of messages) {
      await expectAlike(app, client, message);
      expect(app.upstream.messages).toEqual([forwarded]);
    }
  });

  test('is refused as over HTTP, and the socket stays open', async () => {
    const app = await guardedSockets({
      keys: [{ apiKey: KEY, allowlists: { contractAddresses: [CONTRACT], methods: ['eth_*'] } }, { apiKey: OTHER_KEY }],
      options: { maxBatchSize: 10 },
    });
    const client = await app.open(sameId);
    const query = (address: unknown) => call('eth_getBalance', [address, 'latest'], 7);
    const messages: readonly (readonly [TabledReason, unknown])[] = [
      ['METHOD_NOT_ALLOWED', call('net_version', [], 'x')],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', query(OTHER_CONTRACT)],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', query(null)],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', query(`0X${CONTRACT.slice(2)}`)],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_call', [{ TO: CONTRACT, to: CONTRACT }, 'latest'])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_call', [{ to: CONTRACT }, 'latest', { [CONTRACT]: { code: '0x' } }])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_unheardOf')],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['logs'])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['logs', {}])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['logs', { address: [] }])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['logs', { address: [CONTRACT, OTHER_CONTRACT] }])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['logs', { address: CONTRACT, Address: OTHER_CONTRACT }])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['Logs', { address: CONTRACT }])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', [['logs'], { address: CONTRACT }])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_subscribe', ['everything'])],
      ['CONTRACT_ADDRESS_NOT_ALLOWED', call('eth_x_subscribe', ['logs'])],
      ['PARSE_ERROR', ''],
      ['PARSE_ERROR', ' '],
      ['PARSE_ERROR', 'x'],
      ['PARSE_ERROR', '{'],
      ['PARSE_ERROR', `\ufeff${text(CALL)}`],
      ['PARSE_ERROR', `${text(CALL)}${text(CALL)}`],
      ['PARSE_ERROR', `${text(CALL)}\n${text(CALL)}`],
      ['PARSE_ERROR', `${text(CALL)},`],
      ['PARSE_ERROR', `${text(CALL)}\0`],
      ['INVALID_REQUEST', '[]'],
      ['INVALID_REQUEST', 'null'],
      ['INVALID_REQUEST', '7'],
      ['INVALID_REQUEST', '"eth_chainId"'],
      ['INVALID_REQUEST', '{}'],
      ['INVALID_REQUEST', { jsonrpc: '2.0', id: 1, result: '0x1' }],
      ['INVALID_REQUEST', '{"jsonrpc":"2.0","id":1,"method":"eth_a","method":"eth_b"}'],
      ['INVALID_REQUEST', '{"jsonrpc":"2.0","id":1,"method":"eth_a","Method":"eth_b"}'],
      ['INVALID_REQUEST', '{"jsonrpc":"2.0","id":1e400,"method":"eth_a"}'],
      ['INVALID_REQUEST', '{"jsonrpc":"2.0","id":1,"method":"eth_a","__proto__":{}}'],
      ['INVALID_REQUEST', `{"jsonrpc":"2.0","id":1,"method":"eth_a","params":${'['.repeat(40)}${']'.repeat(40)}}`],
      ['BATCH_TOO_LARGE', Array.from({ length: 11 }, () => CALL)],
    ];
    for (const [reason, message] of messages) {
      const answer = await expectAlike(app, client, text(message));
      expect([message, answer.error]).toEqual([message, errorOf(reason)]);
      expect(app.upstream.messages).toEqual([]);
    }
    expect((await ask(client, { ...CALL, params: {} })).error).toMatchObject({ code: -32602 });
    await expect(ask(client, CALL)).resolves.toMatchObject({ result: 'eth_blockNumber' });

    const unlisted = await app.open({}, OTHER_KEY);
    expect(await ask(unlisted, call('admin_peers', [], 'x'))).toEqual({
      jsonrpc: '2.0',
      id: 'x',
      error: errorOf('METHOD_BLOCKED'),
    });
    expect(unlisted.upstream.messages).toEqual([]);
  });

  test('without an id is checked alike: refused it reaches nobody, allowed it is forwarded, and no answer is owed', async () => {
    const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_alive', 'eth_ok'] } }] });
    const client = await app.open();
    client.socket.send(text({ jsonrpc: '2.0', method: 'eth_sendRawTransaction', params: ['0x'] }));
    client.socket.send(
      text([
        { jsonrpc: '2.0', method: 'eth_chainId' },
        { jsonrpc: '2.0', method: 'eth_ok' },
      ]),
    );
    client.socket.send(text({ jsonrpc: '2.0', method: 'eth_ok' }));
    await expectAlive(client);
    expect(app.upstream.messages).toEqual([
      '[{"jsonrpc":"2.0","method":"eth_ok"}]',
      '{"jsonrpc":"2.0","method":"eth_ok"}',
      '{"jsonrpc":"2.0","id":"alive","method":"eth_alive","params":[]}',
    ]);
    expect(client.messages).toHaveLength(1);
  });

  test('is refused without its reason where reasons are not exposed', async () => {
    const app = await guardedSockets({ options: { exposeReason: false } });
    const client = await app.open();
    const { error } = await ask(client, call('admin_peers'));
    expect(Object.keys(error.data)).toEqual(['requestId']);
    const refused = await upgradeAnswer(app.port, `/ws/v3/${OTHER_KEY}`);
    expect(Object.keys(refused.json.error.data)).toEqual(['requestId']);
  });

  test('in binary is read as text, and forwarded as text', async () => {
    const app = await guardedSockets();
    const client = await app.open();
    const kinds: boolean[] = [];
    client.upstream.socket.on('message', (_data, isBinary) => kinds.push(isBinary));
    client.socket.send(Buffer.from(text(call('eth_a', ['é☃😀']))), { binary: true });
    expect(JSON.parse(await client.next())).toMatchObject({ result: 'eth_a' });
    expect(app.upstream.messages).toEqual([
      text(call('eth_a', ['é☃😀'])).replace(/^\{"jsonrpc":"2.0","id":1/, '{"jsonrpc":"2.0","id":1'),
    ]);
    expect(kinds).toEqual([false]);
    client.socket.send(Buffer.from('x'), { binary: true });
    expect((JSON.parse(await client.next()) as Reply).error).toEqual(errorOf('PARSE_ERROR'));
  });

  test('that is not UTF-8 closes with 1007, in text and in binary, and reaches nobody', async () => {
    const app = await guardedSockets();
    const around = (bytes: readonly number[]) =>
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":1,"method":"eth_a","params":["'),
        Buffer.from(bytes),
        Buffer.from('"]}'),
      ]);
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x98], [0x80]]) {
      for (const opcode of [OPCODE.text, OPCODE.binary]) {
        const raw = await openRaw(app.port);
        raw.write(frame(opcode, around(bytes)));
        expect([bytes, closeOf(await raw.receives(OPCODE.close)).code]).toEqual([bytes, 1007]);
      }
    }
    expect(app.upstream.messages).toEqual([]);
    await expectAlive(await openSocket(app.socketUrl));
  });

  test('in fragments is one message, with pings between, and letters cut in two', async () => {
    const app = await guardedSockets();
    const raw = await openRaw(app.port);
    const bytes = Buffer.from(text(call('eth_a', ['é☃😀'])));
    const parts = [...bytes].map((byte, n) =>
      Buffer.concat([
        frame(n === 0 ? OPCODE.text : OPCODE.continuation, Buffer.from([byte]), { fin: n === bytes.length - 1 }),
        ...(n % 10 === 0 ? [frame(OPCODE.ping, 'still here')] : []),
      ]),
    );
    raw.write(frame(OPCODE.text, '', { fin: false }), frame(OPCODE.continuation, '', { fin: false }));
    raw.write(
      ...parts.map((part, n) => (n === 0 ? frame(OPCODE.continuation, bytes.subarray(0, 1), { fin: false }) : part)),
    );
    expect(JSON.parse((await raw.receives(OPCODE.text)).payload.toString())).toMatchObject({ result: 'eth_a' });
    expect((await raw.receives(OPCODE.pong)).payload.toString()).toBe('still here');
    expect(app.upstream.messages).toEqual([bytes.toString()]);
  });

  test('is taken up to maxBodyBytes and closes with 1009 beyond, whole, announced or in fragments', async () => {
    const app = await guardedSockets({ options: { maxBodyBytes: 1000 } });
    const sized = (size: number) => {
      const empty = text(call('eth_a', ['']));
      return text(call('eth_a', ['x'.repeat(size - empty.length)]));
    };
    const client = await app.open();
    expect(await ask(client, sized(1000))).toMatchObject({ result: 'eth_a' });
    client.socket.send(sized(1001));
    expect((await client.closed).code).toBe(1009);
    await client.upstream.closed;

    const announced = Buffer.concat([Buffer.from([0x81, 0xff]), Buffer.alloc(8 + 4)]);
    announced.writeBigUInt64BE(2n ** 40n, 2);
    const endless = Buffer.concat([Buffer.from([0x81, 0xff]), Buffer.alloc(12, 0xff)]);
    const fragments = Array.from(sized(1001), (letter, n) =>
      frame(n === 0 ? OPCODE.text : OPCODE.continuation, letter, { fin: n === 1000 }),
    );
    for (const frames of [[frame(OPCODE.text, sized(1001))], [announced], [endless], fragments]) {
      const raw = await openRaw(app.port);
      raw.write(...frames);
      expect(closeOf(await raw.receives(OPCODE.close)).code).toBe(1009);
    }
    expect(app.upstream.messages).toHaveLength(1);
  });

  test('in frames that break the protocol closes with the code for it, and reaches nobody', async () => {
    const app = await guardedSockets();
    const good = text(CALL);
    const broken: readonly (readonly [string, number, readonly Buffer[]])[] = [
      ['unmasked', 1002, [frame(OPCODE.text, good, { masked: false })]],
      ['compressed', 1002, [frame(OPCODE.text, good, { rsv1: true })]],
      ['a reserved opcode', 1002, [frame(3, good)]],
      ['a reserved control opcode', 1002, [frame(11, good)]],
      ['a continuation of nothing', 1002, [frame(OPCODE.continuation, good)]],
      ['a message within a message', 1002, [frame(OPCODE.text, '{', { fin: false }), frame(OPCODE.text, good)]],
      ['a ping in fragments', 1002, [frame(OPCODE.ping, '', { fin: false })]],
      ['a ping of 126 bytes', 1002, [frame(OPCODE.ping, Buffer.alloc(126))]],
      ['a close of one byte', 1002, [frame(OPCODE.close, 'x')]],
      ['a close with 1005', 1002, [closeFrame(1005)]],
      ['a close with 1006', 1002, [closeFrame(1006)]],
      ['a close with 999', 1002, [closeFrame(999)]],
      ['a close with 5000', 1002, [closeFrame(5000)]],
      ['a close for no reason in UTF-8', 1007, [closeFrame(1000, Buffer.from([0xff]))]],
    ];
    for (const [what, code, frames] of broken) {
      const raw = await openRaw(app.port);
      raw.write(...frames);
      expect([what, closeOf(await raw.receives(OPCODE.close)).code]).toEqual([what, code]);
    }
    await Promise.all(app.upstream.sockets.map(({ closed }) => closed));
    expect(app.upstream.messages).toEqual([]);
    await expectAlive(await openSocket(app.socketUrl));
  });

  test('and a close in one packet, and a connection cut within a frame, close the other side', async () => {
    const app = await guardedSockets();
    const polite = await openRaw(app.port);
    const first = await app.upstream.nextSocket();
    polite.write(frame(OPCODE.text, text(CALL)), closeFrame(4001, 'bye'));
    expect(await first.closed).toEqual({ code: 4001, reason: 'bye' });
    expect(closeOf(await polite.receives(OPCODE.close))).toEqual({ code: 4001, reason: 'bye' });

    for (const cut of [1, 2, 5, 9, 60]) {
      for (const end of ['end', 'resetAndDestroy'] as const) {
        const raw = await openRaw(app.port);
        const second = await app.upstream.nextSocket();
        raw.write(frame(OPCODE.text, text(CALL)).subarray(0, cut));
        raw.wire.socket[end]();
        expect((await second.closed).code).toBe(1001);
        expect(second.messages).toEqual([]);
      }
    }
    await expectAlive(await openSocket(app.socketUrl));
  });

  test('of 10,000 small ones at once: each is answered, in order', async () => {
    const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }] });
    const client = await app.open();
    const frames = Array.from({ length: 10_000 }, (_, id) => text(call(id % 10 === 0 ? 'eth_b' : 'eth_a', [], id)));
    for (const message of frames) client.socket.send(message);
    const answers: Reply[] = [];
    while (answers.length < frames.length) answers.push(JSON.parse(await client.next()) as Reply);
    const ids = (refused: boolean) => answers.filter((answer) => 'error' in answer === refused).map(({ id }) => id);
    expect(ids(true)).toEqual(Array.from({ length: 1000 }, (_, n) => n * 10));
    expect(ids(false)).toEqual(Array.from({ length: 10_000 }, (_, n) => n).filter((n) => n % 10 !== 0));
    expect(app.upstream.messages).toHaveLength(9000);
    expect(app.upstream.messages.join()).not.toContain('eth_b');
  });

  test('or ping in a flood harms no other socket', async () => {
    const app = await guardedSockets();
    const raw = await openRaw(app.port);
    raw.write(...Array.from({ length: 20_000 }, () => frame(OPCODE.ping, Buffer.alloc(125))));
    raw.write(...Array.from({ length: 20_000 }, () => frame(OPCODE.pong, Buffer.alloc(125))));
    await expectAlive(await openSocket(app.socketUrl));
    raw.wire.socket.destroy();
    await app.upstream.sockets[0]?.closed;
    expect(app.upstream.messages).toEqual([ALIVE]);
  });

  test('is told to onDecision once for each verdict', async () => {
    const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_alive', 'eth_a'] } }] });
    const client = await app.open(sameId);
    await ask(client, [call('eth_a'), call('eth_b', [], 2), call('eth_a', [], 3)]);
    await ask(client, 'x');
    const seen = app.decisions.map(({ allowed, reason, methods, requestId }) => ({
      allowed,
      reason,
      methods,
      requestId,
    }));
    const requestId = 'the-same';
    expect(seen).toEqual([
      { allowed: true, reason: undefined, methods: ['eth_a', 'eth_a'], requestId },
      { allowed: false, reason: 'METHOD_NOT_ALLOWED', methods: ['eth_b'], requestId },
      { allowed: false, reason: 'PARSE_ERROR', methods: [], requestId },
    ]);
  });
});

describe('a batch', () => {
  const ok = (id: unknown) => call('eth_ok', [], id);
  const no = (id: unknown) => call('eth_no', [], id);
  const answer = (id: unknown, result: unknown = id) => ({ jsonrpc: '2.0', id, result });
  const refused = (id: unknown) => ({ jsonrpc: '2.0', id, error: errorOf('METHOD_NOT_ALLOWED') });
  const unanswered = (id: unknown, reason: TabledReason = 'UPSTREAM_UNAVAILABLE') => ({
    jsonrpc: '2.0',
    id,
    error: errorOf(reason),
  });

  /** A client whose upstream answers when the test does it. */
  async function silentUpstream(options: Partial<RpcGuardOptions> = {}): Promise<GuardedPeer> {
    const app = await guardedSockets({
      keys: [{ apiKey: KEY, allowlists: { methods: ['eth_ok', 'eth_alive'] } }],
      upstream: await webSocketUpstream({
        answer: (socket, message) => {
          if (message === ALIVE) answerWithMethod(socket, message);
        },
      }),
      options,
    });
    return app.open();
  }

  const sendBatch = async (client: GuardedPeer, ...calls: unknown[]): Promise<void> => {
    client.socket.send(text(calls));
    await client.upstream.next();
  };
  const reply = (client: GuardedPeer, message: unknown) => {
    client.upstream.socket.send(text(message));
  };
  const nextOf = async (client: Peer) => JSON.parse(await client.next()) as unknown;

  test('is answered call by call as over HTTP, in the order of the request', async () => {
    const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_ok'] } }] });
    const client = await app.open({ headers: { 'X-Request-Id': 'the-same' } });
    for (const batch of [
      [ok(1), no(2), ok(3)],
      [no(1), no(2)],
      [no('1'), ok(1), no(null), ok('1')],
      [ok(1), ok(1), no(1)],
      [7, ok(1), null, [], [ok(2)], { id: 5 }, 'eth_ok'],
      [{ jsonrpc: '2.0', method: 'eth_no' }, no(1), { jsonrpc: '2.0', method: 'eth_ok' }],
      [{ ...ok(1), params: {} }, ok(2)],
    ]) {
      app.upstream.messages.length = 0;
      app.upstream.seen.length = 0;
      client.socket.send(text(batch));
      const overHttp = await post(app.rpcUrl, batch, { 'X-Request-Id': 'the-same' });
      expect(await client.next()).toBe(overHttp.text);
      expect(app.upstream.messages).toEqual(app.upstream.seen.map(({ body }) => body));
      expect(app.upstream.messages.join()).not.toContain('eth_no');
    }
  });

  test('is answered in the order of the request whatever the order of the answers, digit for digit', async () => {
    const client = await silentUpstream();
    await sendBatch(client, ok(1), no(2), ok('1'), ok(3));
    client.upstream.socket.send(
      '[{"id":3,"result":1.0},{"id":"1", "result":1700000000000000001 },{"result":"\\u0041","id":1}]',
    );
    const raw = await client.next();
    expect(raw).toContain('{"result":"\\u0041","id":1}');
    expect(raw).toContain('{"id":"1", "result":1700000000000000001 }');
    expect(raw).toContain('{"id":3,"result":1.0}');
    expect((JSON.parse(raw) as { id: unknown }[]).map(({ id }) => id)).toEqual([1, 2, '1', 3]);
  });

  test('gets its own answers when those of a later batch come first', async () => {
    const client = await silentUpstream();
    await sendBatch(client, ok(1), no(2));
    await sendBatch(client, no(3), ok(4));
    await sendBatch(client, ok(5), ok(6));
    reply(client, [answer(5), answer(6)]);
    reply(client, [answer(4)]);
    reply(client, [answer(1)]);
    expect(await nextOf(client)).toEqual([answer(5), answer(6)]);
    expect(await nextOf(client)).toEqual([refused(3), answer(4)]);
    expect(await nextOf(client)).toEqual([answer(1), refused(2)]);
    await expectAlive(client);
    expect(client.messages).toHaveLength(4);
  });

  test('that subscribes is answered before the notifications that come after its answer', async () => {
    const client = await silentUpstream();
    const notification = { jsonrpc: '2.0', method: 'eth_subscription', params: { subscription: '0xcd' } };
    for (const batch of [[ok(1)], [ok(1), no(2)]]) {
      await sendBatch(client, ...batch);
      client.upstream.connection.cork(); // both in one packet
      reply(client, [answer(1, '0xcd')]);
      reply(client, notification);
      client.upstream.connection.uncork();
      expect(await nextOf(client)).toMatchObject([answer(1, '0xcd'), ...(batch.length > 1 ? [refused(2)] : [])]);
      expect(await nextOf(client)).toEqual(notification);
    }
  });

  test('and others with the same ids in flight are each answered once, with their own answers and refusals', async () => {
    const client = await silentUpstream();
    const sent = [
      [call('eth_ok', ['a'], 1), no('first')],
      [call('eth_ok', ['b'], 1), no('second')],
      [call('eth_ok', ['c'], 1), ok(2), no('third')],
    ];
    for (const batch of sent) client.socket.send(text(batch));
    for (let left = sent.length; left > 0; left--) {
      const received = JSON.parse(await client.upstream.next()) as { id: unknown; params: unknown[] }[];
      reply(
        client,
        received.map(({ id, params }) => answer(id, params)),
      );
    }
    expect(await nextOf(client)).toEqual([answer(1, ['a']), refused('first')]);
    expect(await nextOf(client)).toEqual([answer(1, ['b']), refused('second')]);
    expect(await nextOf(client)).toEqual([answer(1, ['c']), answer(2, []), refused('third')]);
    await expectAlive(client);
  });

  test('of which the answers are too few, too many, without an id or none of them: none is taken for another', async () => {
    const client = await silentUpstream();
    const cases: readonly (readonly [unknown[], unknown, unknown[]])[] = [
      [[ok(1), ok(2), no(3)], [answer(2)], [unanswered(1), answer(2), refused(3)]],
      [
        [ok(1), no(3)],
        [answer(1, 'a'), answer(1, 'b')],
        [unanswered(1), refused(3)],
      ],
      [
        [ok(1), ok(2), no(3)],
        [answer(2), 7, null, [answer(1)]],
        [unanswered(1), answer(2), refused(3)],
      ],
    ];
    for (const [batch, answers, expected] of cases) {
      await sendBatch(client, ...batch);
      reply(client, answers);
      expect(await nextOf(client)).toEqual(expected);
    }
    await expectAlive(client);
  });

  test('is not answered by an array that belongs to another or to none', async () => {
    const client = await silentUpstream();
    await sendBatch(client, ok(1), no('first'));
    await sendBatch(client, ok(2), no('second'));
    const strays = [[], [answer(99)], [answer('1')], [answer('2'), answer(null)], [answer(-1)]];
    for (const stray of strays) reply(client, stray);
    reply(client, [answer(2)]);
    reply(client, [answer(2, 'again')]);
    reply(client, [answer(1)]);
    reply(client, [answer(1, 'again')]);
    client.socket.send(ALIVE);
    await until(() => client.messages.some((message) => message.includes('eth_alive')));
    const merged = client.messages
      .map((message) => JSON.parse(message) as unknown)
      .filter((message) => text(message).includes('-32002'));
    expect(merged).toEqual([
      [answer(2), refused('second')],
      [answer(1), refused('first')],
    ]);
  });

  test('that is never answered is answered by the guard after upstreamTimeoutMs, once', async () => {
    const client = await silentUpstream({ upstreamTimeoutMs: 150 });
    await sendBatch(client, ok(1), no(2), ok(3), { jsonrpc: '2.0', method: 'eth_ok' });
    expect(await nextOf(client)).toEqual([
      unanswered(1, 'UPSTREAM_TIMEOUT'),
      refused(2),
      unanswered(3, 'UPSTREAM_TIMEOUT'),
    ]);
    // A late answer would be taken for another batch's.
    expect(await client.closed).toEqual({ code: 1011, reason: 'UPSTREAM_TIMEOUT' });
    expect(client.messages).toHaveLength(1);
  });

  test('that the upstream answers by no batch answer gets -32603 for each forwarded call', async () => {
    for (const wrong of [[answer(99)], [], 'no JSON', '[', '[1', 'null', '{}']) {
      const client = await silentUpstream({ upstreamTimeoutMs: 100 });
      await sendBatch(client, ok(1), no(2), ok(3));
      reply(client, wrong);
      const batchAnswer = async (): Promise<unknown> => {
        for (;;) {
          const message = await client.next();
          if (message.includes('-32002')) return JSON.parse(message) as unknown;
        }
      };
      const failed = (id: number): unknown =>
        expect.objectContaining({ id, error: expect.objectContaining({ code: -32603 }) as unknown });
      expect(await batchAnswer()).toEqual([failed(1), refused(2), failed(3)]);
    }
  });

  test('under way when its socket closes is forgotten', async () => {
    const client = await silentUpstream();
    await sendBatch(client, ok(1), no(2));
    client.socket.terminate();
    await client.upstream.closed;
    const other = await silentUpstream();
    await sendBatch(other, ok(1), no(2));
    other.upstream.socket.close(1012);
    expect((await other.closed).code).toBe(1012);
    expect(other.messages).toEqual([]);
  });
});

describe('a subscription', () => {
  const LOGS = (address: unknown) => call('eth_subscribe', ['logs', { address }]);

  test('flows through: the call, the notifications byte for byte, the end of it', async () => {
    const app = await guardedSockets({
      upstream: await webSocketUpstream({
        answer(socket, message) {
          const { id, method } = JSON.parse(message) as { id: number; method: string };
          socket.send(text({ jsonrpc: '2.0', id, result: method === 'eth_subscribe' ? '0xcd' : true }));
        },
      }),
    });
    const client = await app.open();
    expect(await ask(client, call('eth_subscribe', ['newHeads']))).toMatchObject({ result: '0xcd' });
    const notifications = [
      '{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xcd","result":{"number":1700000000000000001,"x":1.0}}}',
      ' {"method":"eth_subscription","params":{"subscription":"0xcd","result":"é☃😀"}}\n',
      '{"jsonrpc":"2.0","method":"eth_subscription","params":{"method":"admin_peers"}}',
    ];
    for (const notification of notifications) {
      client.upstream.socket.send(notification);
      expect(await client.next()).toBe(notification);
    }
    const kind = once(client.socket, 'message') as Promise<[Buffer, boolean]>;
    client.upstream.socket.send(Buffer.from('{}'), { binary: true });
    expect((await kind)[1]).toBe(true);
    await client.next();
    expect(await ask(client, call('eth_unsubscribe', ['0xcd'], 2))).toMatchObject({ id: 2, result: true });
    expect(app.upstream.messages.map((message) => (JSON.parse(message) as { method: string }).method)).toEqual([
      'eth_subscribe',
      'eth_unsubscribe',
    ]);
  });

  test('to logs obeys the list of contracts, to heads passes it', async () => {
    const app = await guardedSockets({
      keys: [{ apiKey: KEY, allowlists: { contractAddresses: [CONTRACT, OTHER_CONTRACT] } }],
    });
    const client = await app.open();
    for (const subscribe of [
      LOGS(CONTRACT),
      LOGS(CONTRACT.toUpperCase().replace('X', 'x')),
      LOGS([CONTRACT, OTHER_CONTRACT]),
      call('eth_subscribe', ['newHeads']),
      call('eth_subscribe', ['newPendingTransactions']),
      call('eth_subscribe', ['syncing']),
      call('eth_unsubscribe', ['0xcd']),
    ]) {
      expect(await ask(client, subscribe)).toMatchObject({ result: subscribe['method'] });
    }
    app.upstream.messages.length = 0;
    for (const address of [
      undefined,
      null,
      '',
      [],
      [CONTRACT, null],
      `${CONTRACT}0`,
      CONTRACT.replace('f', 'e'),
      { 0: CONTRACT },
    ]) {
      expect((await ask(client, LOGS(address))).error).toEqual(errorOf('CONTRACT_ADDRESS_NOT_ALLOWED'));
    }
    expect(app.upstream.messages).toEqual([]);
  });

  test('obeys the list of methods', async () => {
    const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_get*'] } }] });
    const client = await app.open();
    for (const method of ['eth_subscribe', 'eth_unsubscribe']) {
      expect((await ask(client, call(method, ['newHeads']))).error).toEqual(errorOf('METHOD_NOT_ALLOWED'));
    }
    expect(app.upstream.messages).toEqual([]);
  });
});

type Fakeable = 'setInterval' | 'setTimeout' | 'performance';

/** Fakes the named timers alone, so that sockets go on. */
function fake(...names: readonly Fakeable[]): void {
  const others = ['Date', 'hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const;
  const left = (['setInterval', 'setTimeout', 'performance'] as const).filter((name) => !names.includes(name));
  jest.useFakeTimers({
    doNotFake: [
      ...others,
      ...left,
      ...(names.includes('setInterval') ? [] : (['clearInterval'] as const)),
      ...(names.includes('setTimeout') ? [] : (['clearTimeout'] as const)),
    ],
  });
}

afterEach(() => {
  jest.useRealTimers();
});

describe('settings that change in mid-session', () => {
  interface Change {
    readonly reason: TabledReason;
    readonly before?: Omit<KeySettingsInput, 'apiKey'>;
    /** `undefined` deletes the key. */
    readonly after: Omit<KeySettingsInput, 'apiKey'> | undefined;
    readonly headers?: Record<string, string>;
  }
  const hash = hashSecret(SECRET);
  const changes: Readonly<Record<string, Change>> = {
    'a key that is disabled': { reason: 'KEY_DISABLED', after: { enabled: false } },
    'a key that is deleted': { reason: 'KEY_UNKNOWN', after: undefined },
    'a key that comes to require a secret': { reason: 'SECRET_REQUIRED', after: { requireSecret: true } },
    'a secret that is revoked': {
      reason: 'SECRET_INVALID',
      before: { secrets: [{ hash }] },
      after: { secrets: [] },
      headers: basic(SECRET),
    },
    'a secret that is revoked where none is required and others are left': {
      reason: 'SECRET_INVALID',
      before: { secrets: [{ hash }, { hash: hashSecret('another') }] },
      after: { secrets: [{ hash: hashSecret('another') }] },
      headers: basic(SECRET),
    },
    'a secret that has come to its end': {
      reason: 'SECRET_INVALID',
      before: { secrets: [{ hash }] },
      after: { secrets: [{ hash, expiresAt: isoIn(-1) }] },
      headers: basic(SECRET),
    },
    'an Origin that is listed no more': {
      reason: 'ORIGIN_NOT_ALLOWED',
      after: { allowlists: { origins: ['https://other.example.com'] } },
      headers: { Origin: 'https://app.example.com' },
    },
    'a User-Agent that is listed no more': {
      reason: 'USER_AGENT_NOT_ALLOWED',
      before: { allowlists: { userAgents: ['wallet/'] } },
      after: { allowlists: { userAgents: ['wallet/2'] } },
      headers: { 'User-Agent': 'wallet/1' },
    },
    'lists that a secret overrides no more': {
      reason: 'ORIGIN_NOT_ALLOWED',
      before: { overrideAllowlists: true, secrets: [{ hash }], allowlists: { origins: ['https://a.example.com'] } },
      after: { overrideAllowlists: false, secrets: [{ hash }], allowlists: { origins: ['https://a.example.com'] } },
      headers: basic(SECRET),
    },
  };

  async function apply(store: MemoryStore, { after }: Change): Promise<void> {
    if (after === undefined) await store.delete(KEY);
    else await store.set({ apiKey: KEY, ...after });
  }

  for (const [what, change] of Object.entries(changes)) {
    const { reason, before, headers = {} } = change;

    test(`${what} closes 1008 with ${reason} at the next message, which reaches nobody`, async () => {
      const store = new MemoryStore([{ apiKey: KEY, ...before }]);
      const app = await guardedSockets({ store });
      const client = await app.open({ headers });
      await expectAlive(client);
      await apply(store, change);
      client.socket.send(text(CALL));
      client.socket.send(text(call('eth_chainId')));
      expect(await client.closed).toEqual({ code: 1008, reason });
      await client.upstream.closed;
      expect(app.upstream.messages).toEqual([ALIVE]);
      expect(app.decisions.at(-1)).toMatchObject({ allowed: false, reason });
    });

    test(`${what} closes 1008 with ${reason} within a second, though nothing is sent`, async () => {
      fake('setInterval');
      const store = new MemoryStore([{ apiKey: KEY, ...before }]);
      const app = await guardedSockets({ store });
      const client = await app.open({ headers });
      await jest.advanceTimersByTimeAsync(1000);
      await expectAlive(client);
      await apply(store, change);
      await jest.advanceTimersByTimeAsync(1000);
      expect(await client.closed).toEqual({ code: 1008, reason });
      await client.upstream.closed;
    });
  }

  test('a secret that expires by itself closes 1008, at the next message and when idle', async () => {
    fake('setInterval');
    const expiresAt = isoIn(250);
    const app = await guardedSockets({ keys: [{ apiKey: KEY, secrets: [{ hash, expiresAt }] }] });
    const [busy, idle] = [await app.open({ headers: basic(SECRET) }), await app.open({ headers: basic(SECRET) })];
    await expectAlive(busy);
    await until(() => Date.now() > Date.parse(expiresAt));
    busy.socket.send(text(CALL));
    expect(await busy.closed).toEqual({ code: 1008, reason: 'SECRET_INVALID' });
    await jest.advanceTimersByTimeAsync(1000);
    expect(await idle.closed).toEqual({ code: 1008, reason: 'SECRET_INVALID' });
    expect(app.upstream.messages).toEqual([ALIVE]);
  });

  test('are in force within a second on an idle socket too, of a store that announces nothing', async () => {
    fake('setInterval', 'performance');
    const store = new MemoryStore([{ apiKey: KEY }, { apiKey: OTHER_KEY }]);
    const app = await guardedSockets({ store: { get: (apiKey) => store.get(apiKey) } });
    await app.open({}, OTHER_KEY);
    await jest.advanceTimersByTimeAsync(500);
    const client = await app.open();
    let closed = false;
    void client.closed.then(() => (closed = true));
    await jest.advanceTimersByTimeAsync(10);
    await store.set({ apiKey: KEY, enabled: false });
    await jest.advanceTimersByTimeAsync(1000);
    await settled(() => Number(closed));
    expect(closed).toBe(true);
  });

  test('refuse what they newly refuse and allow what they newly allow, and the socket stays open', async () => {
    const store = new MemoryStore([{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }]);
    const app = await guardedSockets({ store });
    const client = await app.open();
    expect(await ask(client, call('eth_a'))).toMatchObject({ result: 'eth_a' });
    await store.set({ apiKey: KEY, allowlists: { methods: ['eth_b'] } });
    expect((await ask(client, call('eth_a'))).error).toEqual(errorOf('METHOD_NOT_ALLOWED'));
    expect(await ask(client, call('eth_b'))).toMatchObject({ result: 'eth_b' });
  });

  test('that are not to be had any more close the socket, and the message reaches nobody', async () => {
    let down = false;
    let forget: () => void = () => undefined;
    const app = await guardedSockets({
      store: {
        get: (apiKey) => (down ? Promise.reject(new Error('down')) : { apiKey }),
        subscribe(onChange) {
          forget = onChange;
          return () => undefined;
        },
      },
      options: { staleIfErrorMs: 0, logger: { info: () => undefined, warn: () => undefined, error: () => undefined } },
    });
    const client = await app.open();
    await expectAlive(client);
    down = true;
    forget();
    client.socket.send(text(CALL));
    expect((await client.closed).reason).toBe('SETTINGS_UNAVAILABLE');
    expect(app.upstream.messages).toEqual([ALIVE]);
  });

  test('close without the reason where reasons are not exposed', async () => {
    const store = new MemoryStore([{ apiKey: KEY }]);
    const app = await guardedSockets({ store, options: { exposeReason: false } });
    const client = await app.open();
    await store.delete(KEY);
    client.socket.send(text(CALL));
    expect(await client.closed).toEqual({ code: 1008, reason: '' });
  });
});

describe('closing', () => {
  const closings: readonly (readonly [number | undefined, string])[] = [
    [undefined, ''],
    [1000, ''],
    [1000, 'done'],
    [1001, 'going'],
    [1003, ''],
    [1008, 'policy'],
    [1011, 'é☃'],
    [1012, ''],
    [1013, ''],
    [3000, 'x'.repeat(123)],
    [4000, 'mine'],
    [4999, ''],
  ];

  test('by the client closes the upstream with the same code and reason', async () => {
    const app = await guardedSockets();
    for (const [code, reason] of closings) {
      const client = await app.open();
      client.socket.close(code, reason);
      expect(await client.upstream.closed).toEqual({ code: code ?? 1005, reason });
      await client.closed;
    }
  });

  test('by the upstream closes the client with the same code and reason, after all that it has sent', async () => {
    const app = await guardedSockets();
    for (const [code, reason] of closings) {
      const client = await app.open();
      for (let n = 0; n < 100; n++) client.upstream.socket.send(`${n} ${'x'.repeat(50_000)}`);
      client.upstream.socket.close(code, reason);
      expect(await client.closed).toEqual({ code: code ?? 1005, reason });
      expect(client.messages.map((message) => Number(message.split(' ')[0]))).toEqual(
        Array.from({ length: 100 }, (_, n) => n),
      );
    }
  });

  test('without a word is passed on as far as it can be: 1011 to the client, 1001 to the upstream', async () => {
    const app = await guardedSockets();
    for (const end of ['terminate', 'resetAndDestroy'] as const) {
      const client = await app.open();
      if (end === 'terminate') client.upstream.socket.terminate();
      else client.upstream.connection.resetAndDestroy();
      expect((await client.closed).code).toBe(1011);

      const other = await app.open();
      other.socket.terminate();
      expect((await other.upstream.closed).code).toBe(1001);
    }
  });

  test('of an upstream that breaks the protocol closes the client with 1011', async () => {
    const app = await guardedSockets();
    for (const bytes of [
      [0x81, 0x01, 0xff],
      [0x83, 0x00],
      [0x81, 0x81, 1, 2, 3, 4, 5],
      [0xc1, 0x01, 0x78],
    ]) {
      const client = await app.open();
      client.upstream.connection.write(Buffer.from(bytes));
      expect((await client.closed).code).toBe(1011);
    }
    await expectAlive(await app.open());
  });

  test('the guard closes every socket with 1001, on both sides', async () => {
    const app = await guardedSockets();
    const clients = [await app.open(), await app.open()];
    await Promise.all([app.guard.close(), app.guard.close()]);
    for (const client of clients) {
      expect((await client.closed).code).toBe(1001);
      expect((await client.upstream.closed).code).toBe(1001);
    }
    await app.guard.close();
  });

  test('the guard leaves no socket open of a handshake that was under way, or that comes after', async () => {
    let look: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => (look = resolve));
    let find: () => void = () => undefined;
    const found = new Promise<void>((resolve) => (find = resolve));
    const app = await guardedSockets({
      store: {
        async get(apiKey) {
          look();
          await found;
          return { apiKey };
        },
      },
    });
    const wire = await openWire(app.port);
    wire.write(handshake(`/ws/v3/${KEY}`));
    await looked;
    await app.guard.close();
    const closeBytes = Buffer.from([0x88, 2, 1001 >> 8, 1001 & 255]);
    const late = await openWire(app.port);
    late.write(handshake(`/ws/v3/${KEY}`));
    find();
    for (const peer of [wire, late]) {
      await settled(() => peer.received.length);
      const isRefused = peer.socket.closed || /^HTTP\/1\.1 [45]/.test(peer.received.toString());
      expect([isRefused, peer.received.includes(closeBytes)]).toContain(true);
    }
  });

  test('of a client that does not answer the close frame is not waited for without end', async () => {
    const store = new MemoryStore([{ apiKey: KEY }]);
    const app = await guardedSockets({ store });
    const raw = await openRaw(app.port);
    raw.write(frame(OPCODE.text, ALIVE));
    await raw.receives(OPCODE.text);
    fake('setTimeout');
    await store.delete(KEY);
    raw.write(frame(OPCODE.text, text(CALL)));
    expect(closeOf(await raw.receives(OPCODE.close)).code).toBe(1008);
    raw.write(...Array.from({ length: 100 }, () => frame(OPCODE.text, text(CALL))));
    await jest.advanceTimersByTimeAsync(31_000);
    await raw.wire.closed;
    expect(app.upstream.messages).toEqual([ALIVE]);
  });
});

describe('memory is bounded', () => {
  const PIECE = 'x'.repeat(MIB / 4);
  const PIECES = 200;

  /** Writes one piece after the other, each when the one before has gone; tells how many have. */
  function pump(
    write: (n: number, gone: () => void) => void,
    pieces = PIECES,
  ): { gone: number; readonly done: Promise<void> } {
    const state = { gone: 0, done: Promise.resolve() };
    state.done = (async () => {
      for (let n = 0; n < pieces; n++) {
        await new Promise<void>((resolve) => write(n, resolve));
        state.gone++;
      }
    })();
    return state;
  }

  test('when a client does not read 50 MB from the upstream, which all come once it reads', async () => {
    const app = await guardedSockets();
    const client = await app.open();
    await expectAlive(client);
    client.socket.pause();
    const before = heldBytes();
    const sent = pump((n, gone) => {
      client.upstream.socket.send(`${n} ${PIECE}`, gone);
    });
    expect(await settled(() => sent.gone)).toBeLessThan(PIECES);
    await expectBounded(before);

    client.socket.resume();
    await sent.done;
    for (let n = 0; n < PIECES; n++) {
      const message = await client.next();
      expect([message.length, message.slice(0, 4)]).toEqual([`${n} ${PIECE}`.length, `${n} ${PIECE}`.slice(0, 4)]);
    }
    await expectAlive(client);
  });

  test('when a client that does not read goes away', async () => {
    const app = await guardedSockets();
    const client = await app.open();
    client.socket.pause();
    const sent = pump((n, gone) => {
      client.upstream.socket.send(`${n} ${PIECE}`, gone);
    });
    await settled(() => sent.gone);
    client.socket.terminate();
    await client.upstream.closed;
  });

  test('when the upstream does not read 50 MB from a client, which all come once it reads', async () => {
    const app = await guardedSockets({ upstream: await webSocketUpstream({ answer: () => undefined }) });
    const client = await app.open();
    client.upstream.socket.pause();
    const before = heldBytes();
    const sent = pump((n, gone) => {
      client.socket.send(text(call('eth_a', [PIECE], n)), gone);
    });
    const gone = await settled(() => sent.gone);
    await expectBounded(before);
    expect(gone).toBeLessThan(PIECES);

    client.upstream.socket.resume();
    await sent.done;
    for (let n = 0; n < PIECES; n++) expect(await client.upstream.next()).toContain(`"id":${n},`);
  });

  test('when a client sends 50 MB before the upstream has opened, which all go once it has', async () => {
    const app = await guardedSockets({ upstream: await webSocketUpstream({ held: true, answer: () => undefined }) });
    const wire = await openWire(app.port);
    wire.write(handshake(`/ws/v3/${KEY}`));
    await until(() => app.upstream.connections === 1);
    const before = heldBytes();
    const sent = pump((n, gone) => {
      wire.socket.write(frame(OPCODE.text, text(call('eth_a', [PIECE], n))), gone as never);
    });
    expect(await settled(() => sent.gone)).toBeLessThan(PIECES);
    await expectBounded(before);

    app.upstream.release();
    const upstream = await app.upstream.nextSocket();
    await sent.done;
    for (let n = 0; n < PIECES; n++) expect(await upstream.next()).toContain(`"id":${n},`);
  });

  /** Frames of one kind, over and over, from a client that reads nothing. */
  async function flood(raw: RawSocket, one: Buffer, bytes: number): Promise<void> {
    raw.wire.socket.pause();
    const piece = Buffer.concat(Array.from({ length: Math.floor(65_536 / one.length) }, () => one));
    const sent = pump(
      (_n, gone) => {
        raw.wire.socket.write(piece, gone as never);
      },
      Math.ceil(bytes / piece.length),
    );
    await settled(() => sent.gone);
  }

  test('when a client reads none of the refusals that it causes', async () => {
    const app = await guardedSockets();
    const raw = await openRaw(app.port);
    const before = heldBytes();
    await flood(raw, frame(OPCODE.text, 'x'), 2 * MIB);
    await expectBounded(before);
    await expectAlive(await openSocket(app.socketUrl));
  });

  test('when a client reads none of the pongs that it causes', async () => {
    const app = await guardedSockets();
    const raw = await openRaw(app.port);
    const before = heldBytes();
    await flood(raw, frame(OPCODE.ping, Buffer.alloc(125)), 50 * MIB);
    await expectBounded(before);
    await expectAlive(await openSocket(app.socketUrl));
  });

  test('when the upstream does not answer batches of 50 MB', async () => {
    const app = await guardedSockets({
      keys: [{ apiKey: KEY, allowlists: { methods: ['eth_a'] } }],
      upstream: await webSocketUpstream({ recording: false, answer: () => undefined }),
    });
    const client = await app.open();
    const before = heldBytes();
    const sent = pump((n, gone) => {
      client.socket.send(text([call('eth_a', [PIECE], n), call('eth_b', [], `b${n}`)]), gone);
    });
    await settled(() => sent.gone);
    await expectBounded(before);
  });
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

  test('is none that takes slowly what it is sent, and is one once it takes nothing', async () => {
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

  test('is none that is silent and answers pings', async () => {
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
