import { changedLimits, limitWords, parseAmount, useWords } from '../../lib/cli/limit-options';

describe('an amount', () => {
  test.each<[string, unknown]>([
    ['50', 50],
    ['10k', 10_000],
    ['1m', 1_000_000],
    ['1M', 1_000_000],
    ['none', 'none'],
    ['1000000000', 1_000_000_000],
  ])('%s is %p', (text, expected) => {
    expect(parseAmount(text)).toBe(expected);
  });

  test.each(['0', '-1', '1.5', '1g', 'None', '', '2000m', '5 k'])('%j is none', (text) => {
    expect(() => parseAmount(text)).toThrow('such as 50, 10k or 1m');
  });
});

test('what is given is changed, and the rest stays', () => {
  const before = { perSecond: 5, burst: 20, perDay: 100 };
  expect(changedLimits(before, { perSecond: 7 })).toEqual({ perSecond: 7, burst: 20, perDay: 100 });
  expect(changedLimits(before, { burst: 'none', perAddress: 2 })).toEqual({
    perSecond: 5,
    perDay: 100,
    perAddress: { perSecond: 2 },
  });
  expect(changedLimits(before, { perSecond: 'none' })).toEqual({ perDay: 100 });
  expect(changedLimits({ perDay: 1 }, { perDay: 'none' })).toBeNull();
  expect(changedLimits(undefined, { perDay: 9 })).toEqual({ perDay: 9 });
});

test('limits and their use are put into words', () => {
  expect(limitWords({})).toBe('none');
  expect(limitWords({ limits: { perSecond: 50, perDay: 1_000_000, perAddress: { perSecond: 5 } } })).toBe(
    '50 a second, burst 100; 1,000,000 a day; 5 a second by address',
  );
  const second = { limit: 50, burst: 100, level: 57 };
  const day = { limit: 20_000, used: 196, resetAt: '2027-02-01T00:00:00.000Z' };
  expect(useWords({ second, day, instances: 1 })).toBe('57 of 100 left now; 196 of 20,000 used today');
  expect(useWords({ second: { ...second, level: undefined }, instances: 0 })).toBe('');
});
