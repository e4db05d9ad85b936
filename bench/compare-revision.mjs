import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load } from './load.mjs';
import { end, start, usageOf } from './processes.mjs';
import { SCENARIOS } from './scenarios.mjs';
import { medianOf, spreadOf } from './statistics.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SERVER = 'rpcGuard 3 MemoryStore';
const WARM_UP_MS = 5000;

/** Pairs the guard of the working tree with that of a revision: both serve each round, and who is first alternates. */
export async function compareWith(revision, { only = '', rounds, ms }) {
  const folder = mkdtempSync(join(tmpdir(), 'rpc-guard-revision-'));
  try {
    execFileSync('git', ['worktree', 'add', '--detach', '--force', folder, revision], { cwd: ROOT, stdio: 'pipe' });
    console.log(`Building ${revision} …`);
    build(folder);
    await compareBuilds([join(ROOT, 'dist'), join(folder, 'dist')], { revision, only, rounds, ms });
  } finally {
    execFileSync('git', ['worktree', 'remove', '--force', folder], { cwd: ROOT, stdio: 'pipe' });
    rmSync(folder, { recursive: true, force: true });
  }
}

function build(folder) {
  const [tree, before] = [ROOT, folder].map((root) => readFileSync(join(root, 'package.json'), 'utf8'));
  const options = { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] };
  if (tree === before) symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  else execFileSync('npm', ['install', '--loglevel=error'], { ...options, shell: process.platform === 'win32' });
  execFileSync(process.execPath, ['build.mjs'], options);
}

async function compareBuilds(builds, { revision, only, rounds, ms }) {
  const { ready: upstreamPort, child: upstream } = await start('upstream.mjs');
  console.log(`Working tree against ${revision}: CPU and requests a second, medians of ${rounds} rounds`);
  for (const [name, { servers, ...what }] of Object.entries(SCENARIOS)) {
    if (!name.includes(only) || !servers.includes(SERVER)) continue;
    const started = [];
    for (const dist of builds) {
      const env = { RPC_GUARD_DIST: dist };
      started.push(await start('server.mjs', [SERVER, String(upstreamPort), ''], { execArgv: ['--expose-gc'], env }));
    }
    const pairs = [];
    for (let round = -1; round < rounds; round++) {
      const pair = [];
      for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
        const { child, ready: port } = started[index];
        pair[index] = await load({ ...what, port, ms: round === -1 ? WARM_UP_MS : ms }, () => usageOf(child));
      }
      if (round >= 0) pairs.push(pair);
    }
    await Promise.all(started.map(({ child }) => end(child)));
    print(name, pairs);
  }
  await end(upstream);
}

function print(name, pairs) {
  const ratios = (pick) => pairs.map(([tree, before]) => pick(tree) / pick(before));
  const text = (pick) => `× ${medianOf(ratios(pick)).toFixed(3)} ±${(spreadOf(ratios(pick)) * 50).toFixed(0)} %`;
  const cpu = medianOf(pairs.map(([tree]) => tree.cpu)).toFixed(1);
  console.log(`  ${name.padEnd(40)} CPU ${text((it) => it.cpu)} (${cpu} µs)   per s ${text((it) => it.perSecond)}`);
}
