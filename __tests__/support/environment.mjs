import { pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';
import { TestEnvironment } from 'jest-environment-node';

const START_LINE = /^rpc-guard: the guard answers /;
const muted = Symbol.for('rpc-guard tests: the start line is muted');

/** Every guard without a logger says once where it answers: hundreds of lines in a run. */
function muteStartLine() {
  const { stderr } = process;
  if (stderr[muted]) return;
  stderr[muted] = true;
  const write = stderr.write.bind(stderr);
  stderr.write = (text, ...rest) => (START_LINE.test(String(text)) ? true : write(text, ...rest));
}

/**
 * With HTTP_PROXY_MIDDLEWARE=<folder of an installed http-proxy-middleware 4>, every guard of the suite is handed that
 * version's createProxyMiddleware. It is an ES module, which jest's own module system does not load: Node does, here.
 */
export default class Environment extends TestEnvironment {
  async setup() {
    await super.setup();
    muteStartLine();
    const folder = process.env.HTTP_PROXY_MIDDLEWARE;
    if (folder === undefined) return;
    const entry = createRequire(import.meta.url).resolve(folder);
    const { createProxyMiddleware } = await import(pathToFileURL(entry));
    this.global.createProxyMiddlewareUnderTest = createProxyMiddleware;
  }
}
