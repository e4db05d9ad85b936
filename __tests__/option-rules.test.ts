import { checkArgument, checkOptions, isText, isWhole } from '../lib/option-rules';
import type { OptionRules } from '../lib/option-rules';
import { thrownBy } from './support/pieces';

interface Options {
  readonly name: string;
  readonly limit?: number;
}

const RULES: OptionRules<Options> = {
  name: { accepts: isText, takes: 'a text, such as "a"', isRequired: true },
  limit: { accepts: isWhole(1, 9), takes: 'a whole number to 9, such as 3', default: 3 },
};

function problemsWith(given: unknown): string[] {
  const error = thrownBy(() => checkOptions('Maker(options)', RULES, given as Options));
  expect(error.code).toBe('ERR_RPC_GUARD_OPTIONS');
  const [first, ...lines] = error.message.split('\n');
  expect(first).toBe('Maker(options) cannot start:');
  return lines.map((line) => line.trim());
}

test('what is left out or undefined gets its default', () => {
  expect(checkOptions('Maker(options)', RULES, { name: 'x' })).toEqual({ name: 'x', limit: 3 });
  const given = { name: 'x', limit: undefined } as unknown as Options;
  expect(checkOptions('Maker(options)', RULES, given)).toEqual({ name: 'x', limit: 3 });
});

test('every problem is in one message', () => {
  expect(problemsWith({ nmae: 'x', limit: 10 })).toEqual([
    'nmae: does not exist; did you mean name?',
    'name: is required; it takes a text, such as "a"',
    'limit: got 10; it takes a whole number to 9, such as 3',
  ]);
});

test.each([null, 7, 'text', [], new Map(), () => undefined])('%p is not an options object', (given) => {
  expect(problemsWith(given)).toEqual([
    expect.stringMatching(/^got (?:null|an? \w+); it takes an object with name, limit$/),
    expect.stringMatching(/^name: is required/),
  ]);
});

test.each(['LIMIT', 'limits', 'limt', 'ilmit'])('%s is close to limit', (name) => {
  expect(problemsWith({ name: 'x', [name]: 1 })).toEqual([`${name}: does not exist; did you mean limit?`]);
});

test.each(['colour', 'constructor', '__proto__'])('%s is close to nothing: all names are shown', (name) => {
  const given = JSON.parse(`{"name":"x","${name}":1}`) as unknown;
  expect(problemsWith(given)).toEqual([`${name}: does not exist; there are name, limit`]);
});

test('a name that may be a secret is not shown', () => {
  const secret = 'rgs_4fzk2Lk0QxGm1R8dYtV7bW3nHc9pSe5uJa6iOoTl2Xr';
  expect(problemsWith({ name: 'x', [secret]: 1 }).join()).not.toContain('rgs_');
});

test('a wrong argument of a method has a code of its own', () => {
  const error = thrownBy(() => checkArgument('list', RULES, { name: 'x', limit: 0 }));
  expect(error.code).toBe('ERR_RPC_GUARD_ARGUMENT');
  expect(error.message).toBe('list: limit: got 0; it takes a whole number to 9, such as 3');
});
