import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore, KeyManager } from '../../lib';
import type { AuditEvent, KeySettings } from '../../lib';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { AuditFiles } from '../../lib/stores/audit-files';
import { auditEvent } from '../../lib/stores/audit-event';
import { eventsOf } from '../../lib/stores/hand-edits';
import { endAfterTest } from '../support/cleanup';
import { KEY, OTHER_KEY, recordingLogger } from '../support/pieces';
import { until } from '../support/until';

function place(): { readonly file: string; readonly trail: string; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'keys.json');
  return { file, trail: `${file}.audit.jsonl`, folder };
}

function open(file: string): FileStore {
  const store = new FileStore(file);
  endAfterTest(() => store.close());
  return store;
}

const eventOf = (more: object = {}) =>
  auditEvent({ actor: 'ann', via: 'code', action: 'key.update', apiKey: KEY, ...more });

test('only its owner reads the history, and no hash is in it', async () => {
  const { file, trail } = place();
  await new KeyManager(open(file)).create({ apiKey: KEY, requireSecret: true });
  expect(statSync(trail).mode & 0o777).toBe(0o600);
  expect(readFileSync(trail, 'utf8')).toMatch(/^\{"id":.*\}\n$/);
  expect(readFileSync(trail, 'utf8')).not.toMatch(/"hash"|[0-9a-f]{64}/);
});

test('an event without its newline counts if its change is in the file', async () => {
  const { file, trail } = place();
  await new KeyManager(open(file)).create({ apiKey: KEY });
  writeFileSync(trail, readFileSync(trail, 'utf8').trimEnd()); // as a crash after the renaming leaves it
  const manager = new KeyManager(open(file));
  expect(await manager.audit()).toHaveLength(1);
  await manager.disable(KEY);
  expect((await manager.audit()).map(({ version }) => version)).toEqual([2, 1]);
});

test.each([
  ['whole', (line: string) => line],
  ['in part', (line: string) => line.slice(0, line.length / 2)],
])('an event that is there %s does not count where its change is not made, and is cut off', async (_how, cut) => {
  const { file, trail } = place();
  const manager = new KeyManager(open(file));
  await manager.create({ apiKey: KEY });
  const after = (await open(file).get(KEY))!;
  const lost = eventOf({ version: 2, after: { ...after, version: 2, updatedAt: '2099-01-01T00:00:00.000Z' } });
  appendFileSync(trail, cut(JSON.stringify(lost)));
  expect(await new KeyManager(open(file)).audit()).toHaveLength(1);
  await manager.disable(KEY);
  expect((await manager.audit()).map(({ id }) => id)).not.toContain(lost.id);
  expect(
    readFileSync(trail, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly version: number }).version),
  ).toEqual([1, 2]);
});

test('a change by hand is an event, once, however many processes see it', async () => {
  const { file } = place();
  const stores = [open(file), open(file), open(file)];
  const manager = new KeyManager(stores[0]!);
  await manager.create({ apiKey: KEY, name: 'before' });
  await manager.create({ apiKey: OTHER_KEY });
  await until(async () => (await stores[2]!.get(OTHER_KEY)) !== undefined);
  writeFileSync(file, readFileSync(file, 'utf8').replace('"before"', '"by hand"'));
  await until(async () => (await manager.audit({ action: 'file.change' })).length > 0);
  await until(
    async () => (await stores[1]!.get(KEY))?.name === 'by hand' && (await stores[2]!.get(KEY))?.name === 'by hand',
  );
  await stores[1]!.audit.append([]); // behind what it was about to write
  await stores[2]!.audit.append([]);
  const events = await manager.audit();
  expect(events.map(({ action }) => action)).toEqual(['file.change', 'key.create', 'key.create']);
  const changes = [{ path: 'name', from: 'before', to: 'by hand' }];
  expect(events[0]).toMatchObject({ actor: 'file', via: 'file', apiKey: KEY, changes });
});

test('what a program changed is no change by hand, though a further one came before it was noticed', () => {
  const at = (version: number, name: string) => parseKeySettings({ apiKey: KEY, version, name });
  const [one, two, three] = [at(1, 'a'), at(2, 'b'), at(3, 'c')];
  const told = (before: KeySettings, after: KeySettings) => eventOf({ before, after, version: after.version });
  const actionsOf = (before: KeySettings | undefined, after: KeySettings | undefined, recent: readonly AuditEvent[]) =>
    eventsOf({ edits: [{ apiKey: KEY, before, after }], more: 0 }, recent).map(({ action }) => action);
  const newestFirst = [told(two, three), told(one, two)];
  expect(actionsOf(one, two, newestFirst)).toEqual([]);
  expect(actionsOf(two, three, newestFirst)).toEqual([]);
  // Back by hand, and forth again.
  expect(actionsOf(three, two, newestFirst)).toEqual(['file.change']);
  expect(actionsOf(two, three, [eventOf({ after: two, version: 2 }), ...newestFirst])).toEqual(['file.change']);
  expect(actionsOf(undefined, two, [eventOf({ version: 4, action: 'key.delete' }), ...newestFirst])).toEqual([
    'file.change',
  ]);
});

test('a change by hand is an event also where the history could not be written at first', async () => {
  const { file, trail } = place();
  writeFileSync(file, JSON.stringify({ keys: [{ apiKey: KEY, name: 'before' }] }));
  const store = new FileStore(file, { logger: recordingLogger() });
  endAfterTest(() => store.close());
  const manager = new KeyManager(store);
  mkdirSync(trail); // nothing can be written to it
  writeFileSync(file, JSON.stringify({ keys: [{ apiKey: KEY, name: 'by hand' }] }));
  await expect(manager.update(KEY, { name: 'later' })).rejects.toThrow();
  rmdirSync(trail);
  await manager.update(KEY, { name: 'later' });
  expect(Object.fromEntries((await manager.audit()).map(({ action, changes }) => [action, changes]))).toEqual({
    'key.update': [{ path: 'name', from: 'by hand', to: 'later' }],
    'file.change': [{ path: 'name', from: 'before', to: 'by hand' }],
  });
});

test('a change by hand in a file without times is told once, though each process has its own', () => {
  const readAt = (createdAt: string, name: string) =>
    parseKeySettings({ apiKey: KEY, name, createdAt, secrets: [{ hash: 'a'.repeat(64) }] });
  const [first, second] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'];
  const told = eventOf({ action: 'file.change', before: readAt(first, 'a'), after: readAt(first, 'b'), version: 1 });
  const edit = { apiKey: KEY, before: readAt(second, 'a'), after: readAt(second, 'b') };
  expect(eventsOf({ edits: [edit], more: 0 }, [told])).toEqual([]);
});

test('a hash that somebody replaces by hand is reported, and not shown', async () => {
  const { file } = place();
  const manager = new KeyManager(open(file));
  await manager.create({ apiKey: KEY, requireSecret: true });
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"hash": "[0-9a-f]{64}"/, `"hash": "${'b'.repeat(64)}"`));
  await until(async () => (await manager.audit({ action: 'file.change' })).length > 0);
  const [event] = await manager.audit();
  expect(event?.changes).toEqual([
    { path: expect.stringMatching(/^secrets\..*\.hash$/) as string, from: 'a hash', to: 'another hash' },
  ]);
});

test('a change by hand stands before the write that finds it', async () => {
  const { file } = place();
  const manager = new KeyManager(open(file));
  await manager.create({ apiKey: KEY });
  writeFileSync(file, readFileSync(file, 'utf8').replace('"enabled": true', '"enabled": false'));
  await manager.update(KEY, { name: 'later' });
  expect((await manager.audit()).map(({ action }) => action)).toEqual(['key.update', 'file.change', 'key.create']);
  expect(await manager.get(KEY)).toMatchObject({ name: 'later', enabled: false });
});

test('begins a new file at its bound, keeps ten, and pages through all of them', async () => {
  const { file, folder } = place();
  const files = new AuditFiles({ path: () => file, inLock: (work) => work(), isMade: () => true }, 2000);
  const events = Array.from({ length: 100 }, () => eventOf());
  for (const event of events) await files.append([event]);
  const names = readdirSync(folder).sort();
  expect(names).toHaveLength(10);
  for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThan(2400);
  const ids: string[] = [];
  for (let page = await files.list({ limit: 7 }); page.length > 0;) {
    ids.push(...page.map(({ id }) => id));
    page = await files.list({ limit: 7, before: ids.at(-1) });
  }
  expect(ids.length).toBeGreaterThan(50);
  expect(ids).toEqual(
    events
      .map(({ id }) => id)
      .reverse()
      .slice(0, ids.length),
  );
});

test('a history of more than 10 MB is in two files', async () => {
  const { file, trail, folder } = place();
  const { audit } = open(file);
  const changes = [{ path: 'name', to: 'x'.repeat(3_600_000) }];
  const names = () => readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  for (let n = 0; n < 3; n++) await audit.append([eventOf({ changes })]);
  expect(names()).toHaveLength(1);
  await audit.append([eventOf()]);
  expect(names()).toHaveLength(2);
  expect(statSync(trail).size).toBeLessThan(1000);
});

test('a line longer than what is read at once is read whole', async () => {
  const { file } = place();
  const files = new AuditFiles({ path: () => file, inLock: (work) => work(), isMade: () => true });
  const first = eventOf();
  const long = eventOf({ changes: [{ path: 'name', to: 'x'.repeat(2_100_000) }] });
  const last = eventOf();
  for (const event of [first, long, last]) await files.append([event]);
  expect((await files.list({ limit: 9 })).map(({ id }) => id)).toEqual([last.id, long.id, first.id]);
  expect(await files.list({ limit: 9, before: long.id })).toEqual([first]);
});

test('a store that is closed has written what it was given', async () => {
  const { file, trail } = place();
  const store = open(file);
  await store.set({ apiKey: KEY });
  const event = eventOf();
  void store.audit.append([event]);
  await store.close();
  expect(readFileSync(trail, 'utf8')).toBe(`${JSON.stringify(event)}\n`);
});

test('a line that is damaged is passed over and logged, and a file that cannot be read or written is named', async () => {
  const { file, trail } = place();
  const logger = recordingLogger();
  const store = new FileStore(file, { logger });
  endAfterTest(() => store.close());
  const manager = new KeyManager(store);
  await manager.create({ apiKey: KEY });
  for (const name of ['b', 'c', 'd']) await manager.update(KEY, { name });
  const [first, second, third, ...rest] = readFileSync(trail, 'utf8').split('\n');
  const versions = async () => (await manager.audit({ limit: 2 })).map(({ version }) => version);
  const damaged = () => logger.lines.filter(({ text }) => text.includes('damaged')).map(({ text }) => text);
  writeFileSync(trail, [first, ' ', third!, ...rest].join('\n'));
  expect(await versions()).toEqual([4, 3]);
  expect(damaged()).toEqual([]);
  writeFileSync(trail, [first, second, third!.slice(0, 300), ...rest].join('\n'));
  expect(await versions()).toEqual([4, 2]);
  writeFileSync(trail, [first, 'no JSON', third!.slice(0, 300), ...rest].join('\n'));
  expect(await versions()).toEqual([4, 1]);
  expect(await versions()).toEqual([4, 1]);
  const lineBehind = (...lines: readonly string[]): string => {
    const byte = Buffer.byteLength(`${lines.join('\n')}\n`);
    return `a line of the history is damaged: its event is not shown ${JSON.stringify({ file: trail, byte })}`;
  };
  expect(damaged()).toEqual([lineBehind(first!, second!), lineBehind(first!)]);
  expect(second).toContain('"version":2');
  rmSync(trail);
  mkdirSync(trail);
  const broken = { code: 'ERR_RPC_GUARD_STORE' };
  await expect(versions()).rejects.toMatchObject({ ...broken, message: `${trail} cannot be read: EISDIR` });
  const written = { ...broken, message: `${trail} cannot be written: EISDIR` };
  await expect(manager.update(KEY, { name: 'e' })).rejects.toMatchObject(written);
  expect((await manager.get(KEY))?.name).toBe('d');
});
