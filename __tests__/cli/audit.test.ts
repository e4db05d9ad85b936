import { FileStore, KeyManager } from '../../lib';
import type { AuditEvent } from '../../lib';
import { auditCsv, wordsOf } from '../../lib/keys/audit-words';
import { auditEvent } from '../../lib/stores/audit-event';
import { cli, cliJson, newFile } from '../support/cli';
import { KEY, OTHER_KEY } from '../support/pieces';

/** More than two pages. */
const COUNT = 1000;
let file: string;
let newestFirst: readonly AuditEvent[];

beforeEach(async () => {
  file = newFile();
  const store = new FileStore(file);
  await store.set({ apiKey: KEY });
  const change = { path: 'name', from: 'a, "b"', to: '=1' };
  const events = Array.from({ length: COUNT }, (_, version) =>
    auditEvent({ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY, version, changes: [change] }),
  );
  await store.audit.append(events);
  await store.close();
  newestFirst = events.reverse();
});

test.each([[COUNT], [COUNT + 1], [700], [3]])('audit --limit %d writes as many, page by page', async (limit) => {
  const wanted = newestFirst.slice(0, limit);
  const args = ['audit', '--limit', String(limit)];
  const { events } = await cliJson<{ readonly events: readonly AuditEvent[] }>(args, { store: file });
  expect(events.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id));
  expect((await cli([...args, '--csv'], { store: file })).stdout).toBe(auditCsv(wanted));
  const { stdout, stderr } = await cli(args, { store: file });
  expect(stdout.match(/ ann .* name: a, "b" → =1$/gm)).toHaveLength(wanted.length);
  expect(stdout.match(/^WHEN/gm)).toHaveLength(Math.ceil(wanted.length / 500));
  expect(stderr).toBe(limit <= COUNT ? `there may be more: --limit ${String(2 * limit)}\n` : '');
});

test('audit --json is one document, as of any other command', async () => {
  const { stdout } = await cli(['audit', '--limit', '2', '--json'], { store: file });
  expect(stdout).toBe(`${JSON.stringify(JSON.parse(stdout), null, 2)}\n`);
  const empty = await cli(['audit', '--actor', 'bob', '--json'], { store: file });
  expect(empty.stdout).toBe(`${JSON.stringify({ events: [] }, null, 2)}\n`);
});

test('audit finds by key, time, actor and action, of a deleted key too', async () => {
  const store = new FileStore(file);
  const manager = new KeyManager(store, { actor: 'bob', via: 'cli' });
  await manager.create({ apiKey: OTHER_KEY });
  await manager.disable(OTHER_KEY, { actor: 'eve' });
  await manager.delete(OTHER_KEY);
  await store.audit.append([
    auditEvent({ actor: 'bob', via: 'code', action: 'key.delete', apiKey: KEY, at: '2020-01-31T00:00:00.000Z' }),
  ]);
  await store.close();
  const found = async (...args: readonly string[]) => {
    const { events } = await cliJson<{ readonly events: readonly AuditEvent[] }>(['audit', ...args], { store: file });
    return events.map(({ actor, action }) => `${actor} ${action}`);
  };
  expect(await found(OTHER_KEY)).toEqual(['bob key.delete', 'eve key.disable', 'bob key.create']);
  expect(await found('--actor', 'bob', '--action', 'key.delete')).toEqual(['bob key.delete', 'bob key.delete']);
  expect(await found('--actor', 'bob', '--since', '7d')).toEqual(['bob key.delete', 'bob key.create']);
  expect(await found(KEY, '--action', 'key.delete', '--since', '2020-01-31')).toEqual(['bob key.delete']);
});

test('audit of nothing says so', async () => {
  const { stdout, stderr, code } = await cli(['audit', '--actor', 'bob'], { store: file });
  expect([stdout, stderr, code]).toEqual(['', 'no events\n', 0]);
  const csv = await cli(['audit', '--actor', 'bob', '--csv'], { store: file });
  expect(csv.stdout).toBe(auditCsv([]));
});

test('audit of all keys names each, and is history too', async () => {
  const store = new FileStore(file);
  const manager = new KeyManager(store, { actor: 'bob' });
  await manager.create({ apiKey: OTHER_KEY, name: 'the shop' });
  await manager.delete(OTHER_KEY);
  await store.close();
  const { stdout } = await cli(['audit', '--actor', 'bob'], { store: file });
  expect(stdout.match(/bob +key\.\w+ +fedcba… the shop/g)).toHaveLength(2);
  expect((await cli(['history', '--actor', 'bob'], { store: file })).stdout).toBe(stdout);
});

test('audit says of settings edited by hand that they do not parse', () => {
  expect(wordsOf({ changes: [{ path: 'settings', to: 'do not parse' }] })).toEqual(['settings: do not parse']);
});
