/** Lets a plain Node process require the TypeScript of lib/. */
const { readFileSync } = require('node:fs');
const { transformSync } = require('esbuild');

require.extensions['.ts'] = (module, path) => {
  const options = { loader: 'ts', format: 'cjs', target: 'es2022', sourcefile: path, sourcemap: 'inline' };
  module._compile(transformSync(readFileSync(path, 'utf8'), options).code, path);
};
