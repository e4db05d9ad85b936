import { counters } from '../../lib/counters';
import { usageReport } from '../../lib/keys/usage-report';
import { UsageRows } from '../../lib/stores/usage-rows';
import type { UsageRow } from '../../lib/stores/usage-store';
import { METHOD, ORIGIN } from '../../lib/usage/key-hour';
import { UsageFlush } from '../../lib/usage/usage-flush';
import { UsageTable } from '../../lib/usage/usage-table';
import { fakeClock } from '../support/fake-clock';
import { recordingLogger } from '../support/pieces';

const ALL = { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' };
const DAY_MS = 24 * 60 * 60 * 1000;

function counting(wallAt?: number) {
  const clock = fakeClock(wallAt);
  const store = new UsageRows();
  const logger = recordingLogger();
  let instances = 0;
  const instance = () => `i${String(++instances)}`;
  const table = new UsageTable({ clock, instance });
  const flush = new UsageFlush({ table, store, logger, clock });
  const count = (times = 1, apiKey = 'first-key') => {
    for (let n = 0; n < times; n++) table.at(apiKey, clock.wall()).total('allowed').add(1, 1, clock.wall());
  };
  const rows = () => store.read(ALL);
  const calls = async () => (await rows()).reduce((sum, row) => sum + row.calls, 0);
  return { clock, store, logger, table, flush, count, rows, calls };
}

test('writes what has changed to the store every 10 s, and nothing else', async () => {
  const { clock, store, count, calls } = counting();
  const written: (readonly UsageRow[])[] = [];
  jest.spyOn(store, 'write').mockImplementation((rows) => {
    written.push(rows);
    return UsageRows.prototype.write.call(store, rows);
  });
  count(3);
  count(2, 'other-key');
  await clock.pass(9_999);
  expect(written).toEqual([]);
  await clock.pass(1);
  expect(await calls()).toBe(5);
  count(1);
  await clock.pass(10_000);
  expect(written[1]).toMatchObject([{ apiKey: 'first-key', calls: 4 }]);
  await clock.pass(60_000);
  expect(written).toHaveLength(2);
});

test('counts a write once when its answer was lost', async () => {
  const { clock, store, count, calls } = counting();
  const write = jest.spyOn(store, 'write').mockImplementationOnce(async (rows) => {
    await UsageRows.prototype.write.call(store, rows);
    throw new Error('the connection was lost');
  });
  count(3);
  await clock.pass(10_000);
  expect(await calls()).toBe(3);
  count(1);
  await clock.pass(10_000);
  expect(write).toHaveBeenCalledTimes(2);
  expect(await calls()).toBe(4);
});

test('a write that was given up and comes late changes nothing that was written since', async () => {
  const { clock, store, flush, count, calls } = counting();
  let arrive = (): void => undefined;
  jest.spyOn(store, 'write').mockImplementationOnce(async (rows, sequence) => {
    await new Promise<void>((resolve) => (arrive = resolve));
    await UsageRows.prototype.write.call(store, rows, sequence);
  });
  count(3);
  await clock.pass(20_000);
  expect(await calls()).toBe(0);
  count(4);
  await clock.pass(10_000);
  expect(await calls()).toBe(7);
  arrive();
  await flush.flush();
  expect(await calls()).toBe(7);
});

test('does not write on and on to a store that never answers', async () => {
  const { clock, store, flush, count, calls } = counting();
  const arrive: (() => void)[] = [];
  const write = jest.spyOn(store, 'write').mockImplementation(async () => {
    await new Promise<void>((resolve) => arrive.push(resolve));
  });
  count(3);
  for (let n = 0; n < 30; n++) await clock.pass(10_000);
  expect(write).toHaveBeenCalledTimes(3);
  write.mockRestore();
  for (const answer of arrive) answer();
  await clock.pass(10_000);
  await flush.flush();
  expect(await calls()).toBe(3);
});

test('a call that comes during a write is written next time', async () => {
  const { clock, store, flush, count, calls } = counting();
  let finish = (): void => undefined;
  jest.spyOn(store, 'write').mockImplementationOnce(async (rows) => {
    await new Promise<void>((resolve) => (finish = resolve));
    await UsageRows.prototype.write.call(store, rows);
  });
  count(3);
  await clock.pass(10_000);
  count(4);
  finish();
  await flush.flush();
  expect(await calls()).toBe(7);
});

test.each([
  ['over an hour', '2027-01-31T11:59:50Z', 'pass'],
  ['over midnight', '2027-01-31T23:59:50Z', 'pass'],
  ['over an hour that is not told yet', '2027-01-31T11:59:50Z', 'jump'],
  ['over midnight, of a day that is not told yet', '2027-01-31T23:59:50Z', 'jump'],
] as const)('loses and repeats nothing when the clock goes forth and back %s', async (_, at, how) => {
  const { clock, count, calls, rows } = counting(Date.parse(at));
  count(1);
  await clock[how](10_000);
  count(2);
  await clock.pass(10_000);
  clock.jump(-60_000);
  count(4);
  await clock.pass(10_000);
  count(8);
  clock.jump(60_000);
  count(16);
  await clock.pass(10_000);
  expect(await calls()).toBe(31);
  expect((await rows()).map((row) => row.calls)).toEqual([1, 30]);
});

test('replaces nothing when the clock goes back by days, and comes again', async () => {
  const { clock, count, calls } = counting();
  for (const [times, days] of [
    [1, 0],
    [2, -3],
    [4, 3],
    [8, 1000],
    [16, -1000],
  ] as const) {
    clock.jump(days * DAY_MS);
    count(times);
    await clock.pass(10_000);
  }
  expect(await calls()).toBe(31);
});

test('keeps an hour while the store is away, then drops the oldest and says so', async () => {
  const { clock, store, logger, count, rows } = counting(Date.parse('2027-01-31T10:00:00Z'));
  const droppedBefore = counters.usageDropped;
  const write = jest.spyOn(store, 'write').mockRejectedValue(new Error('down'));
  for (const times of [1, 2, 4]) {
    count(times);
    await clock.pass(60 * 60_000);
  }
  write.mockRestore();
  await clock.pass(10_000);
  expect((await rows()).map(({ hour, calls }) => [hour, calls])).toEqual([
    ['2027-01-31T11:00:00Z', 2],
    ['2027-01-31T12:00:00Z', 4],
  ]);
  expect(counters.usageDropped - droppedBefore).toBe(1);
  expect(logger.lines.map(({ level }) => level)).toEqual(['error', 'error', 'info']);
});

test('rolls hours up into days once a day', async () => {
  const { clock, store, count, calls } = counting();
  const roll = jest.spyOn(store, 'roll');
  count(3);
  await clock.pass(60_000);
  expect(roll.mock.calls).toEqual([['2027-01-24T00:00:00Z']]);
  for (let day = 0; day < 9; day++) {
    clock.jump(DAY_MS - 2 * 60 * 60_000);
    await clock.pass(2 * 60 * 60_000);
  }
  expect(roll.mock.calls.length).toBe(10);
  expect(await store.read(ALL)).toMatchObject([{ instance: '(day)', hour: '2027-01-31T00:00:00Z', calls: 3 }]);
  expect(await calls()).toBe(3);
});

test.each([
  ['rejects', () => Promise.reject(new Error('down')), ['error']],
  [
    'throws',
    () => {
      throw new Error('down');
    },
    ['error'],
  ],
  ['is missing', undefined, ['error']],
  ['returns no promise', () => undefined, []],
])('writes on where making days %s', async (_, roll, levels) => {
  const { clock, store, logger, flush, count, calls } = counting();
  Object.assign(store, { roll });
  count(1);
  await flush.flush();
  count(2);
  await clock.pass(10_000);
  expect(await calls()).toBe(3);
  expect(logger.lines.map(({ level }) => level)).toEqual(levels);
});

test('made-up names leave no more rows in the store than are kept of them', async () => {
  const { clock, table, rows } = counting();
  let made = 0;
  for (let flushes = 0; flushes < 10; flushes++) {
    for (let n = 0; n < 500; n++) {
      const counted = table.at('first-key', clock.wall());
      counted
        .of(ORIGIN)
        .of(`https://${String(++made)}.example`, 'ORIGIN_NOT_ALLOWED')
        .add(1, 0, clock.wall());
      const refused = { outcome: 'ORIGIN_NOT_ALLOWED', origin: `https://${String(made)}.example`, method: '' };
      const of = { ...refused, userAgent: '', address: '', wire: 'http', secretId: '' };
      counted.refusals.add(of, { why: undefined, requestId: String(made), at: clock.wall() });
    }
    await clock.pass(10_000);
  }
  const kept = await rows();
  expect(kept.filter(({ kind }) => kind === 'origin')).toHaveLength(51);
  expect(kept.filter(({ kind }) => kind === 'refusal')).toHaveLength(100);
  expect(kept.reduce((sum, { kind, calls }) => sum + (kind === 'origin' ? calls : 0), 0)).toBe(made);
});

test('refusals without a key have a thousand groups, where a key has a hundred', async () => {
  const { clock, table, rows } = counting();
  for (let n = 0; n < 2000; n++) {
    const of = {
      outcome: 'KEY_UNKNOWN',
      origin: `https://${String(n)}.example`,
      method: '',
      userAgent: '',
      address: '',
    };
    for (const apiKey of ['(none)', 'first-key']) {
      const note = { why: undefined, requestId: String(n), at: clock.wall() };
      table.at(apiKey, clock.wall()).refusals.add({ ...of, wire: 'http', secretId: '' }, note);
    }
  }
  await clock.pass(10_000);
  const groupsOf = async (apiKey: string) => (await rows()).filter((row) => row.apiKey === apiKey).length;
  expect([await groupsOf('(none)'), await groupsOf('first-key')]).toEqual([1000, 100]);
});

test('a process holds 200,000 names, and counts those beyond as others', () => {
  const { clock, table } = counting();
  for (let key = 0; key < 1100; key++) {
    const methods = table.at(`key-${String(key)}`, clock.wall()).of(METHOD);
    for (const outcome of ['allowed', 'METHOD_NOT_ALLOWED']) {
      for (let n = 0; n < 100; n++) methods.of(`eth_${String(n)}`, outcome).add(1, 0, clock.wall());
    }
  }
  let [names, calls] = [0, 0];
  for (const counted of table.changed()) {
    for (const { row } of counted.changed()) {
      if (row.name !== '(other)') names++;
      calls += row.calls;
    }
  }
  expect([names, calls]).toEqual([200_000, 220_000]);
});

test('the peak is what was spent in the busiest second', async () => {
  const { clock, table, rows } = counting(Date.parse('2027-01-31T12:00:00.000Z'));
  const spent = [
    [0, 3],
    [999, 4],
    [1000, 6],
    [1999, 2],
    [2000, 5],
    [61_000, 1],
  ] as const;
  for (const [after, credits] of spent) {
    const at = clock.wall() + after;
    const counted = table.at('first-key', at);
    counted.total('allowed').add(1, credits, at);
    counted.spend(credits);
  }
  await clock.pass(10_000);
  expect(await rows()).toMatchObject([{ kind: 'total', credits: 21, peak: 8 }]);
});

test('the peak is told by whatever is charged, also by calls that a list only reports, and by none that is refused', async () => {
  const { clock, store, table } = counting(Date.parse('2027-01-31T12:00:00.000Z'));
  const spend = async (outcome: string, credits: number) => {
    const counted = table.at('first-key', clock.wall());
    counted.total(outcome).add(1, credits, clock.wall());
    counted.spend(credits);
    await clock.pass(10_000);
    return (await usageReport(store, 'first-key', { since: '1h' }, clock.wall())).busiest.second;
  };
  expect(await spend('METHOD_NOT_ALLOWED', 0)).toBe(0);
  expect(await spend('wouldRefuse:ORIGIN_NOT_ALLOWED', 4)).toBe(4);
  expect(await spend('allowed', 3)).toBe(4);
  expect(await spend('wouldRefuse:ORIGIN_NOT_ALLOWED', 6)).toBe(6);
  expect(await spend('METHOD_NOT_ALLOWED', 0)).toBe(6);
});

test('closes though the store hangs, in a write or in making days', async () => {
  const { clock, store, flush, count } = counting();
  const hang = () => new Promise<void>(() => undefined);
  jest.spyOn(store, 'roll').mockImplementation(hang);
  count(1);
  await clock.pass(10_000);
  jest.spyOn(store, 'write').mockImplementation(hang);
  count(1);
  let isClosed = false;
  void flush.close().then(() => (isClosed = true));
  for (let n = 0; n < 3; n++) await clock.pass(10_000);
  expect(isClosed).toBe(true);
});

test('writes all that was counted while a write was under way when it closes', async () => {
  const { clock, store, flush, count, calls } = counting();
  let finish = (): void => undefined;
  jest.spyOn(store, 'write').mockImplementationOnce(async (rows, sequence) => {
    await new Promise<void>((resolve) => (finish = resolve));
    await UsageRows.prototype.write.call(store, rows, sequence);
  });
  count(3);
  await clock.pass(10_000);
  count(4);
  const closed = flush.close();
  finish();
  await closed;
  expect(await calls()).toBe(7);
});

test.each(['refuses', 'never answers'])(
  'loses nothing of an hour that ends while a write of it is under way that the store %s',
  async (how) => {
    const { clock, store, count, calls } = counting(Date.parse('2027-01-31T11:59:45Z'));
    let fail = (): void => undefined;
    jest
      .spyOn(store, 'write')
      .mockImplementationOnce(() => new Promise((_resolve, reject) => (fail = () => reject(new Error('down')))));
    count(3);
    await clock.pass(10_000);
    clock.jump(6_000);
    count(4, 'other-key');
    if (how === 'refuses') fail();
    for (let n = 0; n < 3; n++) await clock.pass(10_000);
    expect(await calls()).toBe(7);
  },
);

test('writes the rest when it closes', async () => {
  const { flush, count, calls } = counting();
  count(3);
  await flush.close();
  expect(await calls()).toBe(3);
});

test('gives a caller that came when rows had run out rows of its own once the store has been told', async () => {
  const { clock, store, logger } = counting();
  const table = new UsageTable({ clock, instance: () => 'i', maxRows: 5 });
  const flush = new UsageFlush({ table, store, logger, clock });
  const origins = table.at('first-key', clock.wall()).of(ORIGIN);
  for (let n = 0; n < 5; n++) origins.of(`https://${String(n)}.example`, 'allowed').add(1, 1, clock.wall());
  clock.jump(60 * 60 * 1000);
  const sent = { sentOrigin: 'https://late.example', sentUserAgent: undefined };
  const caller = { wire: 'http', origin: 'https://late.example', userAgent: '', secretId: '', ...sent };
  const count = (): void => {
    const counted = table.at('late-key', clock.wall());
    counted.caller = caller;
    for (const row of counted.rows('allowed')) row.add(1, 1, clock.wall());
  };
  jest.spyOn(store, 'write').mockImplementationOnce(async (rows, sequence) => {
    count(); // while the store is being told
    await UsageRows.prototype.write.call(store, rows, sequence);
  });
  count();
  for (let n = 0; n < 2; n++) {
    await flush.flush();
    count();
  }
  await flush.flush();
  const rows = (await store.read(ALL)).filter(({ apiKey, kind }) => apiKey === 'late-key' && kind === 'origin');
  expect(rows.map(({ name, calls }) => [name, calls])).toEqual([
    ['(other)', 2],
    ['https://late.example', 2],
  ]);
});
