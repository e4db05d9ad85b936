// What it costs to count: node bench/usage.mjs, after a build. In-process, without HTTP.
import { createRequire } from 'node:module';
import { lib } from './lib.mjs';

const require = createRequire(import.meta.url);
const {
  Usage,
  Occurrence,
  addressTable,
  compileCredits,
  admissionOf,
  judgeBody,
  compileKeySettings,
  parseKeySettings,
} = await lib(
  'observe/usage',
  'observe/request-event',
  'allowlists/address-table',
  'limits/credits',
  'policy/authorize',
  'policy/evaluate-body',
  'settings/compile',
  'settings/key-settings',
);
const { MemoryStore } = require('../dist/index.js');

const ROUNDS = 1501;
/** So many requests are under way at once, a twentieth as many batches: more, and most of the time goes to memory grown cold. */
const COUNTED = 200;
const table = addressTable({});
const store = new MemoryStore([]);
const logger = { info() {}, warn() {}, error: console.error };
const usage = new Usage(
  { store, logger, addressTable: table, prices: compileCredits({}), instance: () => 'bench' },
  { origins: true, addresses: true, userAgents: true },
);
const rules = { addressTable: table, isBlocked: () => false, blockedMethods: [] };
const eachOf = (size, make) => Array.from({ length: size }, (_, n) => make(n));
const KEYS = eachOf(4, (n) => `a-key-to-count-${n}`);
const URLS = KEYS.map((key) => Buffer.from(`/v3/${key}?`));
const ADDRESSES = eachOf(8, (n) => `0xfe05a3e72235c9f92fd9f2282f41a8154d6d342${n}`);
const ORIGINS = eachOf(8, (n) => Buffer.from(`https://app-${n}.example.com`));
const SYSTEMS = [
  'X11; Linux x86_64',
  'Windows NT 10.0; Win64; x64',
  'Macintosh; Intel Mac OS X 10_15_7',
  'Linux; Android 14',
];
const USER_AGENTS = [
  ...SYSTEMS.map((system) => Buffer.from(`Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129`)),
  ...['ethers/6.13.2 (node 20)', 'viem/2.21.0', 'python-requests/2.32.3', 'node'].map((it) => Buffer.from(it)),
];
const METHODS = [
  ['eth_call', (address) => [{ to: address, data: '0x70a08231' }, 'latest']],
  ['eth_blockNumber', () => []],
  ['eth_getBalance', (address) => [address, 'latest']],
  ['eth_chainId', () => []],
];

const nextAddress = (address, steps) => ADDRESSES[(ADDRESSES.indexOf(address) + steps) % ADDRESSES.length];
const callOf = (n) => {
  const [method, paramsOf] = METHODS[n % 4];
  return { jsonrpc: '2.0', id: n, method, params: paramsOf(ADDRESSES[n % 8]) };
};
const admissionsTo = (allowlists) =>
  KEYS.map((apiKey) => admissionOf(compileKeySettings(parseKeySettings({ apiKey, allowlists })), undefined));
const admissions = admissionsTo({});

/**
 * Makes one that is over, read from a body of its own, as each request is: of one key after the other, which query one
 * address after the other. Each key has a caller, unless `callers` is one of them for each request.
 */
function occurrences(
  body,
  { admitted = admissions, refused, callerOf = (n) => n % 4, originOf = (n) => ORIGINS[callerOf(n)] } = {},
) {
  const texts = ADDRESSES.map((_, n) =>
    Buffer.from(JSON.stringify(body, (_, value) => (ADDRESSES.includes(value) ? nextAddress(value, n) : value))),
  );
  let n = 0;
  return () => {
    n++;
    const userAgent = USER_AGENTS[callerOf(n)].latin1Slice();
    const apiKey = URLS[n % 4].latin1Slice().slice(4, -1);
    const facts = { apiKey, origin: originOf(n).latin1Slice(), userAgent, headers: {}, requestId: `request-${n}` };
    const it = new Occurrence(facts, 'http', performance.now() - 3);
    it.admission = admitted[n % 4];
    it.judged = refused ?? judgeBody(texts[(n >> 2) % 8].latin1Slice(), 1000, it.admission, rules);
    it.bytesIn = it.bytesOut = 100;
    it.credits = 1;
    return it;
  };
}

/**
 * Nanoseconds of CPU time that counting one takes, in rounds each of which makes its own before: the fastest tenth of them,
 * and the half, which what else the machine does may double.
 */
function measure(make, counted = COUNTED) {
  const rounds = eachOf(ROUNDS, () => {
    const made = eachOf(counted, make);
    const began = process.cpuUsage();
    for (const it of made) usage.observe(it);
    const { user, system } = process.cpuUsage(began);
    return ((user + system) * 1000) / counted;
  });
  rounds.sort((a, b) => a - b);
  return [rounds[Math.floor(ROUNDS / 10)], rounds[ROUNDS >> 1]];
}

function say(what, [tenth, half]) {
  console.log(`${what}: ${tenth.toFixed(0)} ns, ${half.toFixed(0)}`);
}

const ofMethods = METHODS.map(([method], n) => {
  const times = measure(occurrences(callOf(n)));
  say(`one call, ${method}`, times);
  return times;
});
const meanOf = (times) => times.reduce((sum, time) => sum + time, 0) / times.length;
say(
  'one call, the mean of these',
  [0, 1].map((n) => meanOf(ofMethods.map((times) => times[n]))),
);
const listing = { admitted: admissionsTo({ contractAddresses: ADDRESSES }) };
say('one call, eth_call, where the list of contracts has read it', measure(occurrences(callOf(0), listing)));
const callers = { callerOf: (n) => (n + (n >> 2)) % 8 };
say('one call, eth_chainId, each of another caller of its key', measure(occurrences(callOf(3), callers)));
const [two, hundred] = [2, 102].map((size) => measure(occurrences(eachOf(size, callOf)), COUNTED / 20));
say(
  'a further call of a batch',
  hundred.map((time, n) => (time - two[n]) / 100),
);
const refused = { refused: 'ORIGIN_NOT_ALLOWED' };
say('a request refused', measure(occurrences(callOf(1), { refused })));
let made = 0;
const originOf = () => Buffer.from(`https://made-up-${String(++made)}.example`);
const before = process.memoryUsage().heapUsed;
say('a request refused with a made-up origin', measure(occurrences(callOf(1), { refused, originOf })));
global.gc?.();
console.log(`${made} made-up origins: ${((process.memoryUsage().heapUsed - before) / 2 ** 20).toFixed(1)} MiB of heap`);
await usage.close();
const rows = await store.usage.read({ from: '2000', to: '2100' });
console.log(`rows stored: ${rows.length}`);
