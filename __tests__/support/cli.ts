import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { endAfterTest } from './cleanup';

/** The command line as `npm run build` made it. */
export const CLI = join(__dirname, '../../dist/cli/index.js');

export interface CliRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** RPC_GUARD_STORE. */
  readonly store?: string;
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Another copy of the command line. */
  readonly script?: string;
}

/** Starts `rpc-guard` as a process of its own, in an environment that says nothing. */
export function startCli(args: readonly string[], { store, env = {}, cwd, script = CLI }: CliOptions = {}) {
  const { PATH = '' } = process.env;
  const named = store === undefined ? {} : { RPC_GUARD_STORE: store };
  return spawn(process.execPath, [script, ...args], { cwd, env: { PATH, LC_ALL: 'C.UTF-8', ...named, ...env } });
}

/** Runs `rpc-guard` to its end, with `input` on stdin. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const child = startCli(args, options);
  const exit = new Promise<Pick<CliRun, 'code' | 'signal'>>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const [{ code, signal }, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { code, signal, stdout, stderr };
}

/** What a command that has to succeed prints with `--json`. */
export async function cliJson<T>(args: readonly string[], options: CliOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await cli([...args, '--json'], options);
  if (code !== 0) throw new Error(`rpc-guard ${args.join(' ')} ended with ${String(code)}:\n${stderr}`);
  return JSON.parse(stdout) as T;
}

/** A folder that is gone after the test. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-cli-'));
  endAfterTest(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A settings file that is not there yet, in a folder of its own. */
export function newFile(): string {
  return join(temporary(), 'keys.json');
}
