import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const running = new Set();

function watch(child) {
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/** Ends what was started here, each by its own pid. */
export async function endAll() {
  await Promise.all([...running].map(end));
}

export async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Runs a file of bench/ in a process of its own, and resolves with its first message. */
export async function start(file, args = [], { execPath = process.execPath, execArgv = [], env = {} } = {}) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const options = { execPath, execArgv: ['--no-deprecation', ...execArgv], env: { ...process.env, ...env } };
  const child = watch(fork(path, args, options));
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${file} ${args.join(' ')} ended with ${code}`);
  });
  failed.catch(() => undefined);
  const [ready] = await Promise.race([once(child, 'message'), failed]);
  return { child, ready };
}

/** What a server has used so far: CPU time in microseconds, memory, open handles. */
export async function usageOf(child) {
  const answered = once(child, 'message');
  child.send('usage');
  return (await answered)[0];
}

/** A Redis server on a socket of its own; `undefined` where there is none. */
export async function startRedis() {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
  const socket = join(folder, 'redis.sock');
  const child = watch(
    spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  child.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for await (const chunk of child.stdout) if (String(chunk).includes('eady to accept connections')) break;
  child.stdout.resume();
  return socket;
}
