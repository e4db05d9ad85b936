// npm run bench [-- --full] [-- --only=<part of a scenario's name>]
import { compare } from './compare.mjs';
import { installOnce, nodesToMeasure } from './install.mjs';
import { end, endAll, start } from './processes.mjs';
import { writeReport } from './report.mjs';
import { soak } from './soak.mjs';

const isFull = process.argv.includes('--full');
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice(7);

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().finally(() => process.exit(1)));

try {
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
