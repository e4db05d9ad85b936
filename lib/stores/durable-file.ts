import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The mode of a new file: it holds hashes. */
const OWNER_ONLY = 0o600;
/** The age at which a temporary file was left by a killed process: longer than any write takes, or a lock lives. */
const LEFTOVER_MS = 60_000;
/** Error codes of systems that cannot open or sync a folder. */
const NO_FOLDER_SYNC: readonly (string | undefined)[] = ['EACCES', 'EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM'];

/**
 * Replaces a whole file: writes it aside, checks that every byte is there, syncs and renames. A full disk or a crash
 * leaves the old file. An existing file keeps its mode and owner where this process may set them; a new one is 0600.
 * @param mayReplace is asked last, before the new file takes the old one's place; it throws to keep the old one.
 * @returns whether the file can still be read by all who could read it before.
 */
export async function writeDurably(
  path: string,
  parts: readonly Uint8Array[],
  mayReplace: () => Promise<void> = () => Promise.resolve(),
): Promise<boolean> {
  const before = await statIfThere(path);
  // Nobody can plant a link under a name they cannot guess, and `wx` follows none.
  const aside = join(dirname(path), `.${basename(path)}.${randomBytes(12).toString('hex')}.tmp`);
  const file = await open(aside, 'wx', OWNER_ONLY);
  try {
    let keepsReaders: boolean;
    try {
      for (const part of parts) await writeWhole(file, part);
      keepsReaders = before === undefined || (await copyAccess(file, before));
      await file.sync();
    } finally {
      await file.close();
    }
    await mayReplace();
    await rename(aside, path);
    await syncFolder(dirname(path));
    return keepsReaders;
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw error;
  }
}

/** Removes temporary files that killed writers of this file left beside it: they hold hashes. */
export async function removeLeftovers(path: string): Promise<void> {
  const [before, after] = [`.${basename(path)}.`, '.tmp'];
  for (const name of await readdir(dirname(path))) {
    const middle = name.slice(before.length, -after.length);
    if (name !== before + middle + after || !/^[0-9a-f]{24}$/.test(middle)) continue;
    const aside = join(dirname(path), name);
    const found = await lstat(aside);
    if (found.isFile() && Date.now() - found.mtimeMs > LEFTOVER_MS) await unlink(aside);
  }
}

/** A write that meets a full disk may take some bytes, and only the next one fails. */
async function writeWhole(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written);
    if (bytesWritten === 0) throw Object.assign(new Error('ENOSPC: nothing more can be written'), { code: 'ENOSPC' });
    written += bytesWritten;
  }
}

async function copyAccess(file: FileHandle, { uid, gid, mode }: Stats): Promise<boolean> {
  // If the group cannot be kept, its rights must not pass to this process's group.
  const hasOwner = await file.chown(uid, gid).then(
    () => true,
    () => false,
  );
  const { gid: ownGroup } = await file.stat();
  const hasGroup = hasOwner || ownGroup === gid;
  await file.chmod(hasGroup ? mode & 0o777 : mode & 0o707);
  return hasGroup || (mode & 0o040) === 0;
}

async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!NO_FOLDER_SYNC.includes((error as NodeJS.ErrnoException).code)) throw error;
  }
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
