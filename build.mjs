// Bundles lib/ as CommonJS in dist/ and adds a thin ES module over it, so that both load one and the same instance.
// Bundles the dashboard's page, which needs nothing of node_modules then.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { OUTPUT, bundle } from './bundle.mjs';

const require = createRequire(import.meta.url);
const root = new URL('.', import.meta.url);
const dist = new URL('dist/', root);

rmSync(dist, { recursive: true, force: true });
const tsc = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(1);

const entries = [
  'index',
  'admin/index',
  'stores/redis',
  'stores/postgres',
  'stores/store-contract',
  'telemetry/prometheus',
  'telemetry/opentelemetry',
];
/** Programs, and what is loaded when it is needed. */
const others = ['cli/index', 'cli/standalone', 'settings/settings-schema', 'websocket/upgrade'];
const input = Object.fromEntries([...entries, ...others].map((entry) => [entry, `./lib/${entry}.ts`]));
const modules = await bundle(input);
await modules.write(OUTPUT);
await modules.close();

for (const entry of entries) {
  const names = Object.keys(require(`./dist/${entry}.js`)).join(', ');
  const file = `./${entry.split('/').at(-1)}.js`;
  writeFileSync(new URL(`${entry}.mjs`, dist), `import all from '${file}';\nexport const { ${names} } = all;\n`);
  writeFileSync(new URL(`${entry}.d.mts`, dist), `export * from '${file}';\n`);
}

const page = new URL('lib/admin/dashboard/', root);
const served = new URL('admin/public/', dist);
const { metafile } = buildSync({
  absWorkingDir: fileURLToPath(page),
  entryPoints: ['app.tsx', 'app.css'],
  outdir: fileURLToPath(served),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  footer: { js: '/*! Licences: NOTICES.txt */', css: '/*! Licences: NOTICES.txt */' },
  metafile: true,
  logLevel: 'warning',
});
copyFileSync(new URL('index.html', page), new URL('index.html', served));
copyFileSync(new URL('../openapi.json', page), new URL('openapi.json', served));
writeFileSync(new URL('NOTICES.txt', served), noticesOf(Object.keys(metafile.inputs)));

/** The licences of the packages in the bundle: each asks to go with every copy of it. */
function noticesOf(inputs) {
  const packages = inputs.flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []);
  const notices = [...new Set(packages)].sort().map((name) => {
    const folder = new URL(`node_modules/${name}/`, root);
    const licence = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    if (licence === undefined) throw new Error(`${name} is bundled and has no licence to ship`);
    const { version } = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
    return `${name} ${version}\n\n${readFileSync(new URL(licence, folder), 'utf8').trim()}\n`;
  });
  return `The dashboard contains these packages.\n\n${notices.join(`\n${'-'.repeat(72)}\n\n`)}`;
}
