import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { KEY, call } from '../support/guarded-app';
import { OPCODE, frame, guardedSockets, handshake, openRaw, openSocket, settled } from '../support/guarded-sockets';
import type { RawSocket } from '../support/guarded-sockets';
import { until } from '../support/until';
import { webSocketUpstream } from '../support/web-socket-upstream';
import { openWire } from '../support/wire';
import { text, expectAlive } from '../support/socket-session';

const MIB = 1024 * 1024;

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

describe('memory is bounded', () => {
  const PIECE = 'x'.repeat(MIB / 4);
  const PIECES = 120;

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

  test('when a client does not read 30 MB from the upstream, which all come once it reads', async () => {
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

  test('when the upstream does not read 30 MB from a client, which all come once it reads', async () => {
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

  test('when a client sends 30 MB before the upstream has opened, which all go once it has', async () => {
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

  test('when the upstream does not answer batches of 30 MB', async () => {
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
