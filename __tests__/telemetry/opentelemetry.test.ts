import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { SpanKind, SpanStatusCode, context, metrics, propagation, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { RequestHandler } from 'express';
import { hashSecret } from '../../lib';
import { openTelemetry } from '../../lib/telemetry/opentelemetry';
import type { OpenTelemetryOptions } from '../../lib/telemetry/opentelemetry';
import { KEY, basic, call, guardedApp, post } from '../support/guarded-app';
import type { GuardedAppOptions } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { SECRET, keyWith } from '../support/refusal-cases';
import { ask } from '../support/socket-session';
import { recordingUpstream } from '../support/upstream';

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const CALLERS = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
const TRACEPARENT = {
  traceparent: `00-${CALLERS.traceId}-${CALLERS.spanId}-01`,
  tracestate: 'theirs=1',
  baggage: 'who=them',
};

beforeAll(() => provider.register());
beforeEach(() => exporter.reset());
afterAll(async () => {
  await provider.shutdown();
  trace.disable();
  context.disable();
  propagation.disable();
});

async function tracedApp(given: GuardedAppOptions = {}, options?: OpenTelemetryOptions) {
  const app = await guardedApp(given);
  openTelemetry(app.guard, options);
  return app;
}

/** The spans by their kind, in the order of their end. */
function spans(kind: SpanKind): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.kind === kind);
}

const onlySpan = (kind: SpanKind): ReadableSpan => {
  const all = spans(kind);
  expect(all).toHaveLength(1);
  return all[0]!;
};

test('a call is a span by the semantic conventions, and its exchange with the upstream a child', async () => {
  const app = await tracedApp();
  await post(app.rpcUrl, call('eth_call', [], 'an id'));
  const server = onlySpan(SpanKind.SERVER);
  expect(server).toMatchObject({ name: 'eth_call', status: { code: SpanStatusCode.UNSET }, events: [], links: [] });
  expect(server.parentSpanContext).toBeUndefined();
  expect(server.attributes).toEqual({
    'rpc.system.name': 'jsonrpc',
    'rpc.method': 'eth_call',
    'network.protocol.name': 'http',
    'jsonrpc.protocol.version': '2.0',
    'jsonrpc.request.id': 'an id',
    'http.response.status_code': 200,
    'rpc_guard.outcome': 'allowed',
    'rpc_guard.key_hint': `${KEY.slice(0, 6)}…`,
  });
  const client = onlySpan(SpanKind.CLIENT);
  expect(client.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
  expect(client.attributes).toEqual({
    'rpc.system.name': 'jsonrpc',
    'rpc.method': 'eth_call',
    'server.address': '127.0.0.1',
    'server.port': app.upstream.port,
    'http.response.status_code': 200,
  });
  const { traceId, spanId } = client.spanContext();
  expect(app.upstream.seen[0]?.headers['traceparent']).toBe(`00-${traceId}-${spanId}-01`);
});

test('an unknown method names no span', async () => {
  const app = await tracedApp();
  await post(app.rpcUrl, call('x'.repeat(128), [], null));
  expect(onlySpan(SpanKind.SERVER)).toMatchObject({
    name: 'jsonrpc',
    attributes: { 'rpc.method': '_OTHER', 'rpc.method_original': 'x'.repeat(128) },
  });
  expect(onlySpan(SpanKind.SERVER).attributes).not.toHaveProperty('jsonrpc.request.id');
});

test('a batch is one span, its calls are events', async () => {
  const app = await tracedApp(keyWith({ allowlists: { methods: ['eth_call'] } }));
  await post(app.rpcUrl, [call('eth_call'), call('eth_chainId', [], 2)]);
  const server = onlySpan(SpanKind.SERVER);
  expect(server).toMatchObject({
    name: 'jsonrpc batch',
    status: { code: SpanStatusCode.UNSET },
    attributes: { 'rpc_guard.batch.size': 2, 'rpc_guard.outcome': 'mixed', 'error.type': 'METHOD_NOT_ALLOWED' },
  });
  expect(server.events.map(({ name, attributes }) => [name, attributes])).toEqual([
    ['rpc_guard.call', { 'rpc.method': 'eth_call' }],
    ['rpc_guard.refused', { 'rpc.method': 'eth_chainId', 'rpc_guard.reason': 'METHOD_NOT_ALLOWED' }],
  ]);
  expect(spans(SpanKind.CLIENT)).toHaveLength(1);
  exporter.reset();
  await post(
    app.rpcUrl,
    Array.from({ length: 120 }, (_, id) => call('eth_call', [], id)),
  );
  expect(onlySpan(SpanKind.SERVER).events).toHaveLength(100);
});

test('a refusal is an event, and the caller’s fault: the status stays unset', async () => {
  const app = await tracedApp(keyWith({ requireSecret: true }));
  await post(app.rpcUrl, call('eth_call'));
  expect(onlySpan(SpanKind.SERVER)).toMatchObject({
    name: 'jsonrpc',
    status: { code: SpanStatusCode.UNSET },
    events: [{ name: 'rpc_guard.refused', attributes: { 'rpc_guard.reason': 'SECRET_REQUIRED' } }],
    attributes: { 'error.type': 'SECRET_REQUIRED', 'rpc.status_code': '-32002', 'rpc_guard.outcome': 'refused' },
  });
  expect(app.upstream.seen).toEqual([]);
});

test('an upstream that fails is an error of both spans; an error that it answers is recorded by its code', async () => {
  const answers = [
    { status: 403, body: '' },
    { status: 200, body: '{"jsonrpc":"2.0","id":1,"error":{"code":3}}' },
  ];
  const upstream = await recordingUpstream((_req, res) => {
    const { status, body } = answers.shift()!;
    res.writeHead(status).end(body);
  });
  const app = await tracedApp({ upstream });
  await post(app.rpcUrl, call('eth_call'));
  expect([onlySpan(SpanKind.SERVER), onlySpan(SpanKind.CLIENT)]).toMatchObject([
    { status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': 'UPSTREAM_UNAVAILABLE' } },
    {
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'UPSTREAM_UNAVAILABLE', 'http.response.status_code': 403 },
    },
  ]);
  exporter.reset();
  await post(app.rpcUrl, call('eth_call'));
  const server = onlySpan(SpanKind.SERVER);
  expect(server).toMatchObject({ status: { code: SpanStatusCode.UNSET }, attributes: { 'rpc.status_code': '3' } });
  expect(server.attributes).not.toHaveProperty('error.type');
});

test('messages of a WebSocket are spans, a batch one with its answer', async () => {
  const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_call'] } }] });
  openTelemetry(app.guard);
  const peer = await app.open();
  await ask(peer, call('eth_call'));
  await ask(peer, call('eth_chainId'));
  await ask(peer, [call('eth_call')]);
  expect(spans(SpanKind.SERVER)).toMatchObject([
    { name: 'eth_call', attributes: { 'network.protocol.name': 'websocket', 'rpc_guard.outcome': 'allowed' } },
    { name: 'eth_chainId', events: [{ name: 'rpc_guard.refused' }] },
    { name: 'jsonrpc batch', attributes: { 'rpc_guard.batch.size': 1 } },
  ]);
});

describe("A caller's trace context", () => {
  const withSecret = keyWith({ secrets: [{ hash: hashSecret(SECRET) }] });

  test('is continued for a caller with a valid secret', async () => {
    const app = await tracedApp(withSecret);
    await post(app.rpcUrl, call('eth_call'), { ...TRACEPARENT, ...basic(SECRET) });
    expect(onlySpan(SpanKind.SERVER).parentSpanContext).toMatchObject(CALLERS);
    expect(app.upstream.seen[0]?.headers).toMatchObject({ tracestate: 'theirs=1', baggage: 'who=them' });
    expect(app.upstream.seen[0]?.headers['traceparent']).toMatch(new RegExp(`^00-${CALLERS.traceId}-(?!b{16})`));
  });

  test.each<OpenTelemetryOptions>([{}, { trustTraceContext: false }])(
    'is only linked to where it is not trusted, and does not reach the upstream: %j',
    async (options) => {
      const app = await tracedApp(withSecret, options);
      const credentials = options.trustTraceContext === false ? basic(SECRET) : {};
      await post(app.rpcUrl, call('eth_call'), { ...TRACEPARENT, ...credentials });
      const server = onlySpan(SpanKind.SERVER);
      expect(server.parentSpanContext).toBeUndefined();
      expect(server.links).toMatchObject([{ context: CALLERS }]);
      const { headers } = app.upstream.seen[0]!;
      expect(headers['traceparent']).toContain(server.spanContext().traceId);
      expect([headers['tracestate'], headers['baggage']]).toEqual([undefined, undefined]);
    },
  );

  test('is continued for anybody where you say so', async () => {
    const app = await tracedApp({}, { trustTraceContext: true });
    await post(app.rpcUrl, call('eth_call'), TRACEPARENT);
    expect(onlySpan(SpanKind.SERVER).parentSpanContext).toMatchObject(CALLERS);
  });

  test('that is not sampled makes no spans, and the upstream learns so', async () => {
    const app = await tracedApp({}, { trustTraceContext: true });
    await post(app.rpcUrl, call('eth_call'), { traceparent: TRACEPARENT.traceparent.replace(/01$/, '00') });
    expect(exporter.getFinishedSpans()).toEqual([]);
    expect(app.upstream.seen[0]?.headers['traceparent']).toMatch(new RegExp(`^00-${CALLERS.traceId}-(?!b{16}).*-00$`));
  });

  test('passes as it came where nothing is traced', async () => {
    const app = await guardedApp();
    await post(app.rpcUrl, call('eth_call'), TRACEPARENT);
    expect(app.upstream.seen[0]?.headers['traceparent']).toBe(TRACEPARENT.traceparent);
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});

/** As the application's own instrumentation does it. */
const spanAround: RequestHandler = (req, res, next) => {
  const attributes = { 'http.request.method': req.method, 'url.path': req.url };
  const span = trace.getTracer('application').startSpan('POST', { attributes });
  res.on('finish', () => {
    span.end();
  });
  context.with(trace.setSpan(context.active(), span), next);
};

test('overwrites nothing in the span around it with what is too short for a key', async () => {
  const app = await guardedApp({ before: [spanAround] });
  openTelemetry(app.guard);
  for (const short of ['T', '', 'seven-7']) {
    await post(`${app.url}/v3/${short}`, call('eth_call'));
    expect(onlySpan(SpanKind.INTERNAL).attributes).toEqual({
      'http.request.method': 'POST',
      'url.path': `/v3/${short}`,
    });
    exporter.reset();
  }
});

test('is a child of the span around it, in which the key is overwritten', async () => {
  const app = await guardedApp({ before: [spanAround] });
  openTelemetry(app.guard);
  await post(app.rpcUrl, call('eth_call'));
  const around = onlySpan(SpanKind.INTERNAL);
  expect(around.attributes['url.path']).toBe(`/v3/${KEY.slice(0, 6)}…`);
  expect(onlySpan(SpanKind.SERVER).parentSpanContext?.spanId).toBe(around.spanContext().spanId);
});

test('records durations where metrics are asked for', async () => {
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 2 ** 30 });
  const meters = new MeterProvider({ readers: [reader] });
  const app = await tracedApp({}, { metrics: true });
  metrics.setGlobalMeterProvider(meters);
  await post(app.rpcUrl, call('eth_call'));
  await meters.forceFlush();
  const [metric] = metricExporter.getMetrics()[0]!.scopeMetrics[0]!.metrics;
  expect(metric).toMatchObject({
    descriptor: { name: 'rpc.server.call.duration', unit: 's' },
    dataPoints: [{ attributes: { 'rpc.system.name': 'jsonrpc', 'rpc.method': 'eth_call' }, value: { count: 1 } }],
  });
  await meters.shutdown();
  metrics.disable();
});

test('refuses a wrong option, an argument that is not a guard, and a second call', async () => {
  const { guard } = await guardedApp();
  expect(() => openTelemetry(guard, { trustTraceContext: 'everybody' as never })).toThrow('"secret", true or false');
  expect(() => openTelemetry((() => undefined) as never)).toThrow('takes the guard');
  openTelemetry(guard);
  expect(() => openTelemetry(guard)).toThrow('traced already');
});

test("behind Node's HTTP instrumentation a stranger's trace is left, and neither the key nor the upstream's URL is recorded", () => {
  const script = join(__dirname, '../support/traced-http.cjs');
  const { stdout } = spawnSync(process.execPath, [script, KEY, TRACEPARENT.traceparent], { encoding: 'utf8' });
  const { spans: told, seen } = JSON.parse(stdout) as {
    readonly spans: readonly Readonly<Record<'name' | 'id' | 'trace', string> & { links: string[]; parent?: string }>[];
    readonly seen: string;
  };
  expect(told.map(({ name }) => name)).toEqual(['eth_call', 'eth_call', 'POST']);
  const [client, server, http] = told;
  expect(http).toMatchObject({ trace: CALLERS.traceId, parent: CALLERS.spanId });
  expect(server).toMatchObject({ links: [http?.id], trace: client?.trace });
  expect(server?.trace).not.toBe(CALLERS.traceId);
  expect(client?.parent).toBe(server?.id);
  expect(seen).toBe(`00-${client!.trace}-${client!.id}-01`);
  expect(stdout).not.toMatch(new RegExp(`${KEY}|upstream-secret`));
});

test('an application that traces nothing loads nothing of it', () => {
  const index = JSON.stringify(join(__dirname, '../../dist'));
  const script = `require(${index}); console.log(Object.keys(require.cache).filter((file) => /telemetry/.test(file)).length)`;
  expect(spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout.trim()).toBe('0');
});
