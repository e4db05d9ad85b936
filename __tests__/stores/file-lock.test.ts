import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileStore } from '../../lib';
import { lockFile } from '../../lib/stores/file-lock';
import { endAfterTest } from '../support/cleanup';
import { KEY, recordingLogger } from '../support/pieces';

const STALE_MS = 400;

let file = '';
let folder = '';
beforeEach(() => {
  const made = mkdtempSync(join(tmpdir(), 'rpc-guard-'));
  endAfterTest(() => rmSync(made, { recursive: true }));
  file = join(made, 'keys.json');
  folder = `${file}.lock`;
});
afterEach(() => jest.restoreAllMocks());

const take = () => lockFile(file, { staleMs: STALE_MS, waitMs: 10 * STALE_MS });

/** What a holder that was killed leaves, with its time of change this far from now. */
function leaveLock(ageMs = 0): void {
  mkdirSync(folder);
  const holder = join(folder, 'dead');
  writeFileSync(holder, '');
  const time = new Date(Date.now() - ageMs);
  utimesSync(holder, time, time);
}

test('one process holds the lock at a time, and it leaves nothing behind', async () => {
  let holders = 0;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const lock = await take();
      expect(++holders).toBe(1);
      await sleep(2);
      holders--;
      await lock.release();
    }),
  );
  expect(existsSync(folder)).toBe(false);
});

test.each([
  ['a moment ago', 0],
  ['an hour ago', 3_600_000],
  ['in an hour, because the clock was moved back', -3_600_000],
])('a lock left by a crash %s is taken once it has stood still for as long as a lock lives', async (_, ageMs) => {
  leaveLock(ageMs);
  const began = performance.now();
  const lock = await take();
  expect(performance.now() - began).toBeGreaterThanOrEqual(STALE_MS);
  await lock.release();
  expect(existsSync(folder)).toBe(false);
});

test('a lock left before its holder had written its name is taken too', async () => {
  mkdirSync(folder);
  await (await take()).release();
  expect(existsSync(folder)).toBe(false);
});

test('of several that find a lock left by a crash, one takes it at a time', async () => {
  leaveLock();
  let holders = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const lock = await take();
      expect(++holders).toBe(1);
      await lock.assertHeld();
      await sleep(2);
      holders--;
      await lock.release();
    }),
  );
  expect(existsSync(folder)).toBe(false);
});

test('a lock whose holder lives is not taken, and the error names the folder to remove', async () => {
  const lock = await take();
  await expect(lockFile(file, { staleMs: STALE_MS, waitMs: 3 * STALE_MS })).rejects.toMatchObject({
    code: 'ERR_RPC_GUARD_STORE',
    message: `${file} cannot be written: ${folder} is held; remove it if no other process writes the file; nothing was written`,
  });
  await lock.assertHeld();
  await lock.release();
});

test('a holder that stalled learns that it has lost the lock, and leaves the new one alone', async () => {
  const touched = jest.spyOn(fs, 'utimes').mockResolvedValue();
  const slow = await take();
  const next = await take();
  touched.mockRestore();
  await expect(slow.assertHeld()).rejects.toMatchObject({ code: 'ERR_RPC_GUARD_STORE' });
  await slow.release();
  await next.assertHeld();
  expect(readdirSync(folder)).toHaveLength(1);
  await next.release();
});

test.each(['EACCES', 'EROFS', 'ENOSPC'])('an error that waiting cannot mend fails at once: %s', async (code) => {
  jest.spyOn(fs, 'mkdir').mockRejectedValue(Object.assign(new Error(code), { code }));
  const store = new FileStore(file, { logger: recordingLogger() });
  endAfterTest(() => store.close());
  const began = performance.now(); // a lock is waited for longer than that
  await expect(store.set({ apiKey: KEY })).rejects.toMatchObject({
    code: 'ERR_RPC_GUARD_STORE',
    message: expect.stringContaining(code) as string,
  });
  expect(performance.now() - began).toBeLessThan(2000);
});

test('a write that begins while another process holds the lock and is killed succeeds', async () => {
  const holding = `
    require(${JSON.stringify(join(__dirname, '../support/typescript.cjs'))});
    const { lockFile } = require(${JSON.stringify(join(__dirname, '../../lib/stores/file-lock.ts'))});
    lockFile(${JSON.stringify(file)}).then(() => { process.stdout.write('held'); setInterval(() => undefined, 1000); });`;
  const child = spawn(process.execPath, ['-e', holding], { stdio: ['ignore', 'pipe', 'inherit'] });
  endAfterTest(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const store = new FileStore(file, { logger: recordingLogger() });
  endAfterTest(() => store.close());
  const writing = store.set({ apiKey: KEY, name: 'written' });
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  expect(await writing).toMatchObject({ name: 'written' });
  expect(existsSync(folder)).toBe(false);
});
