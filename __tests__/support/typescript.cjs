/** Lets a plain Node process require the TypeScript of lib/. */
const { readFileSync } = require('node:fs');
const { compile } = require('./transform.cjs');

require.extensions['.ts'] = (module, path) => module._compile(compile(readFileSync(path, 'utf8'), path), path);
