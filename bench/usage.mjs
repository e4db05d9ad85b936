// What it costs to count: node bench/usage.mjs, after a build. In-process, without HTTP.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { MemoryStore } = require('../dist/index.js');
const { Usage } = require('../dist/observe/usage.js');
const { Occurrence } = require('../dist/observe/request-event.js');
const { addressTable } = require('../dist/allowlists/address-table.js');
const { compileCredits } = require('../dist/limits/credits.js');
const { admissionOf } = require('../dist/policy/authorize.js');
const { judgeBody } = require('../dist/policy/evaluate-body.js');
const { compileKeySettings } = require('../dist/settings/compile.js');
const { parseKeySettings } = require('../dist/settings/key-settings.js');

const KEY = 'a-key-to-count';
const ROUNDS = 9;
const COUNTED = 200_000;
const table = addressTable({});
const store = new MemoryStore([]);
const logger = { info() {}, warn() {}, error: console.error };
const usage = new Usage(
  { store, logger, addressTable: table, prices: compileCredits({}), instance: () => 'bench' },
  { origins: true, addresses: true, userAgents: true },
);
const admissionTo = (allowlists) =>
  admissionOf(compileKeySettings(parseKeySettings({ apiKey: KEY, allowlists })), undefined);
const admission = admissionTo({});
const rules = { addressTable: table, isBlocked: () => false, blockedMethods: [] };
const METHODS = [
  ['eth_call', [{ to: '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b', data: '0x70a08231' }, 'latest']],
  ['eth_blockNumber', []],
  ['eth_getBalance', ['0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b', 'latest']],
  ['eth_chainId', []],
];

const callOf = (n) => ({ jsonrpc: '2.0', id: n, method: METHODS[n % 4][0], params: METHODS[n % 4][1] });

/** Of each kind many objects, with header strings of their own, as requests have. */
function occurrences(body, { count = 1000, admitted = admission } = {}) {
  const text = JSON.stringify(body);
  return Array.from({ length: count }, (_, n) => {
    const facts = {
      apiKey: KEY,
      origin: Buffer.from('https://app.example.com').toString(),
      userAgent: Buffer.from('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36').toString(),
      headers: {},
      requestId: `request-${String(n)}`,
    };
    const it = new Occurrence(facts, 'http', performance.now());
    return Object.assign(it, {
      admission: admitted,
      judged: judgeBody(text, 1000, admitted, rules),
      bytesIn: 100,
      bytesOut: 100,
      credits: 1,
    });
  });
}

/** Nanoseconds of CPU time for one of them; the median of the rounds. `renew` makes one new before it is counted. */
function measure(given, { renew = () => {}, counted = COUNTED } = {}) {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.cpuUsage();
    for (let n = 0; n < counted; n++) {
      const it = given[n % given.length];
      renew(it);
      usage.observe(it);
    }
    const { user, system } = process.cpuUsage(began);
    rounds.push(((user + system) * 1000) / counted);
  }
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1];
}

/** Without a list of contracts nobody has read the addresses before. */
const renew = ({ judged }) => {
  for (const { call } of judged.calls) call.addresses = undefined;
};
const single = METHODS.map((_, n) => [METHODS[n][0], measure(occurrences(callOf(n)), { renew })]);
for (const [method, ns] of single) console.log(`one call, ${method}: ${ns.toFixed(0)} ns`);
const admitted = admissionTo({ contractAddresses: [METHODS[0][1][0].to] });
const listed = measure(occurrences(callOf(0), { admitted }));
console.log(`one call, eth_call, where the list of contracts has read it: ${listed.toFixed(0)} ns`);
const [two, hundred] = [2, 102].map((size) =>
  measure(
    occurrences(
      Array.from({ length: size }, (_, n) => callOf(n)),
      { count: 50 },
    ),
    { renew, counted: COUNTED / 20 },
  ),
);
console.log(`a further call of a batch: ${((hundred - two) / 100).toFixed(0)} ns`);
const refused = occurrences(callOf(1));
for (const it of refused) it.judged = { refused: 'ORIGIN_NOT_ALLOWED' };
console.log(`a request refused: ${measure(refused).toFixed(0)} ns`);
let made = 0;
const makeUp = ({ facts }) => {
  facts.origin = `https://made-up-${String(++made)}.example`;
};
const before = process.memoryUsage().heapUsed;
console.log(`a request refused with a made-up origin: ${measure(refused, { renew: makeUp }).toFixed(0)} ns`);
global.gc?.();
console.log(`${made} made-up origins: ${((process.memoryUsage().heapUsed - before) / 2 ** 20).toFixed(1)} MiB of heap`);
await usage.close();
const rows = await store.usage.read({ from: '2000', to: '2100' });
console.log(`rows stored: ${rows.length}`);
