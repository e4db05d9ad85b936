import { compare } from './compare.mjs';
import { compareWith } from './compare-revision.mjs';
import { installOnce, nodesToMeasure } from './install.mjs';
import { end, endAll, start } from './processes.mjs';
import { printTargets, writeReport } from './report.mjs';
import { soak } from './soak.mjs';
import { measureStartup } from './startup.mjs';

const HELP = `npm run bench [-- OPTIONS]

  (none)            a quick run of a few minutes: what is marked quick, on the running Node
  --full            every scenario on Node 20 and 24, some 17 minutes
  --only=TEXT       only scenarios whose name contains TEXT; nothing else is measured
  --rounds=N        rounds of each scenario (3; with --full 12; with --compare 15 or, with --full, 40)
  --ms=N            milliseconds of one server in one round (150; with --full 300; with --compare 200)
  --soak=N          seconds of the soak (2; with --full 40)
  --compare=REV     the working tree against a revision, in pairs
  --help            this

--full without --only writes bench/RESULTS-node20.md and RESULTS-node24.md; the others print.
NOTES.md says where the time goes, what was tried, and what is missed; it is written by hand.

One measurement each, after npm run build:

  node bench/startup.mjs                       loading the package, building a guard
  node bench/observe.mjs                       what usage, events, metrics and traces cost a request
  node --expose-gc bench/usage.mjs             counting usage
  node --expose-gc bench/limits-inside.mjs     limits: time and memory
  node --expose-gc bench/scaling.mjs [PART]    processes, traffic, memory: the figures of docs/scaling.md
  node bench/limit-processes.mjs               limits that several processes share
  node bench/limit-clients.mjs                 what clients do with refusals of limits
  node bench/stores.mjs                        stores with 100,000 keys
  node bench/idle-upstream.mjs                 an upstream that closes idle connections
  node bench/audit.mjs                         pages of a history of 100,000 events
  node bench/audit-rotation.mjs                history in files that two processes write
  node bench/audit-kills.mjs                   history under kill -9`;

const has = (name) => process.argv.includes(`--${name}`);
const valueOf = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const numberOf = (name, byDefault) => Number(valueOf(name) ?? byDefault);

const isFull = has('full');
const only = valueOf('only');
const revision = valueOf('compare');

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().finally(() => process.exit(1)));

/** Everything on one Node. */
async function measure(node) {
  const rounds = numberOf('rounds', isFull ? 12 : 3);
  const rows = await compare(node, { isFull, only, rounds, ms: numberOf('ms', isFull ? 300 : 150) });
  if (only !== undefined) return undefined;
  console.log(`\n${node.name}: inside the process …`);
  const { child, ready: inside } = await start('inside.mjs', isFull ? ['--full'] : [], {
    execPath: node.execPath,
    execArgv: ['--expose-gc', '--max-old-space-size=4096'],
  });
  await end(child);
  for (const [what, value] of Object.entries(inside)) console.log(`  ${what.padEnd(50)} ${value.toFixed(2)}`);
  const startup = measureStartup(node.execPath);
  console.log(startup, `\n${node.name}: soak …`);
  const soaked = await soak(node, numberOf('soak', isFull ? 40 : 2));
  console.log(soaked);
  return { name: node.name, rows, inside, startup, soak: soaked };
}

async function run() {
  if (has('help')) return console.log(HELP);
  if (revision !== undefined) {
    const rounds = numberOf('rounds', isFull ? 40 : 15);
    return compareWith(revision, { only, rounds, ms: numberOf('ms', 200) });
  }
  installOnce();
  for (const node of nodesToMeasure(isFull)) {
    const measured = await measure(node);
    if (measured === undefined) continue;
    printTargets(measured);
    if (isFull) writeReport(measured, process.argv.slice(2));
  }
}

try {
  await run();
} finally {
  await endAll();
}
