const { default: Sequencer } = require('@jest/test-sequencer');

/** Those that take longest, which must not be the last that one worker is busy with. */
const FIRST = ['admin/dashboard', 'demo-app', 'stores/instances', 'stores/lost-network', 'package', 'cli/open-store'];

module.exports = class extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => FIRST.findIndex((name) => path.endsWith(`${name}.test.ts`)) + 1 || Infinity;
    const sorted = super.sort(tests);
    return [...sorted].sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  }
};
