import * as fc from 'fast-check';
import { Limiter } from '../../lib/limits/limiter';
import type { Delay, Denial, Payer } from '../../lib/limits/limiter';
import { compileLimits } from '../../lib/settings/compile';
import type { KeyLimits, Limits } from '../../lib/settings/limits';
import { SettingsCache } from '../../lib/stores/settings-cache';
import { fakeClock } from '../support/fake-clock';
import type { FakeClock } from '../support/fake-clock';
import { recordingLogger } from '../support/pieces';
import { worstExcess } from '../support/worst-excess';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

function payer(limits?: KeyLimits, secret?: Limits, caller = '192.0.2.1'): Payer {
  const ofSecret = secret && { id: 'server', limits: compileLimits(secret) };
  return { apiKey: 'first-key', limits: compileLimits(limits), secret: ofSecret, caller };
}

function limiterWith(waitMs = 0, clock: FakeClock = fakeClock()): { limiter: Limiter; clock: FakeClock } {
  return { limiter: new Limiter({ waitMs, clock, exchange: undefined }), clock };
}

function isDelay(outcome: Denial | Delay | undefined): outcome is Delay {
  return outcome !== undefined && 'outcome' in outcome;
}

/** How many charges of `cost` pass at once. */
function passing(limiter: Limiter, whose: Payer, cost = 1, tries = 1000): number {
  let passed = 0;
  while (passed < tries && limiter.charge(whose, cost, 0) === undefined) passed++;
  return passed;
}

describe('a charge', () => {
  test('passes while there is room, then is refused with the time until there is', async () => {
    const { limiter, clock } = limiterWith();
    const key = payer({ perSecond: 10 });
    expect(passing(limiter, key)).toBe(20);
    expect(limiter.charge(key, 1, 0)).toEqual({ limit: 'second', retryAfterMs: 100 });
    await clock.pass(100);
    expect(passing(limiter, key)).toBe(1);
  });

  test('of nothing passes even in debt', () => {
    const { limiter } = limiterWith();
    const key = payer({ perSecond: 1, burst: 1, perDay: 5 });
    expect(limiter.charge(key, 5, 0)).toBeUndefined();
    expect(limiter.charge(key, 1, 0)).toMatchObject({ limit: 'day' });
    expect(limiter.charge(key, 0, 0)).toBeUndefined();
  });

  test('above the burst passes when the bucket is full, and is paid off', async () => {
    const { limiter, clock } = limiterWith();
    const key = payer({ perSecond: 10, burst: 10 });
    expect(limiter.charge(key, 35, 0)).toBeUndefined();
    expect(limiter.charge(key, 1, 0)).toEqual({ limit: 'second', retryAfterMs: 2600 });
    await clock.pass(2600);
    expect(passing(limiter, key)).toBe(1);
  });

  test.each<[string, KeyLimits, Limits | undefined]>([
    ['the key', { perSecond: 2, burst: 2 }, { perSecond: 100 }],
    ['the secret', { perSecond: 100 }, { perSecond: 2, burst: 2 }],
    ['the caller’s address', { perSecond: 100, perAddress: { perSecond: 2, burst: 2 } }, { perSecond: 100 }],
    ['the key’s day', { perSecond: 100, perDay: 2 }, { perSecond: 100 }],
    ['the secret’s day', { perSecond: 100 }, { perSecond: 100, perDay: 2 }],
  ])('that %s has no room for is charged to none of them', (_tight, limits, secret) => {
    const { limiter } = limiterWith();
    const whose = payer(limits, secret);
    expect(passing(limiter, whose)).toBe(2);
    const before = limiter.roomFor(whose);
    for (let n = 0; n < 5; n++) expect(limiter.charge(whose, 1, 0)).toBeDefined();
    expect(limiter.roomFor(whose)).toEqual(before);
  });

  test('of one address leaves the others their room', () => {
    const { limiter } = limiterWith();
    const limits = { perSecond: 100, burst: 100, perAddress: { perSecond: 5 } };
    expect(passing(limiter, payer(limits, undefined, 'a'))).toBe(10);
    expect(passing(limiter, payer(limits, undefined, 'b'))).toBe(10);
  });

  test('of a key with perAddress alone counts nothing else', () => {
    const { limiter } = limiterWith();
    const whose = payer({ perAddress: { perSecond: 1, burst: 3 } });
    expect(passing(limiter, whose)).toBe(3);
    expect(limiter.roomFor(whose)).toEqual({ second: undefined, day: undefined });
  });

  test('of a rotated secret begins a fresh count', () => {
    const { limiter } = limiterWith();
    const secret = compileLimits({ perDay: 3 });
    const of = (id: string): Payer => ({ ...payer(), secret: { id, limits: secret } });
    expect(passing(limiter, of('old'))).toBe(3);
    expect(passing(limiter, of('new'))).toBe(3);
  });

  test('keeps level and day when the limits change', () => {
    const { limiter } = limiterWith();
    expect(passing(limiter, payer({ perSecond: 5, burst: 10, perDay: 100 }), 1, 6)).toBe(6);
    expect(limiter.roomFor(payer({ perSecond: 5, burst: 3, perDay: 50 }))).toMatchObject({
      second: { level: 3 },
      day: { limit: 50, left: 44 },
    });
    expect(passing(limiter, payer({ perDay: 8 }))).toBe(2);
  });

  test('goes on where it was when the settings have left their cache and are read again', async () => {
    const { limiter } = limiterWith();
    const limits = { perSecond: 5, burst: 10, perDay: 100 };
    const store = { get: (apiKey: string) => Promise.resolve({ apiKey, limits }) };
    const cache = new SettingsCache(store, { staleIfErrorMs: 0, logger: recordingLogger(), max: 20 });
    const seen = new Set<unknown>();
    for (let turn = 1; turn <= 3; turn++) {
      for (let n = 0; n < 100; n++) {
        const apiKey = `key-number-${String(n)}`;
        const found = await cache.get(apiKey);
        if (typeof found === 'string') throw new Error('it is not there');
        seen.add(found.limits);
        const whose = { apiKey, limits: found.limits, secret: undefined, caller: '' };
        expect(limiter.charge(whose, 3, 0)).toBeUndefined();
        expect(limiter.roomFor(whose)).toMatchObject({
          second: { level: 10 - 3 * turn },
          day: { left: 100 - 3 * turn },
        });
      }
    }
    expect(seen.size).toBe(300);
    await cache.close();
  });

  test('is paid off while a key has no limits, not forgotten', async () => {
    const { limiter, clock } = limiterWith();
    const limits = { perSecond: 10, burst: 10, perDay: 100 };
    expect(limiter.charge(payer(limits), 35, 0)).toBeUndefined();
    expect(passing(limiter, payer())).toBe(1000);
    await clock.pass(1000);
    expect(limiter.roomFor(payer(limits))).toMatchObject({ second: { level: -15 }, day: { left: 65 } });
  });

  test('lets no window of any of its limits through more than burst + T × perSecond', async () => {
    const rate = fc.record({ perSecond: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 1, max: 60 }) });
    const tries = fc.array(
      fc.record({
        gap: fc.nat(400),
        cost: fc.integer({ min: 1, max: 20 }),
        caller: fc.nat(2),
        leaves: fc.nat(5),
        jump: fc.constantFrom(0, 0, 0, HOUR_MS, -HOUR_MS),
      }),
      { minLength: 1, maxLength: 50 },
    );
    await fc.assert(
      fc.asyncProperty(rate, rate, rate, fc.nat(2000), tries, async (ofKey, ofSecret, ofAddress, waitMs, requests) => {
        const { limiter, clock } = limiterWith(waitMs, fakeClock(Date.parse('2027-01-31T23:30:00Z')));
        const smallest = Math.min(ofKey.burst, ofSecret.burst, ofAddress.burst);
        const passed: { at: number; cost: number; caller: number }[] = [];
        for (const { gap, cost: wanted, caller, leaves, jump } of requests) {
          await clock.pass(gap);
          clock.jump(jump);
          const cost = Math.min(wanted, smallest);
          const outcome = limiter.charge(payer({ ...ofKey, perAddress: ofAddress }, ofSecret, String(caller)), cost, 0);
          if (outcome === undefined) passed.push({ at: clock.now(), cost, caller });
          if (!isDelay(outcome)) continue;
          void outcome.outcome.then((denial) => {
            if (denial === undefined) passed.push({ at: clock.now(), cost, caller });
          });
          if (leaves === 0) outcome.leave();
        }
        await clock.pass(10_000);
        expect(worstExcess(passed, ofKey)).toBeLessThanOrEqual(1e-6);
        expect(worstExcess(passed, ofSecret)).toBeLessThanOrEqual(1e-6);
        for (const one of [0, 1, 2]) {
          const ofOne = passed.filter(({ caller }) => caller === one);
          expect(worstExcess(ofOne, ofAddress)).toBeLessThanOrEqual(1e-6);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('above the burst is debt: until it is paid off nothing passes but what is free', async () => {
    const rate = fc.record({ perSecond: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 1, max: 60 }) });
    const tries = fc.array(fc.tuple(fc.nat(3000), fc.integer({ min: 1, max: 200 })), { minLength: 1, maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(rate, fc.nat(2000), tries, async (ofKey, waitMs, requests) => {
        const { limiter, clock } = limiterWith(waitMs);
        const passed: { at: number; cost: number }[] = [];
        const note = (cost: number) => passed.push({ at: clock.now(), cost });
        for (const [gap, cost] of requests) {
          await clock.pass(gap);
          const outcome = limiter.charge(payer(ofKey), cost, 0);
          if (outcome === undefined) note(cost);
          else if (isDelay(outcome)) void outcome.outcome.then((denial) => denial ?? note(cost));
          expect(limiter.charge(payer(ofKey), 0, 0)).toBeUndefined();
        }
        await clock.pass(10_000);
        for (const [n, { at, cost }] of passed.entries()) {
          let sum = Math.min(cost, ofKey.burst);
          for (const before of passed.slice(0, n).reverse()) {
            sum += before.cost;
            const most = ofKey.burst + ((at - before.at) * ofKey.perSecond) / 1000;
            expect(sum - most).toBeLessThanOrEqual(1e-6);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('that is refused, or leaves, or is given back, leaves no trace on key, secret, address and day', async () => {
    const limits = fc.record({
      perSecond: fc.integer({ min: 1, max: 50 }),
      burst: fc.integer({ min: 1, max: 60 }),
      perDay: fc.integer({ min: 20, max: 300 }),
    });
    const tries = fc.array(
      fc.record({ gap: fc.nat(400), cost: fc.integer({ min: 1, max: 30 }), caller: fc.nat(2), isUndone: fc.nat(3) }),
      { minLength: 1, maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(limits, limits, limits, tries, async (ofKey, ofSecret, { perSecond, burst }, requests) => {
        const { limiter, clock } = limiterWith(1000);
        const { limiter: spared } = limiterWith(1000, clock);
        const whose = (caller: number) =>
          payer({ ...ofKey, perAddress: { perSecond, burst } }, ofSecret, `192.0.2.${String(caller)}`);
        const of = (it: Limiter) => (caller: number) => [it.roomFor(whose(caller)), it.refusesUnread(whose(caller))];
        for (const { gap, cost: wanted, caller, isUndone } of requests) {
          await clock.pass(gap);
          const cost = Math.min(wanted, ofKey.burst, ofSecret.burst, burst);
          const outcome = limiter.charge(whose(caller), cost, 0);
          if (isDelay(outcome)) {
            outcome.leave();
            outcome.leave();
          } else if (outcome === undefined && isUndone === 0) limiter.giveBack(whose(caller), cost);
          else if (outcome === undefined) expect(spared.charge(whose(caller), cost, 0)).toBeUndefined();
          expect([0, 1, 2].map(of(limiter))).toEqual([0, 1, 2].map(of(spared)));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('never waits where limitWaitMs is 0, however short it would be', () => {
    const { limiter } = limiterWith(0);
    const key = payer({ perSecond: 1_000_000_000, burst: 1 });
    expect(limiter.charge(key, 1, 0)).toBeUndefined();
    expect(limiter.charge(key, 1, 0)).toEqual({ limit: 'second', retryAfterMs: 1e-6 });
  });
});

describe('a charge that waits', () => {
  const KEY = payer({ perSecond: 10, burst: 1 });

  async function order(
    waits: readonly (Denial | Delay | undefined)[],
    clock: FakeClock,
  ): Promise<(number | string)[][]> {
    const ends: (number | string)[][] = [];
    waits.forEach((wait, n) => {
      if (isDelay(wait)) void wait.outcome.then((denial) => ends.push([n, clock.now(), denial?.limit ?? 'passed']));
    });
    await clock.pass(10_000);
    return ends;
  }

  test('passes in the order of arrival, as soon as there is room', async () => {
    const { limiter, clock } = limiterWith(1000);
    const started = clock.now();
    const outcomes = Array.from({ length: 13 }, () => limiter.charge(KEY, 1, 0));
    expect(outcomes[0]).toBeUndefined();
    expect(outcomes.slice(11)).toEqual([
      { limit: 'second', retryAfterMs: 1100 },
      { limit: 'second', retryAfterMs: 1100 },
    ]);
    expect(await order(outcomes, clock)).toEqual(
      Array.from({ length: 10 }, (_, n) => [n + 1, started + (n + 1) * 100, 'passed']),
    );
  });

  test('is counted on its day at once, and given back when the caller leaves', async () => {
    const { limiter, clock } = limiterWith(1000);
    const whose = payer({ perSecond: 1, burst: 1, perDay: 2 });
    expect(limiter.charge(whose, 1, 0)).toBeUndefined();
    const waiting = limiter.charge(whose, 1, 0);
    expect(limiter.roomFor(whose).day?.left).toBe(0);
    expect(isDelay(waiting)).toBe(true);
    if (isDelay(waiting)) waiting.leave();
    expect(limiter.roomFor(whose).day?.left).toBe(1);
    await clock.pass(1000);
    expect(passing(limiter, whose)).toBe(1);
  });

  test('is not given back above a burst: a caller that leaves cannot keep others out for free', async () => {
    const { limiter, clock } = limiterWith(1000);
    const whose = payer({ perSecond: 100, perDay: 10_000, perAddress: { perSecond: 5, burst: 10 } });
    expect(limiter.charge(whose, 5, 0)).toBeUndefined();
    const waiting = limiter.charge(whose, 5000, 0);
    if (!isDelay(waiting)) throw new Error('it does not wait');
    waiting.leave();
    await clock.pass(1000);
    expect(await waiting.outcome).toBeUndefined();
    expect(limiter.roomFor(whose).day?.left).toBe(4995);
    expect(limiter.charge(whose, 1, 0)).toEqual({ limit: 'address', retryAfterMs: 998_200 });
  });

  test('goes by limits that have changed since it came', async () => {
    const { limiter, clock } = limiterWith(5000);
    expect(limiter.charge(payer({ perSecond: 1, burst: 5 }), 5, 0)).toBeUndefined();
    const waiting = limiter.charge(payer({ perSecond: 1, burst: 5 }), 2, 0);
    await clock.pass(500);
    const changed = payer({ perSecond: 1, burst: 1 });
    expect(limiter.roomFor(changed).second?.level).toBe(-1.5);
    await clock.pass(1500);
    expect(isDelay(waiting) && (await waiting.outcome)).toBeUndefined();
    // There was 1 in the bucket at most.
    expect(limiter.roomFor(changed).second?.level).toBe(-1);
  });

  test('is not overtaken by a smaller one when limits tighten', async () => {
    const { limiter, clock } = limiterWith(1000);
    const whose = payer({ perSecond: 10, burst: 10 });
    const outcomes = [10, 5, 1].map((cost) => limiter.charge(whose, cost, 0));
    limiter.roomFor(payer({ perSecond: 8, burst: 10 }));
    expect((await order(outcomes, clock)).map(([n, , how]) => [n, how])).toEqual([
      [1, 'passed'],
      [2, 'passed'],
    ]);
  });

  test('is overtaken by none that came later to the same bucket, whatever leaves or changes meanwhile', async () => {
    const step = fc.record({
      gap: fc.nat(60),
      cost: fc.integer({ min: 1, max: 8 }),
      leaves: fc.option(fc.nat(20), { freq: 3 }),
      perSecond: fc.constantFrom(5, 20, 20, 60),
      burst: fc.constantFrom(3, 10, 10),
      caller: fc.nat(1),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.boolean(), async (steps, isByAddress) => {
        const { limiter, clock } = limiterWith(2000);
        const perAddress = isByAddress ? { perSecond: 10, burst: 8 } : undefined;
        const delays: Delay[] = [];
        const passed: { n: number; caller: number }[] = [];
        for (const [n, { gap, cost, leaves, perSecond, burst, caller }] of steps.entries()) {
          await clock.pass(gap);
          const outcome = limiter.charge(payer({ perSecond, burst, perAddress }, undefined, String(caller)), cost, 0);
          if (outcome === undefined) passed.push({ n, caller });
          if (isDelay(outcome)) {
            delays.push(outcome);
            void outcome.outcome.then((denial) => denial ?? passed.push({ n, caller }));
          }
          if (leaves !== null) delays.at(-1 - leaves)?.leave();
        }
        await clock.pass(20_000);
        for (const one of isByAddress ? [0, 1] : [undefined]) {
          const turns = passed.filter(({ caller }) => one === undefined || caller === one).map(({ n }) => n);
          expect(turns).toEqual([...turns].sort((a, b) => a - b));
        }
      }),
      { numRuns: 100 },
    );
  });

  test('makes room when it leaves: first for those that wait', async () => {
    const { limiter, clock } = limiterWith(1000);
    const started = clock.now();
    const outcomes = Array.from({ length: 4 }, () => limiter.charge(KEY, 1, 0));
    const first = outcomes[1];
    if (isDelay(first)) first.leave();
    outcomes.push(limiter.charge(KEY, 1, 0));
    expect(await order(outcomes, clock)).toEqual([
      [1, started, 'second'],
      [2, started + 100, 'passed'],
      [3, started + 200, 'passed'],
      [4, started + 300, 'passed'],
    ]);
  });

  test('moves up when calls that were charged are not sent after all', async () => {
    const { limiter, clock } = limiterWith(1000);
    const started = clock.now();
    const whose = payer({ perSecond: 10, burst: 10 });
    const outcomes = [10, 8, 1].map((cost) => limiter.charge(whose, cost, 0));
    limiter.giveBack(whose, 9);
    outcomes.push(limiter.charge(whose, 1, 0));
    const ends = await order(outcomes, clock);
    expect(ends.map(([n]) => n)).toEqual([1, 2, 3]);
    expect(ends[1]![1]).toBeLessThanOrEqual(started + 2);
  });

  test('is not held up by another address that waits', async () => {
    const { limiter, clock } = limiterWith(1000);
    const limits = { perSecond: 100, perAddress: { perSecond: 2, burst: 1 } };
    expect(limiter.charge(payer(limits, undefined, 'a'), 1, 0)).toBeUndefined();
    expect(isDelay(limiter.charge(payer(limits, undefined, 'a'), 1, 0))).toBe(true);
    expect(limiter.charge(payer(limits, undefined, 'b'), 1, 0)).toBeUndefined();
    await clock.pass(1000);
  });

  test('for room of its address keeps none of a small bucket from others', async () => {
    const { limiter, clock } = limiterWith(1000);
    const limits = { perSecond: 10, burst: 2, perAddress: { perSecond: 2, burst: 2 } };
    expect(limiter.charge(payer(limits, undefined, 'a'), 2, 0)).toBeUndefined();
    await clock.pass(300);
    const started = clock.now();
    const outcomes = [limiter.charge(payer(limits, undefined, 'a'), 2, 0)];
    outcomes.push(limiter.charge(payer(limits, undefined, 'b'), 1, 0));
    expect(await order(outcomes, clock)).toEqual([
      [1, started + 100, 'passed'],
      [0, started + 700, 'passed'],
    ]);
  });

  test('is refused where 10,000 wait already, or 16 MiB', () => {
    const many = limiterWith(5000).limiter;
    const key = payer({ perSecond: 1_000_000, burst: 1 });
    const waiting = Array.from({ length: 10_002 }, () => many.charge(key, 1, 0)).filter(isDelay);
    expect(waiting).toHaveLength(10_000);
    const large = limiterWith(5000).limiter;
    const heavy = Array.from({ length: 20 }, () => large.charge(key, 1, 1024 * 1024)).filter(isDelay);
    expect(heavy).toHaveLength(16);
    heavy[0]?.leave();
    expect(isDelay(large.charge(key, 1, 1024 * 1024))).toBe(true);
  });

  test.each([
    ['an hour ahead', '2027-01-31T12:00:00Z', HOUR_MS],
    ['an hour back', '2027-01-31T12:00:00Z', -HOUR_MS],
    ['over midnight', '2027-01-31T23:30:00Z', HOUR_MS],
    ['back over midnight', '2027-02-01T00:30:00Z', -HOUR_MS],
    ['by 400 days', '2027-01-31T12:00:00Z', 400 * DAY_MS],
  ])('goes when it would have gone, and costs its day what it costs, though the clock is set %s', async (_, at, by) => {
    const { limiter, clock } = limiterWith(1000, fakeClock(Date.parse(at)));
    const whose = payer({ perSecond: 10, burst: 1, perDay: 100 });
    const started = clock.now();
    const outcomes = Array.from({ length: 8 }, () => limiter.charge(whose, 1, 0));
    await clock.pass(50);
    clock.jump(by);
    outcomes.push(limiter.charge(whose, 1, 0));
    const leaving = outcomes[6];
    if (isDelay(leaving)) leaving.leave();
    const ends = await order(outcomes, clock);
    expect(ends).toEqual([
      [6, started + 50, 'second'],
      ...[1, 2, 3, 4, 5, 7, 8].map((n, place) => [n, started + (place + 1) * 100, 'passed']),
    ]);
    const isNewDay = Math.floor(Date.parse(at) / DAY_MS) < Math.floor((Date.parse(at) + by) / DAY_MS);
    expect(limiter.roomFor(whose).day?.left).toBe(isNewDay ? 99 : 92);
  });

  test('goes on where the limits are taken away meanwhile, and holds up none that have none', async () => {
    const { limiter, clock } = limiterWith(1000);
    const started = clock.now();
    const outcomes = [limiter.charge(KEY, 1, 0), limiter.charge(KEY, 1, 0)];
    for (const left of [undefined, { perDay: 5 }]) expect(limiter.charge(payer(left), 1, 0)).toBeUndefined();
    expect(await order(outcomes, clock)).toEqual([[1, started + 100, 'passed']]);
  });

  test('goes earlier where the limits widen and another comes', async () => {
    const { limiter, clock } = limiterWith(5000);
    const slow = payer({ perSecond: 1, burst: 1 });
    const outcomes = [1, 1, 1].map((cost) => limiter.charge(slow, cost, 0));
    outcomes.push(limiter.charge(payer({ perSecond: 100, burst: 1 }), 1, 0));
    const ends = await order(outcomes, clock);
    expect(ends.map(([n, , how]) => [n, how])).toEqual([1, 2, 3].map((n) => [n, 'passed']));
    expect(ends[2]![1]).toBeLessThanOrEqual(1000 + 50);
  });

  test('comes to its end also where it came when the guard was closed', async () => {
    const { limiter, clock } = limiterWith(1000);
    limiter.charge(KEY, 1, 0);
    limiter.charge(KEY, 1, 0);
    await limiter.close();
    const started = clock.now();
    await clock.pass(50);
    const late = Array.from({ length: 2 }, () => limiter.charge(KEY, 1, 0));
    expect(await order(late, clock)).toEqual([
      [0, started + 100, 'passed'],
      [1, started + 200, 'passed'],
    ]);
  });

  test('is refused when the guard closes', async () => {
    const { limiter } = limiterWith(1000);
    limiter.charge(KEY, 1, 0);
    const waiting = limiter.charge(KEY, 1, 0);
    await limiter.close();
    expect(isDelay(waiting) && (await waiting.outcome)).toMatchObject({ limit: 'second' });
  });
});

describe('the day', () => {
  const KEY = payer({ perDay: 3 });

  test('begins at midnight in UTC', async () => {
    const { limiter, clock } = limiterWith(0, fakeClock(Date.parse('2027-01-31T23:59:59.000Z')));
    expect(passing(limiter, KEY)).toBe(3);
    expect(limiter.roomFor(KEY).day).toEqual({ limit: 3, left: 0, endsInMs: 1000 });
    await clock.pass(999);
    expect(limiter.charge(KEY, 1, 0)).toEqual({ limit: 'day', day: Date.parse('2027-01-31') / DAY_MS });
    await clock.pass(1);
    expect(passing(limiter, KEY)).toBe(3);
  });

  test('refuses what does not fit as a whole, and lets pass what fits', () => {
    const { limiter } = limiterWith();
    expect(limiter.charge(KEY, 4, 0)).toMatchObject({ limit: 'day' });
    expect(limiter.charge(KEY, 3, 0)).toBeUndefined();
  });

  test('is asked before the bucket', () => {
    const { limiter } = limiterWith();
    const key = payer({ perSecond: 1, burst: 1, perDay: 1 });
    expect(passing(limiter, key)).toBe(1);
    expect(limiter.charge(key, 1, 0)).toMatchObject({ limit: 'day' });
  });

  test('gives nothing twice when the clock goes back over midnight, and takes nothing away', async () => {
    const { limiter, clock } = limiterWith(0, fakeClock(Date.parse('2027-01-31T23:30:00Z')));
    expect(passing(limiter, KEY)).toBe(3);
    clock.jump(60 * 60 * 1000); // 00:30 of the next day
    expect(passing(limiter, KEY, 1, 2)).toBe(2);
    clock.jump(-60 * 60 * 1000); // 23:30 of the day before: neither that day's count nor a fresh one
    expect(passing(limiter, KEY)).toBe(1);
    await clock.pass(30 * 60 * 1000); // midnight once more
    expect(passing(limiter, KEY)).toBe(0);
    await clock.pass(DAY_MS);
    expect(passing(limiter, KEY)).toBe(3);
  });

  test('does not stay in a future day that a wrong clock began', () => {
    const { limiter, clock } = limiterWith();
    clock.jump(400 * DAY_MS);
    expect(passing(limiter, KEY)).toBe(3);
    clock.jump(-400 * DAY_MS);
    expect(passing(limiter, KEY)).toBe(3);
    expect(passing(limiter, KEY)).toBe(0);
    clock.jump(DAY_MS);
    expect(passing(limiter, KEY)).toBe(3);
  });
});

test('the wall clock does not move a bucket', () => {
  const { limiter, clock } = limiterWith();
  const key = payer({ perSecond: 10 });
  expect(passing(limiter, key)).toBe(20);
  for (const hours of [1, -2, 1]) {
    clock.jump(hours * 60 * 60 * 1000);
    expect(passing(limiter, key)).toBe(0);
  }
});

test('a process that stalled for 5 s lets one burst through, not what it missed', async () => {
  const { limiter, clock } = limiterWith();
  const key = payer({ perSecond: 10, burst: 20 });
  expect(passing(limiter, key)).toBe(20);
  await clock.pass(5000);
  expect(passing(limiter, key)).toBe(20);
});

test('a body that must cost something is refused unread when the bucket or the day is used up', async () => {
  const { limiter, clock } = limiterWith(1000);
  const key = payer({ perSecond: 2, burst: 4, perDay: 6 });
  expect(limiter.refusesUnread(key)).toBeUndefined();
  expect(passing(limiter, key, 4, 1)).toBe(1);
  expect(limiter.refusesUnread(key)).toEqual({ limit: 'second', retryAfterMs: 500 });
  await clock.pass(1000);
  expect(limiter.refusesUnread(key)).toBeUndefined();
  expect(passing(limiter, key, 2, 1)).toBe(1);
  expect(limiter.refusesUnread(key)).toMatchObject({ limit: 'day' });
});

test('a key that is not charged for two days is forgotten, the others are not', async () => {
  const { limiter, clock } = limiterWith();
  const busy = { ...payer({ perSecond: 1, burst: 10 }), apiKey: 'busy-key' };
  const idle = payer({ perSecond: 1, burst: 10 });
  limiter.charge(idle, 10, 0);
  for (let day = 0; day < 3; day++) {
    limiter.charge(busy, 1, 0);
    await clock.pass(DAY_MS);
  }
  limiter.charge(busy, 1, 0);
  expect(limiter.size).toBe(1);
});
