import { Limiter } from '../../lib/limits/limiter';
import { compileLimits } from '../../lib/settings/compile';
import { fakeClock } from '../support/fake-clock';
import { memoryKept } from '../support/memory-kept';

const RATE = { perSecond: 1000, burst: 1000 };

/** Bytes that a limiter keeps of so many charges, each of another key, or of another address of one key. */
async function keptOf(charges: number, each: 'key' | 'address'): Promise<number> {
  const limiter = new Limiter({ waitMs: 0, clock: fakeClock(), exchange: undefined });
  const limits = compileLimits(each === 'key' ? { ...RATE, perDay: 1000 } : { perAddress: RATE });
  const kept = await memoryKept(() => {
    for (let n = 0; n < charges; n++) {
      // As parsed from a store: a name put together from pieces takes three times the memory.
      const name = JSON.parse(`"${n.toString(16).padStart(32, '0')}"`) as string;
      const payer = { apiKey: each === 'key' ? name : 'first-key', limits, secret: undefined, caller: name };
      expectPassed(limiter.charge(payer, 1, 0));
    }
  });
  // It is alive until here.
  expect(limiter.size).toBe(each === 'key' ? charges : 0);
  return kept;
}

function expectPassed(outcome: unknown): void {
  if (outcome !== undefined) throw new Error('refused');
}

test('a key that is charged keeps less than 340 bytes, its name included', async () => {
  expect((await keptOf(200_000, 'key')) / 200_000).toBeLessThan(340);
});

test('300,000 addresses keep no more than 100,000 do: those that came last', async () => {
  expect((await keptOf(300_000, 'address')) / 100_000).toBeLessThan(500);
});
