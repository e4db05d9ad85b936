import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { Express } from 'express';
import type { basicAuthAdmin } from '../admin/basic-auth-admin';
import { rpcGuardAdmin } from '../admin/rpc-guard-admin';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { rpcGuard } from '../rpc-guard';
import type { RpcGuard } from '../rpc-guard';
import { prometheusMetrics } from '../telemetry/prometheus';
import { CliError, EXIT } from './exit';
import type { ServeOptions } from './serve-options';
import type { ServerStore } from './server-store';

export interface Standalone {
  /** `http://host:port` */
  readonly url: string;
  readonly metricsUrl: string | undefined;
  /** Lets the requests under way end, then ends everything. */
  close(): Promise<void>;
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use',
  EACCES: 'may not be used by this user',
  EADDRNOTAVAIL: 'cannot be used: this machine does not have that address',
};

/**
 * The smallest application around the guard, and a model for one of your own: the guard, the dashboard behind a login, and
 * two routes for probes; the metrics on a port of their own.
 * @param authorize lets in to the dashboard; without it there is none.
 */
export async function standalone(
  options: ServeOptions,
  opened: ServerStore,
  authorize: ReturnType<typeof basicAuthAdmin> | undefined,
  logger: Logger,
): Promise<Standalone> {
  const { store } = opened;
  const { host, port, metricsPort, metricsHost } = options.server;
  const guard = rpcGuard({ ...options.guard, store, logger });
  const app = express().disable('x-powered-by');
  app.set('trust proxy', options.guard.trustProxy);
  addHealth(app, guard);
  const admin = authorize && addDashboard(app, { options, store, authorize, logger });
  app.use(guard);
  app.use((_req, res) => {
    res.status(404).json({ error: 'there is no such path' });
  });

  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    await guard.close();
    admin?.close();
    for (const server of servers) server.close();
    await opened.end();
  };
  try {
    servers.push(await listen(app, port, host));
    if (metricsPort !== undefined)
      servers.push(await listen(metricsApp(guard), metricsPort, metricsHost, '--metrics-port'));
  } catch (error) {
    await close();
    throw error;
  }
  const [server, metricsServer] = servers as [Server, Server?];
  server.on('upgrade', guard.upgrade);
  return { url: urlOf(server), metricsUrl: metricsServer && `${urlOf(metricsServer)}/metrics`, close };
}

async function listen(app: Express, port: number, host: string, flag = '--port'): Promise<Server> {
  const server = app.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const why = REASONS[String((error as NodeJS.ErrnoException).code)] ?? describeError(error);
    throw new CliError(
      'ERR_RPC_GUARD_LISTEN',
      EXIT.failed,
      `port ${String(port)} on ${host} ${why}; ${flag} names another`,
    );
  }
  return server;
}

function metricsApp(guard: RpcGuard): Express {
  const metrics = express().disable('x-powered-by');
  metrics.get('/metrics', prometheusMetrics(guard).handler);
  return metrics;
}

/** Alive as long as it answers; ready as long as what it depends on is there. */
function addHealth(app: Express, guard: RpcGuard): void {
  app.get('/healthz', (_req, res) => {
    res.json({ ok: true });
  });
  app.get('/readyz', (_req, res) => {
    const health = guard.health();
    res.status(health.ok ? 200 : 503).json(health);
  });
}

interface DashboardParts {
  readonly options: ServeOptions;
  readonly store: ServerStore['store'];
  readonly authorize: ReturnType<typeof basicAuthAdmin>;
  readonly logger: Logger;
}

function addDashboard(app: Express, { options, store, authorize, logger }: DashboardParts) {
  const { upstream, path, wsPath, blockedMethods, credits, limitWaitMs } = options.guard;
  const { publicUrl } = options.server;
  const given = { path, wsPath, blockedMethods, credits, limitWaitMs, publicUrl };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const admin = rpcGuardAdmin({ ...present, upstream, store, authorize, logger });
  app.use('/admin', admin);
  return admin;
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  // Where it listens on all addresses, a browser needs one of them.
  const isAny = address === '0.0.0.0' || address === '::';
  const host = isAny ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${String(port)}`;
}
