import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A database server of the test's own, in a temporary folder that stays its own from start to start. */
export interface LocalServer {
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Without any farewell to its clients. */
  kill(): Promise<void>;
  /** Ends it for good and removes its folder. */
  remove(): Promise<void>;
}

/** Debian keeps the server programs of PostgreSQL out of PATH. */
function folders(): string[] {
  const debian = '/usr/lib/postgresql';
  const inPath = (process.env['PATH'] ?? '').split(delimiter);
  try {
    return [...inPath, ...readdirSync(debian).map((version) => join(debian, version, 'bin'))];
  } catch {
    return inPath;
  }
}

export function findProgram(name: string): string | undefined {
  return folders()
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** `describe` where all these programs are there. Elsewhere the tests are skipped aloud, and fail on CI. */
export function describeWith(...programs: readonly string[]): (name: string, tests: () => void) => void {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0 || process.env['CI'] !== undefined) return describe;
  return (name, tests) => {
    console.warn(`skipped, because there is no ${missing.join(' and no ')} in PATH: ${name}`);
    describe.skip(name, tests);
  };
}

/** PostgreSQL does not run as root: as nobody then. */
export function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  return process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
}

/** A short path, because a unix socket's may have about 100 characters. */
export function temporaryFolder({ uid, gid }: { readonly uid?: number; readonly gid?: number } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'guard-'));
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  return folder;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a server; resolves when a line of its output says `ready`. */
export async function launch(
  program: string,
  args: readonly string[],
  { ready, ...options }: SpawnOptions & { readonly ready: RegExp },
): Promise<ChildProcess> {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`there is no ${program} in PATH`);
  const child = spawn(path, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output = `${output}${chunk.toString()}`.slice(-10_000);
      if (ready.test(output)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', reject);
    child.once('exit', (code) => {
      reject(new Error(`${program} ended with ${String(code)}:\n${output}`));
    });
  });
  return child;
}

export async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child?.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
