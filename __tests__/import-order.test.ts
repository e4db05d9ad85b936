import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const LIB = join(__dirname, '..', 'lib');

/** The house, from the front to the ground: a file imports only files that stand below it. */
const ORDER = [
  'index',
  'cli/index',
  'cli/program',
  'cli/admin',
  'cli/keys',
  'cli/secrets',
  'cli/allow',
  'cli/check',
  'cli/curl-line',
  'cli/shell-words',
  'cli/show-secret',
  'cli/show-key',
  'cli/arguments',
  'cli/session',
  'cli/open-store',
  'cli/ask',
  'cli/failure',
  'cli/print',
  'admin/rpc-guard-admin',
  'admin/api',
  'admin/requests',
  'admin/request-tester',
  'admin/api-error',
  'admin/preview',
  'admin/method-groups',
  'admin/same-origin',
  'admin/basic-auth-admin',
  'admin/actor',
  'rpc-guard',
  'web-socket',
  'socket-session',
  'batches-under-way',
  'writes-of-a-turn',
  'proxy',
  'decisions',
  'dry-run',
  'batch',
  'body',
  'caller',
  'options',
  'upstream',
  'keys/warnings',
  'keys/key-manager',
  'chain',
  'steps/verify-secret',
  'steps/check-allowlists',
  'steps/gate-method',
  'refusals',
  'stores/cached-store',
  'stores/memory-store',
  'stores/file-store',
  'stores/redis-store',
  'stores/postgres-store',
  'stores/store-contract',
  'stores/settings-store',
  'key-settings',
  'allowlists/index',
  'allowlists/contract-addresses',
  'allowlists/methods',
  'allowlists/origins',
  'allowlists/user-agents',
  'allowlists/allowlist',
  'allowlists/address-params',
  'request-facts',
  'json-rpc/call',
  'json-rpc/strict-json',
  'secret',
  'version',
  'logger',
  'errors',
];

/** Packages and the files that may import them. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  express: ['admin/rpc-guard-admin', 'admin/api', 'admin/requests'],
  helmet: ['admin/rpc-guard-admin'],
  'basic-auth': ['steps/verify-secret'],
  commander: [
    'cli/index',
    'cli/program',
    'cli/admin',
    'cli/keys',
    'cli/secrets',
    'cli/allow',
    'cli/check',
    'cli/arguments',
    'cli/session',
    'cli/failure',
  ],
  cors: ['rpc-guard', 'options'],
  'http-proxy-middleware': ['options'],
  'lru-cache': ['stores/cached-store', 'admin/basic-auth-admin'],
  'proper-lockfile': ['stores/file-store'],
  'write-file-atomic': ['stores/file-store'],
  ws: ['web-socket', 'socket-session'],
  zod: ['key-settings'],
};

const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, ''));

function importsOf(file: string): string[] {
  const source = readFileSync(join(LIB, `${file}.ts`), 'utf8');
  return [...source.matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)';/gms)].map(([, from]) => from!);
}

function isLocal(from: string): boolean {
  return from.startsWith('.');
}

function resolveImport(file: string, from: string): string {
  const path = relative(LIB, join(LIB, dirname(file), from));
  return files.includes(path) ? path : `${path}/index`;
}

test('every file of lib has its place, and every place a file', () => {
  expect([...files].sort()).toEqual([...ORDER].sort());
});

test.each(ORDER)('%s imports only files that stand below it', (file) => {
  const above = importsOf(file)
    .filter(isLocal)
    .map((from) => resolveImport(file, from))
    .filter((imported) => ORDER.indexOf(imported) <= ORDER.indexOf(file));
  expect(above).toEqual([]);
});

test('a package has one owner', () => {
  const strays = files.flatMap((file) =>
    importsOf(file)
      .filter((from) => !isLocal(from) && !from.startsWith('node:'))
      .filter((from) => !OWNERS[from]?.includes(file))
      .map((from) => `${file} imports ${from}`),
  );
  expect(strays).toEqual([]);
});
