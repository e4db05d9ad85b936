import { Agent } from 'node:http';
import { createRequire } from 'node:module';
import { SETTINGS, SETTINGS_WITH_ALL } from './keys.mjs';

const require = createRequire(import.meta.url);
/** Where the guard is: the build of the working tree, or of the revision that it is compared with. */
const DIST = process.env.RPC_GUARD_DIST ?? '../dist';

/** The same for all: kept-alive connections, as many as needed. What the guard uses itself. */
const agent = () => new Agent({ keepAlive: true, timeout: 15_000 });

async function version4() {
  return (await import('http-proxy-middleware-4')).createProxyMiddleware;
}

async function listen(...middlewares) {
  const { default: express } = await import('express');
  const app = express().disable('x-powered-by');
  for (const middleware of middlewares) app.use(middleware);
  return app.listen(0, '127.0.0.1');
}

function bare(createProxyMiddleware, { upstreamPort }) {
  return listen(createProxyMiddleware({ target: `http://127.0.0.1:${upstreamPort}`, agent: agent() }));
}

async function guard(options, { upstreamPort }, store, extend) {
  const { MemoryStore, rpcGuard } = require(`${DIST}/index.js`);
  const guarded = rpcGuard({
    upstream: `http://127.0.0.1:${upstreamPort}`,
    maxSocketsPerKey: 1_000_000,
    store: store ?? new MemoryStore(SETTINGS),
    ...options,
  });
  extend?.(guarded);
  const server = await listen(guarded);
  return server.on('upgrade', guarded.upgrade);
}

/** Limits, usage, metrics and lists that only report; otherwise as all others. */
async function guardWithAll(given) {
  const { MemoryStore } = require(`${DIST}/index.js`);
  const { prometheusMetrics } = require(`${DIST}/telemetry/prometheus.js`);
  return guard({ usage: true }, given, new MemoryStore(SETTINGS_WITH_ALL), prometheusMetrics);
}

async function redisStore({ redisSocket }) {
  const { createClient } = require('redis');
  const { RedisStore } = require(`${DIST}/stores/redis.js`);
  const client = createClient({ socket: { path: redisSocket }, disableOfflineQueue: true });
  await client.on('error', () => undefined).connect();
  const store = new RedisStore({ client });
  await store.init?.();
  for (const settings of SETTINGS) if (!(await store.get(settings.apiKey))) await store.set(settings);
  return store;
}

/** What is compared, by name: how it is started, and what it needs. */
export const SERVERS = {
  'bare http-proxy-middleware 3': {
    start: (given) => bare(require('http-proxy-middleware').createProxyMiddleware, given),
  },
  'bare http-proxy-middleware 4': { needs: 'node22', start: async (given) => bare(await version4(), given) },
  'hand-written guard': {
    start: async ({ upstreamPort }) => {
      const { handWrittenGuard } = await import('./hand-written-guard.mjs');
      return listen(await handWrittenGuard(`http://127.0.0.1:${upstreamPort}`, agent()));
    },
  },
  '@fastify/http-proxy': {
    start: async ({ upstreamPort }) => {
      const { default: fastify } = await import('fastify');
      const { default: proxy } = await import('@fastify/http-proxy');
      const app = fastify();
      const http = { agents: { 'http:': agent(), 'https:': undefined } };
      app.register(proxy, { upstream: `http://127.0.0.1:${upstreamPort}`, http });
      await app.listen({ port: 0, host: '127.0.0.1' });
      return app.server;
    },
  },
  'rpcGuard 3 MemoryStore': { start: (given) => guard({}, given) },
  'rpcGuard 3 RedisStore': { needs: 'redis', start: async (given) => guard({}, given, await redisStore(given)) },
  'rpcGuard 4 MemoryStore': {
    needs: 'node22',
    start: async (given) => guard({ createProxyMiddleware: await version4() }, given),
  },
  'rpcGuard 3, all off': { start: (given) => guard({ usage: false }, given) },
  'rpcGuard 3, all on': { start: guardWithAll },
  'http.request relay': {
    start: async ({ upstreamPort }) => {
      const { relay } = await import('./relay.mjs');
      return listen(relay(upstreamPort, agent()));
    },
  },
  'bare ws relay': {
    start: async ({ upstreamPort }) => {
      const { webSocketRelay } = await import('./relay.mjs');
      return webSocketRelay(await listen(), `ws://127.0.0.1:${upstreamPort}`);
    },
  },
};
