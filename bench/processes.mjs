import { fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
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
  return (await redisServer())?.socket;
}

/** The same, with what stops and restarts it. It forgets everything when it restarts. */
export async function redisServer() {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined;
  const folder = temporaryFolder();
  const socket = join(folder, 'redis.sock');
  const args = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder];
  const launch = () => launched('redis-server', args, {}, /ready to accept connections/i);
  return { socket, ...(await restartable(launch, 'SIGKILL')) };
}

/** A PostgreSQL server on a socket of its own, with what stops and restarts it; `undefined` where there is none. */
export async function postgresServer() {
  const programs = postgresPrograms();
  if (programs === undefined) return undefined;
  // It does not run as root.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const folder = temporaryFolder();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const options = { cwd: folder, ...user };
  const made = spawnSync(join(programs, 'initdb'), ['--no-sync', '-A', 'trust', '-U', 'postgres', '-D', data], options);
  if (made.status !== 0) throw new Error(String(made.stderr));
  const args = ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'max_connections=200'];
  const launch = () => launched(join(programs, 'postgres'), args, options, /ready to accept connections/);
  // To SIGQUIT it drops everything at once; SIGKILL would leave its processes behind.
  return {
    env: { PGHOST: folder, PGUSER: 'postgres', PGDATABASE: 'postgres' },
    ...(await restartable(launch, 'SIGQUIT')),
  };
}

function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Where they are; Debian keeps them out of PATH. */
function postgresPrograms() {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : [];
  return [...process.env.PATH.split(delimiter), ...versions].find((it) => existsSync(join(it, 'initdb')));
}

async function launched(program, args, options, ready) {
  const child = watch(spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] }));
  await new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk) => {
      output += chunk;
      if (ready.test(output)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', () => reject(new Error(`${program} ended:\n${output}`)));
  });
  child.stdout.removeAllListeners('data').resume();
  child.stderr.removeAllListeners('data').resume();
  return child;
}

async function restartable(launch, endSignal) {
  let child = await launch();
  const signal = (name) => [...childrenOf(child.pid), child.pid].forEach((pid) => process.kill(pid, name));
  const kill = async () => {
    const exited = once(child, 'exit');
    child.kill(endSignal);
    await exited;
  };
  return {
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    kill,
    restart: async () => (child = await launch()),
  };
}

function childrenOf(pid) {
  const listed = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).stdout;
  return listed.split(/\s+/).filter(Boolean).map(Number);
}
