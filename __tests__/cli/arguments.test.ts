import { parseDuration, parseExpiry, parseListType, parseWhole } from '../../lib/cli/arguments';

test.each([
  ['0', 0],
  ['30s', 30_000],
  ['90m', 5_400_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
])('%s is a duration', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each(['', '1', '-1h', '1.5h', '1 h', '1y', 'h', '1e3s', '24H', '99999999999d'])('%j is not a duration', (text) => {
  expect(() => parseDuration(text)).toThrow(/Write a duration such as/);
});

test('an expiry is a duration from now, or a time as written', () => {
  const before = Date.now();
  const expiry = Date.parse(parseExpiry('90d')) - 90 * 86_400_000;
  expect(expiry).toBeGreaterThanOrEqual(before);
  expect(expiry).toBeLessThanOrEqual(Date.now());
  expect(parseExpiry('2027-01-31T00:00:00Z')).toBe('2027-01-31T00:00:00Z');
});

test.each(['', 'tomorrow', '90', '31.1.2027'])('%j is not an expiry', (text) => {
  expect(() => parseExpiry(text)).toThrow(/a duration such as 90d or a time such as/);
});

test('an expiry that is not in the calendar is refused', () => {
  expect(() => parseExpiry('999999999w')).toThrow(/too far in the future/);
});

test.each([
  ['origins', 'origins origin Origins'],
  ['userAgents', 'userAgents user-agents user-agent user_agent useragent'],
  ['contractAddresses', 'contractAddresses contract-addresses contract-address contracts contract'],
  ['methods', 'methods method'],
])('%s is written %s', (type, spellings) => {
  for (const spelling of spellings.split(' ')) expect(parseListType(spelling)).toBe(type);
});

test.each(['', 's', 'o', 'secrets', 'addresses', 'toString', '__proto__'])('there is no list %j', (text) => {
  expect(() => parseListType(text)).toThrow(/Write one of contract-addresses, user-agents, origins, methods/);
});

test('a whole number is 1 or more', () => {
  expect(parseWhole('12')).toBe(12);
  for (const text of ['0', '-1', '1.5', '1e3', '', '0x10']) expect(() => parseWhole(text)).toThrow();
});
