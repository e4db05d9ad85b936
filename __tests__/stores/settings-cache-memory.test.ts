import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MemoryStore } from '../../lib';
import { keyInPath, parseKeyPath } from '../../lib/request/key-path';
import { SettingsCache } from '../../lib/stores/settings-cache';
import { silent } from '../support/refusal-cases';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('remembers an unknown key without the URL that it came in', async () => {
  const cache = new SettingsCache(new MemoryStore([]), { logger: silent(), staleIfErrorMs: 0 });
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < 40; n++) {
    const url = Buffer.from(`/v3/unknown-key-number-${String(n)}?${'x'.repeat(1_000_000)}`).toString();
    expect(await cache.get(keyInPath(url, parseKeyPath('/v3/:apiKey')!)!)).toBe('unknown');
  }
  collectGarbage();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(15_000_000);
  await cache.close();
});
