// node bench/startup.mjs [RUNS]: what loading costs, each time in a new process: milliseconds, the median of 20. Build first.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { medianOf } from './statistics.mjs';

const DIST = fileURLToPath(new URL('../dist/index.js', import.meta.url));
const SCRIPT = `
  const since = process.hrtime.bigint();
  const ms = () => Number(process.hrtime.bigint() - since) / 1e6;
  const { MemoryStore, rpcGuard, FileStore } = require(${JSON.stringify(DIST)});
  const required = ms();
  const logger = { info() {}, warn() {}, error() {} };
  const guard = rpcGuard({ upstream: 'http://127.0.0.1:1', store: new MemoryStore([]), logger });
  console.log(JSON.stringify([required, ms()]));
  void guard.close();`;

/** @returns milliseconds until guard and FileStore are loaded, and until a guard is built too. */
export function measureStartup(execPath = process.execPath, runs = 20) {
  const times = Array.from({ length: runs + 1 }, () => {
    const { stdout, stderr, status } = spawnSync(execPath, ['-e', SCRIPT], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }).slice(1); // the first warms the disk
  const [required, built] = [0, 1].map((index) => medianOf(times.map((time) => time[index])));
  return { required, built };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { required, built } = measureStartup(process.execPath, Number(process.argv[2] ?? 20));
  console.log(`require: ${required.toFixed(1)} ms; a guard is built after ${built.toFixed(1)} ms`);
}
