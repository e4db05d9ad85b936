import { call } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { text } from '../support/socket-session';

/** A call whose text takes so many bytes. */
function callOf(bytes: number, letter = 'x'): string {
  const rest = Buffer.byteLength(text(call('eth_a', [''], 1)));
  const size = Buffer.byteLength(letter);
  return text(call('eth_a', [letter.repeat(Math.floor((bytes - rest) / size)) + 'x'.repeat((bytes - rest) % size)], 1));
}

test('messages around each bound of a frame arrive whole on either side, in order', async () => {
  const app = await guardedSockets();
  const client = await app.open();
  const sizes = [100, 125, 126, 127, 4095, 4096, 4097, 65_535, 65_536, 5000, 130];
  const calls = sizes.flatMap((bytes) => [callOf(bytes), callOf(bytes, 'é'), callOf(bytes, '🦊')]);
  const answers = calls.map((message) => message.slice(1));
  for (const message of calls) client.socket.send(message);
  await Promise.all(calls.map(() => client.next()));
  expect(app.upstream.messages).toEqual(calls);
  for (const answer of answers) client.upstream.socket.send(answer);
  for (const answer of answers) expect(await client.next()).toBe(answer);
});

test('an answer in binary is passed on in binary', async () => {
  const app = await guardedSockets();
  const client = await app.open();
  const kinds: boolean[] = [];
  client.socket.on('message', (_, isBinary) => kinds.push(isBinary));
  for (const bytes of [3, 200, 5000]) {
    client.upstream.socket.send(Buffer.alloc(bytes, 'a'), { binary: true });
    expect(await client.next()).toBe('a'.repeat(bytes));
  }
  client.upstream.socket.send('text');
  await client.next();
  expect(kinds).toEqual([true, true, true, false]);
});

test('each message to the upstream is masked with a key of its own, which nobody can foresee', async () => {
  const app = await guardedSockets();
  const client = await app.open();
  const received: Buffer[] = [];
  client.upstream.connection.on('data', (bytes: Buffer) => received.push(Buffer.from(bytes)));
  // More than one supply of keys.
  const count = 3000;
  const message = text(call('eth_a', [], 1));
  for (let n = 0; n < count; n++) client.socket.send(message);
  for (let n = 0; n < count; n++) await client.next();
  const bytes = Buffer.concat(received);
  const [keys, heads] = [new Set<string>(), new Set<string>()];
  for (let at = 0; at < bytes.length; at += 6 + message.length) {
    heads.add(bytes.toString('hex', at, at + 2));
    keys.add(bytes.toString('hex', at + 2, at + 6));
  }
  expect([...heads]).toEqual(['81' + (0x80 | message.length).toString(16)]);
  // Two of 3,000 random keys are alike once in a thousand runs, ten never.
  expect(keys.size).toBeGreaterThan(count - 10);
});
