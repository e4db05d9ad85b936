import type { FileHandle } from 'node:fs/promises';

/** Where a file differs from bytes: up to `start` and from `end` of the bytes on it is the same. */
export interface FileDifference {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads in parts, so that memory does not hold the file a second time.
 * @param part memory to read into.
 * @param size of the file.
 */
export async function differenceOf(
  file: FileHandle,
  size: number,
  bytes: Buffer,
  part: Buffer,
): Promise<FileDifference | undefined> {
  const shorter = Math.min(size, bytes.length);
  let start = 0;
  while (start < shorter) {
    const wanted = part.subarray(0, Math.min(part.length, shorter - start));
    await readWhole(file, start, wanted);
    const same = sameAtBegin(wanted, bytes.subarray(start, start + wanted.length));
    start += same;
    if (same < wanted.length) break;
  }
  if (start === size && size === bytes.length) return undefined;
  let behind = 0;
  while (behind < shorter - start) {
    const wanted = part.subarray(0, Math.min(part.length, shorter - start - behind));
    await readWhole(file, size - behind - wanted.length, wanted);
    const same = sameAtEnd(wanted, bytes.subarray(bytes.length - behind - wanted.length, bytes.length - behind));
    behind += same;
    if (same < wanted.length) break;
  }
  return { start, end: bytes.length - behind };
}

/** Fills all of the bytes, with zeros where the file has become shorter. */
export async function readWhole(file: FileHandle, position: number, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, position + at);
    if (bytesRead === 0) return void bytes.fill(0, at);
    at += bytesRead;
  }
}

function sameAtBegin(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return a.length;
  let count = 0;
  while (a[count] === b[count]) count++;
  return count;
}

function sameAtEnd(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return a.length;
  let count = 0;
  while (a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
}
