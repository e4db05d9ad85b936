// Compiles lib/ to CommonJS in dist/ and adds a thin ES module over it, so that both load one and the same instance.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const root = new URL('.', import.meta.url);
const dist = new URL('dist/', root);

rmSync(dist, { recursive: true, force: true });
const tsc = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(1);

const names = Object.keys(require('./dist/index.js'));
writeFileSync(
  new URL('index.mjs', dist),
  `import guard from './index.js';\nexport const { ${names.join(', ')} } = guard;\n`,
);
writeFileSync(new URL('index.d.mts', dist), `export * from './index.js';\n`);
