// What it costs to tell of one call: CPU of the observers, without sockets, each in a process of its own. OpenTelemetry
// makes and drops its spans, and writes the header for the upstream.
import { fork } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { OPEN_KEY, SETTINGS } from './keys.mjs';
import { lib } from './lib.mjs';

const require = createRequire(import.meta.url);
const { MemoryStore, insideOf, openTelemetry, prometheusMetrics, rpcGuard } = await lib(
  'index',
  'rpc-guard',
  'telemetry/opentelemetry',
  'telemetry/prometheus',
);
const BATCHES = 60;
const COUNT = 5000;
/** CPU of one call through the guard, of RESULTS-node20.md. */
const CALL_US = 193;

const VARIANTS = {
  nothing: {},
  usage: { usage: true },
  'onRequest and the channel': { events: true },
  Prometheus: { prometheus: true },
  'usage, onRequest, channel, Prometheus': { usage: true, events: true, prometheus: true },
  'OpenTelemetry, none sampled': { otel: 0 },
  'OpenTelemetry, 1 in 100 sampled': { otel: 0.01 },
  'OpenTelemetry, all sampled': { otel: 1 },
  'everything, 1 in 100 sampled': { usage: true, events: true, prometheus: true, otel: 0.01 },
};

async function guardWith({ usage = false, events = false, prometheus = false, otel }) {
  const upstream = createServer((_req, res) => res.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}'));
  const logger = { info() {}, warn() {}, error() {} };
  let heard = 0;
  const guard = rpcGuard({
    upstream: `http://127.0.0.1:${await portOf(upstream)}`,
    store: new MemoryStore(SETTINGS),
    usage,
    logger,
    ...(events && { onRequest: () => heard++ }),
  });
  if (events) subscribe('rpc-guard:request', () => heard++);
  if (prometheus) prometheusMetrics(guard);
  if (otel !== undefined) trace(guard, otel);
  return guard;
}

function portOf(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
}

function trace(guard, ratio) {
  const sdk = require('@opentelemetry/sdk-trace-node');
  const sampler = new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(ratio) });
  const drop = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} };
  new sdk.NodeTracerProvider({ sampler, spanProcessors: [drop] }).register();
  openTelemetry(guard);
}

/** What the guard notes of a real call. */
async function occurrenceOf(guard, inside) {
  let noted;
  inside.observers.push((occurrence) => (noted ??= occurrence));
  const server = createServer((req, res) => guard(req, res, () => res.end()));
  const params = [{ to: '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b', data: '0x70a08231' }, 'latest'];
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params });
  await fetch(`http://127.0.0.1:${await portOf(server)}/v3/${OPEN_KEY}`, { method: 'POST', body });
  inside.observers.pop();
  return noted;
}

async function measure(variant) {
  const guard = await guardWith(variant);
  const inside = insideOf(guard);
  const occurrence = await occurrenceOf(guard, inside);
  const answered = { answer: Promise.resolve({ status: 200, headers: {}, body: Buffer.alloc(0) }), abort() {} };
  const samples = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = process.cpuUsage();
    for (let n = 0; n < COUNT; n++) {
      const own = { ...occurrence, arrivedAt: performance.now() };
      for (const { call } of own.judged.calls) call.addresses = undefined; // read once for each request
      inside.tracing?.exchange(own, () => answered);
      inside.observe(own);
      if (n % 100 === 0) await undefined;
    }
    const { user, system } = process.cpuUsage(before);
    samples.push((user + system) / COUNT);
  }
  // The best of them: what other processes do to the caches of a busy machine is not what is asked.
  process.send(Math.min(...samples));
  process.exit();
}

const [, , name] = process.argv;
if (name !== undefined) await measure(VARIANTS[name]);
else {
  let base;
  console.log('| on | µs of CPU a call | of the call |\n| --- | --- | --- |');
  for (const variant of Object.keys(VARIANTS)) {
    const [took] = await once(fork(fileURLToPath(import.meta.url), [variant]), 'message');
    base ??= took;
    const more = took - base;
    console.log(`| ${variant} | ${more.toFixed(1)} | ${((100 * more) / CALL_US).toFixed(1)} % |`);
  }
}
