// npm run bench [-- --full] [-- --only=<part of a scenario's name>]
// npm run bench -- --compare=<revision>   pairs the working tree with it; writes nothing
import { compare } from './compare.mjs';
import { compareWith } from './compare-revision.mjs';
import { installOnce, nodesToMeasure } from './install.mjs';
import { end, endAll, start } from './processes.mjs';
import { writeReport } from './report.mjs';
import { soak } from './soak.mjs';

const isFull = process.argv.includes('--full');
const valueOf = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const only = valueOf('only');
const revision = valueOf('compare');

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().finally(() => process.exit(1)));

try {
  if (revision !== undefined) {
    await compareWith(revision, { only, rounds: isFull ? 40 : 15, ms: 200 });
    process.exit();
  }
  installOnce();
  const runs = [];
  for (const node of nodesToMeasure(isFull)) {
    const rows = await compare(node, { isFull, only, rounds: isFull ? 15 : 3, ms: isFull ? 300 : 150 });
    const run = { name: node.name, rows };
    if (only === undefined) {
      console.log(`\n${node.name}: inside the process …`);
      const { child, ready } = await start('inside.mjs', isFull ? ['--full'] : [], {
        execPath: node.execPath,
        execArgv: ['--expose-gc', '--max-old-space-size=4096'],
      });
      await end(child);
      run.inside = ready;
      for (const [what, value] of Object.entries(ready)) console.log(`  ${what.padEnd(50)} ${value.toFixed(2)}`);
      console.log(`\n${node.name}: soak …`);
      run.soak = await soak(node, isFull ? 60 : 2);
      console.log(run.soak);
    }
    runs.push(run);
  }
  if (only === undefined) writeReport(runs, isFull);
} finally {
  await endAll();
}
