import { MemoryStore } from '../../lib';
import { parseCalls } from '../../lib/json-rpc/call';
import type { RpcCall } from '../../lib/json-rpc/call';
import type { Admission } from '../../lib/policy/authorize';
import { Subscriptions } from '../../lib/websocket/subscriptions';
import { KEY, call } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import type { GuardedPeer } from '../support/guarded-sockets';
import { memoryKept } from '../support/memory-kept';
import { CONTRACT, OTHER_CONTRACT } from '../support/pieces';

const [A, B] = [CONTRACT, OTHER_CONTRACT];

async function subscribe(client: GuardedPeer, ...calls: readonly object[]): Promise<void> {
  client.socket.send(JSON.stringify(calls.length === 1 ? calls[0] : calls));
  expect(await client.next()).toContain('eth_subscribe');
}

const logsOf = (address: string, id = 1) => call('eth_subscribe', ['logs', { address }], id);

describe('settings that change end the socket with 1008 within a second', () => {
  test.each([
    ['to logs of an address that is listed no more', { contractAddresses: [A] }, 'CONTRACT_ADDRESS_NOT_ALLOWED'],
    ['by a method that is allowed no more', { methods: ['eth_call'] }, 'METHOD_NOT_ALLOWED'],
  ])('of a subscription %s', async (_what, allowlists, reason) => {
    for (const calls of [[logsOf(B)], [logsOf(A), logsOf(B, 2)]]) {
      const store = new MemoryStore([{ apiKey: KEY, allowlists: { contractAddresses: [A, B] } }]);
      const app = await guardedSockets({ store });
      const client = await app.open();
      await subscribe(client, ...calls);
      const changedAt = performance.now();
      await store.set({ apiKey: KEY, allowlists });
      expect(await client.closed).toEqual({ code: 1008, reason });
      expect(performance.now() - changedAt).toBeLessThan(1000);
      await client.upstream.closed;
      expect(app.decisions.at(-1)).toMatchObject({ allowed: false, reason });
    }
  });

  test('also when messages go on, which see the new settings first', async () => {
    const store = new MemoryStore([{ apiKey: KEY, allowlists: { contractAddresses: [A, B] } }]);
    const client = await (await guardedSockets({ store })).open();
    await subscribe(client, logsOf(B));
    await store.set({ apiKey: KEY, allowlists: { contractAddresses: [A] } });
    await subscribe(client, logsOf(A));
    expect(await client.closed).toMatchObject({ code: 1008 });
  });

  test('of more subscriptions than can be held against them', async () => {
    const store = new MemoryStore([{ apiKey: KEY }]);
    const client = await (await guardedSockets({ store })).open();
    const topics = Array.from({ length: 4000 }, (_, n) => `0x${String(n).padStart(64, '0')}`);
    await subscribe(client, call('eth_subscribe', ['logs', { address: A, topics: [topics] }], 2));
    await store.set({ apiKey: KEY, allowlists: { contractAddresses: [A] } });
    expect(await client.closed).toMatchObject({ code: 1008, reason: 'METHOD_NOT_ALLOWED' });
  });
});

test('settings that change and still allow what is subscribed to leave the socket open', async () => {
  const store = new MemoryStore([{ apiKey: KEY, allowlists: { contractAddresses: [A, B] } }]);
  const app = await guardedSockets({ store });
  const client = await app.open();
  await subscribe(client, logsOf(B));
  const other = await app.open();
  await subscribe(other, logsOf(A));
  await store.set({ apiKey: KEY, name: 'renamed', allowlists: { contractAddresses: [B] } });
  await other.closed; // and with it the first has been looked at
  await subscribe(client, logsOf(B));
});

test('a subscription is remembered without the message that it came in', async () => {
  const subscriptions = new Subscriptions();
  const kept = await memoryKept(() => {
    for (let n = 0; n < 40; n++) {
      const address = `0x${n.toString(16).padStart(40, 'a')}`;
      const read = parseCalls(Buffer.from(JSON.stringify(logsOf(address)) + ' '.repeat(1_000_000)), 1);
      subscriptions.add((read.ok ? read.calls : []) as RpcCall[], {} as Admission);
    }
  });
  expect(kept).toBeLessThan(15_000_000);
});
