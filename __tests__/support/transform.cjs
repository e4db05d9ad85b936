const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
// Loaded when something is compiled: what is kept needs only the version.
const esbuildVersion = require('esbuild/package.json').version;

const OPTIONS = {
  loader: 'ts',
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  tsconfigRaw: { compilerOptions: { alwaysStrict: true } }, // as what is built
  sourcemap: 'inline',
  sourcesContent: false,
  supported: { 'dynamic-import': false }, // jest has none without a flag of Node's
};
/** What `process` makes depends on these too; jest keeps it. */
const MAKER = [esbuildVersion, readFileSync(__filename, 'utf8')].join();

function compile(text, path) {
  return require('esbuild').transformSync(text, { ...OPTIONS, sourcefile: path }).code;
}

/** Compiles the TypeScript of lib/ and __tests__/ for jest, without a look at its types: `npm run types` checks them. */
module.exports = {
  compile,
  process: (text, path) => ({ code: compile(text, path) }),
  getCacheKey: (text, path) => createHash('sha1').update([MAKER, path, text].join('\0')).digest('hex'),
};
