import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KeyManager, MemoryStore } from '../../lib';
import type { AuditEvent, AuditQuery } from '../../lib';
import { basicAuthAdmin, hashPassword, rpcGuardAdmin } from '../../lib/admin';
import { auditEvent } from '../../lib/stores/audit-event';
import { adminApp } from '../support/admin-app';
import type { AdminApp } from '../support/admin-app';
import { until } from '../support/until';

interface Operation {
  readonly operationId: string;
  readonly 'x-role'?: string;
}

const description = JSON.parse(readFileSync(join(__dirname, '../../lib/admin/openapi.json'), 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
const ROUTES = Object.entries(description.paths).flatMap(([path, operations]) =>
  Object.entries(operations)
    .filter(([method]) => method !== 'parameters')
    .map(([method, operation]) => ({ method: method.toUpperCase(), path, role: operation['x-role'] })),
);

const ID_SECRET = 'what ids are made with, and longer';
const KEYS = ['0123456789abcdef0123456789abcdef', '0123456fedcba9876543210fedcba987'];

async function viewersApp(): Promise<{ readonly app: AdminApp; readonly id: string; readonly secretId: string }> {
  const store = new MemoryStore();
  const manager = new KeyManager(store, { actor: 'ann' });
  const { secretId } = await manager.create({ apiKey: KEYS[0]!, name: 'dapp', secret: {} });
  await manager.create({ apiKey: KEYS[1]!, name: 'shop' });
  const app = await adminApp({
    sends: true,
    options: { store, role: () => 'viewer', actor: () => 'vera', idSecret: ID_SECRET },
  });
  const { json } = await app.api('GET', 'keys');
  return { app, secretId, id: json.keys.find(({ name }) => name === 'dapp')!.apiKey };
}

function fill(path: string, apiKey: string, secretId: string): string {
  const values: Readonly<Record<string, string>> = { apiKey, id: secretId, type: 'methods' };
  return path.replace('/api/', '').replace(/\{(\w+)\}/g, (_, name: string) => values[name]!);
}

function bodyFor(method: string, path: string): object | undefined {
  if (method === 'GET' || method === 'DELETE') return undefined;
  if (path.endsWith('/test')) return { method: 'eth_chainId' };
  return path.endsWith('/check') ? { entries: ['eth_call'] } : {};
}

test('every route says who may use it', () => {
  expect(ROUTES.filter(({ role }) => role !== 'viewer' && role !== 'editor')).toEqual([]);
  expect(ROUTES.length).toBeGreaterThan(20);
});

test('no route changes or removes an event of the history', () => {
  const ofHistory = ROUTES.filter(({ path }) => path.endsWith('/audit'));
  expect(ofHistory.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'GET /api/audit',
    'GET /api/keys/{apiKey}/audit',
  ]);
});

test('a viewer is refused on every route of an editor, and the history says so; nothing has changed', async () => {
  const { app, id, secretId } = await viewersApp();
  const before = JSON.stringify(await app.store.list());
  const editors = ROUTES.filter(({ role }) => role === 'editor');
  for (const { method, path } of editors) {
    const { status, json } = await app.api(method, fill(path, id, secretId), bodyFor(method, path));
    expect([method, path, status, json.error.code]).toEqual([method, path, 403, 'EDITOR_ONLY']);
  }
  expect(JSON.stringify(await app.store.list())).toBe(before);
  const denied = await new KeyManager(app.store).audit({ action: 'admin.denied', limit: 500 });
  const told = denied.map(({ actor, changes }) => [actor, changes[0]?.to]);
  const tried = editors.map(({ method, path }) => [
    'vera',
    `${method} ${path.replace('/api', '').replace(/\{(\w+)\}/g, ':$1')}`,
  ]);
  expect(told.sort()).toEqual(tried.sort());
});

test('a viewer who is refused again within a minute adds nothing to the history', async () => {
  const { app, id } = await viewersApp();
  for (let n = 0; n < 20; n++) await app.api('PATCH', `keys/${id}`, {});
  expect(await new KeyManager(app.store).audit({ action: 'admin.denied' })).toHaveLength(1);
});

test('a viewer reads every route of a viewer, and sees no key in full', async () => {
  const { app, id, secretId } = await viewersApp();
  const reads = ROUTES.filter(({ role }) => role === 'viewer');
  for (const { method, path } of reads) {
    for (const format of method === 'GET' ? ['', '?format=csv', '?limit=1', '?format=jsonl'] : ['']) {
      const { status, text } = await app.api(method, fill(path, id, secretId) + format, bodyFor(method, path));
      if (format === '') expect([path, status]).toEqual([path, 200]);
      for (const key of KEYS) expect([path, text.includes(key)]).toEqual([path, false]);
    }
  }
});

test('a viewer finds a key by its name and hint, and nothing of what stands behind the hint', async () => {
  const { app, id } = await viewersApp();
  const count = async (query: string) => (await app.api('GET', `keys?${query}`)).json.keys.length;
  expect(await Promise.all([count('search=DAPP'), count('search=0123'), count('search=012345')])).toEqual([1, 2, 2]);
  expect(await Promise.all([count('search=01234567'), count('search=cdef'), count('search=cdef01')])).toEqual([
    0, 0, 0,
  ]);
  for (const after of [KEYS[0]!, '01234567', 'x']) {
    expect((await app.api('GET', `keys?sort=key&after=${after}`)).status).toBe(400);
  }
  expect((await app.api('GET', `keys/${KEYS[0]!}`)).status).toBe(404);
  const shown = (await app.api('GET', `keys/${id}`)).json.key;
  expect(shown).toMatchObject({ apiKey: id, keyHint: '012345…', name: 'dapp' });
});

test('a viewer pages through all keys', async () => {
  const { app } = await viewersApp();
  const first = (await app.api('GET', 'keys?limit=1&sort=key')).json;
  const second = (await app.api('GET', `keys?limit=1&sort=key&after=${encodeURIComponent(first.next!)}`)).json;
  expect([...first.keys, ...second.keys].map(({ name }) => name)).toEqual(['dapp', 'shop']);
  expect(second.next).toBeNull();
});

test('an id leads to its key in a process that has not shown it, with the same idSecret', async () => {
  const { app, id } = await viewersApp();
  const role = () => 'viewer' as const;
  const other = await adminApp({ options: { store: app.store, role, idSecret: ID_SECRET } });
  expect((await other.api('GET', `keys/${id}`)).json.key.name).toBe('dapp');
  expect((await other.api('GET', 'keys/~nothing')).status).toBe(404);
});

test('without an idSecret no id can be made from a guessed key, and one of another process says so', async () => {
  const { app, id } = await viewersApp();
  const options = { store: app.store, role: () => 'viewer' as const };
  const [one, other] = await Promise.all([adminApp({ options }), adminApp({ options })]);
  const idsOf = async (of: AdminApp) => (await of.api('GET', 'keys')).json.keys.map(({ apiKey }) => apiKey);
  expect(new Set([...(await idsOf(app)), ...(await idsOf(one)), ...(await idsOf(other))]).size).toBe(6);
  const { status, json } = await one.api('GET', `keys/${id}`);
  expect([status, json.error.message]).toEqual([404, expect.stringContaining('idSecret')]);
});

test('a short idSecret does not start, and is not shown', () => {
  const start = () => rpcGuardAdmin({ store: new MemoryStore(), authorize: () => undefined, idSecret: 'too short' });
  expect(start).toThrow(/idSecret: got a text of 9 characters; it takes a text of 32 characters or more/);
});

test('the id of an expiry that a viewer sees cannot be made from a guessed key', async () => {
  const ids = await Promise.all(
    ['a', 'b'].map(async (digit) => {
      const secrets = [{ id: 's1', hash: digit.repeat(64), expiresAt: '2026-01-01T00:00:00.000Z' }];
      const manager = new KeyManager(new MemoryStore([{ apiKey: KEYS[0]!, secrets }]));
      await manager.get(KEYS[0]!);
      return (await manager.audit())[0]!.id;
    }),
  );
  expect(ids[0]).not.toBe(ids[1]);
});

test('a viewer tests a request, and sends none', async () => {
  const { app, id } = await viewersApp();
  const call = { method: 'eth_chainId' };
  expect((await app.api('POST', `keys/${id}/test`, call)).json.allowed).toBe(true);
  expect((await app.api('POST', `keys/${id}/test`, { ...call, send: true })).status).toBe(403);
  expect(app.upstream.seen).toEqual([]);
  expect((await app.api('GET', 'meta')).text).toMatch(/"canSend":false,.*"role":"viewer"/);
});

test.each([
  ['neither role', () => undefined],
  ['something else', () => 'Editor' as never],
  ['a promise', () => Promise.resolve('editor') as never],
])('a user for whom the role function returns %s is a viewer', async (_what, role) => {
  const app = await adminApp({ options: { role } });
  expect((await app.api('POST', 'keys', {})).status).toBe(403);
});

test('without a role function, a user who passes your own login is an editor', async () => {
  const app = await adminApp();
  expect((await app.api('POST', 'keys', {})).status).toBe(201);
});

describe('with basicAuthAdmin', () => {
  const PASSWORD = 'correct horse battery';
  let hash: string;
  beforeAll(async () => {
    hash = await hashPassword(PASSWORD);
  });
  const as = (name: string, password = PASSWORD) => ({
    Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
  });

  test('a user is an editor, or what its role says', async () => {
    const authorize = basicAuthAdmin({
      users: { ann: hash, eve: { hash, role: 'editor' }, bob: { hash, role: 'viewer' } },
    });
    const app = await adminApp({ options: { authorize } });
    const post = async (name: string) => (await app.api('POST', 'keys', {}, as(name))).status;
    expect([await post('ann'), await post('eve'), await post('bob')]).toEqual([201, 201, 403]);
    const [denied] = await new KeyManager(app.store).audit();
    expect(denied).toMatchObject({ action: 'admin.denied', actor: 'bob', via: 'api' });
  });

  test.each([{ hash: 'x' }, { hash: '', role: 'admin' }, { role: 'viewer' }])(
    'a user of %j is refused at start',
    (user) => {
      const users = { bob: { ...user, ...(user.hash === '' && { hash }) } as never };
      expect(() => basicAuthAdmin({ users })).toThrow(/users: got something else/);
    },
  );

  test('an empty hash, as of a variable that is not set, is named at start', () => {
    expect(() => basicAuthAdmin({ users: { bob: '' } })).toThrow(/users: got an empty hash; it takes .*single quotes/);
  });

  test('a failed login is an event, once a minute and name, and no made-up name is in it', async () => {
    const app = await adminApp({ options: { authorize: basicAuthAdmin({ users: { ann: hash } }) } });
    await app.api('GET', 'keys', undefined, as('ann', 'not the password'));
    await app.api('GET', 'keys', undefined, as('a-secret-in-the-wrong-field', 'x'));
    const manager = new KeyManager(app.store);
    await until(async () => (await manager.audit()).length === 2);
    expect((await manager.audit()).map(({ action, actor }) => [action, actor])).toEqual([
      ['admin.login-failed', '(unknown)'],
      ['admin.login-failed', 'ann'],
    ]);
  });
});

test('history is given as JSON with words, as CSV and as JSON lines, of all keys and of one', async () => {
  const app = await adminApp({ options: { actor: () => '=ann' } });
  const headers = { 'X-Request-Id': 'r-1', 'Sec-Fetch-Site': 'same-origin' };
  await app.api('POST', 'keys', { apiKey: KEYS[0], name: 'dapp' }, headers);
  await app.api('POST', `keys/${KEYS[0]!}/allowlists/origins`, { entries: ['https://app.example.com'] });
  await app.api('POST', 'keys', { apiKey: KEYS[1] });
  const { events, next } = JSON.parse((await app.api('GET', 'audit?limit=2')).text) as {
    events: object[];
    next: string;
  };
  expect(events).toMatchObject([
    { apiKey: KEYS[1] },
    { words: ['origins: added https://app.example.com'], via: 'api' },
  ]);
  const older = JSON.parse((await app.api('GET', `audit?before=${next}`)).text) as { events: object[]; next: unknown };
  expect(older).toMatchObject({ events: [{ via: 'dashboard', requestId: 'r-1', action: 'key.create' }], next: null });
  const csv = await app.api('GET', `keys/${KEYS[0]!}/audit?format=csv`);
  expect(csv.headers.get('content-type')).toMatch(/^text\/csv/);
  expect(csv.text.split('\r\n')).toHaveLength(4);
  expect(csv.text).toContain(",'=ann,api,allowlist.add,");
  const lines = (await app.api('GET', `keys/${KEYS[0]!}/audit?format=jsonl`)).text.trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { version: number }).version)).toEqual([2, 1]);
  for (const wrong of ['limit=501', 'limit=x', 'action=key.made', 'since=never', 'format=xml']) {
    expect([wrong, (await app.api('GET', `audit?${wrong}`)).status]).toEqual([wrong, 400]);
  }
});

describe('a history that is longer than a page', () => {
  const COUNT = 1203;
  const EVENTS = Array.from({ length: COUNT }, (_, n) =>
    auditEvent({
      actor: n % 3 === 0 ? '\t=1+1' : 'ann\u001b[2J',
      via: 'code',
      action: 'key.update',
      apiKey: KEYS[0]!,
      version: n,
    }),
  );

  test.each(['jsonl', 'csv'])('is told whole as %s, each event once', async (format) => {
    const store = new MemoryStore();
    await store.audit.append(EVENTS);
    const app = await adminApp({ options: { store, role: () => 'viewer' } });
    const { text, headers } = await app.api('GET', `audit?format=${format}`);
    const lines = text.trimEnd().split('\n');
    const isCsv = format === 'csv';
    expect(headers.get('content-type')).toBe(isCsv ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8');
    expect(lines).toHaveLength(COUNT + (isCsv ? 1 : 0));
    expect(new Set(lines).size).toBe(lines.length);
    expect(text).not.toContain(KEYS[0]);
    if (isCsv) expect(lines.filter((line) => line.includes(",'\t=1+1,"))).toHaveLength(COUNT / 3);
    expect((await app.api('GET', `audit?format=${format}&limit=2`)).text.split('\n')).toHaveLength(isCsv ? 4 : 3);
  });

  test('is read while it is sent, and no further once the caller has gone', async () => {
    const store = new MemoryStore();
    let pages = 0;
    const list = ({ limit }: AuditQuery): Promise<readonly AuditEvent[]> => {
      pages++;
      const changes = [{ path: 'name', to: 'x'.repeat(1000) }];
      return Promise.resolve(
        Array.from({ length: limit }, () =>
          auditEvent({ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEYS[0]!, changes }),
        ),
      );
    };
    Object.assign(store, { audit: { append: () => Promise.resolve(), list } });
    const app = await adminApp({ options: { store } });
    const gone = new AbortController();
    const response = await fetch(`${app.adminUrl}api/audit?format=jsonl`, { signal: gone.signal });
    const reader = response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    for (let read = 0; read < 2_000_000;) read += (await reader.read()).value!.length;
    gone.abort();
    await reader.closed.catch(() => undefined);
    let last: number;
    do {
      last = pages;
      await new Promise((resolve) => setTimeout(resolve, 30));
    } while (pages > last);
    expect(pages).toBeLessThan(60);
    expect(app.logged).toEqual([]);
  });
});
