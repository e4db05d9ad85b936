// A guard behind Node's HTTP instrumentation, which has to be there before `node:http` is loaded: it sends one call, and
// prints the spans and the trace context that the upstream got.
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
const instrumentation = new HttpInstrumentation({
  ignoreIncomingRequestHook: ({ url }) => url.startsWith('/upstream'),
});
instrumentation.setTracerProvider(provider);
instrumentation.enable();

const { createServer } = require('node:http');
const { MemoryStore, rpcGuard } = require('../../dist');
const { openTelemetry } = require('../../dist/telemetry/opentelemetry');

const [, , apiKey, traceparent] = process.argv;
const listening = (server) =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

async function main() {
  let seen;
  const upstream = createServer((req, res) => {
    seen = req.headers.traceparent;
    res.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
  });
  const url = `http://127.0.0.1:${await listening(upstream)}/upstream-secret`;
  const logger = { info() {}, warn() {}, error() {} };
  const guard = rpcGuard({ upstream: url, store: new MemoryStore([{ apiKey }]), logger });
  openTelemetry(guard);
  const port = await listening(createServer((req, res) => guard(req, res, () => res.end())));
  const body = '{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[]}';
  await fetch(`http://127.0.0.1:${port}/v3/${apiKey}`, { method: 'POST', body, headers: { traceparent } });
  while (exporter.getFinishedSpans().length < 3) await new Promise(setImmediate);
  const spans = exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    kind: span.kind,
    attributes: span.attributes,
    links: span.links.map(({ context }) => context.spanId),
    parent: span.parentSpanContext?.spanId,
    id: span.spanContext().spanId,
    trace: span.spanContext().traceId,
  }));
  console.log(JSON.stringify({ spans, seen }));
  process.exit();
}
void main();
