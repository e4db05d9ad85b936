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
const ROUNDS = 11;
const COUNTED = 100_000;
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
const ADDRESS = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const HEADERS = {
  origin: Buffer.from('https://app.example.com'),
  userAgent: Buffer.from('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'),
};
const METHODS = [
  ['eth_call', [{ to: ADDRESS, data: '0x70a08231' }, 'latest']],
  ['eth_blockNumber', []],
  ['eth_getBalance', [ADDRESS, 'latest']],
  ['eth_chainId', []],
];

const callOf = (n) => ({ jsonrpc: '2.0', id: n, method: METHODS[n % 4][0], params: METHODS[n % 4][1] });

/** Makes one that is over, of objects and strings of its own, as each request is. */
function occurrences(body, { admitted = admission, hasRead = false, refused, origin = () => HEADERS.origin } = {}) {
  const judged = judgeBody(JSON.stringify(body), 1000, admitted, rules);
  const text = Buffer.from(' '.repeat(7) + ADDRESS + ' '.repeat(7));
  const copyOf = ({ method, params, addresses }) => {
    const [first] = params;
    const address = text.latin1Slice().slice(7, 49);
    const named = typeof first === 'string' ? address : { ...first, to: address };
    const read = hasRead ? addresses : undefined;
    return { id: '1', method, params: params.length === 0 ? [] : [named, 'latest'], paramsText: '', addresses: read };
  };
  const judgedAnew = () => {
    const calls = judged.calls.map(({ call }) => ({ call: copyOf(call), refusal: undefined, wouldRefuse: undefined }));
    return { batch: judged.batch, calls, allowed: [], wouldRefuse: undefined };
  };
  return () => {
    const userAgent = HEADERS.userAgent.latin1Slice();
    const facts = { apiKey: KEY, origin: origin().latin1Slice(), userAgent, headers: {}, requestId: 'of-a-request' };
    const it = new Occurrence(facts, 'http', 0);
    it.admission = admitted;
    it.judged = refused ?? judgedAnew();
    it.bytesIn = it.bytesOut = 100;
    it.credits = 1;
    return it;
  };
}

/** Nanoseconds of CPU time that counting one takes: the median of rounds, in turns with making them alone. */
function measure(make, counted = COUNTED) {
  const timeOf = (work) => {
    const began = process.cpuUsage();
    for (let n = 0; n < counted; n++) work();
    const { user, system } = process.cpuUsage(began);
    return ((user + system) * 1000) / counted;
  };
  let made;
  const rounds = Array.from({ length: ROUNDS }, () => {
    const alone = timeOf(() => (made = make()));
    return timeOf(() => usage.observe((made = make()))) - alone;
  });
  return made && rounds.sort((a, b) => a - b)[ROUNDS >> 1];
}

for (const [n, [method]] of METHODS.entries()) {
  console.log(`one call, ${method}: ${measure(occurrences(callOf(n))).toFixed(0)} ns`);
}
const admitted = admissionTo({ contractAddresses: [ADDRESS] });
const listed = measure(occurrences(callOf(0), { admitted, hasRead: true }));
console.log(`one call, eth_call, where the list of contracts has read it: ${listed.toFixed(0)} ns`);
const [two, hundred] = [2, 102].map((size) =>
  measure(occurrences(Array.from({ length: size }, (_, n) => callOf(n))), COUNTED / 20),
);
console.log(`a further call of a batch: ${((hundred - two) / 100).toFixed(0)} ns`);
const refused = { refused: 'ORIGIN_NOT_ALLOWED' };
console.log(`a request refused: ${measure(occurrences(callOf(1), { refused })).toFixed(0)} ns`);
let made = 0;
const origin = () => Buffer.from(`https://made-up-${String(++made)}.example`);
const before = process.memoryUsage().heapUsed;
const flooded = measure(occurrences(callOf(1), { refused, origin }));
console.log(`a request refused with a made-up origin: ${flooded.toFixed(0)} ns`);
global.gc?.();
console.log(`${made} made-up origins: ${((process.memoryUsage().heapUsed - before) / 2 ** 20).toFixed(1)} MiB of heap`);
await usage.close();
const rows = await store.usage.read({ from: '2000', to: '2100' });
console.log(`rows stored: ${rows.length}`);
