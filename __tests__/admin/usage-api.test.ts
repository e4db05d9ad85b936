import { MemoryStore } from '../../lib';
import { auditEvent } from '../../lib/stores/audit-event';
import { nameOfRefusal } from '../../lib/stores/refused-call';
import { hourOf } from '../../lib/stores/usage-store';
import type { UsageRow } from '../../lib/stores/usage-store';
import { adminApp } from '../support/admin-app';
import { KEY } from '../support/pieces';

const NONE = { credits: 0, bytesIn: 0, bytesOut: 0, upstreamErrors: 0 };

function row(more: Partial<UsageRow>): UsageRow {
  const of = {
    apiKey: KEY,
    hour: hourOf(Date.now()),
    instance: 'a',
    kind: 'total',
    name: '',
    outcome: 'allowed',
  } as const;
  return { ...of, ...NONE, calls: 3, lastAt: Date.now(), ...more };
}

async function app(name = '=cmd', actor = 'ann') {
  const store = new MemoryStore([{ apiKey: KEY }]);
  await store.audit.append([auditEvent({ actor, via: 'code', action: 'key.update', apiKey: KEY })]);
  const refused = { outcome: '', method: '', origin: name, userAgent: '', address: '', wire: 'http', secretId: '' };
  await store.usage.write([
    row({ requests: 2, peak: 1 }),
    row({ kind: 'method', name: 'eth_call' }),
    row({ kind: 'origin', name }),
    row({
      kind: 'refusal',
      name: nameOfRefusal(refused),
      outcome: 'ORIGIN_NOT_ALLOWED',
      detail: { first: 1, requestIds: ['id-of-support'] },
    }),
  ]);
  return adminApp({ options: { store } });
}

test('gives the usage of a key, and of all keys', async () => {
  const it = await app();
  const ofKey = await it.api('GET', `keys/${KEY}/usage?since=7d&step=day`);
  expect(ofKey.json).toMatchObject({
    usage: { step: 'day', by: 'method', rows: [{ name: 'eth_call', allowed: 3, share: 1 }], requests: 2 },
  });
  expect((await it.api('GET', 'usage')).json).toMatchObject({
    usage: { by: 'key', rows: [{ name: KEY, allowed: 3 }] },
  });
});

test('gives what is kept of a deleted key', async () => {
  const it = await app();
  expect((await it.api('DELETE', `keys/${KEY}`)).status).toBe(204);
  expect((await it.api('GET', `keys/${KEY}/usage`)).json).toMatchObject({ usage: { requests: 2 } });
  expect((await it.api('GET', `keys/${KEY}/refusals`)).json).toMatchObject({ refusals: [{ apiKey: KEY, count: 3 }] });
});

test('finds the refusal of a request id', async () => {
  const it = await app();
  for (const path of ['refusals', `keys/${KEY}/refusals`]) {
    expect((await it.api('GET', `${path}?requestId=id-of-support`)).json).toMatchObject({
      refusals: [{ apiKey: KEY, reason: 'ORIGIN_NOT_ALLOWED', origin: '=cmd', count: 3 }],
    });
    expect((await it.api('GET', `${path}?requestId=another`)).json).toEqual({ refusals: [] });
  }
});

test('gives it as CSV', async () => {
  const it = await app();
  const names = await it.api('GET', `keys/${KEY}/usage?by=origin&format=csv`);
  expect(names.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(names.text.split('\r\n')[1]).toMatch(/^'=cmd,3,0,0,0,1,/);
  expect((await it.api('GET', `keys/${KEY}/usage?step=day&format=csv`)).text).toMatch(/^day,allowed,.*\r\n\d{4}-/);
  const accepted = await fetch(`${it.adminUrl}api/refusals`, { headers: { Accept: 'text/csv' } });
  expect(await accepted.text()).toContain("ORIGIN_NOT_ALLOWED,false,,'=cmd,,,http,");
});

describe.each(['=1+1', '+1', '-1', '@A1', '\t=1', '\r=1', '\r\n@A1', '=HYPERLINK("http://x","a")'])('of %j', (text) => {
  test.each([
    ['usage', 'usage?by=origin&'],
    ['refusals', 'refusals?'],
    ['history', 'audit?'],
  ])('a spreadsheet runs nothing in CSV of %s', async (_, path) => {
    const cells = cellsIn((await (await app(text, text)).api('GET', `keys/${KEY}/${path}format=csv`)).text);
    expect(cells).toContain(`'${text}`);
    expect(cells.filter((cell) => /^\s*[=+\-@]/.test(cell))).toEqual([]);
  });
});

/** As RFC 4180 says. */
function cellsIn(csv: string): readonly string[] {
  const cells = csv.matchAll(/"((?:[^"]|"")*)"|[^,\r\n]+/g);
  return Array.from(cells, ([text, quoted]) => quoted?.replaceAll('""', '"') ?? text);
}

test.each(['since=soon', 'by=colour', 'step=week', 'format=xml', 'until=now'])('refuses ?%s', async (query) => {
  const it = await app();
  expect((await it.api('GET', `usage?${query}`)).status).toBe(400);
});
