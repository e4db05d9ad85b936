import * as fc from 'fast-check';
import { Bucket } from '../../lib/limits/bucket';
import { worstExcess } from '../support/worst-excess';

const rates = fc.record({ perSecond: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 2000 }) });

describe('a bucket', () => {
  test('starts full, gains by the second, and never holds more than its burst', () => {
    const bucket = new Bucket();
    const rate = { perSecond: 10, burst: 20 };
    bucket.refill(rate, 5000);
    expect(bucket.level).toBe(20);
    bucket.spend(15);
    bucket.refill(rate, 5500);
    expect(bucket.level).toBe(10);
    bucket.refill(rate, 60_000);
    expect(bucket.level).toBe(20);
  });

  test('lets a charge above its burst pass when it is full, and is in debt until that is paid off', () => {
    const bucket = new Bucket();
    const rate = { perSecond: 10, burst: 20 };
    bucket.refill(rate, 0);
    expect(bucket.waitFor(50, rate)).toBe(0);
    bucket.spend(50);
    expect(bucket.level).toBe(-30);
    expect(bucket.waitFor(1, rate)).toBe(3100);
    expect(bucket.waitFor(50, rate)).toBe(5000);
  });

  test('keeps its level when the limits change, cut to the new burst', () => {
    const bucket = new Bucket();
    bucket.refill({ perSecond: 10, burst: 20 }, 0);
    bucket.spend(8);
    bucket.refill({ perSecond: 10, burst: 5 }, 0);
    expect(bucket.level).toBe(5);
    bucket.refill({ perSecond: 10, burst: 100 }, 100);
    expect(bucket.level).toBe(6);
  });

  test('takes what others spent from its overflow first', () => {
    const bucket = new Bucket();
    const rate = { perSecond: 10, burst: 20 };
    bucket.refill(rate, 0);
    bucket.refill(rate, 3000);
    bucket.subtract(25, 20);
    expect(bucket.level).toBe(20);
    bucket.subtract(25, 20);
    expect(bucket.level).toBe(-5);
  });

  test('gets no more back of its overflow than others know to be there, and loses no more than they spent', () => {
    const rate = { perSecond: 10, burst: 20 };
    const levelAfter = (credits: number, most: number) => {
      const bucket = new Bucket();
      bucket.refill(rate, 0);
      bucket.refill(rate, 3000);
      bucket.subtract(credits, 20, most);
      return bucket.level;
    };
    expect([levelAfter(20, 3), levelAfter(20, -7), levelAfter(5, 3), levelAfter(5, 20)]).toEqual([3, 0, 15, 20]);
  });

  test('gets nothing back of its overflow where others spent less', () => {
    const bucket = new Bucket();
    const rate = { perSecond: 10, burst: 20 };
    bucket.refill(rate, 0);
    bucket.refill(rate, 3000);
    bucket.spend(20);
    bucket.subtract(5, 20);
    expect(bucket.level).toBe(0);
    bucket.subtract(-5, 20);
    expect(bucket.level).toBe(5);
  });

  test('lets no window through more than burst + T × perSecond, for charges up to the burst', () => {
    const charges = fc.array(fc.tuple(fc.nat(700), fc.integer({ min: 1, max: 2000 })), { maxLength: 60 });
    fc.assert(
      fc.property(rates, charges, (rate, tries) => {
        const bucket = new Bucket();
        const passed: { at: number; cost: number }[] = [];
        let now = 0;
        for (const [gap, wanted] of tries) {
          now += gap;
          const cost = Math.min(wanted, rate.burst);
          bucket.refill(rate, now);
          if (bucket.waitFor(cost, rate) > 0) continue;
          bucket.spend(cost);
          passed.push({ at: now, cost });
        }
        expect(worstExcess(passed, rate)).toBeLessThanOrEqual(1e-6);
      }),
    );
  });
});
