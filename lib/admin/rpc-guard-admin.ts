import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Router, static as serveStatic } from 'express';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import helmet from 'helmet';
import { AuditTrail } from '../keys/audit';
import { KeyManager } from '../keys/key-manager';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { createUpstreamClient } from '../upstream/http-client';
import { PACKAGE_FOLDER } from '../version';
import { failedLoginOf, setRole } from './actor';
import { AdminEvents } from './admin-events';
import { parseAdminOptions } from './admin-options';
import type { ParsedAdminOptions, RpcGuardAdminOptions } from './admin-options';
import { createApi } from './api';
import { ApiError, toApiError } from './api-error';
import { createRequestTester } from './request-tester';
import { describeApi } from './describe-api';
import { KeyIds } from './key-ids';
import { ownHostOnly } from './own-host';
import { isSameOrigin } from './same-origin';

/** Express middleware, for Express 4 and 5. */
export interface RpcGuardAdmin {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  /** Closes the connections to the upstream. The store is the guard's to close. */
  close(): void;
}

/** What the build makes of `dashboard/`. */
const DASHBOARD = join(PACKAGE_FOLDER, 'dist/admin/public');

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
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem of the options.
 */
export function rpcGuardAdmin(options: RpcGuardAdminOptions): RpcGuardAdmin {
  const parsed = parseAdminOptions(options);
  const { store, onAudit, logger } = parsed;
  const manager = new KeyManager(store, { onAudit, logger, via: 'api' });
  const keyIds = new KeyIds(manager, parsed.idSecret);
  const events = new AdminEvents(new AuditTrail(store, undefined, logger));
  const handOff = parsed.toUpstream && createUpstreamClient(parsed.toUpstream);
  const tester = createRequestTester(parsed, handOff);
  const description = describeApi(join(DASHBOARD, 'openapi.json'));

  const router = Router({ caseSensitive: true });
  router.use(securityHeaders, neverStored, ownHostOnly(parsed), authorized(parsed, events), withSlash);
  router.use('/api', sameOriginOnly, createApi({ manager, tester, keyIds, events, options: parsed }));
  router.get('/openapi.json', (_req, res) => {
    res.json(description);
  });
  router.use(serveStatic(DASHBOARD, { cacheControl: false, etag: false, lastModified: false, redirect: false }));
  router.use(noSuchThing, failed(logger));
  return Object.assign(router as unknown as RpcGuardAdmin, {
    close() {
      handOff?.close();
    },
  });
}

function authorized({ authorize, roleOf }: ParsedAdminOptions, events: AdminEvents): RequestHandler {
  return (req, res, next) => {
    res.once('finish', () => {
      const name = failedLoginOf(req);
      if (name !== undefined) void events.loginFailed(req, name);
    });
    const admit = (error?: unknown): void => {
      if (error === undefined) setRole(req, roleOf(req));
      next(error);
    };
    Promise.resolve(req)
      .then((request) => authorize(request, res, admit))
      .catch(next);
  };
}

function failed(logger: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const { status, code, message, current } = toApiError(error);
    if (status >= 500) logger.error({ path: req.path, reason: describeError(error) }, 'the admin API failed');
    if (res.headersSent) next(error);
    else res.status(status).json({ error: { code, message, current } });
  };
}

const neverStored: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};

/** The page's own addresses are relative to it. */
const withSlash: RequestHandler = (req, res, next) => {
  const [path = '', search] = req.originalUrl.split('?');
  if (req.path !== '/' || path.endsWith('/')) next();
  else {
    const own = req.baseUrl.replace(/^[/\\]+/, ''); // where a parameter matched it, two slashes could begin a host
    res.redirect(301, `/${own}/${search === undefined ? '' : `?${search}`}`);
  }
};

const sameOriginOnly: RequestHandler = (req, _res, next) => {
  if (isSameOrigin(req, req.get('host') ?? '')) next();
  else next(new ApiError(403, 'CROSS_ORIGIN', 'only the dashboard itself and programs may call this'));
};

const noSuchThing: RequestHandler = (_req, _res, next) => {
  next(new ApiError(404, 'NOT_FOUND', 'there is no such path'));
};
