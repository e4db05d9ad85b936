// summary.cjs FOLDER NAME…: adds up the reports that .ci/tests left. A test that passed the second time has passed.
const { existsSync } = require('node:fs');
const { resolve } = require('node:path');

const [folder, ...names] = process.argv.slice(2);
const report = (name) => resolve(folder, `${name}.json`);
let [passed, failed, skipped] = [0, 0, 0];
for (const name of names) {
  const run = require(report(name));
  const again = report(`${name}-again`);
  const still = existsSync(again) ? require(again).numFailedTests : run.numFailedTests;
  passed += run.numPassedTests + run.numFailedTests - still;
  failed += still;
  skipped += run.numPendingTests + run.numTodoTests;
}
console.log(`Tests: ${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed + skipped > 0 ? 1 : 0;
