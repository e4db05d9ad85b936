// Puts the modules of lib/ together: opening a file for each is half of what loading the guard would take.
import { dirname, posix, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const LIB = resolve(ROOT, 'lib');
const LATER = 'later:';

/**
 * Begins CommonJS of `input`, which maps the names of entries to modules: `generate(OUTPUT)` returns it, `write(OUTPUT)` puts
 * it in dist/. What `index` needs is one file, `core.js`; what other entries share lies beside it, so that they have one
 * instance of it. Packages stay where they are.
 */
export function bundle(input, plugins = []) {
  return rolldown({
    cwd: ROOT,
    input,
    platform: 'node',
    external: /^[^./]/,
    treeshake: { moduleSideEffects: false },
    plugins: [loadLater, ...plugins],
  });
}

export const OUTPUT = {
  dir: 'dist',
  format: 'cjs',
  exports: 'named',
  esModule: true,
  strict: true,
  entryFileNames: '[name].js',
  chunkFileNames: '[name].js',
  codeSplitting: { groups: [{ name: 'core', test: /lib[\\/]index\.ts$/ }] },
};

/** A module that code asks for with `require` when it needs it stays a file of its own; it has to be an entry too. */
const loadLater = {
  name: 'load-later',
  resolveId(source, importer, { kind }) {
    if (kind !== 'require-call' || !source.startsWith('.')) return undefined;
    const path = relative(LIB, resolve(dirname(importer), source)).replaceAll(sep, '/');
    return { id: `${LATER}${path}.js`, external: true };
  },
  renderChunk(code, { fileName }) {
    return code.replaceAll(new RegExp(`require\\("${LATER}([^"]+)"\\)`, 'g'), (_, path) => {
      const from = posix.relative(posix.dirname(fileName), path);
      return `require("${from.startsWith('.') ? from : `./${from}`}")`;
    });
  },
};
