import { KeyManager, MemoryStore } from '../../lib';
import { refusalReport } from '../../lib/keys/refusal-report';
import { usageReport } from '../../lib/keys/usage-report';
import { nameOfRefusal } from '../../lib/stores/refused-call';
import { UsageRows } from '../../lib/stores/usage-rows';
import type { UsageRow } from '../../lib/stores/usage-store';
import { KEY, OTHER_KEY } from '../support/pieces';

const NOW = Date.parse('2027-01-31T12:30:00Z');

function row(calls: number, more: Partial<UsageRow> = {}): UsageRow {
  const hour = more.hour ?? '2027-01-31T12:00:00Z';
  const of = { apiKey: KEY, hour, instance: 'a', kind: 'total', name: '', outcome: 'allowed' } as const;
  const counted = { credits: calls, bytesIn: 10, bytesOut: 20, upstreamErrors: 0, lastAt: Date.parse(hour) };
  return { ...of, calls, ...counted, ...(more.kind === undefined && { requests: calls, peak: calls }), ...more };
}

async function storeOf(...rows: readonly UsageRow[]): Promise<UsageRows> {
  const store = new UsageRows();
  await store.write(rows);
  return store;
}

test('adds what processes counted, hour by hour, and leaves no hour out', async () => {
  const store = await storeOf(
    row(5),
    row(7, { instance: 'b' }),
    row(2, { hour: '2027-01-31T10:00:00Z', outcome: 'METHOD_NOT_ALLOWED', credits: 0 }),
    row(3, { hour: '2027-01-31T10:00:00Z', outcome: 'wouldRefuse:ORIGIN_NOT_ALLOWED' }),
    row(99, { apiKey: OTHER_KEY }),
    row(99, { hour: '2027-01-30T12:00:00Z' }),
  );
  const report = await usageReport(store, KEY, { since: '3h' }, NOW);
  expect(report).toMatchObject({ from: '2027-01-31T10:00:00Z', to: '2027-01-31T12:30:00Z', step: 'hour' });
  expect(report.points).toMatchObject([
    { at: '2027-01-31T10:00:00Z', allowed: 0, refused: 2, wouldRefuse: 3, credits: 3 },
    { at: '2027-01-31T11:00:00Z', allowed: 0, refused: 0, wouldRefuse: 0, p95: undefined },
    { at: '2027-01-31T12:00:00Z', allowed: 12, refused: 0, wouldRefuse: 0, credits: 12 },
  ]);
  expect(report).toMatchObject({ requests: 17, busiest: { second: 12, point: { credits: 12 } }, isPartial: true });
});

test('lists names with the most calls first, by kind, reason or key', async () => {
  const store = await storeOf(
    row(8),
    row(2, { outcome: 'METHOD_NOT_ALLOWED' }),
    row(10, { apiKey: OTHER_KEY }),
    row(3, { kind: 'method', name: 'eth_call' }),
    row(5, { kind: 'method', name: 'eth_chainId', hour: '2027-01-31T11:00:00Z' }),
    row(2, { kind: 'method', name: 'eth_gasPrice', outcome: 'METHOD_NOT_ALLOWED' }),
  );
  const names = async (...[key, options]: [string | undefined, object]) =>
    (await usageReport(store, key, options, NOW)).rows.map(({ name, allowed, refused, share }) =>
      [name, allowed, refused, share].join(' '),
    );
  expect(await names(KEY, {})).toEqual(['eth_chainId 5 0 0.5', 'eth_call 3 0 0.3', 'eth_gasPrice 0 2 0.2']);
  expect(await names(KEY, { outcome: 'METHOD_NOT_ALLOWED' })).toEqual(['eth_gasPrice 0 2 0.2']);
  expect(await names(KEY, { by: 'reason' })).toEqual(['METHOD_NOT_ALLOWED 0 2 0.2']);
  expect(await names(undefined, {})).toEqual([`${KEY} 8 2 0.5`, `${OTHER_KEY} 10 0 0.5`]);
});

test('gives days, those that are rolled up and those that are still hours', async () => {
  const store = await storeOf(
    row(4, { hour: '2027-01-20T00:00:00Z', instance: '(day)' }),
    row(5, { hour: '2027-01-30T23:00:00Z' }),
    row(6),
  );
  const { points, step } = await usageReport(store, KEY, { since: '30d' }, NOW);
  expect(step).toBe('day');
  expect(points).toHaveLength(30);
  expect(points.filter(({ allowed }) => allowed > 0).map(({ at, allowed }) => `${at} ${String(allowed)}`)).toEqual([
    '2027-01-20T00:00:00Z 4',
    '2027-01-30T00:00:00Z 5',
    '2027-01-31T00:00:00Z 6',
  ]);
});

test('gives the median and the 95th percentile of times from the histogram', async () => {
  const milliseconds = [0, 0, 0, 50, 0, 50, ...Array<number>(9).fill(0)];
  const store = await storeOf(row(100, { milliseconds }));
  const { points } = await usageReport(store, KEY, { since: '1h' }, NOW);
  expect(points.at(-1)).toMatchObject({ p50: 10, p95: 47 });
});

test.each([
  [{ since: 'yesterday' }, 'since: got "yesterday"; it takes "24h", "7d"'],
  [{ sinse: '24h' }, 'did you mean since'],
  [{ by: 'colour' }, 'by: got "colour"; it takes one of method'],
  [{ by: 'key' }, 'leave the key out'],
  [{ since: '2027-02-01T00:00:00Z' }, 'begins after its end'],
  [{ since: '400d', step: 'hour' }, 'take "day"'],
  [{ since: '2027-01-20', step: 'hour' }, 'hours are kept for 7 days'],
  [{ since: '2027-01-31T12:00:00' }, 'since: got'],
  [{ since: 'Jan 31 2027' }, 'since: got'],
  [{ since: '2027-01-31', until: '2027-01-30' }, 'begins after its end'],
  [{ until: '2027-01-31T12:00' }, 'until: got'],
])('refuses %j', async (options, message) => {
  await expect(usageReport(new UsageRows(), KEY, options as object, NOW)).rejects.toThrow(message);
});

describe('refusals', () => {
  const group = {
    outcome: '',
    method: 'eth_call',
    origin: '',
    userAgent: 'viem',
    address: '',
    wire: 'http',
    secretId: '',
  };

  function refused(calls: number, at: string, ids: readonly string[], more: Partial<UsageRow> = {}): UsageRow {
    const detail = { first: Date.parse(at) - 1000, requestIds: ids };
    const hour = `${at.slice(0, 13)}:00:00Z`;
    const of = { kind: 'refusal', name: nameOfRefusal(group), outcome: 'METHOD_NOT_ALLOWED' } as const;
    return row(calls, { ...of, hour, lastAt: Date.parse(at), detail, ...more });
  }

  test('are one group over hours and processes, found by each of their ids', async () => {
    const store = await storeOf(
      refused(5, '2027-01-31T10:20:00Z', ['c', 'b', 'a']),
      refused(2, '2027-01-31T12:10:00Z', ['e', 'd'], { instance: 'b' }),
      refused(1, '2027-01-31T12:20:00Z', ['z'], { outcome: 'wouldRefuse:ORIGIN_NOT_ALLOWED' }),
      refused(9, '2027-01-20T12:20:00Z', ['old']),
    );
    const [reported, one, ...others] = await refusalReport(store, KEY, {}, NOW);
    expect(others).toEqual([]);
    expect(reported).toMatchObject({ reason: 'ORIGIN_NOT_ALLOWED', wouldBe: true, count: 1 });
    expect(one).toMatchObject({
      apiKey: KEY,
      method: 'eth_call',
      origin: undefined,
      count: 7,
      first: '2027-01-31T10:19:59.000Z',
      last: '2027-01-31T12:10:00.000Z',
      requestIds: ['e', 'd', 'c'],
    });
    for (const requestId of ['a', 'e']) {
      expect(await refusalReport(store, undefined, { requestId }, NOW)).toMatchObject([{ count: 7 }]);
    }
    expect(await refusalReport(store, KEY, { reason: 'ORIGIN_NOT_ALLOWED', limit: 1 }, NOW)).toMatchObject([
      { count: 1 },
    ]);
    expect(await refusalReport(store, KEY, { requestId: 'nobody' }, NOW)).toEqual([]);
  });
});

test('a key says when it and its secrets were last used, to the minute', async () => {
  const secrets = ['used', 'long-ago', 'never'].map((id) => ({ id, hash: 'a'.repeat(64) }));
  const store = new MemoryStore([{ apiKey: KEY, secrets }]);
  const manager = new KeyManager(store);
  expect(await manager.get(KEY)).not.toHaveProperty('lastUsedAt');
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const used = (minutes: number, more: Partial<UsageRow> = {}) =>
    row(1, { hour: `${minutesAgo(minutes).slice(0, 13)}:00:00Z`, lastAt: Date.parse(minutesAgo(minutes)), ...more });
  await store.usage.write([
    used(1),
    used(5, { instance: 'b' }),
    used(30, { kind: 'secret', name: 'used' }),
    used(50_000, { kind: 'secret', name: 'long-ago' }),
  ]);
  const key = await manager.get(KEY);
  const toTheMinute = (minutes: number) => `${minutesAgo(minutes).slice(0, 16)}:00Z`;
  expect([key?.lastUsedAt, ...key!.secrets.map(({ lastUsedAt }) => lastUsedAt)]).toEqual([
    toTheMinute(1),
    toTheMinute(30),
    toTheMinute(50_000),
    undefined,
  ]);
  await manager.update(KEY, { name: 'dapp' });
  expect(JSON.stringify([await store.get(KEY), await manager.audit()])).not.toContain('lastUsedAt');
});

test('a key that was used in the minute of its creation was not used before it', async () => {
  const createdAt = '2026-01-31T12:00:30.500Z';
  const secrets = [{ id: 'used', hash: 'a'.repeat(64), createdAt }];
  const store = new MemoryStore([{ apiKey: KEY, createdAt, secrets }]);
  const use = { hour: '2026-01-31T12:00:00Z', lastAt: Date.parse('2026-01-31T12:00:45Z') };
  await store.usage.write([row(1, use), row(1, { ...use, kind: 'secret', name: 'used' })]);
  const key = await new KeyManager(store).get(KEY);
  expect([key?.lastUsedAt, key?.secrets[0]?.lastUsedAt]).toEqual([createdAt, createdAt]);
});
