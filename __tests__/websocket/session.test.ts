import { MemoryStore } from '../../lib';
import { CALL, KEY, call, post } from '../support/guarded-app';
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
} from '../support/guarded-sockets';
import type { GuardedPeer, GuardedSockets } from '../support/guarded-sockets';
import { CONTRACT, OTHER_CONTRACT, OTHER_KEY } from '../support/pieces';
import { errorOf } from '../support/refusal-table';
import type { TabledReason } from '../support/refusal-table';
import type { Reply } from '../support/reply';
import { openWire } from '../support/wire';
import { text, ask, expectAlive, ALIVE, upgradeAnswer, fake, heldStore } from '../support/socket-session';

afterEach(() => {
  jest.useRealTimers();
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

  test('reaches onDecision once for each verdict', async () => {
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
    const { store, looked, find } = heldStore();
    const app = await guardedSockets({ store });
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
