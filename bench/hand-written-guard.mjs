// What one would write without the guard: express.json(), the checks, fixRequestBody. It checks less: no strict JSON, no
// table of methods and addresses, one Basic secret.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import basicAuth from 'basic-auth';
import cors from 'cors';
import { SETTINGS } from './keys.mjs';

const require = createRequire(import.meta.url);

export async function handWrittenGuard(target, agent) {
  const { createProxyMiddleware, fixRequestBody } = require('http-proxy-middleware');
  const { default: express } = await import('express');
  const keys = new Map(SETTINGS.map((settings) => [settings.apiKey, settings]));
  const router = express.Router();

  function checkKey(req, res, next) {
    const key = keys.get(req.params.apiKey);
    if (key === undefined) return refuse(res, 401, -32001, 'invalid project id');
    if (key.requireSecret) {
      const digest = createHash('sha256')
        .update(basicAuth(req)?.pass ?? '')
        .digest();
      if (!key.secrets.some(({ hash }) => timingSafeEqual(digest, Buffer.from(hash, 'hex')))) {
        return refuse(res, 401, -32001, 'invalid project id or project secret');
      }
    }
    const { userAgents = [], origins = [] } = key.allowlists ?? {};
    const { origin = '', 'user-agent': userAgent = '' } = req.headers;
    const isAgent = userAgents.length === 0 || userAgents.some((entry) => userAgent.includes(entry));
    const isOrigin = origins.length === 0 || origins.some((entry) => matchesOrigin(entry, origin));
    if (!isAgent || !isOrigin) return refuse(res, 403, -32002, 'rejected due to project ID settings');
    req.key = key;
    next();
  }

  function checkCalls(req, res, next) {
    const { methods = [], contractAddresses = [] } = req.key.allowlists ?? {};
    const calls = Array.isArray(req.body) ? req.body : [req.body];
    for (const { method, params } of calls) {
      const isMethod = methods.length === 0 || methods.includes(method);
      const to = params?.[0]?.to ?? params?.[0]?.address;
      const isContract = contractAddresses.length === 0 || contractAddresses.includes(String(to).toLowerCase());
      if (!isMethod || !isContract) return refuse(res, 403, -32002, 'rejected due to project ID settings');
    }
    next();
  }

  const proxy = createProxyMiddleware({ target, agent, changeOrigin: true, on: { proxyReq: fixRequestBody } });
  router.post('/v3/:apiKey', cors(), checkKey, express.json({ limit: '2mb' }), checkCalls, proxy);
  return router;
}

function matchesOrigin(entry, origin) {
  const expression = entry.replaceAll('.', '\\.').replace('*', '.*');
  return new RegExp(`^${expression}$`).test(origin);
}

function refuse(res, status, code, message) {
  res.status(status).json({ jsonrpc: '2.0', id: null, error: { code, message } });
}
