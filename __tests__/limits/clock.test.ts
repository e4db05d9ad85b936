import { systemClock } from '../../lib/limits/clock';

test('tells when a moment was by the wall clock, and notices within a second that it was set', () => {
  const moment = performance.now() + 10_000;
  const set = jest.spyOn(Date, 'now').mockReturnValue(1_000_000);
  expect(systemClock.wallAt(moment)).toBe(1_000_000);
  expect(systemClock.wallAt(moment + 700.5)).toBe(1_000_700);
  set.mockReturnValue(5_000_000);
  expect(systemClock.wallAt(moment + 999)).toBe(1_000_999);
  expect(systemClock.wallAt(moment + 1000)).toBe(5_000_000);
  set.mockRestore();
});
