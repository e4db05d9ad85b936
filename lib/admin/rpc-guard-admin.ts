import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Router, static as serveStatic } from 'express';
import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import helmet from 'helmet';
import { RpcGuardError } from '../errors';
import { KeyManager } from '../keys/key-manager';
import type { AuditEvent } from '../keys/key-manager';
import { describeError } from '../logger';
import { parseOptions } from '../options/options';
import type { RpcGuardOptions } from '../options/options';
import { createUpstreamClient } from '../upstream/http-client';
import type { WritableSettingsStore } from '../stores/settings-store';
import { actorOf } from './actor';
import { createApi } from './api';
import { ApiError, toApiError } from './api-error';
import { createRequestTester } from './request-tester';
import { describeApi } from './describe-api';
import { isSameOrigin } from './same-origin';

/** Written as a method, so that a `RequestHandler` of Express is one too. */
interface Handlers {
  authorize(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): unknown;
  actor(req: IncomingMessage): string;
}

/**
 * The guard's own options may stand here too (`rpcGuardAdmin({ ...options, authorize })`): a tested request is then
 * decided on by the same `path`, `blockedMethods`, `addressParams` and limits.
 */
export interface RpcGuardAdminOptions extends Partial<Omit<RpcGuardOptions, 'store'>> {
  /** The store of the guard, or another on the same data. */
  readonly store: WritableSettingsStore;
  /**
   * Lets in who may manage keys, by `next()`, and answers the rest itself. It is asked before anything is served.
   * `basicAuthAdmin({ users })` is one.
   */
  readonly authorize: Handlers['authorize'];
  /** Who makes a change, for `onAudit`. Default: the user of `basicAuthAdmin`, else `admin`. */
  readonly actor?: Handlers['actor'];
  /** Is told every change. */
  readonly onAudit?: (event: AuditEvent) => unknown;
  /** Where callers reach the guard: what its path is added to in the lines to paste. Default: the dashboard's own host. */
  readonly publicUrl?: string;
}

/** Express middleware, for Express 4 and 5. */
export interface RpcGuardAdmin {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /** Closes the connections to the upstream. The store is the guard's to close. */
  close(): void;
}

/** What the build makes of `dashboard/`. */
const DASHBOARD = join(__dirname, '../../dist/admin/public');
/** Stands in where no upstream is given, and is never asked. */
const NO_UPSTREAM = 'http://localhost';

/** Nothing inline, nothing from elsewhere, no text that becomes markup, and no frame around it. */
const securityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    },
  },
  frameguard: { action: 'deny' },
  hsts: false, // the host's to decide, for all that it serves
}) as RequestHandler;

/**
 * The dashboard at `/`, and its JSON API at `/api`, which `/openapi.json` describes:
 * `app.use('/admin', rpcGuardAdmin({ store, authorize }))`. With `upstream`, a tested request can be sent to it.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` without `authorize`, and for any other wrong option;
 * `ERR_RPC_GUARD_STORE` for a store that cannot be written.
 */
export function rpcGuardAdmin(options: RpcGuardAdminOptions): RpcGuardAdmin {
  const { authorize, actor, onAudit, publicUrl, ...guardOptions } = checkOptions(options);
  const parsed = parseOptions({ ...guardOptions, upstream: guardOptions.upstream ?? NO_UPSTREAM }, 'rpcGuardAdmin');
  const { store } = guardOptions;
  const manager = new KeyManager(store, { onAudit, logger: parsed.logger });
  const handOff = guardOptions.upstream === undefined ? undefined : createUpstreamClient(parsed);
  const tester = createRequestTester(store, parsed, handOff);
  const description = describeApi(join(DASHBOARD, 'openapi.json'));
  const actorFor = (req: Request) => actor?.(req) ?? actorOf(req) ?? 'admin';

  const authorized: RequestHandler = (req, res, next) => {
    Promise.resolve(req)
      .then((request) => authorize(request, res, next))
      .catch(next);
  };

  const failed: ErrorRequestHandler = (error: unknown, req, res, next) => {
    const { status, code, message, current } = toApiError(error);
    if (status >= 500) parsed.logger.error({ path: req.path, reason: describeError(error) }, 'the admin API failed');
    if (res.headersSent) next(error);
    else res.status(status).json({ error: { code, message, current } });
  };

  const router = Router({ caseSensitive: true });
  router.use(securityHeaders, neverStored, authorized, withSlash);
  router.use('/api', sameOriginOnly, createApi({ manager, tester, options: parsed, publicUrl, actorOf: actorFor }));
  router.get('/openapi.json', (_req, res) => {
    res.json(description);
  });
  router.use(serveStatic(DASHBOARD, { cacheControl: false, etag: false, lastModified: false, redirect: false }));
  router.use(noSuchThing, failed);
  return Object.assign(router as unknown as RpcGuardAdmin, {
    close() {
      handOff?.close();
    },
  });
}

function checkOptions(options: RpcGuardAdminOptions): RpcGuardAdminOptions {
  const { authorize, actor, onAudit, publicUrl } = (options as Partial<RpcGuardAdminOptions> | undefined) ?? {};
  const problems: string[] = [];
  if (typeof authorize !== 'function') {
    problems.push(
      'authorize: it takes a function (req, res, next) that lets in who may manage keys, such as basicAuthAdmin({ users })',
    );
  }
  for (const [name, value] of Object.entries({ actor, onAudit })) {
    if (value !== undefined && typeof value !== 'function') problems.push(`${name}: it takes a function`);
  }
  if (publicUrl !== undefined && !/^https?:\/\/[^/?#@]+(?:\/[^?#]*[^/?#])?$/.test(publicUrl)) {
    problems.push('publicUrl: it takes an http(s) URL without a slash at its end, such as "https://rpc.example.com"');
  }
  if (problems.length === 0) return options;
  throw new RpcGuardError('ERR_RPC_GUARD_OPTIONS', `rpcGuardAdmin(options) cannot start:\n  ${problems.join('\n  ')}`);
}

const neverStored: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};

/** The page's own addresses are relative to it. */
const withSlash: RequestHandler = (req, res, next) => {
  const [path = '', search] = req.originalUrl.split('?');
  if (req.path !== '/' || path.endsWith('/')) next();
  else res.redirect(301, `${req.baseUrl}/${search === undefined ? '' : `?${search}`}`);
};

const sameOriginOnly: RequestHandler = (req, _res, next) => {
  if (isSameOrigin(req, req.get('host') ?? '')) next();
  else next(new ApiError(403, 'CROSS_ORIGIN', 'only the dashboard itself and programs may call this'));
};

const noSuchThing: RequestHandler = (_req, _res, next) => {
  next(new ApiError(404, 'NOT_FOUND', 'there is nothing here'));
};
