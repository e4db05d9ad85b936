import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import cors from 'cors';
import type { CorsOptions } from '../options/cors-options';

/** Sets the CORS headers of an answer, in `headers` where it can, then goes on. It answers a preflight by itself. */
export type CorsHandler = (
  req: IncomingMessage,
  res: ServerResponse,
  headers: OutgoingHttpHeaders,
  next: (error?: unknown) => void,
) => void;

type CorsMiddleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

const EXPOSED_HEADERS = 'X-Request-Id,Retry-After,RateLimit,RateLimit-Policy';
const ALLOWED_HEADERS = ['Content-Type', 'Authorization', 'X-Request-Id'];
const DEFAULTS: CorsOptions = {
  origin: '*',
  methods: ['POST'],
  exposedHeaders: EXPOSED_HEADERS,
  maxAge: 600,
};
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What a preflight may ask for: its answer repeats it. */
const MAX_ASKED_NAMES = 50;
const MAX_ASKED_LENGTH = 2048;

export function corsFor(option: boolean | CorsOptions): CorsHandler {
  if (option === false) {
    return (_req, _res, _headers, next) => {
      next();
    };
  }
  const options = { ...DEFAULTS, ...(option === true ? {} : option) };
  const handler = option === true ? undefined : (cors(options) as CorsMiddleware);
  return (req, res, headers, next) => {
    const isOfApplication = hasCorsHeaders(res);
    if (req.method === 'OPTIONS') {
      if (isOfApplication) answerPreflight(req, res);
      else preflightHandler(options, req)(req, res, next);
    } else if (isOfApplication) next();
    else if (handler !== undefined) {
      // For an origin that `done(null, false)` denies, the package hands `null` on, which is no error.
      handler(req, res, (error) => {
        next(error ?? undefined);
      });
    } else {
      // What the `cors` package would set, without making its options anew for each request.
      headers['Access-Control-Allow-Origin'] = '*';
      headers['Access-Control-Expose-Headers'] = EXPOSED_HEADERS;
      next();
    }
  };
}

function preflightHandler(options: CorsOptions, req: IncomingMessage): CorsMiddleware {
  return cors({ allowedHeaders: [...allowedHeaders(req)], ...options }) as CorsMiddleware;
}

/**
 * The names that the browser asks for, beside the usual ones. Tracing libraries add headers of their own to every
 * request of a page, which would fail without them; what is not on the passing list never reaches the upstream.
 */
function allowedHeaders({ headers }: IncomingMessage): readonly string[] {
  const { 'access-control-request-headers': asked = '' } = headers;
  if (asked.length > MAX_ASKED_LENGTH) return ALLOWED_HEADERS;
  const names = asked.split(',').map((name) => name.trim());
  if (names.length > MAX_ASKED_NAMES) return ALLOWED_HEADERS;
  const usual = ALLOWED_HEADERS.map((name) => name.toLowerCase());
  return [...ALLOWED_HEADERS, ...names.filter((name) => HEADER_NAME.test(name) && !usual.includes(name.toLowerCase()))];
}

/**
 * Whether the application has decided on CORS before. For an origin that it does not allow the `cors` package sets
 * nothing but `Vary: Origin`: an answer that is open to all would widen that.
 */
function hasCorsHeaders(res: ServerResponse): boolean {
  if (res.hasHeader('Access-Control-Allow-Origin') || res.hasHeader('Access-Control-Allow-Credentials')) return true;
  const vary = res.getHeader('Vary');
  return vary !== undefined && /(?:^|[\s,])origin(?:$|[\s,])/i.test(String(vary));
}

/** The application's headers stay; a preflight is still never a call. */
function answerPreflight(req: IncomingMessage, res: ServerResponse): void {
  const isOpen = res.hasHeader('Access-Control-Allow-Origin');
  if (isOpen && !res.hasHeader('Access-Control-Allow-Methods')) res.setHeader('Access-Control-Allow-Methods', 'POST');
  if (isOpen && !res.hasHeader('Access-Control-Allow-Headers')) {
    res.setHeader('Access-Control-Allow-Headers', allowedHeaders(req).join(','));
  }
  res.writeHead(204, { 'Content-Length': 0 }).end();
}
