import { MemoryStore } from '../../lib';
import { keyInPath, parseKeyPath } from '../../lib/request/key-path';
import { SettingsCache } from '../../lib/stores/settings-cache';
import { memoryKept } from '../support/memory-kept';
import { silent } from '../support/refusal-cases';

test('remembers an unknown key without the URL that it came in', async () => {
  const cache = new SettingsCache(new MemoryStore([]), { logger: silent(), staleIfErrorMs: 0 });
  const kept = await memoryKept(async () => {
    for (let n = 0; n < 40; n++) {
      const url = Buffer.from(`/v3/unknown-key-number-${String(n)}?${'x'.repeat(1_000_000)}`).toString();
      expect(await cache.get(keyInPath(url, parseKeyPath('/v3/:apiKey')!)!)).toBe('unknown');
    }
  });
  expect(kept).toBeLessThan(15_000_000);
  await cache.close();
});
