import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { FileStore, hashSecret } from '../../lib';
import type { RpcGuardError } from '../../lib';
import { endAfterTest } from '../support/cleanup';
import { describeLocalStore } from '../support/local-store';
import { KEY, OTHER_KEY, recordingLogger, thrownBy } from '../support/pieces';
import { until } from '../support/until';
import { storeContract } from './store-contract';

const HASH = hashSecret('rgs_a-secret');

let file = '';
let logger = recordingLogger();
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  // Tried again where a store that is closed by now still writes what it saw into the history.
  endAfterTest(() => rmSync(folder, { recursive: true, maxRetries: 5 }));
  file = join(folder, 'keys.json');
  logger = recordingLogger();
});

function openStore(path = file): FileStore {
  const store = new FileStore(path, { logger });
  endAfterTest(() => store.close());
  return store;
}

const documentOf = (...keys: readonly unknown[]) => JSON.stringify({ keys }, null, 2);
const save = (...keys: readonly unknown[]) => writeFileSync(file, documentOf(...keys));
const saved = () => JSON.parse(readFileSync(file, 'utf8')) as { readonly keys: readonly { readonly apiKey: string }[] };

async function nameOf(store: FileStore, apiKey = KEY): Promise<string | undefined> {
  return (await store.get(apiKey))?.name;
}

const errors = () => logger.lines.filter(({ level }) => level === 'error').map(({ text }) => text);

describe('FileStore', () => {
  storeContract(test, () => openStore());
  describeLocalStore(() => openStore());
});

describe('a settings file', () => {
  test('that is not there has no keys, and is read when it comes', async () => {
    const store = openStore();
    expect(await store.get(KEY)).toBeUndefined();
    save({ apiKey: KEY, name: 'came' });
    await until(async () => (await nameOf(store)) === 'came');
  });

  test('is read when the store is made', async () => {
    save({ apiKey: KEY, name: 'hand-written' }, { apiKey: OTHER_KEY, requireSecret: true });
    const store = openStore();
    expect(await store.get(KEY)).toMatchObject({ name: 'hand-written', enabled: true, version: 1 });
    expect(await store.get(OTHER_KEY)).toMatchObject({ requireSecret: true });
  });

  test.each([
    ['in place', (text: string) => writeFileSync(file, text)],
    [
      'by emptying it first',
      (text: string) => {
        writeFileSync(file, '');
        writeFileSync(file, text);
      },
    ],
    [
      'by renaming a new file over it',
      (text: string) => {
        writeFileSync(`${file}.new`, text);
        renameSync(`${file}.new`, file);
      },
    ],
    [
      'by renaming it away and writing another',
      (text: string) => {
        renameSync(file, `${file}~`);
        writeFileSync(file, text);
      },
    ],
    [
      'by deleting it and writing another',
      (text: string) => {
        unlinkSync(file);
        writeFileSync(file, text);
      },
    ],
  ])('that an editor saves %s is read again, and the change announced', async (_, saveAs) => {
    save({ apiKey: KEY, name: 'before' }, { apiKey: OTHER_KEY });
    const store = openStore();
    const changed: string[] = [];
    store.subscribe((apiKey) => changed.push(apiKey));
    for (const name of ['second', 'third']) {
      saveAs(documentOf({ apiKey: KEY, name }, { apiKey: OTHER_KEY }));
      await until(async () => (await nameOf(store)) === name);
    }
    expect(changed).toEqual([KEY, KEY]);
    expect(errors()).toEqual([]);
  });

  test('is read again when neither its size nor its time has changed', async () => {
    const store = openStore();
    const second = Math.floor(Date.now() / 1000);
    for (const name of ['aaaa', 'bbbb', 'cccc']) {
      save({ apiKey: KEY, name });
      utimesSync(file, second, second);
      await until(async () => (await nameOf(store)) === name);
    }
  });

  test('is read again when its size and time are those of what was read long ago', async () => {
    const longAgo = new Date(Date.now() - 3_600_000);
    const saveOld = (name: string) => {
      save({ apiKey: KEY, name });
      utimesSync(file, longAgo, longAgo);
    };
    saveOld('aaaa');
    const store = openStore();
    const later = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 10_000);
    await sleep(500); // two polls, after which what the system says of the file is trusted
    later.mockRestore();
    saveOld('bbbb');
    await until(async () => (await nameOf(store)) === 'bbbb');
  });

  test('may begin with a byte order mark, and keeps it', async () => {
    writeFileSync(file, `\ufeff${documentOf({ apiKey: KEY, name: 'marked' })}`);
    const store = openStore();
    expect(await nameOf(store)).toBe('marked');
    await store.set({ apiKey: OTHER_KEY });
    expect(readFileSync(file, 'utf8')).toMatch(/^\ufeff\{/);
    expect((await openStore().list()).length).toBe(2);
  });

  test.each(['latin1', 'utf16le'] as const)('in %s is refused, with what to do', (encoding) => {
    writeFileSync(file, Buffer.from(`\ufeff${documentOf({ apiKey: KEY, name: 'Zürich' })}`, encoding));
    const error = thrownBy(() => openStore());
    expect(error.code).toBe('ERR_RPC_GUARD_STORE');
    expect(error.message).toBe(`${file} is not UTF-8: save it in that encoding`);
  });

  test('announces keys that come, go and change, and no others', async () => {
    save({ apiKey: KEY }, { apiKey: OTHER_KEY }, { apiKey: 'unchanged' });
    const store = openStore();
    const changed: string[] = [];
    store.subscribe((apiKey) => changed.push(apiKey));
    save({ apiKey: 'unchanged' }, { apiKey: 'new-key-1' }, { apiKey: KEY, enabled: false });
    await until(() => changed.length >= 3);
    expect(changed.sort()).toEqual([KEY, OTHER_KEY, 'new-key-1'].sort());
    expect(await store.get(OTHER_KEY)).toBeUndefined();
    expect(await store.get(KEY)).toMatchObject({ enabled: false });
  });

  test('that goes away leaves what was read in force, says so once, and is read when it returns', async () => {
    save({ apiKey: KEY, name: 'before' });
    const store = openStore();
    unlinkSync(file);
    await until(() => errors().length > 0);
    expect(await nameOf(store)).toBe('before');
    expect(errors()[0]).toContain(file);
    save({ apiKey: KEY, name: 'after' });
    await until(async () => (await nameOf(store)) === 'after');
    await until(() => logger.lines.some(({ level }) => level === 'info'));
    expect(errors()).toHaveLength(1);
  });

  test('that is empty after it held keys leaves what was read in force', async () => {
    save({ apiKey: KEY, name: 'before' });
    const store = openStore();
    writeFileSync(file, '');
    await until(() => errors().length > 0);
    expect(await nameOf(store)).toBe('before');
    expect(errors()[0]).toContain(`${file}:1:1`);
  });

  test.each([
    ['a folder', () => mkdirSync(file)],
    ['a pipe', () => spawnSync('mkfifo', [file])],
  ])('that turns into %s leaves what was read in force', async (_, make) => {
    save({ apiKey: KEY, name: 'before' });
    const store = openStore();
    unlinkSync(file);
    make();
    await until(() => errors().length > 0);
    expect(await nameOf(store)).toBe('before');
    await expect(store.set({ apiKey: KEY })).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_STORE' });
  });

  test('that is replaced by an older one is in force, and says so', async () => {
    const old = { apiKey: KEY, version: 3, createdAt: '2026-01-01T00:00:00Z' };
    save(old, { apiKey: OTHER_KEY });
    const store = openStore();
    save({ ...old, version: 4, enabled: false }, { apiKey: OTHER_KEY, name: 'x' });
    await until(async () => (await store.get(KEY))?.enabled === false);
    expect(errors()).toEqual([]);
    save(old, { apiKey: OTHER_KEY });
    await until(async () => (await store.get(KEY))?.enabled === true);
    expect(errors()).toEqual([expect.stringMatching(/replaced by an older one.*012345…/)]);
    expect(errors().join()).not.toContain('fedcba');
  });
});

const broken: readonly (readonly [what: string, text: string, at: string])[] = [
  ['a comma too many', `{\n  "keys": [\n    { "apiKey": "${KEY}", }\n  ]\n}\n`, '}\n  ]'],
  ['a bracket that does not fit', `{ "keys": [{ "apiKey": "${KEY}" } }`, '}'],
  ['a comment', `{\n  // keys\n  "keys": []\n}`, '//'],
  ['text after it', `{"keys": []}\n{}`, '{}'],
];

describe('a file that is not JSON', () => {
  const placeOf = (text: string, at: string) => {
    const lines = text.slice(0, text.lastIndexOf(at)).split('\n');
    return `${file}:${String(lines.length)}:${String((lines.at(-1) ?? '').length + 1)}`;
  };

  test.each(broken)('for %s leaves what was read in force and says file:line:column', async (_, text, at) => {
    save({ apiKey: KEY, name: 'good', secrets: [{ hash: HASH }] });
    const store = openStore();
    const changed: string[] = [];
    store.subscribe((apiKey) => changed.push(apiKey));
    writeFileSync(file, text);
    await until(() => errors().length > 0);
    expect(await store.get(KEY)).toMatchObject({ name: 'good' });
    expect(changed).toEqual([]);
    expect(errors()[0]).toContain(`${placeOf(text, at)} `);
    expect(errors()[0]).not.toContain(KEY);
  });

  test.each(broken)('for %s keeps a store from starting, and the error says file:line:column', (_, text, at) => {
    writeFileSync(file, text);
    const error = thrownBy(() => openStore());
    expect(error.code).toBe('ERR_RPC_GUARD_STORE');
    expect(error.message).toContain(placeOf(text, at));
    expect(error.message).not.toContain(KEY);
  });

  test('shows no hash of it', async () => {
    save({ apiKey: KEY, secrets: [{ hash: HASH }] });
    openStore();
    writeFileSync(file, `{"keys":[{"apiKey":"${KEY}","secrets":[{"hash":"${HASH}}]}]}`);
    await until(() => errors().length > 0);
    expect(errors().join()).not.toContain(HASH);
    expect(errors().join()).not.toContain(KEY);
  });

  test('is not written over', async () => {
    save({ apiKey: KEY });
    const store = openStore();
    writeFileSync(file, '{ "keys": [');
    await expect(store.set({ apiKey: OTHER_KEY })).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_STORE' });
    await expect(store.delete(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_STORE' });
    expect(readFileSync(file, 'utf8')).toBe('{ "keys": [');
  });

  test('is not read again until somebody mends it', async () => {
    save({ apiKey: KEY, name: 'good' });
    const store = openStore();
    writeFileSync(file, '{"keys":[');
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 10_000); // the file has settled
    await until(() => errors().length === 1);
    const polls = jest.spyOn(promises, 'stat');
    const reads = jest.spyOn(promises, 'readFile');
    await until(() => polls.mock.calls.length === 4);
    expect(reads.mock.calls.length).toBeLessThanOrEqual(1);
    jest.restoreAllMocks();
    save({ apiKey: KEY, name: 'mended' });
    await until(async () => (await nameOf(store)) === 'mended');
  });

  test('is in force again when it is mended', async () => {
    save({ apiKey: KEY, name: 'first' });
    const store = openStore();
    writeFileSync(file, '{');
    await until(() => errors().length > 0);
    save({ apiKey: KEY, name: 'mended' });
    await until(async () => (await nameOf(store)) === 'mended');
    await until(() => logger.lines.some(({ level }) => level === 'info'));
    expect(errors()).toHaveLength(1);
  });
});

describe('a file of another shape', () => {
  const shapes = [
    '[]',
    'null',
    '7',
    '{}',
    '{"keys":{}}',
    '{"keys":null}',
    '{"key":[]}',
    '{"keys":[],"keys":[]}',
    '{"__proto__":{"keys":[]}}',
    `{"keys":[{"apiKey":"${KEY}","requireSecret":true,"requireSecret":false}]}`,
    `{"keys":[{"apiKey":"${KEY}","__proto__":{}}]}`,
  ];

  test.each(shapes)('keeps a store from starting: %s', (text) => {
    writeFileSync(file, text);
    expect(() => openStore()).toThrow(expect.objectContaining({ code: 'ERR_RPC_GUARD_STORE' }) as Error);
  });

  test('leaves what was read in force', async () => {
    const stores = shapes.map((text, n) => {
      const path = `${file}.${String(n)}`;
      writeFileSync(path, documentOf({ apiKey: KEY, name: 'good' }));
      const store = openStore(path);
      writeFileSync(path, text);
      return { path, store };
    });
    for (const { path, store } of stores) {
      await until(() => errors().some((line) => line.includes(path)));
      expect(await nameOf(store)).toBe('good');
    }
  });
});

describe('settings that do not parse', () => {
  const wrong: readonly (readonly [place: string, settings: object])[] = [
    ['requiresecret', { requiresecret: true }],
    ['allowlists.origins.0', { allowlists: { origins: ['https://example.com/'] } }],
    ['allowlists.methods', { allowlists: { methods: Array.from({ length: 31 }, (_, n) => `eth_${String(n)}`) } }],
    ['secrets.0.hash', { secrets: [{ hash: HASH.toUpperCase() }] }],
    ['enabled', { enabled: 'no' }],
  ];

  test.each(wrong)('refuse their key alone: %s', async (place, settings) => {
    save({ apiKey: KEY, ...settings }, { apiKey: OTHER_KEY, name: 'good' });
    const store = openStore();
    expect(await nameOf(store, OTHER_KEY)).toBe('good');
    const error = await store.get(KEY).then(
      () => undefined,
      (reason: unknown) => reason as RpcGuardError,
    );
    expect(error).toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
    expect(error?.message).toContain(place);
    expect(error?.message).not.toContain(HASH.toUpperCase());
  });

  test.each(wrong)('refuse a key that was good before: %s', async (_, settings) => {
    save({ apiKey: KEY }, { apiKey: OTHER_KEY, name: 'good' });
    const store = openStore();
    const changed: string[] = [];
    store.subscribe((apiKey) => changed.push(apiKey));
    save({ apiKey: KEY, ...settings }, { apiKey: OTHER_KEY, name: 'better' });
    await until(async () => (await nameOf(store, OTHER_KEY)) === 'better');
    await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
    expect(changed.sort()).toEqual([KEY, OTHER_KEY].sort());
  });

  test('include the same key twice, whichever is the stricter', async () => {
    save({ apiKey: KEY, requireSecret: true }, { apiKey: KEY }, { apiKey: OTHER_KEY });
    const store = openStore();
    await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
    expect(await store.get(OTHER_KEY)).toBeDefined();
    save({ apiKey: KEY }, { apiKey: KEY }, { apiKey: KEY, name: 'third' }, { apiKey: OTHER_KEY, name: 'new' });
    await until(async () => (await nameOf(store, OTHER_KEY)) === 'new');
    await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
  });

  test.each([null, 7, 'x', [], {}, { apiKey: 7 }, { name: 'x' }])('without a key are skipped: %j', async (entry) => {
    save(entry, { apiKey: KEY, name: 'good' });
    const store = openStore();
    expect(await nameOf(store)).toBe('good');
    expect(errors().join()).toContain('keys[0]');
  });

  test('stay in the file as they are when another key is written', async () => {
    const bad = { apiKey: KEY, requiresecret: true };
    save(bad, null, { apiKey: OTHER_KEY });
    const store = openStore();
    await store.set({ apiKey: OTHER_KEY, name: 'new' });
    await store.set({ apiKey: 'third-key' });
    expect(saved().keys.slice(0, 2)).toEqual([bad, null]);
    expect(saved().keys.map((it) => (it as { apiKey?: string } | null)?.apiKey)).toEqual([
      KEY,
      undefined,
      OTHER_KEY,
      'third-key',
    ]);
    await expect(store.get(KEY)).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_SETTINGS' });
  });
});

describe('keys of the file that cannot work', () => {
  const keys = [
    { apiKey: KEY },
    { apiKey: 'test' },
    { apiKey: 'mistyped-member', requiresecret: true },
    { name: 'nobody' },
  ];

  test('are logged when it is read, once each, by their first characters, with the place and the reason', async () => {
    save(...keys);
    const store = openStore();
    expect(errors()).toHaveLength(3);
    expect(errors().join()).toMatch(/te….*keys\[1\].*8 to 128 characters/);
    expect(errors().join()).toMatch(/mistyp….*keys\[2\].*requiresecret/);
    expect(errors().join()).not.toContain('mistyped-member');
    save(...keys, { apiKey: OTHER_KEY, enabled: 'yes' });
    await until(() => errors().length > 3);
    expect(errors().slice(3)).toEqual([expect.stringContaining('fedcba…')]);
    expect(await store.problems()).toHaveLength(4);
  });

  test('are problems until they are mended, and in no list', async () => {
    save(...keys);
    const store = openStore();
    expect((await store.problems()).map(({ keyHint, reason }) => [keyHint, reason.slice(0, 7)])).toEqual([
      ['te…', 'keys[1]'],
      ['mistyp…', 'keys[2]'],
      ['', 'keys[3]'],
    ]);
    expect(await store.list({ sort: 'name' })).toHaveLength(1);
    await store.set({ apiKey: 'mistyped-member', requireSecret: true });
    expect(await store.problems()).toHaveLength(2);
    await store.delete('test');
    expect(await store.problems()).toHaveLength(1);
  });

  test('are found among many, after the store is open', async () => {
    const many = Array.from({ length: 5000 }, (_, n) => ({ apiKey: `key-${String(n).padStart(5, '0')}` }));
    save(...many, { apiKey: 'last-of-all', x: 1 });
    const store = openStore();
    expect(await store.get('key-00042')).toBeDefined();
    expect(await store.problems()).toEqual([
      { keyHint: 'last-…', reason: expect.stringMatching(/^keys\[5000\]: .*x: does not exist/) as string },
    ]);
    expect(errors()).toHaveLength(1);
  });
});

test('a store that serves from a missing file says so once, with what to write, and when it comes', async () => {
  const store = openStore();
  expect(errors()).toEqual([]);
  store.subscribe(() => undefined);
  save({ apiKey: KEY });
  await until(() => logger.lines.some(({ level }) => level === 'info'));
  expect(errors()).toEqual([expect.stringMatching(/does not exist: no key is known.*keys create/)]);
});

describe('what a killed writer left beside the file', () => {
  const aside = (of = 'keys.json', digits = 'a'.repeat(24)) => join(file, '..', `.${of}.${digits}.tmp`);
  const old = new Date(Date.now() - 120_000);
  const leave = (path: string, at = old) => {
    writeFileSync(path, 'left');
    utimesSync(path, at, at);
  };
  const there = () => readdirSync(join(file, '..')).sort();

  test('is removed when the store is opened, and nothing else', async () => {
    save({ apiKey: KEY });
    leave(aside());
    const kept = [aside('keys.json', 'b'.repeat(24)), aside('other.json'), aside('keys.json', 'mine'), `${file}.tmp`];
    leave(kept[0]!, new Date()); // of a write that is under way
    for (const path of kept.slice(1)) leave(path);
    mkdirSync(aside('keys.json', 'c'.repeat(24)));
    utimesSync(aside('keys.json', 'c'.repeat(24)), old, old);
    openStore();
    await until(() => there().length < 7);
    expect(there()).toEqual(
      ['keys.json', ...[...kept, aside('keys.json', 'c'.repeat(24))].map((path) => basename(path))].sort(),
    );
  });
});

describe('a write', () => {
  test('makes a file that only its owner can read', async () => {
    await openStore().set({ apiKey: KEY });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test.each([0o600, 0o640, 0o644])('keeps the mode of a file that is there: %o', async (mode) => {
    save({ apiKey: OTHER_KEY });
    chmodSync(file, mode);
    await openStore().set({ apiKey: KEY });
    expect(statSync(file).mode & 0o777).toBe(mode);
    expect(logger.lines).toEqual([]);
  });

  test('leaves nothing else behind', async () => {
    const store = openStore();
    await store.set({ apiKey: KEY });
    await expect(store.set({ apiKey: KEY }, 7)).rejects.toBeDefined();
    await store.delete(KEY);
    expect(readdirSync(join(file, '..'))).toEqual(['keys.json']);
  });

  test('keeps what else the file holds', async () => {
    writeFileSync(file, JSON.stringify({ $schema: 'x', keys: [{ apiKey: OTHER_KEY, name: 'kept' }], note: [1] }));
    await openStore().set({ apiKey: KEY });
    expect(saved()).toMatchObject({
      $schema: 'x',
      note: [1],
      keys: [{ apiKey: OTHER_KEY, name: 'kept' }, { apiKey: KEY }],
    });
  });

  test('leaves the rest as it was written, to the digit', async () => {
    const text = `{ "keys": [ { "apiKey": "${OTHER_KEY}",  "version": 1.0 } ], "note": 1e2 }\n`;
    writeFileSync(file, text);
    const store = openStore();
    await store.set({ apiKey: KEY });
    expect(readFileSync(file, 'utf8')).toContain(`{ "apiKey": "${OTHER_KEY}",  "version": 1.0 }`);
    await store.delete(KEY);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('keeps the line ends of the file', async () => {
    writeFileSync(file, documentOf({ apiKey: OTHER_KEY }).replaceAll('\n', '\r\n'));
    await openStore().set({ apiKey: KEY });
    expect(readFileSync(file, 'utf8')).not.toMatch(/[^\r]\n/);
  });

  test('makes the file that a link names, and keeps the link', async () => {
    const target = join(dirname(file), 'target.json');
    symlinkSync('target.json', file);
    await openStore().set({ apiKey: KEY });
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(await nameOf(openStore(target))).toBe('');
  });

  test('of a key that is there twice leaves one', async () => {
    save({ apiKey: KEY, name: 'a' }, { apiKey: OTHER_KEY }, { apiKey: KEY, name: 'b' }, { apiKey: KEY, name: 'c' });
    const store = openStore();
    const changed: string[] = [];
    store.subscribe((apiKey) => changed.push(apiKey));
    await store.set({ apiKey: KEY, name: 'mended' });
    expect(saved().keys.map(({ apiKey }) => apiKey)).toEqual([KEY, OTHER_KEY]);
    expect(await nameOf(store)).toBe('mended');
    expect(changed).toEqual([KEY]);
  });

  test('builds on what the file holds now, not on what was read before', async () => {
    save({ apiKey: KEY, name: 'before' });
    const store = openStore();
    save({ apiKey: KEY, name: 'edited', version: 5 }, { apiKey: OTHER_KEY });
    await expect(store.set({ apiKey: KEY, name: 'stale' }, 1)).rejects.toMatchObject({
      code: 'ERR_RPC_GUARD_STALE_WRITE',
    });
    expect(await store.set({ apiKey: KEY, name: 'new' }, 5)).toMatchObject({ version: 6 });
    expect(saved().keys.map(({ apiKey }) => apiKey)).toEqual([KEY, OTHER_KEY]);
    expect(await store.get(OTHER_KEY)).toBeDefined();
  });

  test('undoes no edit that is made by hand meanwhile', async () => {
    save({ apiKey: KEY }, { apiKey: OTHER_KEY });
    const store = openStore();
    const written = store.set({ apiKey: KEY, name: 'renamed' });
    const isUnderWay = () => readdirSync(dirname(file)).some((name) => name.endsWith('.tmp'));
    while (!isUnderWay()) await setImmediate();
    save({ apiKey: KEY }, { apiKey: OTHER_KEY, enabled: false });
    await written;
    expect(saved().keys).toMatchObject([{ name: 'renamed' }, { enabled: false }]);
    expect(await store.get(OTHER_KEY)).toMatchObject({ enabled: false });
  });

  test('that is stale has read the file when it is refused, so that it can be tried again at once', async () => {
    save({ apiKey: KEY, name: 'before' });
    const store = openStore();
    save({ apiKey: KEY, name: 'edited', version: 5 });
    await expect(store.set({ apiKey: KEY, name: 'stale' }, 1)).rejects.toThrow();
    expect(await store.get(KEY)).toMatchObject({ name: 'edited', version: 5 });
  });

  test('is seen by another store of the file', async () => {
    const [one, other] = [openStore(), openStore()];
    await one.set({ apiKey: KEY, name: 'new' });
    await until(async () => (await nameOf(other)) === 'new');
    await one.delete(KEY);
    await until(async () => (await other.get(KEY)) === undefined);
  });

  test('never shows half a file', async () => {
    const store = openStore();
    const keys = Array.from({ length: 30 }, (_, n) => ({ apiKey: `key-${String(n).padStart(4, '0')}` }));
    await store.set({ apiKey: KEY });
    let done = false as boolean;
    const reading = (async () => {
      let reads = 0;
      for (; !done; reads++) {
        expect(saved().keys.length).toBeGreaterThan(0);
        await sleep(0);
      }
      return reads;
    })();
    for (const settings of keys) await store.set({ ...settings, name: 'x'.repeat(200) });
    done = true;
    expect(await reading).toBeGreaterThan(keys.length);
  });

  test('waits for the lock of another process', async () => {
    save({ apiKey: KEY });
    const store = openStore();
    mkdirSync(`${file}.lock`);
    let isWritten = false as boolean;
    const writing = store.set({ apiKey: OTHER_KEY }).then(() => {
      isWritten = true;
    });
    save({ apiKey: KEY, name: 'while it waits' });
    await until(async () => (await nameOf(store)) === 'while it waits');
    expect(isWritten).toBe(false);
    rmSync(`${file}.lock`, { recursive: true });
    await writing;
    expect(saved().keys.map(({ apiKey }) => apiKey)).toEqual([KEY, OTHER_KEY]);
  });

  test('takes the lock of a process that died', async () => {
    save({ apiKey: KEY });
    const store = openStore();
    mkdirSync(`${file}.lock`);
    await store.set({ apiKey: OTHER_KEY });
    expect(await store.get(OTHER_KEY)).toBeDefined();
  });

  test('of two processes at once loses nothing, and one of two contested writes wins', async () => {
    save({ apiKey: 'contested-key' });
    const count = 20;
    const writers = ['writer-a', 'writer-b'].map((name) => {
      const script = join(__dirname, '../support/file-writer.cjs');
      const child = spawn(process.execPath, [script, file, name, String(count)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      endAfterTest(() => child.kill());
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      return { child, name, nextLine: async () => (await lines.next()).value as unknown };
    });
    for (const { nextLine } of writers) expect(await nextLine()).toBe('ready');
    const ends = writers.map(({ child }) => once(child, 'exit'));
    for (const { child } of writers) child.stdin.write('go\n');
    const outcomes = await Promise.all(writers.map(({ nextLine }) => nextLine()));
    expect(await Promise.all(ends)).toEqual([
      [0, null],
      [0, null],
    ]);

    expect([...outcomes].sort()).toEqual(['ERR_RPC_GUARD_STALE_WRITE', 'won']);
    const winner = writers[outcomes.indexOf('won')]?.name;
    const expected = writers.flatMap(({ name }) =>
      Array.from({ length: count }, (_, n) => `${name}-${String(n).padStart(4, '0')}`),
    );
    expect(
      saved()
        .keys.map(({ apiKey }) => apiKey)
        .sort(),
    ).toEqual(['contested-key', ...expected].sort());
    expect(saved().keys).toContainEqual(expect.objectContaining({ apiKey: 'contested-key', name: winner, version: 2 }));
    const left = readdirSync(join(file, '..')).filter((name) => !name.endsWith('.audit.jsonl'));
    expect(left).toEqual(['keys.json']);
  });
});

describe('the path', () => {
  test.each(['', undefined, null, 7, {}])('%p is not one', (path) => {
    expect(() => new FileStore(path as string)).toThrow(
      expect.objectContaining({ code: 'ERR_RPC_GUARD_OPTIONS' }) as Error,
    );
  });

  test('of a folder is not one', () => {
    mkdirSync(file);
    expect(() => openStore()).toThrow(expect.objectContaining({ code: 'ERR_RPC_GUARD_STORE' }) as Error);
  });
});

test('a closed store keeps what was read and stops watching', async () => {
  save({ apiKey: KEY, name: 'before' });
  const [closed, open] = [openStore(), openStore()];
  const changed: string[] = [];
  closed.subscribe((apiKey) => changed.push(apiKey));
  await closed.close();
  save({ apiKey: KEY, name: 'after' });
  await until(async () => (await nameOf(open)) === 'after');
  expect(await nameOf(closed)).toBe('before');
  expect(changed).toEqual([]);
});
