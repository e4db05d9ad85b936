import type { CreateProxyMiddleware } from '../../lib';

/** The option that hands http-proxy-middleware 4 in, where environment.mjs was told to; else nothing. */
const { createProxyMiddlewareUnderTest: createProxyMiddleware } = globalThis as {
  createProxyMiddlewareUnderTest?: CreateProxyMiddleware;
};

export const proxyUnderTest = createProxyMiddleware === undefined ? {} : { createProxyMiddleware };
