import { systemClock } from '../../lib/limits/clock';
import type { Clock } from '../../lib/limits/clock';
import { endAfterTest } from './cleanup';

export interface FakeClock extends Clock {
  /** Lets time pass: what is due on the way is done at its time, and what follows of it. */
  pass(milliseconds: number): Promise<void>;
  /** Puts the wall clock forward, or back. */
  jump(milliseconds: number): void;
}

/** A clock that stands still until it is told to go on. */
export function fakeClock(wallAt = Date.parse('2027-01-31T12:00:00Z')): FakeClock {
  let now = 1000;
  let offset = wallAt - now;
  const timers = new Set<{ readonly at: number; readonly work: () => void }>();
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
  };
  return {
    now: () => now,
    wall: () => now + offset,
    wallAt: () => now + offset,
    after(milliseconds, work) {
      const timer = { at: now + milliseconds, work };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async pass(milliseconds) {
      const end = now + milliseconds;
      await settled();
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        const next = due[0];
        if (next === undefined) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.work();
        await settled();
      }
      now = end;
    },
    jump(milliseconds) {
      offset += milliseconds;
    },
  };
}

/** Stops the clock that every guard's limits go by, for this test. */
export function stopLimitsClock(wallAt?: number): FakeClock {
  const clock = fakeClock(wallAt);
  const spies = [
    jest.spyOn(systemClock, 'now').mockImplementation(() => clock.now()),
    jest.spyOn(systemClock, 'wall').mockImplementation(() => clock.wall()),
    jest.spyOn(systemClock, 'wallAt').mockImplementation((moment) => clock.wallAt(moment)),
    jest.spyOn(systemClock, 'after').mockImplementation((milliseconds, work) => clock.after(milliseconds, work)),
  ];
  endAfterTest(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return clock;
}
