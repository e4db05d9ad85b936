import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { IncompleteMessages, messageBounds } from '../../lib/websocket/incomplete-messages';
import type { SocketEnd } from '../../lib/websocket/open-upstream';
import { endAfterTest } from '../support/cleanup';
import { KEY, call } from '../support/guarded-app';
import { OPCODE, closeOf, frame, guardedSockets, handshake, openRaw, openSocket } from '../support/guarded-sockets';
import { OTHER_KEY } from '../support/pieces';

const KIB = 1024;

/** `count` fragments of one byte each, of a message that does not end. */
function endless(count: number): Buffer {
  const next = frame(OPCODE.continuation, 'x', { fin: false });
  return Buffer.concat([frame(OPCODE.text, '"', { fin: false }), ...Array.from({ length: count - 1 }, () => next)]);
}

afterEach(() => jest.useRealTimers());

interface Watched {
  readonly connection: Duplex;
  readonly ended: unknown[];
}

function watched(messages: IncompleteMessages, apiKey: string, isPaused = false): Watched {
  const connection = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  endAfterTest(() => connection.destroy());
  const ended: unknown[] = [];
  const client = { socket: { isPaused }, connection } as unknown as SocketEnd;
  messages.watch(apiKey, client, ({ refused }, code) => ended.push([refused, code]));
  return { connection, ended };
}

async function push({ connection }: Watched, bytes: Buffer): Promise<void> {
  const taken = once(connection, 'data');
  connection.push(bytes);
  await taken;
}

describe('a message that does not come to its end', () => {
  test('within bodyTimeoutMs closes its socket with 1008, and reaches nobody', async () => {
    const app = await guardedSockets({ options: { bodyTimeoutMs: 150 } });
    const whole = frame(OPCODE.text, JSON.stringify(call('eth_a', ['x'.repeat(1000)])));
    for (const piece of [endless(1), endless(3), whole.subarray(0, -1), whole.subarray(0, 1), whole.subarray(0, 7)]) {
      const raw = await openRaw(app.port);
      app.decisions.length = 0;
      raw.write(piece);
      expect(closeOf(await raw.receives(OPCODE.close))).toEqual({ code: 1008, reason: 'BODY_TIMEOUT' });
      expect(app.decisions).toMatchObject([{ allowed: false, reason: 'BODY_TIMEOUT' }]);
    }
    expect(app.upstream.messages).toEqual([]);
  });

  test('gets no more time for its pings', async () => {
    const app = await guardedSockets({ options: { bodyTimeoutMs: 150 } });
    const raw = await openRaw(app.port);
    raw.write(endless(1));
    const pings = setInterval(() => raw.write(frame(OPCODE.ping)), 20);
    endAfterTest(() => clearInterval(pings));
    expect(closeOf(await raw.receives(OPCODE.close)).code).toBe(1008);
  });

  test('may be followed by others for as long as each comes to its end', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
    const messages = new IncompleteMessages(200);
    const socket = watched(messages, KEY);
    const one = frame(OPCODE.text, JSON.stringify(call('eth_a')));
    await push(socket, one.subarray(0, 10));
    for (let n = 0; n < 8; n++) {
      jest.advanceTimersByTime(150);
      // Ends one message and begins the next.
      await push(socket, Buffer.concat([one.subarray(10), one.subarray(0, 10)]));
    }
    await push(socket, one.subarray(10));
    jest.advanceTimersByTime(1000);
    expect(socket.ended).toEqual([]);
  });

  test('in more fragments than it may have closes its socket with 1008', async () => {
    const app = await guardedSockets({ options: { maxBodyBytes: 100 * KIB } });
    const { maxFragments } = messageBounds(100 * KIB);
    const body = JSON.stringify(call('eth_a', ['x'.repeat(50 * KIB)]));
    const size = Math.ceil(body.length / (maxFragments - 1));
    const parts = body.match(new RegExp(`.{1,${size}}`, 'g'))!;
    const raw = await openRaw(app.port);
    raw.write(
      ...parts.map((part, n) =>
        frame(n === 0 ? OPCODE.text : OPCODE.continuation, part, { fin: n === parts.length - 1 }),
      ),
    );
    expect((await raw.receives(OPCODE.text)).payload.toString()).toContain('eth_a');
    raw.write(endless(maxFragments + 1));
    expect(closeOf(await raw.receives(OPCODE.close)).code).toBe(1008);
    expect(app.upstream.messages).toHaveLength(1);
  });
});

describe('the bound of incomplete messages in all', () => {
  const large = frame(OPCODE.text, 'x'.repeat(200 * KIB));
  const half = (size: number) => large.subarray(0, size);

  test('ends the greatest of the key that takes most, with 1013, and forgets it', async () => {
    const messages = new IncompleteMessages(60_000, 100 * KIB);
    const other = watched(messages, OTHER_KEY);
    await push(other, half(40 * KIB));
    const hostile = [10, 11, 12, 35].map((size) => ({ ...watched(messages, KEY), size }));
    const told = () => hostile.map(({ ended }) => ended);
    for (const socket of hostile) {
      expect(told()).toEqual([[], [], [], []]);
      await push(socket, half(socket.size * KIB));
    }
    expect(told()).toEqual([[], [], [], [['BODY_TOO_LARGE', 1013]]]);
    await once(hostile[3]!.connection, 'close');

    await push(hostile[0]!, Buffer.alloc(20 * KIB));
    expect(told().map(({ length }) => length)).toEqual([0, 0, 0, 1]);
    await push(hostile[0]!, Buffer.alloc(10 * KIB));
    expect(told().map(({ length }) => length)).toEqual([1, 0, 0, 1]);
    expect(other.ended).toEqual([]);
  });

  test('no longer counts what is whole or closed', async () => {
    const messages = new IncompleteMessages(60_000, 100 * KIB);
    for (let n = 0; n < 20; n++) {
      const socket = watched(messages, KEY);
      const whole = frame(OPCODE.text, 'x'.repeat(60 * KIB));
      await push(socket, whole.subarray(0, 50 * KIB));
      await push(socket, whole.subarray(50 * KIB));
      expect(socket.ended).toEqual([]);
      await push(socket, whole.subarray(0, 50 * KIB));
      socket.connection.destroy();
      await once(socket.connection, 'close');
      expect(socket.ended).toEqual([]);
    }
  });

  test('counts what a fragment costs beside its byte', async () => {
    const messages = new IncompleteMessages(60_000, 100 * KIB);
    const socket = watched(messages, KEY);
    await push(socket, endless(600));
    expect(socket.ended).toEqual([]);
    await push(socket, endless(600).subarray(7));
    expect(socket.ended).toHaveLength(1);
  });

  test('has the deadline wait while the socket is not read from', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
    const messages = new IncompleteMessages(20);
    const [paused, read] = [watched(messages, KEY, true), watched(messages, KEY)];
    await push(paused, half(10));
    await push(read, half(10));
    jest.advanceTimersByTime(100);
    expect(paused.ended).toEqual([]);
    expect(read.ended).toEqual([['BODY_TIMEOUT', undefined]]);
  });
});

describe('a process with a heap of 128 MB', () => {
  async function guardedProcess(): Promise<{ readonly child: ChildProcess; readonly port: number }> {
    const options = JSON.stringify({
      keys: [{ apiKey: KEY }, { apiKey: OTHER_KEY }],
      maxBodyBytes: 8 * KIB * KIB, // as many fragments as ws lets pass by itself
      bodyTimeoutMs: 60_000,
    });
    const child = fork(join(__dirname, '../support/guarded-web-sockets.cjs'), [options], {
      execArgv: ['--max-old-space-size=128'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    endAfterTest(() => void child.kill('SIGKILL'));
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    return { child, port };
  }

  /** Opens sockets that each send a message without an end. Resolves when all of it has gone out, or has been cut off. */
  async function attack(port: number, sockets: number, fragments: number): Promise<void> {
    const bytes = endless(fragments);
    await Promise.all(
      Array.from({ length: sockets }, async () => {
        const socket: Socket = connect({ port, host: '127.0.0.1' });
        socket.on('error', () => undefined);
        endAfterTest(() => socket.destroy());
        const closed = once(socket, 'close');
        socket.write(handshake(`/ws/v3/${KEY}`));
        await Promise.race([once(socket, 'data'), closed]);
        await Promise.race([new Promise<void>((resolve) => socket.write(bytes, () => resolve())), closed]);
      }),
    );
  }

  test('outlives 16,000 one-byte fragments of each of many sockets, and serves others meanwhile', async () => {
    const { child, port } = await guardedProcess();
    const client = await openSocket(`ws://127.0.0.1:${port}/ws/v3/${OTHER_KEY}`);
    await attack(port, 70, 16_000);
    client.socket.send(JSON.stringify(call('eth_a')));
    expect(await client.next()).toContain('eth_a');
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    child.send('received');
    expect(await once(child, 'message')).toMatchObject([{ received: 1 }]);
  });
});
