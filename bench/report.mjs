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

/** Writes the page of one Node: the targets, then what was measured. */
export function writeReport(run, args) {
  const [major] = /\d+/.exec(run.name);
  const file = `RESULTS-node${major}.md`;
  const asked = args.length === 0 ? '' : ` -- ${args.join(' ')}`;
  const text = [
    `# What the guard costs on ${run.name}`,
    '',
    `Written by \`npm run bench${asked}\` on ${new Date().toISOString().slice(0, 10)}. ${machine()}`,
    VERSIONED.map((name) => `${name} ${versionOf(name)}`).join(', ') + '.',
    'Each server has a process of its own, as have load and upstream. Servers are measured in turns; shown are medians over the rounds',
    'and ± half the distance between the quartiles. Ratios are taken within each round. CPU is user and system time of the server for',
    'one request, the steadier figure; latencies are those of a load that never pauses. [NOTES.md](NOTES.md) explains.',
    '',
    ...targets(run),
    ...comparison(run),
    ...inside(run),
    ...soaked(run),
  ];
  writeFileSync(new URL(file, import.meta.url), `${text.join('\n').trim()}\n`);
  console.log(`Written: bench/${file}`);
}

export function printTargets(run) {
  console.log(['', `## ${run.name}`, '', ...targets(run)].join('\n'));
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

/** One table: a row a scenario and server, against the first bare one of the scenario. */
function comparison({ rows }) {
  let last;
  const shown = rows.map((row) => {
    const measured = rows.filter(({ scenario }) => scenario === row.scenario);
    const base = measured.find(({ server }) => server.startsWith('bare')) ?? measured[0];
    const isFirst = row.scenario !== last;
    last = row.scenario;
    return [
      isFirst ? row.scenario : '',
      row.server,
      `${row.perSecond.toFixed(0)} ± ${(row.spread * 50).toFixed(0)} %`,
      ratioOf(row, base, ({ perSecond }) => perSecond).toFixed(2),
      `${row.cpu.toFixed(1)} ± ${(row.cpuSpread * 50).toFixed(0)} %`,
      ratioOf(row, base, ({ cpu }) => cpu).toFixed(2),
      row.p50.toFixed(2),
      row.p99.toFixed(2),
    ];
  });
  return table(['what', 'server', 'per s', '× bare', 'CPU µs', '× bare', 'p50 ms', 'p99 ms'], shown);
}

/** µs of CPU, or bytes, two figures a line. */
function inside(run) {
  const shown = Object.entries(run.inside).map(([name, value]) => [
    name,
    value < 10 ? value.toFixed(2) : value.toFixed(0),
  ]);
  const half = Math.ceil(shown.length / 2);
  const rows = shown.slice(0, half).map((left, n) => [...left, ...(shown[half + n] ?? ['', ''])]);
  return table(['inside the process', 'µs of CPU, or bytes', 'and', ''], rows);
}

function soaked({ soak: { seconds, requests, before, after } }) {
  const of = ({ rss, heap, sockets, timers }) =>
    `${(rss / 2 ** 20).toFixed(0)} MB resident, ${(heap / 2 ** 20).toFixed(1)} MB of heap, ${sockets} sockets, ${timers} timers`;
  return [`Soak of ${seconds} s with ${requests} requests: before ${of(before)}; after ${of(after)}.`];
}
