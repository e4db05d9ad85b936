import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { ParseTurns } from '../../lib/json-rpc/parse-turn';
import { KEY, call, guardedApp } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { OTHER_KEY } from '../support/pieces';
import { openWire, requestBytes } from '../support/wire';

const MIB = 1024 * 1024;

/** Turns by a clock that only the work moves, each by `ms`. */
function turnsOf(ms: number): {
  readonly done: string[];
  readonly read: (key: string, name: string, bytes?: number) => unknown;
  turns: ParseTurns;
} {
  let now = 0;
  const done: string[] = [];
  const turns = new ParseTurns(() => now);
  const read = (key: string, name: string, bytes = 1) =>
    turns.run(key, bytes, () => {
      now += ms;
      done.push(name);
      return name;
    });
  return { done, read, turns };
}

describe('a turn of the event loop', () => {
  test('reads bodies at once until 10 ms are spent, and the rest in the next', async () => {
    const { done, read } = turnsOf(4);
    expect(['a', 'b', 'c'].map((name) => read(KEY, name))).toEqual(['a', 'b', 'c']);
    const late = ['d', 'e', 'f', 'g'].map((name) => read(KEY, name));
    for (const promise of late) expect(promise).toBeInstanceOf(Promise);
    expect(done.join('')).toBe('abc');
    await setImmediate();
    expect(done.join('')).toBe('abcdef');
    await setImmediate();
    expect(done.join('')).toBe('abcdefg');
    expect(await Promise.all(late)).toEqual(['d', 'e', 'f', 'g']);
    await setImmediate();
    expect(read(KEY, 'h')).toBe('h');
  });

  test('reads one body that takes longer than all of it', async () => {
    const { done, read } = turnsOf(50);
    read(KEY, 'a');
    read(KEY, 'b');
    read(KEY, 'c');
    expect(done.join('')).toBe('a');
    await setImmediate();
    expect(done.join('')).toBe('ab');
    await setImmediate();
    expect(done.join('')).toBe('abc');
  });

  test('takes waiting bodies from each key in turn, and those of one key in order', async () => {
    const { done, read } = turnsOf(10);
    for (const name of ['a1', 'a2', 'a3', 'a4']) read(KEY, name);
    for (const name of ['b1', 'b2']) read(OTHER_KEY, name);
    for (let n = 0; n < 5; n++) await setImmediate();
    expect(done).toEqual(['a1', 'a2', 'b1', 'a3', 'b2', 'a4']);
  });

  test('has room for 64 MiB of bodies of a key that wait', async () => {
    const { read, turns } = turnsOf(10);
    read(KEY, 'a');
    for (let n = 0; n < 32; n++) {
      expect(turns.hasRoom(KEY)).toBe(true);
      read(KEY, 'b', 2 * MIB);
    }
    expect([turns.hasRoom(KEY), turns.hasRoom(OTHER_KEY)]).toEqual([false, true]);
    await setImmediate();
    expect(turns.hasRoom(KEY)).toBe(true);
  });

  test('goes on after work that throws; its caller gets the error', async () => {
    const { read, turns } = turnsOf(10);
    const broken = (): never => {
      throw new RangeError('broken');
    };
    expect(() => turns.run(KEY, 1, broken)).toThrow('broken');
    read(KEY, 'a');
    const [failed, next] = [turns.run(KEY, 1, broken) as unknown, read(KEY, 'b')];
    await expect(failed).rejects.toThrow('broken');
    expect(await next).toBe('b');
  });
});

describe('hostile bodies that arrive together', () => {
  const hostile = gzipSync('['.repeat(2 * MIB));

  test('are refused, and a call of another key is answered beside them', async () => {
    const app = await guardedApp({ keys: [{ apiKey: KEY }, { apiKey: OTHER_KEY }] });
    const send = async (request: Buffer): Promise<number> => {
      const wire = await openWire(app.port);
      return (await wire.write(request).answer()).status;
    };
    const headers = ['Content-Encoding: gzip'];
    const attack = Array.from({ length: 60 }, () =>
      send(requestBytes({ target: `/v3/${KEY}`, headers, body: hostile })),
    );
    await Promise.race(attack);
    const mine = send(requestBytes({ target: `/v3/${OTHER_KEY}`, body: call('eth_a') }));
    expect(await mine).toBe(200);
    for (const status of await Promise.all(attack)) expect([400, 503]).toContain(status);
    expect(app.upstream.seen).toHaveLength(1);
  });

  test('over WebSocket leave the messages of each socket in their order', async () => {
    const app = await guardedSockets();
    const clients = [await app.open(), await app.open(), await app.open()];
    const large = `[${'1,'.repeat(19_000)}1]`;
    for (const { socket } of clients) {
      for (let id = 0; id < 20; id++) {
        socket.send(JSON.stringify(call(id % 2 === 0 ? 'eth_a' : 'admin_peers', [], id)));
        socket.send(large);
      }
    }
    for (const client of clients) {
      while (client.messages.length < 40) await client.next();
      const ids = client.messages.map((message) => (JSON.parse(message) as { id: unknown }).id);
      const refused = ids.filter((id) => typeof id === 'number' && id % 2 === 1);
      expect(refused).toEqual(Array.from({ length: 10 }, (_, n) => 2 * n + 1));
      expect(client.upstream.messages.map((message) => (JSON.parse(message) as { id: number }).id)).toEqual(
        Array.from({ length: 10 }, (_, n) => 2 * n),
      );
    }
  });
});
