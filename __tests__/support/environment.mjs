import { pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';
import { TestEnvironment } from 'jest-environment-node';

/**
 * With HTTP_PROXY_MIDDLEWARE=<folder of an installed http-proxy-middleware 4>, every guard of the suite is handed that
 * version's createProxyMiddleware. It is an ES module, which jest's own module system does not load: Node does, here.
 */
export default class Environment extends TestEnvironment {
  async setup() {
    await super.setup();
    const folder = process.env.HTTP_PROXY_MIDDLEWARE;
    if (folder === undefined) return;
    const entry = createRequire(import.meta.url).resolve(folder);
    const { createProxyMiddleware } = await import(pathToFileURL(entry));
    this.global.createProxyMiddlewareUnderTest = createProxyMiddleware;
  }
}
