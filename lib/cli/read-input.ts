import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CliError, usage } from './exit';

const STDIN = 0;
const CHUNK_BYTES = 64 * 1024;

/** A file's content. Anything but a regular file is refused: a named pipe or `/dev/zero` may never end. */
export function readInputFile(path: string, maxBytes: number): Buffer {
  try {
    return path === '-' ? readAtMost(STDIN, 'stdin', maxBytes) : readRegular(path, maxBytes);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw usage(`${path} cannot be read: ${String((error as NodeJS.ErrnoException).code)}`);
  }
}

/** What is piped in. */
export async function readStdin(maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLong('stdin', maxBytes);
  }
  return Buffer.concat(chunks);
}

function readRegular(path: string, maxBytes: number): Buffer {
  // Opening a named pipe waits for its writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(file).isFile()) throw usage(`${path} is not a regular file; - reads stdin`);
    return readAtMost(file, path, maxBytes);
  } finally {
    closeSync(file);
  }
}

/** A file may say that it is empty and never end, as some of /proc do. */
function readAtMost(file: number, name: string, maxBytes: number): Buffer {
  const chunks: Buffer[] = [];
  for (let bytes = 0; ;) {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const read = readSync(file, chunk);
    if (read === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, read));
    bytes += read;
    if (bytes > maxBytes) throw tooLong(name, maxBytes);
  }
}

function tooLong(name: string, maxBytes: number): Error {
  return usage(`${name} holds more than ${String(maxBytes)} bytes`);
}
