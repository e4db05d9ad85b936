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

test('counts a product up to its first slash, space or bracket', () => {
  expect(['ethers/6.13', 'ethers', 'ethersphere/1', 'eth (x)', 'eth\t1', 'é/1'].map(productOf)).toEqual([
    'ethers',
    'ethers',
    'ethersphere',
    'eth',
    'eth',
    '(other)',
  ]);
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
