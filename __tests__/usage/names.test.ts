import { parseCalls } from '../../lib/json-rpc/call';
import { addressOf, originOf, productOf } from '../../lib/usage/names';
import { memoryKept } from '../support/memory-kept';

test('counts headers that are empty, or named like what stands for none, as what they are', () => {
  expect(productOf('(none)')).toBe('(other)'); // first: before any product came
  expect(productOf('')).toBe('(other)');
  expect(productOf('ethers/6.13 (none)')).toBe('ethers');
  expect(originOf('')).toBe('(malformed)');
  expect(originOf('(none)')).toBe('(malformed)');
  expect([productOf(undefined), originOf(undefined)]).toEqual(['(none)', '(none)']);
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
