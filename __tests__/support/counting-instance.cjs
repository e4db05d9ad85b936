/**
 * A process that counts usage and tells it to a store that others share, told by its argument, JSON, where. It says that
 * it is ready; then it does what it is sent, and says when that is done. Its clock stands until it is told to go on.
 */
require('./typescript.cjs');
const { addressTable } = require('../../lib/allowlists/address-table.ts');
const { compileCredits } = require('../../lib/limits/credits.ts');
const { Occurrence } = require('../../lib/observe/request-event.ts');
const { Usage } = require('../../lib/observe/usage.ts');
const { admissionOf } = require('../../lib/policy/authorize.ts');
const { judgeBody } = require('../../lib/policy/evaluate-body.ts');
const { compileKeySettings } = require('../../lib/settings/compile.ts');
const { parseKeySettings } = require('../../lib/settings/key-settings.ts');

const { kind, apiKey, wallAt, ...where } = JSON.parse(process.argv[2]);
const timers = new Set();
let now = 0;
const clock = {
  now: () => now,
  wall: () => wallAt + now,
  wallAt: () => wallAt + now,
  after(milliseconds, work) {
    const timer = { at: now + milliseconds, work };
    timers.add(timer);
    return () => timers.delete(timer);
  },
};

async function openStore() {
  if (kind === 'file') return new (require('../../lib/stores/file.ts').FileStore)(where.path);
  if (kind === 'postgres') {
    const { Pool } = require('pg');
    return new (require('../../lib/stores/postgres.ts').PostgresStore)({
      pool: new Pool(where.connection),
      table: where.table,
    });
  }
  const client = require('redis').createClient({ socket: { path: where.path, tls: false } });
  client.on('error', () => undefined);
  await client.connect();
  return new (require('../../lib/stores/redis.ts').RedisStore)({ client, prefix: where.prefix });
}

async function main() {
  const store = await openStore();
  const table = addressTable({});
  const logger = { info() {}, warn() {}, error() {} };
  const instance = () => `p${process.pid}`;
  const usage = new Usage(
    { store, logger, addressTable: table, prices: compileCredits({}), instance, clock },
    { origins: true, addresses: true, userAgents: true },
  );
  const admission = admissionOf(compileKeySettings(parseKeySettings({ apiKey })), undefined);
  const rules = { addressTable: table, isBlocked: () => false, blockedMethods: [] };
  const judged = judgeBody('{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}', 1, admission, rules);
  const facts = { apiKey, headers: {}, requestId: 'test' };
  const { usage: rows } = store;
  const write = rows.write.bind(rows);
  const actions = {
    count(times) {
      for (let n = 0; n < times; n++) {
        const occurrence = new Occurrence(facts, 'http', performance.now());
        usage.observe(Object.assign(occurrence, { admission, judged, credits: 1 }));
      }
    },
    async pass(milliseconds) {
      now += milliseconds;
      const due = [...timers].filter(({ at }) => at <= now);
      for (const timer of due) {
        timers.delete(timer);
        timer.work();
      }
      if (due.length > 0) await usage.flush(); // after the one that is under way now
    },
    /** Ends so many turns of the event loop after the store began to be told. */
    die(turns) {
      rows.write = (...args) => {
        const written = write(...args);
        const wait = (left) => (left === 0 ? process.kill(process.pid, 'SIGKILL') : setImmediate(wait, left - 1));
        wait(turns);
        return written;
      };
      return actions.pass(10_000);
    },
    close: () => usage.close(),
  };
  process.on('message', async ([action, ...args]) => {
    await actions[action](...args);
    process.send('done');
  });
  process.send('done');
}

process.on('disconnect', () => process.exit());
void main();
