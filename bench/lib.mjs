import Module from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OUTPUT, bundle } from '../bundle.mjs';

const ENTRY = 'bench-lib';
/** As if it lay in dist/: packages are found from there, and what is loaded when it is needed. */
const FILE = fileURLToPath(new URL('../dist/bench-lib.js', import.meta.url));

/** All that modules of lib/ export, in one object, put together as in dist/, where only entries can be loaded. */
export async function lib(...paths) {
  const text = paths.map((path) => `export * from './lib/${path}.ts';`).join('\n');
  const entry = {
    name: ENTRY,
    resolveId: (source) => (source === ENTRY ? fileURLToPath(new URL(`../${ENTRY}.ts`, import.meta.url)) : undefined),
    load: (id) => (id.endsWith(`${ENTRY}.ts`) ? text : undefined),
  };
  const build = await bundle({ [ENTRY]: ENTRY }, [entry]);
  const { output } = await build.generate({ ...OUTPUT, codeSplitting: false });
  await build.close();
  const module = new Module(FILE);
  module.filename = FILE;
  module.paths = Module._nodeModulePaths(dirname(FILE));
  module._compile(output[0].code, FILE);
  return module.exports;
}
