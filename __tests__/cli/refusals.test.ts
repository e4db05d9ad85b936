import { FileStore } from '../../lib';
import type { RefusalGroup } from '../../lib/keys/refusal-report';
import { nameOfRefusal } from '../../lib/stores/refused-call';
import { hourOf } from '../../lib/stores/usage-store';
import type { UsageRow } from '../../lib/stores/usage-store';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY } from '../support/pieces';

const CALL = { method: 'eth_call', origin: '=1+1', userAgent: 'viem', address: '', wire: 'http', secretId: 's1' };

async function storeWithRefusals(): Promise<string> {
  const file = newFile();
  const store = new FileStore(file);
  await store.set({ apiKey: KEY, name: 'my dapp' });
  const row = (outcome: string, requestId: string, more: Partial<UsageRow> = {}): UsageRow => ({
    ...{ apiKey: KEY, hour: hourOf(Date.now()), instance: 'a', kind: 'refusal', outcome, calls: 1200, credits: 0 },
    ...{ name: nameOfRefusal({ outcome, ...CALL }), bytesIn: 0, bytesOut: 0, upstreamErrors: 0, lastAt: Date.now() },
    detail: { first: Date.now(), why: 'no entry matches', requestIds: [requestId] },
    ...more,
  });
  await store.usage.write([
    row('METHOD_NOT_ALLOWED', 'id-of-support'),
    row('wouldRefuse:ORIGIN_NOT_ALLOWED', 'id-two', { lastAt: Date.now() - 60_000 }),
    row('KEY_UNKNOWN', 'id-three', { apiKey: '(none)', calls: 1, lastAt: Date.now() - 120_000 }),
  ]);
  await store.close();
  return file;
}

test('refusals finds the one whose request id a caller has told', async () => {
  const store = await storeWithRefusals();
  const { stdout, code } = await cli(['refusals', '--request-id', 'id-of-support'], { store, env: { COLUMNS: '200' } });
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^LAST +COUNT +KEY +REASON +WHAT +REQUEST IDS$/),
    expect.stringMatching(
      new RegExp(
        `^now +1,200 +${KEY} +METHOD_NOT_ALLOWED +eth_call, from =1\\+1, by viem, secret s1, http, no entry matches +id-of-support$`,
      ),
    ),
    '',
  ]);
  const none = await cli(['refusals', '--request-id', 'nobody'], { store });
  expect([none.code, none.stdout]).toEqual([0, '']);
  expect(none.stderr).toContain('no refusal has this id');
});

test('refusals are of a key or of all, for one reason, and say which would be', async () => {
  const store = await storeWithRefusals();
  const reasons = async (...args: readonly string[]) => {
    const { refusals } = await cliJson<{ refusals: readonly RefusalGroup[] }>(['refusals', ...args], { store });
    return refusals.map(({ reason, wouldBe }) => (wouldBe ? `would be ${reason}` : reason));
  };
  expect(await reasons()).toEqual(['METHOD_NOT_ALLOWED', 'would be ORIGIN_NOT_ALLOWED', 'KEY_UNKNOWN']);
  expect(await reasons('my dapp')).toEqual(['METHOD_NOT_ALLOWED', 'would be ORIGIN_NOT_ALLOWED']);
  expect(await reasons('(none)')).toEqual(['KEY_UNKNOWN']);
  expect(await reasons(KEY, '--reason', 'ORIGIN_NOT_ALLOWED')).toEqual(['would be ORIGIN_NOT_ALLOWED']);
  expect(await reasons('--limit', '1')).toEqual(['METHOD_NOT_ALLOWED']);
  const shown = await cli(['refusals', KEY], { store });
  expect(shown.stdout).toContain('ORIGIN_NOT_ALLOWED (would be)');
  expect(shown.stdout).not.toContain(KEY);
});

test('refusals prints CSV that runs nothing in a spreadsheet', async () => {
  const { stdout } = await cli(['refusals', KEY, '--csv'], { store: await storeWithRefusals() });
  expect(stdout.split('\r\n')[1]).toMatch(`${KEY},METHOD_NOT_ALLOWED,false,eth_call,'=1+1,viem,,http,s1,`);
});

test.each([
  [['--reason', 'nonsense'], 'METHOD_NOT_ALLOWED'],
  [['--limit', '5000'], 'limit'],
  [['--csv', '--json'], 'not both'],
])('refusals %j is wrong usage', async (flags, message) => {
  const { code, stderr } = await cli(['refusals', ...flags], { store: await storeWithRefusals() });
  expect([code, stderr.includes(message)]).toEqual([2, true]);
});
