import { spawnSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import fs from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../lib';
import { writeDurably } from '../../lib/stores/durable-file';
import { endAfterTest } from '../support/cleanup';
import { KEY, recordingLogger } from '../support/pieces';

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  const made = folder;
  endAfterTest(() => rmSync(made, { recursive: true }));
  file = join(folder, 'keys.json');
});
afterEach(() => jest.restoreAllMocks());

const write = (text: string) => writeDurably(file, [Buffer.from(text)]);

/** Every file that is opened from now on has these methods in place of its own. */
function openedWith(methods: (handle: FileHandle) => Partial<FileHandle>): void {
  const open = fs.open.bind(fs);
  jest.spyOn(fs, 'open').mockImplementation(async (...args) => {
    const handle = await open(...args);
    return Object.assign(handle, methods(handle));
  });
}

const noSpace = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));

/** Takes `limit` bytes as a full disk does: the write that meets the end is short, the next one fails. */
function fullAfter(limit: number): void {
  let left = limit;
  openedWith((handle) => {
    const whole = handle.write.bind(handle) as (...args: unknown[]) => Promise<unknown>;
    const write = (bytes: Uint8Array, offset: number, length: number) => {
      if (left === 0) return noSpace();
      const taken = Math.min(left, length);
      left -= taken;
      return whole(bytes, offset, taken);
    };
    return { write: write as unknown as FileHandle['write'] };
  });
}

describe('a file is replaced as a whole:', () => {
  test('short writes go on until every byte is there', async () => {
    openedWith((handle) => {
      const whole = handle.write.bind(handle) as (...args: unknown[]) => Promise<unknown>;
      const write = (bytes: Uint8Array, offset: number, length: number) => whole(bytes, offset, Math.min(7, length));
      return { write: write as unknown as FileHandle['write'] };
    });
    await write('x'.repeat(1000));
    expect(readFileSync(file, 'utf8')).toBe('x'.repeat(1000));
  });

  test('a full disk leaves the old file and nothing else, and the error says ENOSPC', async () => {
    writeFileSync(file, 'old');
    fullAfter(100);
    await expect(write('x'.repeat(1000))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['keys.json']);
  });

  test.each(['sync', 'close'] as const)('a %s that fails leaves the old file and nothing else', async (method) => {
    writeFileSync(file, 'old');
    openedWith((handle) => {
      if (method === 'sync') return { sync: noSpace };
      const close = handle.close.bind(handle);
      return { close: () => close().then(noSpace) };
    });
    await expect(write('new')).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['keys.json']);
  });

  test('its bytes are synced before it takes the place, and its folder after that', async () => {
    const steps: string[] = [];
    openedWith((handle) => {
      const sync = handle.sync.bind(handle);
      return {
        sync: async () => {
          steps.push((await handle.stat()).isDirectory() ? 'sync folder' : 'sync file');
          return sync();
        },
      };
    });
    const rename = fs.rename.bind(fs);
    jest.spyOn(fs, 'rename').mockImplementation((...args) => {
      steps.push('rename');
      return rename(...args);
    });
    await write('new');
    expect(steps).toEqual(['sync file', 'rename', 'sync folder']);
  });

  test('what is written aside has a random name, is made anew and follows no link', async () => {
    const opened: unknown[][] = [];
    const open = fs.open.bind(fs);
    jest.spyOn(fs, 'open').mockImplementation((...args) => {
      opened.push(args);
      return open(...args);
    });
    await write('first');
    await write('second');
    const asides = opened.filter(([path]) => path !== folder);
    expect(new Set(asides.map(([path]) => path)).size).toBe(2);
    for (const [path, flags, mode] of asides) {
      expect(path).toMatch(/\/\.keys\.json\.[0-9a-f]{24}\.tmp$/);
      expect([flags, mode]).toEqual(['wx', 0o600]);
    }
    symlinkSync(file, join(folder, 'link'));
    await expect(open(join(folder, 'link'), 'wx')).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('a writer that may no longer replace it leaves the old one', async () => {
    writeFileSync(file, 'old');
    const lost = new Error('lost');
    await expect(writeDurably(file, [Buffer.from('new')], () => Promise.reject(lost))).rejects.toBe(lost);
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['keys.json']);
  });
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

describe('access', () => {
  asRoot('of an existing file stays: owner, group and mode', async () => {
    writeFileSync(file, 'old', { mode: 0o640 });
    chownSync(file, 65534, 65533);
    expect(await write('new')).toBe(true);
    expect(statSync(file)).toMatchObject({ uid: 65534, gid: 65533 });
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  asRoot('of a group that may not be set is not handed to another, and the writer is told', async () => {
    writeFileSync(file, 'old', { mode: 0o640 });
    chownSync(file, 65534, 65533);
    openedWith(() => ({ chown: () => Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' })) }));
    expect(await write('new')).toBe(false);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

/** A file system that is full after 64 KB. */
function smallDisk(): string | undefined {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status !== 0) return undefined;
  endAfterTest(() => void spawnSync('umount', [disk]));
  return disk;
}

test('a FileStore on a full disk keeps its file whole, says ENOSPC, and writes again when there is room', async () => {
  const disk = smallDisk();
  if (disk === undefined) {
    console.warn('skipped, because this user may mount no tmpfs');
    return;
  }
  const path = join(disk, 'keys.json');
  const store = new FileStore(path, { logger: recordingLogger() });
  endAfterTest(() => store.close());
  await store.set({ apiKey: KEY, name: 'kept' });
  const failures: unknown[] = [];
  for (let n = 0; n < 300 && failures.length === 0; n++) {
    const apiKey = `filling-key-${String(n).padStart(4, '0')}`;
    const whole = readFileSync(path, 'utf8');
    await store.set({ apiKey, name: 'x'.repeat(200) }).catch((error: unknown) => {
      failures.push(error);
      expect(readFileSync(path, 'utf8')).toBe(whole);
    });
  }
  expect(failures).toEqual([
    expect.objectContaining({ code: 'ERR_RPC_GUARD_STORE', message: expect.stringContaining('ENOSPC') as string }),
  ]);
  expect(readdirSync(disk)).toEqual(['keys.json']);
  expect(await store.get(KEY)).toMatchObject({ name: 'kept' });
  spawnSync('mount', ['-o', 'remount,size=1m', disk]);
  expect(await store.set({ apiKey: KEY, name: 'changed' })).toMatchObject({ name: 'changed' });
});
