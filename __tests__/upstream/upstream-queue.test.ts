import { UpstreamQueue } from '../../lib/upstream/upstream-queue';
import type { Place } from '../../lib/upstream/upstream-queue';
import { KEY, call, guardedApp } from '../support/guarded-app';
import { recordingUpstream } from '../support/upstream';
import { openWire, requestBytes } from '../support/wire';

const place = (key: string, connection = { underWay: 0 }, bytes = 100): Place => ({
  key,
  connection,
  bytes,
  isReady: () => true,
});

/** Enters for each place; `order` says whose turn came, in order. */
function line(queue: UpstreamQueue, places: readonly Place[]): { readonly order: Place[]; readonly refused: Place[] } {
  const order: Place[] = [];
  const refused: Place[] = [];
  for (const it of places) {
    const entered = queue.enter(it);
    if (entered instanceof Promise) void entered.then((isIn) => (isIn ? order : refused).push(it));
    else (entered ? order : refused).push(it);
  }
  return { order, refused };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('no more than maxConcurrent are under way; the others wait in order', async () => {
  const queue = new UpstreamQueue(2);
  const places = Array.from({ length: 5 }, () => place('a'));
  const { order } = line(queue, places);
  for (let n = 0; n < 5; n++) {
    await settled();
    expect(order).toEqual(places.slice(0, Math.min(5, n + 2)));
    queue.leave(places[n]!);
  }
});

test('one connection has no more than 64 under way, and holds up no other', async () => {
  const queue = new UpstreamQueue(512);
  const connection = { underWay: 0 };
  const pipelined = Array.from({ length: 100 }, () => place('a', connection));
  const { order } = line(queue, pipelined);
  const other = place('a');
  expect(queue.enter(other)).toBe(true);
  queue.leave(other);
  await settled();
  expect(order).toHaveLength(64);
  queue.leave(pipelined[0]!);
  await settled();
  expect(order).toEqual(pipelined.slice(0, 65));
});

test('the key with the fewest under way goes first', async () => {
  const queue = new UpstreamQueue(3);
  const greedy = Array.from({ length: 10 }, () => place('greedy'));
  const modest = place('modest');
  const { order } = line(queue, [...greedy, modest]);
  queue.leave(greedy[0]!);
  await settled();
  expect(order).toEqual([...greedy.slice(0, 3), modest]);
});

test('past 1000 waiting a request is turned away; of the key with most waiting, if another key comes', async () => {
  const queue = new UpstreamQueue(1);
  const greedy = Array.from({ length: 1002 }, () => place('greedy'));
  const { refused } = line(queue, greedy);
  await settled();
  expect(refused).toEqual([greedy[1001]]);
  expect(queue.enter(place('modest'))).toBeInstanceOf(Promise);
  await settled();
  expect(refused).toEqual([greedy[1001], greedy[1000]]);
});

test('past 64 MiB of bodies a request is turned away; of the key with most waiting, if another key comes', async () => {
  const queue = new UpstreamQueue(1);
  const large = (key: string) => place(key, { underWay: 0 }, 2 * 1024 * 1024);
  const greedy = Array.from({ length: 35 }, () => large('greedy'));
  const { refused } = line(queue, greedy);
  await settled();
  expect(refused).toEqual([greedy[33], greedy[34]]);
  expect(queue.enter(large('modest'))).toBeInstanceOf(Promise);
  await settled();
  expect(refused).toEqual([greedy[33], greedy[34], greedy[32]]);
});

test('a request that is not ready waits, and holds up no other', async () => {
  const queue = new UpstreamQueue(512);
  let isReady = false;
  const late = { ...place('a'), isReady: () => isReady };
  const { order } = line(queue, [late, place('a')]);
  queue.look();
  await settled();
  expect(order).toHaveLength(1);
  isReady = true;
  queue.look();
  await settled();
  expect(order[1]).toBe(late);
});

test('a caller that goes away waits no longer', async () => {
  const queue = new UpstreamQueue(1);
  const [first, gone, next] = [place('a'), place('a'), place('a')];
  const { order, refused } = line(queue, [first, gone, next]);
  queue.drop(gone);
  queue.leave(first);
  await settled();
  expect([order, refused]).toEqual([[first, next], [gone]]);
});

test('pipelined requests are at the upstream 64 at a time, and past 1000 waiting get 503', async () => {
  const answers: (() => void)[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const upstream = await recordingUpstream((_req, res) => {
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    res.on('finish', () => atOnce--);
    answers.push(() => res.end('{}'));
    if (answers.length === 64) for (const answer of answers) answer();
    else if (answers.length > 64) res.end('{}');
  });
  const app = await guardedApp({ upstream });
  const count = 1200;
  const wire = await openWire(app.port);
  const request = requestBytes({ target: `/v3/${KEY}`, body: call('eth_chainId') });
  wire.write(Buffer.concat(Array.from({ length: count }, () => request)));
  const statuses = new Map<number, number>();
  for (let n = 0; n < count; n++) {
    const answer = await wire.answer();
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    if (answer.status === 503) {
      expect(answer.headers.get('retry-after')).toBe('01');
      expect(answer.json).toMatchObject({ id: 1, error: { code: -32603 } });
    }
  }
  // A connection is free for the next request only a moment after its answer is whole.
  expect(upstream.connections).toBeLessThan(2 * 64);
  expect(mostAtOnce).toBe(64);
  expect((statuses.get(200) ?? 0) + (statuses.get(503) ?? 0)).toBe(count);
  expect(statuses.get(200)).toBeGreaterThanOrEqual(1000);
});
