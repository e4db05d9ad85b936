import { parseCalls } from '../../lib/json-rpc/call';
import { addressOf, originOf, productOf } from '../../lib/usage/names';
import { memoryKept } from '../support/memory-kept';

test('counts headers that are empty, or named like what stands for none, as what they are', () => {
  expect(productOf('(none)')).toBe('(other)');
  expect(productOf('')).toBe('(other)');
  expect(productOf('ethers/6.13 (none)')).toBe('ethers');
  expect(originOf('')).toBe('(malformed)');
  expect(originOf('(none)')).toBe('(malformed)');
  expect([productOf(undefined), originOf(undefined)]).toEqual(['(none)', '(none)']);
});

test('takes a header for what came last only where it reads as that', () => {
  expect(productOf('ethers/6.13', 'ethers')).toBe('ethers');
  expect(productOf('ethers', 'ethers')).toBe('ethers');
  expect(productOf('ethersphere/1', 'ethers')).toBe('ethersphere');
  expect(productOf('eth/1', 'ethers')).toBe('eth');
  expect(['(none)', '(other)', ''].map((last) => productOf(last, last))).toEqual(['(other)', '(other)', '(other)']);
  expect(productOf(undefined, 'ethers')).toBe('(none)');
  expect(originOf('https://a.example', 'https://a.example')).toBe('https://a.example');
  expect(originOf('https://a.example:443', 'https://a.example')).toBe('https://a.example');
  expect(originOf('https://b.example', 'https://a.example')).toBe('https://b.example');
  const [none, malformed] = ['(none)', '(malformed)'];
  expect([none, malformed, ''].map((last) => originOf(last, last))).toEqual([malformed, malformed, malformed]);
  expect(originOf(undefined, 'https://a.example')).toBe('(none)');
});

test('tells apart addresses that have most digits alike', () => {
  const [a, b] = [`0x${'0'.repeat(39)}1`, `0x1${'0'.repeat(38)}1`];
  const spelt = (address: string) => address.toUpperCase().replace('0X', '0x');
  const digits = `0x${'ab'.repeat(20)}`;
  expect([a, b, a, digits, spelt(digits), `${a}0`, 7].map(addressOf)).toEqual([a, b, a, digits, digits, '', '']);
});

test('remembers an address without the body that it came in', async () => {
  const kept = await memoryKept(() => {
    for (let n = 0; n < 40; n++) {
      const to = `0x${n.toString(16).padStart(40, 'a')}`;
      const body = Buffer.from(
        JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{ to, data: '0'.repeat(1_000_000) }] }),
      );
      const read = parseCalls(body, 1);
      const [call] = read.ok ? read.calls : [];
      const [{ to: named }] = (call as unknown as { readonly params: readonly [{ readonly to: string }] }).params;
      expect(addressOf(named)).toBe(to);
    }
  });
  expect(kept).toBeLessThan(15_000_000);
});
