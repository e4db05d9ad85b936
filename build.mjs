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

const entries = ['index', 'stores/redis-store', 'stores/postgres-store', 'stores/store-contract'];
for (const entry of entries) {
  const names = Object.keys(require(`./dist/${entry}.js`)).join(', ');
  const file = `./${entry.split('/').at(-1)}.js`;
  writeFileSync(new URL(`${entry}.mjs`, dist), `import all from '${file}';\nexport const { ${names} } = all;\n`);
  writeFileSync(new URL(`${entry}.d.mts`, dist), `export * from '${file}';\n`);
}
