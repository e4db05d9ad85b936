import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { run } from '../../lib/cli/run';
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
  /** In a process of its own, as `npm run build` made it: for commands that are to work at once. */
  readonly apart?: boolean;
}

/** Starts `rpc-guard` as a process of its own, in an environment that says nothing. */
export function startCli(args: readonly string[], { store, env, cwd, script = CLI }: CliOptions = {}) {
  return spawn(process.execPath, [script, ...args], { cwd, env: environment(store, env) });
}

function environment(store: string | undefined, env: CliOptions['env']): Record<string, string> {
  const { PATH = '' } = process.env;
  return { PATH, LC_ALL: 'C.UTF-8', ...(store !== undefined && { RPC_GUARD_STORE: store }), ...env };
}

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a command of lib/ to its end, with `input` on stdin: in this process, which is 20 times as fast, and so one after
 * the other. In a process of its own where it reads stdin as a file, or is another copy or in another folder.
 */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const { apart = args.includes('-'), cwd, script } = options;
  if (apart || cwd !== undefined || script !== undefined) return cliProcess(args, options);
  const ended = last.then(() => cliHere(args, options));
  last = ended.catch(() => undefined);
  return ended;
}

async function cliProcess(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const child = startCli(args, options);
  const exit = new Promise<Pick<CliRun, 'code' | 'signal'>>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const [{ code, signal }, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { code, signal, stdout, stderr };
}

async function cliHere(args: readonly string[], { store, env, input = '' }: CliOptions): Promise<CliRun> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const written = Promise.all([text(stdout), text(stderr)]);
  const stdin = Readable.from(input === '' ? [] : [Buffer.from(input)]);
  const putBack = replaceInProcess({ stdin, stdout, stderr, env: environment(store, env) });
  let code: number;
  try {
    await run(args);
    code = Number(process.exitCode ?? 0);
  } finally {
    process.exitCode = undefined;
    putBack();
    stdout.end();
    stderr.end();
  }
  const [out, err] = await written;
  return { code, signal: null, stdout: out, stderr: err };
}

/** Gives this process other members, until what it returns is called. */
function replaceInProcess(members: object): () => void {
  const before = Object.keys(members).map((name) => [name, Object.getOwnPropertyDescriptor(process, name)!] as const);
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(process, name, { value, configurable: true, writable: true });
  }
  return () => {
    for (const [name, descriptor] of before) Object.defineProperty(process, name, descriptor);
  };
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
