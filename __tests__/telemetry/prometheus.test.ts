import express from 'express';
import parse from 'parse-prometheus-text-format';
import * as promClient from 'prom-client';
import { KeyManager, MemoryStore } from '../../lib';
import type { RpcGuard } from '../../lib';
import { prometheusMetrics } from '../../lib/telemetry/prometheus';
import { KEY, call, guardedApp, post } from '../support/guarded-app';
import type { GuardedAppOptions } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { recordingLogger } from '../support/pieces';
import { hasPromtool, promtool } from '../support/promtool';
import { serve } from '../support/serve';
import { ask } from '../support/socket-session';
import { recordingUpstream } from '../support/upstream';

type Families = ReturnType<typeof parse>;

/** Its successor asks for Node 22: `.ci/tests` installs it where it tests with what comes next. */
const { PROMETHEUS_CLIENT: successor } = process.env;
const CLIENTS: readonly (readonly [name: string, client: typeof promClient])[] = [
  ['prom-client 15', promClient],
  ...(successor === undefined
    ? []
    : [['@prometheus-io/client', jest.requireActual<typeof promClient>(successor)] as const]),
];

/** The value of one series of a text, by its name and labels as they stand there. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((other) => other.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

function scraped(guard: RpcGuard): () => Promise<string> {
  const { handler } = prometheusMetrics(guard);
  const served = serve(express().get('/metrics', handler));
  return async () => {
    const answer = await fetch(`${(await served).url}/metrics`);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    return answer.text();
  };
}

async function measuredApp(given: GuardedAppOptions = {}) {
  const app = await guardedApp(given);
  return { ...app, scrape: scraped(app.guard) };
}

test('the text of a real run parses, and says what happened', async () => {
  const upstream = await recordingUpstream((_req, res, body) => {
    if (body.includes('eth_gasPrice')) res.writeHead(502).end();
    else res.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
  });
  const keys = [{ apiKey: KEY, allowlists: { methods: ['eth_*'], origins: ['https://a.example'] } }];
  const reporting = keys.map((key) => ({ ...key, reportOnly: ['origins' as const] }));
  const app = await measuredApp({ upstream, keys: reporting, options: { credits: { eth_call: 7 } } });
  const { host } = new URL(upstream.url);
  await post(app.rpcUrl, call('eth_call'));
  await post(app.rpcUrl, call('eth_gasPrice'));
  await post(app.rpcUrl, call('web3_sha3'));
  await post(`${app.url}/v3/${KEY}x`, call('eth_call'));
  const text = await app.scrape();
  const counted = (series: string) => valueOf(text, `rpc_guard_${series}`);
  expect(counted('requests_total{wire="http",outcome="allowed",reason="none"}')).toBe(1);
  expect(counted('requests_total{wire="http",outcome="failed",reason="UPSTREAM_UNAVAILABLE"}')).toBe(1);
  expect(counted('requests_total{wire="http",outcome="refused",reason="METHOD_NOT_ALLOWED"}')).toBe(1);
  expect(counted('requests_total{wire="http",outcome="refused",reason="KEY_UNKNOWN"}')).toBe(1);
  expect(counted('calls_total{method="eth_call",outcome="allowed"}')).toBe(1);
  expect(counted('calls_total{method="eth_gasPrice",outcome="failed"}')).toBe(1);
  expect(counted('calls_total{method="web3_sha3",outcome="refused"}')).toBe(1);
  expect(counted('refusals_total{reason="KEY_UNKNOWN"}')).toBe(1);
  expect(counted('would_refuse_total{reason="ORIGIN_NOT_ALLOWED"}')).toBeGreaterThan(0);
  expect(counted('credits_total{outcome="allowed"}')).toBe(7);
  expect(counted(`upstream_requests_total{upstream="${host}",outcome="answered"}`)).toBe(1);
  expect(counted(`upstream_requests_total{upstream="${host}",outcome="failed"}`)).toBe(1);
  expect(counted('request_duration_seconds_count{wire="http"}')).toBe(4);
  expect(counted('request_duration_seconds_bucket{le="+Inf",wire="http"}')).toBe(4);
  expect(counted('limit_waits_total')).toBe(0);
  expect(counted('store_up')).toBe(1);
  expect(counted(`upstream_up{upstream="${host}"}`)).toBe(0);
  expect(counted('limit_store_up')).toBe(1);
  const families = parse(text);
  expect(families.map(({ name }) => name)).toEqual([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  expect(text).toContain('# TYPE rpc_guard_decision_duration_seconds histogram');
  expect(text).not.toContain(KEY.slice(0, 6));
});

test('calls of a batch are counted one by one, and messages of a WebSocket by their wire', async () => {
  const app = await guardedSockets({ keys: [{ apiKey: KEY, allowlists: { methods: ['eth_call'] } }] });
  const scrape = scraped(app.guard);
  const peer = await app.open();
  await ask(peer, [call('eth_call'), call('eth_chainId', [], 2), call('eth_chainId', [], 3)]);
  const text = await scrape();
  expect(valueOf(text, 'rpc_guard_requests_total{wire="webSocket",outcome="mixed",reason="METHOD_NOT_ALLOWED"}')).toBe(
    1,
  );
  expect(valueOf(text, 'rpc_guard_calls_total{method="eth_call",outcome="allowed"}')).toBe(1);
  expect(valueOf(text, 'rpc_guard_refusals_total{reason="METHOD_NOT_ALLOWED"}')).toBe(2);
  expect(valueOf(text, 'rpc_guard_websockets')).toBe(1);
});

test('10,000 made-up methods and keys make no series of their own', async () => {
  const app = await measuredApp({ options: { maxBatchSize: 10_000 } });
  const made = (prefix: string) => Array.from({ length: 5000 }, (_, n) => call(`${prefix}_${String(n)}`, [], n));
  await post(app.rpcUrl, [...made('eth'), ...made('net')]);
  const before = seriesOf(parse(await app.scrape()));
  const keys = Array.from({ length: 200 }, (_, n) => `${app.url}/v3/made-up-${String(n)}`);
  await Promise.all(keys.map((url) => post(url, call('eth_call'))));
  const text = await app.scrape();
  expect(valueOf(text, 'rpc_guard_calls_total{method="other",outcome="allowed"}')).toBe(10_000);
  expect(seriesOf(parse(text)) - before).toBe(2); // refused for KEY_UNKNOWN, once as a request and once as a refusal
});

function seriesOf(families: Families): number {
  return families.reduce((sum, { metrics }) => sum + metrics.length, 0);
}

test('an event that the store did not keep is counted', async () => {
  const app = await measuredApp();
  const lost = async () => valueOf(await app.scrape(), 'rpc_guard_audit_failures_total')!;
  const before = await lost();
  const store = new MemoryStore();
  const append = () => Promise.reject(new Error('no history today'));
  Object.assign(store, { audit: { append, list: () => Promise.resolve([]), keep: () => undefined } });
  await new KeyManager(store, { logger: recordingLogger() }).create();
  expect((await lost()) - before).toBe(1);
});

test('a scrape is a GET or a HEAD', async () => {
  const { handler } = prometheusMetrics((await guardedApp()).guard);
  const { url } = await serve(express().use('/metrics', handler));
  const refused = await fetch(`${url}/metrics`, { method: 'POST' });
  expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  expect((await fetch(`${url}/metrics`, { method: 'HEAD' })).headers.get('content-length')).toMatch(/^[1-9]/);
});

test('refuses an argument that is not a guard', () => {
  expect(() => prometheusMetrics((() => undefined) as never)).toThrow('takes the guard');
});

describe.each(CLIENTS)('In a registry of %s', (_name, { Registry }) => {
  test('the series are those of the handler', async () => {
    const app = await guardedApp();
    const metrics = prometheusMetrics(app.guard);
    const registry = new Registry();
    metrics.register(registry);
    await post(app.rpcUrl, call('eth_call'));
    const { url } = await serve(express().get('/metrics', metrics.handler));
    const own = (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => line !== '');
    const theirs = (await registry.metrics()).split('\n').filter((line) => line !== '');
    expect([...theirs].sort()).toEqual([...own].sort());
  });

  test('OpenMetrics has one _total, and a cluster adds the processes up', async () => {
    const app = await guardedApp();
    const registry = new Registry();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
    prometheusMetrics(app.guard).register(registry);
    await post(app.rpcUrl, call('eth_call'));
    const text = await registry.metrics();
    expect(text).toContain('rpc_guard_calls_total{method="eth_call",outcome="allowed"} 1');
    expect(text).toContain('# TYPE rpc_guard_calls counter');
    expect(text).not.toContain('_total_total');
  });

  test('its JSON has what AggregatorRegistry adds up', async () => {
    const app = await guardedApp();
    const registry = new Registry();
    prometheusMetrics(app.guard).register(registry);
    const json = (await registry.getMetricsAsJSON()) as unknown as readonly { name: string; aggregator: string }[];
    expect(json.find(({ name }) => name === 'rpc_guard_requests_total')?.aggregator).toBe('sum');
    expect(json.find(({ name }) => name === 'rpc_guard_store_up')?.aggregator).toBe('min');
  });
});

(hasPromtool ? test : test.skip)('promtool finds nothing to say against the text', async () => {
  const app = await measuredApp();
  await post(app.rpcUrl, call('eth_call'));
  expect(promtool(['check', 'metrics'], await app.scrape())).toEqual({ ok: true, output: '' });
});
