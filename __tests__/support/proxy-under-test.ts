import type { CreateProxyMiddleware } from '../../lib';

/**
 * With HTTP_PROXY_MIDDLEWARE=<path of an installed http-proxy-middleware 4>, every guard of the suite is handed that
 * version's createProxyMiddleware. It is an ES module, which jest cannot load: Node's own `require` does.
 */
const path = process.env['HTTP_PROXY_MIDDLEWARE'];

export const proxyUnderTest: { readonly createProxyMiddleware?: CreateProxyMiddleware } =
  path === undefined ? {} : { createProxyMiddleware: load(path) };

function load(from: string): CreateProxyMiddleware {
  const { createRequire } = process.getBuiltinModule('node:module');
  return (createRequire(`${from}/`)(from) as { createProxyMiddleware: CreateProxyMiddleware }).createProxyMiddleware;
}
