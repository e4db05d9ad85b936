import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const LIB = join(__dirname, '..', 'lib');
/** Runs in the browser, and is bundled: of the rest of lib it imports types alone. */
const PAGE = 'admin/dashboard/';

/**
 * The house, from the front to the ground: a folder imports only folders that stand below it, a file only files that
 * stand below it in its folder.
 */
const ORDER: readonly (readonly [folder: string, files: readonly string[]])[] = [
  ['', ['index']],
  [
    'cli',
    [
      'index',
      'run',
      'program',
      'completion',
      'serve',
      'standalone',
      'server-store',
      'serve-options',
      'admin',
      'keys',
      'export',
      'apply',
      'settings-file',
      'secrets',
      'allow',
      'check',
      'usage',
      'refusals',
      'suggest',
      'audit',
      'parse-curl',
      'shell-words',
      'show-secret',
      'show-key',
      'limit-options',
      'arguments',
      'with-store',
      'open-store',
      'store-server',
      'prompt',
      'read-input',
      'exit',
      'table',
      'output',
    ],
  ],
  [
    'admin',
    [
      'index',
      'rpc-guard-admin',
      'api',
      'audit-api',
      'usage-api',
      'proposal-api',
      'requests',
      'csv-answer',
      'request-tester',
      'admin-options',
      'own-host',
      'api-error',
      'preview',
      'allowlist-meta',
      'describe-api',
      'method-groups',
      'same-origin',
      'basic-auth-admin',
      'login-attempts',
      'admin-events',
      'key-ids',
      'actor',
    ],
  ],
  [
    'telemetry',
    ['opentelemetry', 'request-span', 'trace-context', 'prometheus', 'text-format', 'guard-metrics', 'metric'],
  ],
  ['', ['rpc-guard']],
  ['explain', ['dry-run', 'dry-limits']],
  [
    'websocket',
    [
      'upgrade',
      'serve-without-upgrade',
      'open-sessions',
      'session',
      'send-message',
      'incomplete-messages',
      'frame-scanner',
      'open-upstream',
      'message-queue',
      'heartbeat',
      'pending-batches',
      'subscriptions',
      'coalesce-writes',
    ],
  ],
  [
    'http',
    [
      'handle-request',
      'hand-off',
      'mixed-answer',
      'ask-upstream',
      'admit-again',
      'incoming-call',
      'request-body',
      'relay-answer',
      'respond',
      'cors',
      'client-connection',
      'mount-hint',
      'byte-budget',
      'hidden-class',
      'say-where',
      'under-way',
    ],
  ],
  [
    'observe',
    [
      'health',
      'compose-observers',
      'usage',
      'decision-log',
      'refusal-log',
      'tell-event',
      'tracing',
      'request-event',
      'upstream-code',
    ],
  ],
  ['options', ['options', 'request-options', 'upstream-options', 'cors-options', 'usage-option', 'request-event']],
  ['usage', ['usage-flush', 'usage-table', 'key-hour', 'refusal-groups', 'top-names', 'counts', 'names']],
  [
    'upstream',
    [
      'upstreams',
      'upstream-queue',
      'http-client',
      'proxy-middleware',
      'read-answer',
      'hide-upstream',
      'upstream-health',
      'upstream-agent',
      'upstream-url',
    ],
  ],
  [
    'limits',
    [
      'limit-calls',
      'rate-limit-headers',
      'limiter',
      'waiting-line',
      'spending-exchange',
      'meter',
      'bucket',
      'clock',
      'credits',
    ],
  ],
  [
    'policy',
    [
      'batch-exchanges',
      'evaluate-body',
      'authorize',
      'authenticate',
      'authenticators/basic-secret',
      'authenticators/authenticator',
      'value-or-promise',
      'check-allowlists',
      'blocked-methods',
      'check',
      'trace',
      'refusals',
    ],
  ],
  [
    'keys',
    [
      'sample-request',
      'settings-document',
      'warnings',
      'key-manager',
      'audit-words',
      'usage-csv',
      'usage-report',
      'refusal-report',
      'limits-in-use',
      'report-only-since',
      'propose-options',
      'new-secret',
      'domain-of',
      'rows-of-secret',
      'propose',
      'propose-origins',
      'proposal',
      'changes',
      'since',
      'audit',
    ],
  ],
  [
    'stores',
    [
      'settings-cache',
      'read-limiter',
      'store-health',
      'memory',
      'file',
      'usage-files',
      'audit-files',
      'audit-index',
      'hand-edits',
      'settings-file',
      'json-items',
      'in-turns',
      'file-difference',
      'durable-file',
      'file-lock',
      'redis',
      'redis-index',
      'redis-usage',
      'postgres',
      'postgres-usage',
      'usage-values',
      'sign-of-life',
      'store-contract',
      'usage-contract',
      'audit-contract',
      'limit-contract',
      'test-rules',
      'usage-rows',
      'redis-audit',
      'postgres-audit',
      'memory-audit',
      'audit-event',
      'key-query',
      'settings-store',
      'audit-order',
      'audit-store',
      'spent-files',
      'spent-rows',
      'limit-store',
      'refused-call',
      'usage-store',
      'versioned-write',
      'stored-record',
    ],
  ],
  [
    'settings',
    [
      'compile',
      'key-view',
      'settings-changes',
      'key-settings',
      'settings-schema',
      'limits-schema',
      'limits',
      'exact-object',
      'api-key',
      'secret',
    ],
  ],
  [
    'allowlists',
    [
      'index',
      'contract-addresses',
      'methods',
      'origins',
      'user-agents',
      'allowlist',
      'address-table',
      'address-readers',
      'default-blocked-methods',
      'method-entries',
      'eip-55',
    ],
  ],
  ['request', ['client-address', 'request-facts', 'key-path', 'unique-headers']],
  ['json-rpc', ['parse-turn', 'call', 'strict-json']],
  [
    '',
    [
      'counters',
      'option-rules',
      'csv',
      'logger',
      'errors',
      'growing-to',
      'instance-name',
      'own-text',
      'spelling',
      'version',
    ],
  ],
];

/** Packages and the places that may import them: a folder (`cli/`) or one file. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  express: ['admin/', 'cli/standalone'],
  helmet: ['admin/rpc-guard-admin'],
  'basic-auth': ['policy/authenticators/basic-secret'],
  commander: ['cli/'],
  cors: ['http/cors'],
  '@opentelemetry/api': ['telemetry/opentelemetry', 'telemetry/request-span', 'telemetry/trace-context'],
  'http-proxy-middleware': ['upstream/proxy-middleware'],
  'lru-cache': [
    'stores/settings-cache',
    'stores/file',
    'admin/basic-auth-admin',
    'admin/login-attempts',
    'admin/admin-events',
    'limits/limiter',
  ],
  'proxy-addr': ['request/client-address'],
  tldts: ['keys/domain-of'],
  ws: [
    'websocket/upgrade',
    'websocket/session',
    'websocket/open-upstream',
    'websocket/heartbeat',
    'websocket/message-queue',
    'websocket/open-sessions',
  ],
  yaml: ['cli/settings-file'],
  zod: ['settings/key-settings', 'settings/settings-schema', 'settings/limits-schema', 'settings/exact-object'],
};

const PLACES = ORDER.flatMap(([folder, files]) => files.map((file) => (folder === '' ? file : `${folder}/${file}`)));

const sources = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file));
const files = sources
  .filter((file) => !file.startsWith(PAGE) && !file.endsWith('.d.ts'))
  .map((file) => file.replace(/\.ts$/, ''));
const pageFiles = sources.filter((file) => file.startsWith(PAGE));

function importsIn(source: string, kind = '(?:import|export)'): string[] {
  const statements = new RegExp(`^${kind}\\b[^;]*?\\bfrom '([^']+)';`, 'gms');
  return [...readFileSync(join(LIB, source), 'utf8').matchAll(statements)].map(([, from]) => from!);
}

function importsOf(file: string): string[] {
  return importsIn(`${file}.ts`);
}

function isLocal(from: string): boolean {
  return from.startsWith('.');
}

function resolveImport(file: string, from: string): string {
  const path = relative(LIB, join(LIB, dirname(file), from));
  return files.includes(path) ? path : `${path}/index`;
}

test('every file of lib has its place, and every place a file', () => {
  expect([...files].sort()).toEqual([...PLACES].sort());
});

test.each(PLACES)('%s imports only what stands below it', (file) => {
  const above = importsOf(file)
    .filter(isLocal)
    .map((from) => resolveImport(file, from))
    .filter((imported) => PLACES.indexOf(imported) <= PLACES.indexOf(file));
  expect(above).toEqual([]);
});

test('a package has one owner', () => {
  const strays = files.flatMap((file) =>
    importsOf(file)
      .filter((from) => !isLocal(from) && !from.startsWith('node:'))
      .filter((from) => !OWNERS[from]?.some((owner) => (owner.endsWith('/') ? file.startsWith(owner) : file === owner)))
      .map((from) => `${file} imports ${from}`),
  );
  expect(strays).toEqual([]);
});

/** The page has it in common with the command line. */
const OF_THE_PAGE_TOO = 'keys/sample-request';
/** And so it has the one file that this needs, which needs none. */
const NEEDED_THERE = 'allowlists/method-entries';
const VALUES = '(?:import|export)(?! type\\b)';

test.each(pageFiles)('%s imports only types from outside of the dashboard, and Preact', (file) => {
  const outside = importsIn(file, VALUES).filter((from) => !/^\.\/[\w-]+$/.test(from));
  expect(outside.filter((from) => !['preact', 'preact/hooks', `../../${OF_THE_PAGE_TOO}`].includes(from))).toEqual([]);
});

test(`${OF_THE_PAGE_TOO} brings nothing else into the page`, () => {
  expect(importsIn(`${OF_THE_PAGE_TOO}.ts`, VALUES)).toEqual([`../${NEEDED_THERE}`]);
  expect(importsIn(`${NEEDED_THERE}.ts`, VALUES)).toEqual([]);
});
