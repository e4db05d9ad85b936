import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { RequestHandler } from 'express';
import express4 from 'express-4';
import { MemoryStore, rpcGuard } from '../../lib';
import type { AuditEvent, KeyView, WritableSettingsStore } from '../../lib';
import { rpcGuardAdmin } from '../../lib/admin';
import type { RpcGuardAdminOptions } from '../../lib/admin';
import type { Preview } from '../../lib/admin/preview';
import type { TestResult } from '../../lib/admin/request-tester';
import { endAfterTest } from './cleanup';
import { proxyUnderTest } from './proxy-under-test';
import { recordingUpstream } from './upstream';
import type { RecordingUpstream } from './upstream';

export interface AdminApp {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** `http://127.0.0.1:<port>/admin/` */
  readonly adminUrl: string;
  readonly store: WritableSettingsStore;
  readonly upstream: RecordingUpstream;
  readonly audit: AuditEvent[];
  /** What was logged, as JSON. */
  readonly logged: string[];
  /** Asks the API: `api('POST', 'keys', { name: 'a' })`. A text is sent as it stands. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: ApiJson;
}

/** Whatever the API answers with; a test knows which of these it asked for. */
interface ApiJson extends TestResult, Preview {
  readonly key: ShownKey;
  readonly keys: readonly ShownKey[];
  readonly next: string | null;
  readonly problems: readonly { readonly keyHint: string; readonly reason: string }[];
  readonly differences: readonly object[];
  readonly secret: string;
  readonly secretId: string;
  readonly error: { readonly code: string; readonly message: string; readonly current: ShownKey };
}

type ShownKey = KeyView & { readonly warnings: readonly { readonly code: string }[] };

export interface AdminAppOptions {
  readonly options?: Partial<RpcGuardAdminOptions>;
  /** Whether tested requests can be sent to the guard's upstream. */
  readonly sends?: boolean;
  readonly expressVersion?: 4 | 5;
  /** Where the management is mounted. Default: `/admin` */
  readonly at?: string;
  /** Middleware in front of both. */
  readonly before?: readonly RequestHandler[];
}

const letIn: RequestHandler = (_req, _res, next) => {
  next();
};

/** An Express backend on a free port with the guard and, at `/admin`, its management on one store. Ended after the test. */
export async function adminApp({
  options = {},
  sends = false,
  expressVersion,
  at = '/admin',
  before = [],
}: AdminAppOptions = {}): Promise<AdminApp> {
  const upstream = await recordingUpstream();
  const store = options.store ?? new MemoryStore();
  const audit: AuditEvent[] = [];
  const logged: string[] = [];
  const log = (...said: unknown[]) => logged.push(JSON.stringify(said));
  const logger = { info: log, warn: log, error: log };
  const guard = rpcGuard({ upstream: upstream.url, store, logger, ...proxyUnderTest });
  const onAudit = (event: AuditEvent) => audit.push(event);
  const admin = rpcGuardAdmin({
    store,
    authorize: letIn,
    onAudit,
    logger,
    ...(sends && { upstream: upstream.url }),
    ...proxyUnderTest,
    ...options,
  });
  const app = expressVersion === 4 ? express4() : express();
  for (const middleware of before) app.use(middleware);
  app.use(at, admin);
  app.use(guard);
  const server: Server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  endAfterTest(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    admin.close();
    await guard.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const adminUrl = `${url}/admin/`;
  return {
    url,
    adminUrl,
    store,
    upstream,
    audit,
    logged,
    async api(method, path, body, headers = {}) {
      const response = await fetch(`${adminUrl}api/${path}`, {
        method,
        redirect: 'manual',
        headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
        body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      });
      const text = await response.text();
      const isJson = /^application\/json(?:;|$)/.test(response.headers.get('content-type') ?? '');
      const json = JSON.parse(isJson ? text : '{}') as ApiJson;
      return { status: response.status, headers: response.headers, text, json };
    },
  };
}
