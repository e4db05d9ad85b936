import { FileStore } from '../../lib';
import { hourOf } from '../../lib/stores/usage-store';
import type { UsageRow } from '../../lib/stores/usage-store';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY } from '../support/pieces';

async function storeWithUsage(): Promise<string> {
  const file = newFile();
  const store = new FileStore(file);
  await store.set({ apiKey: KEY, name: 'my dapp' });
  const row = (calls: number, more: Partial<UsageRow>): UsageRow => ({
    ...{ apiKey: KEY, hour: hourOf(Date.now()), instance: 'a', kind: 'total', name: '', outcome: 'allowed', calls },
    ...{ credits: calls, bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: Date.now(), ...more },
  });
  await store.usage.write([
    row(1500, { requests: 900, peak: 7 }),
    row(500, { outcome: 'METHOD_NOT_ALLOWED', requests: 100, peak: 0 }),
    row(1500, { kind: 'method', name: 'eth_call' }),
    row(500, { kind: 'method', name: 'eth_getLogs', outcome: 'METHOD_NOT_ALLOWED' }),
    row(500, {
      ...{ kind: 'refusal', name: '["eth_getLogs"]', outcome: 'METHOD_NOT_ALLOWED' },
      detail: { first: Date.now(), requestIds: ['a'] },
    }),
  ]);
  await store.close();
  return file;
}

test('usage prints what a key did, with bars that are read without colours', async () => {
  const { stdout, code } = await cli(['usage', 'my dapp'], { store: await storeWithUsage() });
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines[0]).toBe('2,000 calls in 1,000 requests, 500 refused');
  expect(lines[1]).toMatch(/^from 20/);
  expect(lines.slice(3)).toEqual([
    'METHOD       CALLS  REFUSED  SHARE',
    expect.stringMatching(/^eth_call {5}1,500 {11}75\.0 % {2}[█#]{18}$/),
    expect.stringMatching(/^eth_getLogs {2}500 {4}500 {6}25\.0 % {2}[░-]{6}$/),
    '',
    expect.stringMatching(/^[█#] allowed, [░-] refused$/),
    '',
  ]);
});

test('usage prints points, JSON and CSV, of all keys too', async () => {
  const store = await storeWithUsage();
  const steps = await cli(['usage', '--step', 'day', '--since', '2d'], { store });
  expect(steps.stdout.split('\n')[3]).toMatch(/^DAY +CALLS +REFUSED +P95$/);
  expect(await cliJson(['usage', KEY, '--by', 'reason'], { store })).toMatchObject({
    usage: { rows: [{ name: 'METHOD_NOT_ALLOWED', refused: 500 }] },
  });
  const csv = await cli(['usage', '--csv'], { store });
  expect(csv.stdout.split('\r\n')[1]).toMatch(new RegExp(`^${KEY},1500,500,0,`));
});

test('usage and refusals tell what is kept of a deleted key, and say that it is deleted', async () => {
  const store = await storeWithUsage();
  const file = new FileStore(store);
  await file.delete(KEY);
  await file.close();
  const shown = await cli(['usage', KEY], { store });
  expect([shown.code, shown.stdout.split('\n')[0]]).toEqual([0, '2,000 calls in 1,000 requests, 500 refused']);
  expect(shown.stderr).toContain('the key is deleted');
  expect(await cliJson(['usage', KEY], { store })).toMatchObject({ usage: { requests: 1000 } });
  const refused = await cli(['refusals', KEY], { store });
  expect([refused.code, refused.stderr.includes('the key is deleted')]).toEqual([0, true]);
  const unknown = await cli(['usage', 'never-was-a-key'], { store });
  expect([unknown.code, unknown.stderr.includes('there is no such key')]).toEqual([3, true]);
});

test.each([
  [['--since', 'soon'], 'since: got "soon"'],
  [['--by', 'colour'], '--by'],
  [['--outcome', 'nonsense'], 'METHOD_NOT_ALLOWED'],
  [['--csv', '--json'], 'not both'],
])('usage %j is wrong usage', async (flags, message) => {
  const { code, stderr } = await cli(['usage', ...flags], { store: await storeWithUsage() });
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});
