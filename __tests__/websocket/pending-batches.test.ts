import type { RpcGuardOptions } from '../../lib';
import { KEY, call, post } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import type { GuardedPeer } from '../support/guarded-sockets';
import { errorOf } from '../support/refusal-table';
import type { TabledReason } from '../support/refusal-table';
import { until } from '../support/until';
import { answerWithMethod, webSocketUpstream } from '../support/web-socket-upstream';
import type { Peer } from '../support/web-socket-upstream';
import { text, expectAlive, ALIVE } from '../support/socket-session';

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
