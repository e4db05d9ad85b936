import { Counts, classOf } from '../../lib/usage/counts';
import { TopNames } from '../../lib/usage/top-names';

const ROOM = { left: 200_000 };

function shown(names: TopNames): ReadonlyMap<string, number> {
  return new Map([...names.changed()].filter(({ calls }) => calls > 0).map(({ name, calls }) => [name, calls]));
}

/** Always the same numbers from 0 to 1. */
function randomly(): () => number {
  let state = 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

test.each([
  ['origins', 50, 1, 0.01],
  ['origins', 50, 1, 0.1],
  ['origins', 50, 100, 0.01],
  ['origins', 50, 100, 0.1],
  ['methods', 100, 1, 0.01],
  ['methods', 100, 1, 0.1],
  ['methods', 100, 100, 0.01],
  ['methods', 100, 100, 0.1],
])(
  'of %s, %i kept, 200 made-up ones at first, some of them %i times, and a part of %s later hide none of 20 real ones',
  (_, kept, times, hostile) => {
    const names = new TopNames(kept, { ...ROOM });
    const random = randomly();
    const real = Array.from({ length: 20 }, (_, n) => `https://app-${String(n)}.example`);
    let madeUp = 0;
    const count = (name: string) => names.of(name, 'allowed').add(1, 1, 0);
    let first = 0;
    for (; madeUp < 200; madeUp++) {
      // Where one place is left that nobody has earned, whoever comes must be able to earn it.
      const calls = madeUp < kept - 1 ? times : 1;
      for (let n = 0; n < calls; n++) count(`https://made-up-${String(madeUp)}.example`);
      first += calls;
    }
    for (let n = 0; n < 20_000; n++) {
      if (random() < hostile) count(`https://made-up-${String(++madeUp)}.example`);
      else count(real[Math.floor(random() * real.length)]!);
    }
    const counted = shown(names);
    for (const name of real) expect(counted.get(name)).toBeGreaterThan(0.9 * ((20_000 * (1 - hostile)) / 20) * 0.8);
    expect([...counted.values()].reduce((sum, calls) => sum + calls, 0)).toBe(20_000 + first);
  },
);

test.each(['allowed', 'METHOD_NOT_ALLOWED'])('made-up names take the room of a hundred, %s', (outcome) => {
  const names = new TopNames(100, { ...ROOM });
  for (let n = 0; n < 30_000; n++) names.of(`name-${String(n)}`, outcome).add(1, 0, 0);
  expect(names.size).toBe(101);
  expect([...names.changed()].reduce((sum, { calls }) => sum + calls, 0)).toBe(30_000);
});

test('names refused for one reason or another share one limit', () => {
  const names = new TopNames(10, { ...ROOM });
  const outcomes = ['METHOD_NOT_ALLOWED', 'ORIGIN_NOT_ALLOWED', 'METHOD_BLOCKED'];
  for (let n = 0; n < 300; n++) names.of(`name-${String(n)}`, outcomes[n % 3]!).add(1, 0, 0);
  expect(names.size).toBe(10 + outcomes.length);
  expect([...names.changed()].reduce((sum, { calls }) => sum + calls, 0)).toBe(300);
});

test('what was refused does not push out what was allowed', () => {
  const names = new TopNames(2, { ...ROOM });
  names.of('real', 'allowed').add(1, 0, 0);
  for (let n = 0; n < 10; n++) names.of(`made-up-${String(n)}`, 'METHOD_NOT_ALLOWED').add(1, 0, 0);
  expect(shown(names).get('real')).toBe(1);
});

test('a displaced name is reported as gone once, unless it comes back', () => {
  const names = new TopNames(1, { ...ROOM });
  const tell = () => {
    const told = [...names.changed()].map((counts) => {
      counts.told = counts.calls;
      return counts;
    });
    return told.map((counts) => {
      if (counts.calls === 0) names.forget(counts);
      return `${counts.name} ${String(counts.calls)}`;
    });
  };
  names.of('a', 'allowed').add(1, 0, 0);
  expect(tell()).toEqual(['a 1']);
  names.of('b', 'allowed').add(1, 0, 0);
  expect(tell().sort()).toEqual(['(other) 1', 'a 0', 'b 1']);
  expect(tell()).toEqual([]);
  names.of('a', 'allowed').add(1, 0, 0);
  names.of('b', 'allowed').add(5, 0, 0);
  expect(tell().sort()).toEqual(['(other) 3', 'b 5']);
});

test('without a row left, new names are counted as others', () => {
  const names = new TopNames(50, { left: 1 });
  for (const name of ['a', 'b', 'c']) names.of(name, 'allowed').add(1, 0, 0);
  expect([...shown(names)]).toEqual([
    ['a', 1],
    ['(other)', 2],
  ]);
});

test.each(['allowed', 'METHOD_NOT_ALLOWED'])(
  'what comes as (other) shares a row with what made room: %s',
  (outcome) => {
    const names = new TopNames(1, { ...ROOM });
    for (const name of ['(other)', 'a', 'b', '(other)']) names.of(name, outcome).add(1, 0, 0);
    expect([...names.changed()].map(({ name, calls }) => [name, calls])).toEqual([
      ['b', 1],
      ['(other)', 3],
    ]);
  },
);

test('a histogram puts each time into its class', () => {
  const counts = new Counts('', 'allowed');
  for (const milliseconds of [0, 1, 1.1, 2, 30_000, 30_001]) counts.addTime(classOf(milliseconds));
  expect(counts.milliseconds).toEqual([2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
});
