import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename, rmdir, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcGuardError } from '../errors';

export interface FileLock {
  /** @throws RpcGuardError `ERR_RPC_GUARD_STORE` when another process has taken the lock for one left by a crash. */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

export interface FileLockOptions {
  /** A lock that has not moved while it was watched for this long was left by a crash. */
  readonly staleMs?: number;
  readonly waitMs?: number;
}

const STALE_MS = 4000;
/** How long to wait for other writers. Longer than an abandoned lock lives. */
const WAIT_MS = 30_000;
const RETRY_MS = 5;
const RETRY_SPREAD_MS = 40;

/**
 * Takes `<path>.lock`, a folder with one file whose random name stands for its holder and whose time of change the
 * holder moves on. A lock left by a crash is one that stands still while this process watches it: no clock is compared
 * with another, so that one set back leaves no lock for ever. It is taken over by renaming that file, which only one of
 * several can.
 * @throws RpcGuardError `ERR_RPC_GUARD_STORE`, at once where waiting cannot help.
 */
export async function lockFile(
  path: string,
  { staleMs = STALE_MS, waitMs = WAIT_MS }: FileLockOptions = {},
): Promise<FileLock> {
  const folder = `${path}.lock`;
  const holder = join(folder, randomBytes(8).toString('hex'));
  const deadline = performance.now() + waitMs;
  let seen = '';
  let seenAt = 0;
  while (!(await makeLock(path, folder, holder))) {
    const now = performance.now();
    const current = await lookAt(folder);
    if (current.stamp !== seen) [seen, seenAt] = [current.stamp, now];
    else if (now - seenAt >= staleMs && (await takeOver(folder, current.holder, holder))) break;
    if (now > deadline) throw cannotWrite(path, `${folder} is held; remove it if no other process writes the file`);
    await sleep(RETRY_MS + Math.random() * RETRY_SPREAD_MS);
  }
  return heldLock(path, folder, holder, staleMs);
}

async function makeLock(path: string, folder: string, holder: string): Promise<boolean> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw cannotWrite(path, codeOf(error));
  }
  try {
    await writeFile(holder, '', { flag: 'wx' });
    return true;
  } catch (error) {
    // Another process took the folder, empty at that moment, for an abandoned one.
    if (codeOf(error) === 'ENOENT') return false;
    await rmdir(folder).catch(() => undefined);
    throw cannotWrite(path, codeOf(error));
  }
}

async function lookAt(folder: string): Promise<{ readonly stamp: string; readonly holder: string | undefined }> {
  try {
    const [name] = await readdir(folder);
    const holder = name === undefined ? undefined : join(folder, name);
    const { ino, mtimeMs } = await stat(holder ?? folder);
    return { stamp: `${name ?? ''} ${String(ino)} ${String(mtimeMs)}`, holder };
  } catch (error) {
    // It has gone, or is not a folder; then it is watched until the deadline, and never taken over.
    return { stamp: codeOf(error), holder: undefined };
  }
}

/** Whether the dead holder's lock is now ours. An empty folder is removed, to be created anew. */
async function takeOver(folder: string, dead: string | undefined, holder: string): Promise<boolean> {
  try {
    if (dead === undefined) await rmdir(folder);
    else await rename(dead, holder);
    return dead !== undefined;
  } catch {
    return false;
  }
}

function heldLock(path: string, folder: string, holder: string, staleMs: number): FileLock {
  const touch = (): void => {
    const now = new Date();
    utimes(holder, now, now).catch(() => undefined);
  };
  touch();
  const timer = setInterval(touch, staleMs / 8).unref();
  return {
    async assertHeld() {
      try {
        await access(holder);
      } catch {
        throw cannotWrite(path, 'another process has taken the lock, because this one stood still');
      }
    },
    async release() {
      clearInterval(timer);
      try {
        await unlink(holder);
        await rmdir(folder);
      } catch {
        // Another process has it by now.
      }
    },
  };
}

function cannotWrite(path: string, reason: string): RpcGuardError {
  return new RpcGuardError('ERR_RPC_GUARD_STORE', `${path} cannot be written: ${reason}; nothing was written`);
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
