/** Lets a plain Node process require the TypeScript of lib/. What is compiled is kept for the next process. */
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { compile, getCacheKey } = require('./transform.cjs');

const KEPT = join(__dirname, '../../node_modules/.cache/rpc-guard-tests');

require.extensions['.ts'] = (module, path) => module._compile(compiled(readFileSync(path, 'utf8'), path), path);

function compiled(text, path) {
  const file = join(KEPT, `${getCacheKey(text, path)}.cjs`);
  try {
    return readFileSync(file, 'utf8');
  } catch {
    const code = compile(text, path);
    mkdirSync(KEPT, { recursive: true });
    writeFileSync(`${file}.${process.pid}`, code);
    renameSync(`${file}.${process.pid}`, file); // whole at once, for another process that reads it
    return code;
  }
}
