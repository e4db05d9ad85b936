import { FileStore } from '../../lib';
import { usageOf } from '../../lib/stores/usage-rows';
import { HOUR_MS, hourOf } from '../../lib/stores/usage-store';
import type { UsageKind } from '../../lib/stores/usage-store';
import { cli, newFile } from '../support/cli';
import { KEY } from '../support/pieces';

test('suggest shows what it proposes, and adds it with --apply when it is confirmed', async () => {
  const file = newFile();
  const store = new FileStore(file);
  await store.set({ apiKey: KEY }, 0);
  const now = Date.now();
  const none = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };
  const row = (kind: UsageKind, name: string, at: number) => ({
    ...{
      apiKey: KEY,
      hour: hourOf(at),
      instance: 'a',
      kind,
      name,
      outcome: 'allowed',
      calls: 500,
      ...none,
      lastAt: at,
    },
  });
  const ago = now - 48 * HOUR_MS;
  await usageOf(store).write([row('total', '', now), row('total', '', ago), row('method', 'eth_call', ago)]);
  await store.close();

  const { stdout, code } = await cli(['suggest', KEY], { store: file });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^1000 allowed calls in 2(\.\d)? days$/m);
  expect(stdout).toMatch(/^\[x\] +eth_call +500 +100 % +2 days ago$/m);
  expect((await cli(['suggest', KEY, '--enforce'], { store: file })).code).toBe(2);
  expect((await cli(['suggest', KEY, '--apply'], { store: file })).code).toBe(2);
  expect((await cli(['suggest', KEY, '--apply', '--yes'], { store: file })).stdout).toContain(
    'methods adds eth_call (report-only: refuses nothing yet)',
  );
  const shown = await cli(['keys', 'show', KEY], { store: file });
  expect(shown.stdout).toMatch(/^Report-only +methods since /m);
});
