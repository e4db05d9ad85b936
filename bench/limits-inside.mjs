// node --expose-gc bench/limits-inside.mjs [--keys=1000000]: what limits cost inside a process, in memory and in time. Build first.
import { lib } from './lib.mjs';

const {
  CallLimits,
  Limiter,
  systemClock: clock,
  compileCredits,
  compileLimits,
} = await lib('limits/limit-calls', 'limits/limiter', 'limits/clock', 'limits/credits', 'settings/compile');
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const KEYS = Number(option('keys') ?? 1_000_000);
const ADDRESSES = 100_000;
const ROUNDS = 2_000_000;

const heap = () => (global.gc(), process.memoryUsage().heapUsed);
const limits = compileLimits({ perSecond: 1_000_000_000, perDay: 1_000_000_000 });
/** As parsed from a store: put together from pieces it would take three times the memory. */
const nameOf = (n) => JSON.parse(`"key-${n.toString(16).padStart(28, '0')}"`);
const payerOf = (n) => ({ apiKey: nameOf(n), limits, secret: undefined, caller: '' });

/** Bytes of each, once all have been charged. */
function memory(count, payer) {
  const limiter = new Limiter({ waitMs: 0, clock, exchange: undefined });
  const before = heap();
  for (let n = 0; n < count; n++) limiter.charge(payer(n), 1, 0);
  const bytes = heap() - before;
  limiter.charge(payer(0), 1, 0); // it is alive until here
  return `${Math.round(bytes / count)} bytes each, ${(bytes / 1e6).toFixed(0)} MB`;
}

/** The median of ten rounds, in nanoseconds of CPU time, and the 99th percentile of single decisions with the time of two clocks. */
function decision(work) {
  const rounds = Array.from({ length: 10 }, () => {
    const before = process.cpuUsage();
    for (let n = 0; n < ROUNDS / 10; n++) work(n);
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / (ROUNDS / 10);
  }).sort((a, b) => a - b);
  const single = Array.from({ length: 200_000 }, (_, n) => {
    const began = process.hrtime.bigint();
    work(n);
    return Number(process.hrtime.bigint() - began);
  }).sort((a, b) => a - b);
  return `${Math.round(rounds[5])} ns of CPU; of single ones 99 % within ${single[198_000]} ns`;
}

function decisions() {
  const callLimits = new CallLimits({
    prices: compileCredits({}),
    limitWaitMs: 0,
    limitHeaders: true,
    clientAddress: () => '192.0.2.1',
    trustsProxy: true,
    store: {},
    logger: { info() {}, warn() {}, error() {} },
  });
  const judged = { batch: false, calls: [{ call: {}, refusal: undefined }], allowed: [{ method: 'eth_call' }] };
  const bodyOf = (ofKey) => {
    const key = { settings: { apiKey: 'my-first-key' }, limits: ofKey };
    return { facts: { headers: {} }, admission: { key, credential: undefined }, judged, bytes: 150 };
  };
  const charge = (body) => () => callLimits.charge(body, () => undefined);
  const small = compileLimits({ perSecond: 1, burst: 1 });
  const byAddress = compileLimits({ perAddress: { perSecond: 1_000_000_000 } });
  console.log(`decision without limits: ${decision(charge(bodyOf(undefined)))}`);
  console.log(`decision, by second and day: ${decision(charge(bodyOf(limits)))}`);
  console.log(`decision, by address: ${decision(charge(bodyOf(byAddress)))}`);
  console.log(`refusal: ${decision(charge(bodyOf(small)))}`);
}

decisions();
console.log(`${KEYS} keys: ${memory(KEYS, payerOf)}`);
const perAddress = compileLimits({ perAddress: { perSecond: 1_000_000_000 } });
const callerOf = (n) => ({
  ...payerOf(0),
  limits: perAddress,
  caller: `2001:db8:${(n >> 16).toString(16)}:${(n & 0xffff).toString(16)}`,
});
console.log(`${ADDRESSES} addresses of a key: ${memory(ADDRESSES, callerOf)}`);
console.log(`${2 * ADDRESSES} addresses of a key: ${memory(2 * ADDRESSES, callerOf)}`);
