import type { IncomingMessage, ServerResponse } from 'node:http';
import cors from 'cors';

/** Sets the CORS headers of an answer, then goes on. It answers a preflight by itself. */
export type CorsHandler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

const EXPOSED_HEADERS = 'X-Request-Id,Retry-After';
const DEFAULTS: cors.CorsOptions = {
  origin: '*',
  methods: ['POST'],
  allowedHeaders: ['Content-Type', 'Authorization', 'X-Request-Id'],
  exposedHeaders: EXPOSED_HEADERS,
  maxAge: 600,
};

export function corsFor(option: boolean | cors.CorsOptions): CorsHandler {
  if (option === false) {
    return (_req, _res, next) => {
      next();
    };
  }
  const handler = cors({ ...DEFAULTS, ...(option === true ? {} : option) }) as CorsHandler;
  if (option !== true) return handler;
  return (req, res, next) => {
    if (req.method === 'OPTIONS') {
      handler(req, res, next);
      return;
    }
    // What it would set, without making its options anew for each request.
    res.setHeader('Access-Control-Allow-Origin', '*');
    res.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
    next();
  };
}
