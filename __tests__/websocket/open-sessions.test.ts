import { once } from 'node:events';
import { MemoryStore, hashSecret } from '../../lib';
import type { KeySettingsInput } from '../../lib';
import { CALL, KEY, basic, call } from '../support/guarded-app';
import { guardedSockets, settled } from '../support/guarded-sockets';
import { CONTRACT, OTHER_CONTRACT, OTHER_KEY } from '../support/pieces';
import { errorOf } from '../support/refusal-table';
import type { TabledReason } from '../support/refusal-table';
import { until } from '../support/until';
import { webSocketUpstream } from '../support/web-socket-upstream';
import { text, isoIn, ask, expectAlive, ALIVE, fake } from '../support/socket-session';

const SECRET = 'a-secret-brought-along-from-elsewhere';

afterEach(() => {
  jest.useRealTimers();
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

  test('that become unavailable close the socket, and the message reaches nobody', async () => {
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
