import { LoginAttempts } from '../../lib/admin/login-attempts';
import type { Outcome } from '../../lib/admin/login-attempts';

/** Attempts with a clock by hand: `waits` has what each try has had to wait so far, in milliseconds. */
function attempts() {
  const waits: number[] = [];
  const sleeping: (() => void)[] = [];
  const clock = { isStopped: false };
  const all = new LoginAttempts((ms) => {
    waits.push(ms);
    return clock.isStopped ? new Promise<void>((resolve) => sleeping.push(resolve)) : Promise.resolve();
  });
  const goOn = () => {
    clock.isStopped = false;
    for (const wake of sleeping) wake();
  };
  return { all, waits, clock, goOn };
}

const right = () => Promise.resolve(true);
const wrong = () => Promise.resolve(false);

describe('Attempts from one address', () => {
  test('wait twice as long after each failure, up to 8 s', async () => {
    const { all, waits } = attempts();
    for (let n = 0; n < 8; n++) expect(await all.inTurn('a', wrong)).toBe(false);
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000]);
  });

  test('no longer wait after a right password', async () => {
    const { all, waits } = attempts();
    for (const isRight of [wrong, wrong, right, wrong, wrong]) await all.inTurn('a', isRight);
    expect(waits).toEqual([250, 500, 250]);
  });

  test('do not wait after one that was given up', async () => {
    const { all, waits } = attempts();
    expect(await all.inTurn('a', () => Promise.resolve(undefined))).toBe(false);
    expect(await all.inTurn('a', right)).toBe(true);
    expect(waits).toEqual([]);
  });

  test('are checked one after the other, five at most', async () => {
    const { all } = attempts();
    let running = 0;
    const most: number[] = [];
    const tries = Array.from({ length: 7 }, () =>
      all.inTurn('a', async () => {
        most.push(++running);
        await Promise.resolve();
        running--;
        return false;
      }),
    );
    expect(await Promise.all(tries)).toEqual([false, false, false, false, false, 'busy', 'busy']);
    expect(most).toEqual([1, 1, 1, 1, 1]);
  });

  test('continue after one that could not be checked', async () => {
    const { all } = attempts();
    const broken = all.inTurn('a', () => Promise.reject(new Error('no memory')));
    const next = all.inTurn('a', right);
    await expect(broken).rejects.toThrow('no memory');
    expect(await next).toBe(true);
  });
});

describe('While the queue of attempts is full', () => {
  /** 20 addresses that have failed twice, each with five more tries that wait, and two addresses more. */
  async function full() {
    const { all, clock, goOn } = attempts();
    const addresses = Array.from({ length: 20 }, (_, n) => `attacker ${String(n)}`);
    for (const address of [...addresses, ...addresses, 'as bad', 'as bad', 'better']) await all.inTurn(address, wrong);
    clock.isStopped = true;
    const outcomes: Outcome[] = [];
    for (const address of addresses) {
      for (let n = 0; n < 5; n++) void all.inTurn(address, wrong).then((outcome) => outcomes.push(outcome));
    }
    return { all, goOn, outcomes };
  }

  test('an address that has not failed gets its turn at once, and pushes nobody out', async () => {
    const { all, outcomes } = await full();
    expect(await all.inTurn('clean', right)).toBe(true);
    expect(outcomes).toEqual([]);
  });

  test('an attempt from an address with fewer failures pushes out one from an address with more', async () => {
    const { all, outcomes, goOn } = await full();
    const better = all.inTurn('better', right);
    await new Promise(setImmediate);
    expect(outcomes).toEqual(['busy']);
    goOn();
    expect(await better).toBe(true);
  });

  test('an attempt from an address with as many failures is refused', async () => {
    const { all, outcomes } = await full();
    expect(await all.inTurn('as bad', right)).toBe('busy');
    expect(outcomes).toEqual([]);
  });

  test('only two are checked at once', async () => {
    const { all } = attempts();
    let running = 0;
    let most = 0;
    const tries = Array.from({ length: 8 }, (_, n) =>
      all.inTurn(String(n), async () => {
        most = Math.max(most, ++running);
        await new Promise(setImmediate);
        running--;
        return true;
      }),
    );
    expect(await Promise.all(tries)).toEqual(Array.from({ length: 8 }, () => true));
    expect(most).toBe(2);
  });
});
