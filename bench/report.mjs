import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { ratioOf } from './compare.mjs';
import { targetsOf } from './targets.mjs';

const require = createRequire(import.meta.url);
const VERSIONED = [
  'http-proxy-middleware',
  'http-proxy-middleware-4',
  'fastify',
  '@fastify/http-proxy',
  'express',
  'ws',
];

/** Writes RESULTS.md: what was measured, on what, against the targets; and the notes, which are written by hand. */
export function writeReport(runs, isFull) {
  const notes = readFileSync(new URL('NOTES.md', import.meta.url), 'utf8');
  const text = [
    '# What the guard costs',
    '',
    `Written by \`npm run bench${isFull ? ' -- --full' : ''}\` on ${new Date().toISOString().slice(0, 10)}. ${machine()}`,
    '',
    VERSIONED.map((name) => `${name} ${versionOf(name)}`).join(', ') + '.',
    '',
    'Every server has a process of its own, new for each table; load and upstream have one each. Servers are measured in turns,',
    'A B C A B C …; shown are medians over the rounds, ± half the way from the first quartile to the third. Latencies are those of a',
    "load that never pauses. CPU is user and system time of the server's process for one request, and the steadier figure. Ratios are",
    'taken within each round. Where the number of cores is small, load, upstream and server share them.',
    '',
    ...runs.flatMap((run) => [
      '',
      `## ${run.name}`,
      '',
      ...targets(run),
      ...comparison(run),
      ...inside(run),
      ...soaked(run),
    ]),
    '',
    notes.trim(),
    '',
  ].join('\n');
  writeFileSync(new URL('RESULTS.md', import.meta.url), text);
  for (const run of runs) console.log(['', `## ${run.name}`, '', ...targets(run)].join('\n'));
  console.log('Written: bench/RESULTS.md');
}

function machine() {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${availableParallelism()} cores (${cpus()[0].model.trim()}), ${memory} GB, ${platform()} ${release().split('-')[0]}.`;
}

function versionOf(name) {
  const path = require.resolve
    .paths(name)
    .map((folder) => `${folder}/${name}/package.json`)
    .find(existsSync);
  return JSON.parse(readFileSync(path, 'utf8')).version;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, n) => (n === 0 ? '---' : '---:'))), ...rows.map(line), ''];
}

function targets(run) {
  return table(
    ['target', 'wanted', 'measured', ''],
    targetsOf(run).map(({ name, wanted, measured, verdict }) => [name, wanted, measured, verdict]),
  );
}

function comparison({ rows }) {
  const scenarios = [...new Set(rows.map(({ scenario }) => scenario))];
  return scenarios.flatMap((scenario) => {
    const measured = rows.filter((row) => row.scenario === scenario);
    const base = measured.find(({ server }) => server.startsWith('bare')) ?? measured[0];
    const shown = measured.map((row) => [
      row.server,
      row.perSecond.toFixed(0),
      `${(row.spread * 50).toFixed(0)} %`,
      ratioOf(row, base, ({ perSecond }) => perSecond).toFixed(2),
      row.cpu.toFixed(1),
      `${(row.cpuSpread * 50).toFixed(0)} %`,
      ratioOf(row, base, ({ cpu }) => cpu).toFixed(2),
      row.p50.toFixed(2),
      row.p99.toFixed(2),
    ]);
    const head = [scenario, 'per s', '±', `× ${base.server}`, 'CPU µs', '±', '× of it', 'p50 ms', 'p99 ms'];
    return table(head, shown);
  });
}

function inside(run) {
  return table(
    ['inside the process', 'µs of CPU, or bytes'],
    Object.entries(run.inside).map(([name, value]) => [name, value < 10 ? value.toFixed(2) : value.toFixed(0)]),
  );
}

function soaked({ soak: { seconds, requests, before, after } }) {
  const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1);
  return table(
    [`soak: ${seconds} s, ${requests} requests`, 'before', 'after'],
    [
      ['RSS, MB', megabytes(before.rss), megabytes(after.rss)],
      ['heap after collection, MB', megabytes(before.heap), megabytes(after.heap)],
      ['sockets', before.sockets, after.sockets],
      ['timers', before.timers, after.timers],
    ],
  );
}
