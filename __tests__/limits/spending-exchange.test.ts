import { Limiter } from '../../lib/limits/limiter';
import type { Payer } from '../../lib/limits/limiter';
import { Meter } from '../../lib/limits/meter';
import { SpendingExchange } from '../../lib/limits/spending-exchange';
import { compileLimits } from '../../lib/settings/compile';
import type { Limits } from '../../lib/settings/limits';
import type { LimitStore, SpentRow } from '../../lib/stores/limit-store';
import { SpentRows } from '../../lib/stores/spent-rows';
import { fakeClock } from '../support/fake-clock';
import type { FakeClock } from '../support/fake-clock';
import { recordingLogger } from '../support/pieces';
import { worstExcess } from '../support/worst-excess';

const RATE = { perSecond: 100, burst: 200 };
const DAY_MS = 24 * 60 * 60 * 1000;

/** How many charges of 1 pass before one is refused. */
function allThatPasses(limiter: Limiter, payer: Payer): number {
  let passed = 0;
  while (limiter.charge(payer, 1, 0) === undefined) passed++;
  return passed;
}

/** A store a few milliseconds away, which can be cut off. */
class FarStore implements LimitStore {
  readonly intervalMs: number;
  /** It refuses. */
  isAway = false;
  /** It does not answer. */
  isStopped = false;
  exchanges = 0;
  readonly rows: SpentRow[] = [];
  readonly #near: SpentRows;

  constructor(
    private readonly clock: FakeClock,
    { intervalMs = 100, roundTripMs = 2, near = new SpentRows() } = {},
  ) {
    this.intervalMs = intervalMs;
    this.roundTripMs = roundTripMs;
    this.#near = near;
  }
  private readonly roundTripMs: number;

  exchange(rows: readonly SpentRow[]): Promise<readonly SpentRow[]> {
    this.exchanges++;
    return new Promise((resolve, reject) => {
      if (this.isStopped) return;
      this.clock.after(this.roundTripMs, () => {
        if (this.isAway) {
          reject(new Error('gone'));
          return;
        }
        this.rows.push(...rows);
        resolve(this.#near.exchange(rows));
      });
    });
  }
}

function payer(limits: Limits): Payer {
  return { apiKey: 'first-key', limits: compileLimits(limits), secret: undefined, caller: '' };
}

/** Processes that share a store. */
function processesOver(store: LimitStore | readonly LimitStore[], clock: FakeClock, count: number, waitMs = 0) {
  const stores = [store].flat();
  const logger = recordingLogger();
  const made = Array.from({ length: count }, (_, n) => {
    const exchange = new SpendingExchange({
      store: stores[n % stores.length]!,
      logger,
      clock,
      instance: `process${String(n)}`,
    });
    return { limiter: new Limiter({ waitMs, clock, exchange }), exchange };
  });
  return { limiters: made.map(({ limiter }) => limiter), exchanges: made.map(({ exchange }) => exchange), logger };
}

/** Offers the limiters ten times the limit for so long, by turns, and tells what passed, and when. */
async function flood(limiters: readonly Limiter[], key: Payer, clock: FakeClock, milliseconds: number) {
  const passed: { at: number; cost: number }[] = [];
  for (let at = 0; at < milliseconds; at += 10) {
    let cost = 0;
    for (let n = 0; n < 10; n++) {
      const outcome = limiters[(at + n) % limiters.length]!.charge(key, 1, 0);
      if (outcome === undefined) cost++;
      else if ('outcome' in outcome) {
        void outcome.outcome.then((denial) => {
          if (denial === undefined) passed.push({ at: clock.now(), cost: 1 });
        });
      }
    }
    if (cost > 0) passed.push({ at: clock.now(), cost });
    await clock.pass(10);
  }
  return passed;
}

const sum = (passed: readonly { readonly cost: number }[]) => passed.reduce((all, { cost }) => all + cost, 0);
/** What `milliseconds` may let through, and 5 %. */
const bound = (milliseconds: number) => 1.05 * (RATE.burst + (RATE.perSecond * milliseconds) / 1000);

describe('several processes that share a limit', () => {
  test.each([100, 500])('let through what one would, looking each %i ms', async (intervalMs) => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock, { intervalMs }), clock, 4);
    const passed = await flood(limiters, payer(RATE), clock, 12_000);
    expect(sum(passed)).toBeLessThanOrEqual(bound(12_000));
    expect(sum(passed)).toBeGreaterThanOrEqual(0.8 * bound(12_000));
  });

  test('exceed it in no window by more than their bursts', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 4);
    const passed = await flood(limiters, payer(RATE), clock, 5000);
    expect(worstExcess(passed, RATE)).toBeLessThanOrEqual(3 * RATE.burst);
  });

  test('hold under spikes of twice the bursts of all within 100 ms', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 4);
    const key = payer(RATE);
    let all = 0;
    for (let spike = 0; spike < 5; spike++) {
      for (let at = 0; at < 100; at += 5) {
        for (const limiter of limiters) {
          for (let n = 0; n < 20; n++) if (limiter.charge(key, 1, 0) === undefined) all++;
        }
        await clock.pass(5);
      }
      await clock.pass(1900);
    }
    expect(all).toBeLessThanOrEqual(bound(10_000));
  });

  test.each([1, 4])(
    'let one burst through after an idle time, %i of them, and no second one after their look',
    async (count) => {
      const clock = fakeClock();
      const { limiters } = processesOver(new FarStore(clock), clock, count);
      const key = payer(RATE);
      for (const limiter of limiters) limiter.charge(key, 1, 0);
      await clock.pass(10_000);
      expect(allThatPasses(limiters[0]!, key)).toBe(200);
      await clock.pass(50);
      expect(allThatPasses(limiters[0]!, key)).toBe(5);
    },
  );

  test('let no second burst through where one had it after an idle time and another comes behind it', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 2);
    const [one, other] = limiters as [Limiter, Limiter];
    const key = payer(RATE);
    for (const limiter of limiters) limiter.charge(key, 1, 0);
    await clock.pass(10_000);
    expect(allThatPasses(one, key)).toBe(200);
    await clock.pass(300);
    other.charge(key, 1, 0); // it looks
    await clock.pass(200);
    expect(allThatPasses(other, key)).toBe(49); // what 500 ms have brought, less that one
  });

  test('go on when one of them crashes', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 4);
    const key = payer(RATE);
    const before = await flood(limiters, key, clock, 6000);
    const after = await flood(limiters.slice(1), key, clock, 6000);
    expect(sum([...before, ...after])).toBeLessThanOrEqual(bound(12_000));
    expect(sum(after)).toBeGreaterThanOrEqual(500);
  });

  test.each([0, 1000])(
    'stay within the bound when one charges nothing for 5 s, as a stopped one, waiting %i ms',
    async (waitMs) => {
      const clock = fakeClock();
      const { limiters } = processesOver(new FarStore(clock), clock, 4, waitMs);
      const key = payer(RATE);
      const passed = await flood(limiters, key, clock, 3000);
      passed.push(...(await flood(limiters.slice(1), key, clock, 5000)));
      passed.push(...(await flood(limiters, key, clock, 4000)));
      await clock.pass(2 * waitMs);
      expect(sum(passed)).toBeLessThanOrEqual(bound(12_000 + waitMs));
      expect(worstExcess(passed, RATE)).toBeLessThanOrEqual(2 * RATE.burst);
      expect(sum(passed)).toBeGreaterThanOrEqual(1000);
    },
  );

  test.each([0, 1000])(
    'take one in that begins in the middle of a flood without giving it a burst of its own, waiting %i ms',
    async (waitMs) => {
      const clock = fakeClock();
      const { limiters } = processesOver(new FarStore(clock, { intervalMs: 500 }), clock, 4, waitMs);
      const key = payer(RATE);
      const before = await flood(limiters.slice(1), key, clock, 6000);
      const after = await flood(limiters, key, clock, 6000);
      await clock.pass(2 * waitMs);
      expect(sum([...before, ...after])).toBeLessThanOrEqual(bound(12_000 + waitMs));
      expect(sum(after)).toBeGreaterThanOrEqual(500);
    },
  );

  test('do not lock one that starts, though a clock is wrong by an hour', async () => {
    for (const hours of [-1, 1]) {
      const clock = fakeClock();
      const { limiters } = processesOver(new FarStore(clock), clock, 2);
      const key = payer(RATE);
      await flood(limiters.slice(0, 1), key, clock, 4000);
      clock.jump((hours * DAY_MS) / 24);
      expect(limiters[1]!.charge(key, 1, 0)).toBeUndefined();
      await clock.pass(100);
      expect(limiters[1]!.roomFor(key).second?.level).toBeGreaterThan(100);
    }
  });

  test('do not make a debt of the day for one that joins at noon, and count it on its day', async () => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 2);
    const key = payer({ ...RATE, perDay: 1100 });
    const before = sum(await flood(limiters.slice(0, 1), key, clock, 8000));
    expect(before).toBeGreaterThan(900);
    await clock.pass(2000);
    expect(limiters[1]!.charge(key, 1, 0)).toBeUndefined();
    await clock.pass(100);
    expect(limiters[1]!.roomFor(key).second?.level).toBeGreaterThan(150);
    expect(limiters[1]!.roomFor(key).day?.left).toBe(1100 - before - 1);
  });

  test('count the day together, to the end', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 4);
    const passed = sum(await flood(limiters, payer({ perDay: 1000 }), clock, 2000));
    expect(passed).toBeGreaterThanOrEqual(1000);
    expect(passed).toBeLessThanOrEqual(1000 + 4 * 100); // what all charge within one interval
  });

  test('begin the day together, whoever looked last', async () => {
    const clock = fakeClock(Date.parse('2027-01-31T23:59:50Z'));
    const { limiters } = processesOver(new FarStore(clock), clock, 2);
    const key = payer({ ...RATE, perDay: 500 });
    await flood(limiters, key, clock, 8000);
    expect(limiters[0]!.charge(key, 1, 0)).toMatchObject({ limit: 'day' });
    await clock.pass(3000);
    for (const limiter of limiters) expect(limiter.charge(key, 1, 0)).toBeUndefined();
    await clock.pass(200);
    for (let turn = 0; turn < 2; turn++) {
      for (const limiter of limiters) limiter.charge(key, 1, 0);
      await clock.pass(200);
    }
    expect(limiters[0]!.roomFor(key)).toMatchObject({ day: { left: 495 } });
  });
});

describe('while the store is away', () => {
  test.each([
    ['refuses', 4000, 'isAway'],
    ['refuses', 8000, 'isAway'],
    ['is silent', 4000, 'isStopped'],
    ['is silent', 8000, 'isStopped'],
  ] as const)(
    'and %s for %i ms, each holds itself to its part, and none is locked afterwards',
    async (_how, outage, state) => {
      const clock = fakeClock();
      const store = new FarStore(clock);
      const { limiters, exchanges, logger } = processesOver(store, clock, 4);
      const key = payer(RATE);
      const passed = await flood(limiters, key, clock, 2000);
      store[state] = true;
      passed.push(...(await flood(limiters, key, clock, outage)));
      expect(exchanges.every(({ isAway }) => isAway)).toBe(true);
      store[state] = false;
      const afterwards = await flood(limiters, key, clock, 4000);
      passed.push(...afterwards);
      expect(exchanges.some(({ isAway }) => isAway)).toBe(false);
      expect(sum(passed)).toBeLessThanOrEqual(bound(6000 + outage));
      expect(sum(afterwards)).toBeGreaterThanOrEqual(0.7 * 400);
      expect(logger.lines.filter(({ level }) => level === 'error')).toHaveLength(4);
      expect(logger.lines.filter(({ text }) => text.includes('is back'))).toHaveLength(4);
    },
  );

  test.each([4000, 8000])('for %i ms, no more passes by waiting', async (outage) => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 4, 1000);
    const passed = await flood(limiters, payer(RATE), clock, 2000);
    store.isStopped = true;
    const meanwhile = await flood(limiters, payer(RATE), clock, outage);
    store.isStopped = false;
    const afterwards = await flood(limiters, payer(RATE), clock, 4000);
    await clock.pass(2000);
    // What waits at the end passes a second later.
    expect(sum([...passed, ...meanwhile, ...afterwards])).toBeLessThanOrEqual(bound(7000 + outage));
    expect(sum(afterwards)).toBeGreaterThanOrEqual(0.7 * 400);
  });

  test.each([0, 1000])(
    'who hears again first waits for the others before it takes the whole rate, waiting %i ms',
    async (waitMs) => {
      const clock = fakeClock();
      const near = new SpentRows();
      const stores = Array.from({ length: 4 }, () => new FarStore(clock, { near, intervalMs: 500 }));
      const { limiters } = processesOver(stores, clock, 4, waitMs);
      const key = payer(RATE);
      const passed = await flood(limiters, key, clock, 2000);
      for (const store of stores) store.isAway = true;
      passed.push(...(await flood(limiters, key, clock, 4000)));
      const returned = [];
      for (const store of stores) {
        store.isAway = false;
        returned.push(...(await flood(limiters, key, clock, 250)));
      }
      const afterwards = await flood(limiters, key, clock, 3000);
      await clock.pass(2 * waitMs);
      expect(sum(returned)).toBeLessThanOrEqual(120);
      expect(sum([...passed, ...returned, ...afterwards])).toBeLessThanOrEqual(bound(10_000 + waitMs));
      expect(sum(afterwards)).toBeGreaterThanOrEqual(0.7 * 300);
    },
  );

  test('a process that first hears of the others is not locked by what they spent meanwhile', async () => {
    const clock = fakeClock();
    const near = new SpentRows();
    const stores = Array.from({ length: 4 }, () => new FarStore(clock, { near }));
    const { limiters } = processesOver(stores, clock, 4);
    const key = payer(RATE);
    await flood(limiters, key, clock, 2000);
    for (const store of stores) store.isStopped = true;
    await flood(limiters, key, clock, 20_000);
    for (const store of stores) {
      store.isStopped = false;
      await flood(limiters, key, clock, 600);
    }
    for (const limiter of limiters) expect(limiter.roomFor(key).second?.level).toBeGreaterThanOrEqual(-100);
  });

  test('of the day there is a part of what was left', async () => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 2);
    const key = payer({ perDay: 1000 });
    for (const limiter of limiters) limiter.charge(key, 100, 0);
    await clock.pass(200);
    for (const limiter of limiters) limiter.charge(key, 100, 0);
    await clock.pass(200);
    store.isAway = true;
    for (const limiter of limiters) limiter.charge(key, 1, 0);
    await clock.pass(500);
    for (const limiter of limiters) {
      const { left = 0 } = limiter.roomFor(key).day ?? {};
      expect(left).toBeGreaterThanOrEqual(298);
      expect(left).toBeLessThanOrEqual(350);
    }
  });

  test('an answer that takes over 300 ms counts as none', async () => {
    const clock = fakeClock();
    const { limiters, exchanges, logger } = processesOver(new FarStore(clock, { roundTripMs: 400 }), clock, 1);
    limiters[0]!.charge(payer(RATE), 1, 0);
    await clock.pass(299);
    expect(exchanges[0]!.isAway).toBe(false);
    await clock.pass(2);
    expect(exchanges[0]!.isAway).toBe(true);
    expect(logger.lines[0]?.text).toContain('no answer within 300 ms');
  });

  test('what was not sent is sent afterwards, once', async () => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 1);
    store.isAway = true;
    for (let n = 0; n < 5; n++) {
      limiters[0]!.charge(payer({ perDay: 100 }), 2, 0);
      await clock.pass(1000);
    }
    store.isAway = false;
    await clock.pass(1000);
    expect(store.rows).toMatchObject([{ credits: 10, day: '2027-01-31', instance: 'process0' }]);
  });
});

describe('an exchange', () => {
  test('is not made while nothing is charged', async () => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 1);
    await clock.pass(5000);
    expect(store.exchanges).toBe(0);
    limiters[0]!.charge(payer(RATE), 1, 0);
    await clock.pass(5000);
    expect(store.exchanges).toBe(1);
  });

  test('is made at once where a good part of the burst was spent', async () => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 1);
    const key = payer(RATE);
    limiters[0]!.charge(key, 1, 0);
    await clock.pass(10);
    limiters[0]!.charge(key, 30, 0);
    await clock.pass(10);
    expect(store.exchanges).toBe(1);
    limiters[0]!.charge(key, 30, 0);
    await clock.pass(10);
    expect(store.exchanges).toBe(2);
  });

  test('sends 500 keys at a time, until all are sent, and the rest at close', async () => {
    const clock = fakeClock();
    const sizes: number[] = [];
    const store: LimitStore = {
      exchange(rows) {
        sizes.push(rows.length);
        return Promise.resolve([]);
      },
    };
    const { limiters } = processesOver(store, clock, 1);
    const chargeAll = () => {
      for (let n = 0; n < 1200; n++) limiters[0]!.charge({ ...payer(RATE), apiKey: `key-${String(n)}` }, 1, 0);
    };
    chargeAll();
    await clock.pass(100);
    expect(sizes).toEqual([500, 500, 200]);
    chargeAll();
    await limiters[0]!.close();
    expect(sizes).toEqual([500, 500, 200, 500, 500, 200]);
  });

  test.each([null, [null]])('is none where the store answers %j: that is said once', async (answer) => {
    const clock = fakeClock();
    const store = { exchange: () => Promise.resolve(answer as unknown as readonly SpentRow[]) };
    const { limiters, exchanges, logger } = processesOver(store, clock, 1);
    await flood(limiters, payer(RATE), clock, 3000);
    expect(exchanges[0]!.isAway).toBe(true);
    expect(logger.lines).toHaveLength(1);
  });

  test('that is under way when a process closes is waited for, and made again where it fails', async () => {
    const clock = fakeClock();
    const store = new FarStore(clock);
    const { limiters } = processesOver(store, clock, 2);
    const key = payer(RATE);
    for (const limiter of limiters) limiter.charge(key, 5, 0);
    await clock.pass(1);
    store.isAway = true;
    const closed = limiters.map((limiter) => limiter.close());
    await clock.pass(1.5);
    expect(store.exchanges).toBe(4);
    store.isAway = false;
    await clock.pass(10);
    await Promise.all(closed);
    expect(store.rows).toMatchObject([{ credits: 5 }, { credits: 5 }]);
  });

  test('forgets a process that spent nothing for a day', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 2);
    const key = payer({ perDay: 100 });
    limiters[1]!.charge(key, 1, 0);
    await clock.pass(100);
    const turnTo = jest.spyOn(Meter.prototype, 'turnTo');
    for (let day = 0; day < 3; day++) {
      limiters[0]!.charge(key, 1, 0);
      await clock.pass(DAY_MS);
    }
    const meter = turnTo.mock.contexts.at(-1) as Meter;
    turnTo.mockRestore();
    expect(meter.others?.peers.size).toBe(0);
  });

  test('ignores malformed rows', async () => {
    const clock = fakeClock();
    const row = { apiKey: 'first-key', day: '2027-01-31', at: 0 };
    const rows = [NaN, -5, Infinity, 1e300, 0.5, '7', null, undefined].map((credits, n) => ({
      ...row,
      credits,
      instance: `x${String(n)}`,
    }));
    const store: LimitStore = { exchange: () => Promise.resolve(rows as readonly SpentRow[]) };
    const { limiters } = processesOver(store, clock, 1);
    const key = payer({ ...RATE, perDay: 100 });
    limiters[0]!.charge(key, 1, 0);
    await clock.pass(1000);
    expect(limiters[0]!.roomFor(key)).toMatchObject({ second: { level: 200 }, day: { left: 99 } });
  });

  test('keeps over a jump of the clock what was spent', async () => {
    const clock = fakeClock();
    const { limiters } = processesOver(new FarStore(clock), clock, 2);
    const key = payer({ perDay: 100 });
    for (const hours of [1, -2, 1]) {
      for (const limiter of limiters) limiter.charge(key, 10, 0);
      await clock.pass(200);
      clock.jump((hours * DAY_MS) / 24);
    }
    expect(limiters[0]!.roomFor(key).day?.left).toBe(50);
  });
});
