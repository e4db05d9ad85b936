import { userAgents } from '../../lib/allowlists/user-agents';
import { factsOf } from '../support/pieces';

const CHROME =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36';

function matches(entries: readonly string[], userAgent: string | undefined): boolean {
  const value = userAgents.reads(factsOf({ userAgent }));
  return value !== undefined && userAgents.compile(entries)(value);
}

test.each(['Android', 'Android 14; Pixel', 'Mozilla/5.0', 'Safari/537.36', CHROME, 'M', ' (', ')'])(
  'the entry %j matches where it occurs in the header',
  (entry) => {
    expect(matches([entry], CHROME)).toBe(true);
  },
);

test.each([
  'android',
  'ANDROID',
  'Andro1d',
  'Android  14',
  'Safari/537.36 ',
  '.*',
  'Mozilla?5',
  'iPhone',
  `${CHROME}x`,
  '*',
])('the entry %j does not match where it does not occur, case and all', (entry) => {
  expect(matches([entry], CHROME)).toBe(false);
});

test('one entry of several is enough', () => {
  expect(matches(['iPhone', 'Android'], CHROME)).toBe(true);
  expect(matches(['iPhone', 'iPad'], CHROME)).toBe(false);
});

test('what matched before decides nothing', () => {
  const compiled = userAgents.compile(['Android', 'ethers']);
  const asked = ['Linux; Android 15', 'ethers/6.13.2', 'curl/8.14', 'Android', 'ethers', 'node'];
  expect(asked.map(compiled)).toEqual([true, true, false, true, true, false]);
});

test('a request without the header is refused, and one with an empty header', () => {
  for (const entry of ['Android', ' a', 'undefined', 'null']) {
    expect(matches([entry], undefined)).toBe(false);
    expect(matches([entry], '')).toBe(false);
  }
});

test('nothing but the User-Agent header counts', () => {
  const facts = factsOf({ origin: 'Android', authorization: 'Android', requestId: 'Android' });
  expect(userAgents.reads(facts)).toBeUndefined();
});

test('an entry is never a regular expression', () => {
  expect(matches(['(a+)+$'], 'a'.repeat(10_000))).toBe(false);
  expect(matches(['(a+)+$'], 'x(a+)+$x')).toBe(true);
});

test.each(['Android', 'a', 'Mozilla/5.0 (X11; Linux)', 'curl/8.5.0', '*', '(', '\\', '"'])(
  '%j may be an entry',
  (entry) => {
    expect(userAgents.problem(entry)).toBeUndefined();
  },
);

test.each(['', ' ', '   ', '\t', 'a\nb', 'a\r\n', 'a\0', 'a\x7f', '\x1b[0m'])('%j may not be an entry', (entry) => {
  expect(userAgents.problem(entry)).toContain('"Android"');
});
