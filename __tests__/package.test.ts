import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectSuccess, installPackage, ownModule, run, write } from './support/installed-package';
import type { Finished, InstalledPackage } from './support/installed-package';

const VERSION_4 = process.env['HTTP_PROXY_MIDDLEWARE'];

let project: InstalledPackage;

beforeAll(async () => {
  project = await installPackage({
    express: ownModule('express'),
    '@types/express': ownModule('@types/express'),
    '@types/node': ownModule('@types/node'),
    ...(VERSION_4 !== undefined && { 'http-proxy-middleware-4': VERSION_4 }),
  });
}, 120_000);

afterAll(() => project.remove());

/** Runs Node.js in the project. */
function node(...args: readonly string[]): Promise<Finished> {
  return run(process.execPath, args, { cwd: project.folder });
}

/** There is nothing to hand in on a Node that version 4 does not run on. */
const testWithVersion4: (name: string, run: () => Promise<void>) => void =
  VERSION_4 === undefined ? () => undefined : test;

describe('the tarball', () => {
  test('holds the build, the documents and nothing else', () => {
    const allowed =
      /^(?:dist\/.+\.(?:m?js|d\.m?ts|css|html|svg|json)|dist\/admin\/public\/NOTICES\.txt|docs\/.+\.(?:md|png|json|yml)|[A-Z]+\.md|LICENSE|package\.json)$/;
    expect(project.packed.filter((name) => !allowed.test(name))).toEqual([]);
    expect(project.packed).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'docs/README.md',
        'package.json',
        'dist/index.js',
        'dist/index.mjs',
      ]),
    );
  });

  test('holds every file that package.json names', () => {
    const { main, types, exports, bin = {} } = project.manifest;
    const named = JSON.stringify([main, types, exports, bin]).match(/(?<=")(?:\.\/)?[^"]*\.[^"./]+(?=")/g) ?? [];
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((path) => !existsSync(join(project.folder, 'node_modules/rpc-guard', path)))).toEqual([]);
  });

  test('is built before it is packed', () => {
    expect(project.manifest).toHaveProperty('scripts.prepack', 'npm run build');
  });

  test('holds nothing of the machine that built it', () => {
    const telling = project.packed.filter((name) => {
      const content = readFileSync(join(project.folder, 'node_modules/rpc-guard', name), 'latin1');
      return content.includes(ownModule('..')) || content.includes('rpc-guard-package-');
    });
    expect(telling).toEqual([]);
  });

  test('runs on what it asks for in `engines`, and asks for no script at install', () => {
    expect(project.manifest).toMatchObject({ engines: { node: '>=20.19' }, type: 'commonjs' });
    expect(Object.keys(project.manifest['scripts'] as object)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(?:pre|post)?install$/)]),
    );
  });
});

const NAMES = [
  'DEFAULT_BLOCKED_METHODS',
  'FileStore',
  'MemoryStore',
  'RpcGuardError',
  'checkKeyQuery',
  'cursorOf',
  'generateApiKey',
  'generateSecret',
  'hashSecret',
  'rpcGuard',
];

describe('loading', () => {
  test('require() of CommonJS', async () => {
    const script = `console.log(JSON.stringify(Object.keys(require('rpc-guard')).filter((name) => name !== '__esModule')))`;
    const { stdout, stderr } = await expectSuccess(node('-e', script));
    expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(NAMES));
    expect(stderr).toBe('');
  });

  test('rpc-guard loads neither Express nor helmet: the dashboard is an entry of its own', async () => {
    const script = `
      require('rpc-guard');
      const loaded = () => Object.keys(require.cache).filter((file) => /node_modules\\/(?:express|helmet)\\//.test(file));
      const before = loaded().length;
      const names = Object.keys(require('rpc-guard/admin')).sort();
      console.log(JSON.stringify([before, loaded().length > 0, names]));`;
    const { stdout } = await expectSuccess(node('-e', script));
    expect(JSON.parse(stdout)).toEqual([0, true, ['basicAuthAdmin', 'hashPassword', 'rpcGuardAdmin']]);
  });

  test('rpc-guard loads at most 150 modules, zod for a guard, and http-proxy-middleware 3 only where no other is handed in', async () => {
    const script = `
      const { MemoryStore, rpcGuard } = require('rpc-guard');
      const files = () => Object.keys(require.cache);
      const isLoaded = (name) => files().some((file) => file.includes('node_modules/' + name + '/'));
      const packages = () => ['zod', 'http-proxy-middleware'].filter(isLoaded);
      const found = [files().length, packages()];
      const options = { upstream: 'http://127.0.0.1:1', store: new MemoryStore([]) };
      const build = (more) => rpcGuard({ ...options, ...more }).close().then(() => found.push(packages()));
      build({ createProxyMiddleware: () => () => {} }).then(() => build()).then(() => console.log(JSON.stringify(found)));`;
    const { stdout } = await expectSuccess(node('-e', script));
    const [modules, ...packages] = JSON.parse(stdout) as [number, ...string[][]];
    expect(modules).toBeLessThanOrEqual(150);
    expect(packages).toEqual([[], ['zod'], ['zod', 'http-proxy-middleware']]);
  });

  test('import of ES modules', async () => {
    const script = `
      import * as all from 'rpc-guard';
      import { ${NAMES.join(', ')} } from 'rpc-guard';
      console.log(JSON.stringify([Object.keys(all), typeof rpcGuard, typeof RpcGuardError]));`;
    const { stdout, stderr } = await expectSuccess(node('--input-type=module', '-e', script));
    expect(JSON.parse(stdout)).toEqual([expect.arrayContaining(NAMES), 'function', 'function']);
    expect(stderr).toBe('');
  });

  test('both in one process load the same instance', async () => {
    write(project.folder, {
      'both.mjs': `
        import { createRequire } from 'node:module';
        import * as imported from 'rpc-guard';
        const required = createRequire(import.meta.url)('rpc-guard');
        const names = Object.keys(required).filter((name) => name !== '__esModule');
        const different = names.filter((name) => required[name] !== imported[name]);
        const more = Object.keys(imported).filter((name) => !names.includes(name));
        let caught;
        try { required.rpcGuard({}); } catch (error) { caught = error; }
        console.log(JSON.stringify({ different, more, is: caught instanceof imported.RpcGuardError, code: caught.code }));`,
    });
    const { stdout, stderr } = await expectSuccess(node('both.mjs'));
    expect(JSON.parse(stdout)).toEqual({ different: [], more: [], is: true, code: 'ERR_RPC_GUARD_OPTIONS' });
    expect(stderr).toBe('');
  });

  test('loading the guard opens three files of its own', async () => {
    const script = `
      require('rpc-guard');
      const own = Object.keys(require.cache).filter((path) => /rpc-guard.dist/.test(path));
      console.log(JSON.stringify(own.map((path) => path.split(/[\\\\/]/).at(-1)).sort()));`;
    const { stdout } = await expectSuccess(node('-e', script));
    expect(JSON.parse(stdout)).toEqual(['core.js', 'index.js', 'rolldown-runtime.js']);
  });

  test('what its entries have in common is loaded once', async () => {
    const script = `
      const { RpcGuardError } = require('rpc-guard');
      const { rpcGuardAdmin } = require('rpc-guard/admin');
      const { RedisStore } = require('rpc-guard/redis');
      const { PostgresStore } = require('rpc-guard/postgres');
      const isOurs = (make) => { try { make(); } catch (error) { return error instanceof RpcGuardError; } };
      const making = [() => rpcGuardAdmin({}), () => new RedisStore({}), () => new PostgresStore({})];
      console.log(JSON.stringify(making.map(isOurs)));`;
    const { stdout } = await expectSuccess(node('-e', script));
    expect(JSON.parse(stdout)).toEqual([true, true, true]);
  });

  test('its internal files cannot be imported', async () => {
    const { stdout } = await expectSuccess(
      node('-e', `try { require('rpc-guard/dist/core.js') } catch (error) { console.log(error.code) }`),
    );
    expect(stdout).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });

  test('by CommonJS jest', async () => {
    write(project.folder, {
      'with-jest/guard.test.js': `
        const { MemoryStore, RpcGuardError, rpcGuard } = require('rpc-guard');
        test('loads', async () => {
          const guard = rpcGuard({ upstream: 'http://127.0.0.1:8545', store: new MemoryStore() });
          expect(() => rpcGuard({})).toThrow(RpcGuardError);
          await guard.close();
        });`,
      'with-jest/package.json': '{ "jest": { "testEnvironment": "node" } }',
    });
    const jest = join(ownModule('jest'), 'bin/jest.js');
    const cwd = join(project.folder, 'with-jest');
    const { stderr } = await expectSuccess(run(process.execPath, [jest, '--no-cache', '--ci'], { cwd }));
    expect(stderr).toContain('1 passed');
  });
});

test('the command line runs, as npm installs it', async () => {
  const { bin, version } = project.manifest as { bin: Record<string, string>; version: string };
  const script = join(project.folder, 'node_modules/rpc-guard', bin['rpc-guard'] ?? '');
  expect(readFileSync(script, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect((await expectSuccess(node(script, '--version'))).stdout).toBe(`${version}\n`);
  const made = await expectSuccess(node(script, 'keys', 'create', '--store', 'keys.json', '--json'));
  const { key } = JSON.parse(made.stdout) as { key: { apiKey: string } };
  const listed = await expectSuccess(node(script, 'keys', 'list', '--store', 'keys.json'));
  expect(listed.stdout).toContain(key.apiKey);
  expect(made.stderr + listed.stderr).toMatch(/^(?:warning: .*\n)*$/);
});

/** An existing backend of a user's: `load` brings in what is required or imported. */
function backend(options = ''): string {
  return `
    const KEY = '0123456789abcdef0123456789abcdef';
    const upstream = createServer((req, res) => {
      let body = '';
      req.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => {
        const answer = ({ id, method }) => ({ jsonrpc: '2.0', id, result: method });
        const asked = JSON.parse(body);
        res.end(JSON.stringify(Array.isArray(asked) ? asked.map(answer) : answer(asked)));
      });
    });
    upstream.listen(0, '127.0.0.1', () => {
      const guard = rpcGuard({
        upstream: 'http://127.0.0.1:' + upstream.address().port,
        store: new MemoryStore([{ apiKey: KEY, requireSecret: true, secrets: [{ hash: hashSecret('secret') }] }]),
        ${options}
      });
      const app = express();
      app.use(guard);
      const server = app.listen(0, '127.0.0.1', async () => {
        const ask = async (body, secret) => {
          const response = await fetch('http://127.0.0.1:' + server.address().port + '/v3/' + KEY, {
            method: 'POST',
            headers: { Authorization: 'Basic ' + btoa(':' + secret) },
            body: JSON.stringify(body),
          });
          return response.json();
        };
        const call = (id, method) => ({ jsonrpc: '2.0', id, method });
        const answers = [
          await ask(call(1, 'eth_chainId'), 'secret'),
          await ask([call(2, 'eth_chainId'), call(3, 'admin_peers')], 'secret'),
          await ask(call(4, 'eth_chainId'), 'wrong'),
        ];
        upstream.close();
        upstream.closeAllConnections();
        answers.push(await ask(call(5, 'eth_chainId'), 'secret'));
        console.log(JSON.stringify(answers));
        server.close();
        server.closeAllConnections();
        await guard.close();
      });
    });`;
}

const REQUIRED = `
  const { createServer } = require('node:http');
  const express = require('express');
  const { MemoryStore, hashSecret, rpcGuard } = require('rpc-guard');`;
const IMPORTED = `
  import { createServer } from 'node:http';
  import express from 'express';
  import { MemoryStore, hashSecret, rpcGuard } from 'rpc-guard';`;
const IMPORTED_WITH_4 = `${IMPORTED}
  import { createProxyMiddleware } from 'http-proxy-middleware-4';`;

function expectAnswers(stdout: string): void {
  const error = (id: number, code: number) => ({ id, error: { code } });
  expect(JSON.parse(stdout)).toMatchObject([
    { id: 1, result: 'eth_chainId' },
    [{ id: 2, result: 'eth_chainId' }, error(3, -32601)],
    error(4, -32001),
    { error: { code: -32603 } },
  ]);
}

/** From Node.js 22 on: http-proxy, which http-proxy-middleware 3 is built on, calls `util._extend`. Version 4 does not. */
const HTTP_PROXYS_WARNING = /^\(node:\d+\) \[DEP0060\].*\n\(Use `node --trace-deprecation.*\n/m;
/** All that is said: where the guard answers, and that the backend has closed its upstream. */
const SAID = /^rpc-guard: the guard answers \{"http":"POST .*"\}\nrpc-guard: the upstream is away .*ECONNREFUSED.*\n$/;

describe('a backend serves requests, warns of nothing but its upstream, and ends by itself', () => {
  test.each([
    ['CommonJS', ['-e', REQUIRED + backend()]],
    ['ES modules', ['--input-type=module', '-e', IMPORTED + backend()]],
  ])('%s', async (_modules, args) => {
    const { stdout, stderr } = await expectSuccess(node(...args));
    expectAnswers(stdout);
    expect(stderr.replace(HTTP_PROXYS_WARNING, '')).toMatch(SAID);
  });

  testWithVersion4('with http-proxy-middleware 4 handed in', async () => {
    const script = IMPORTED_WITH_4 + backend('createProxyMiddleware,');
    const { stdout, stderr } = await expectSuccess(node('--input-type=module', '-e', script));
    expectAnswers(stdout);
    expect(stderr).toMatch(SAID);
  });

  test('nothing is left running after close(), though a refused client hung up in the middle of its body', async () => {
    const script = `
      const { createServer } = require('node:http');
      const { connect } = require('node:net');
      const { MemoryStore, rpcGuard } = require('rpc-guard');
      const guard = rpcGuard({ upstream: 'http://127.0.0.1:1', store: new MemoryStore() });
      const server = createServer((req, res) => guard(req, res, () => res.end()));
      server.listen(0, '127.0.0.1', () => {
        const client = connect(server.address().port, '127.0.0.1');
        client.write('POST /v3/unknown-key HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100\\r\\n\\r\\n{');
        client.once('data', () => client.destroy());
        server.once('connection', (socket) => socket.once('close', async () => {
          server.close();
          await guard.close();
          setImmediate(() => console.log(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length));
        }));
      });`;
    const { stdout } = await expectSuccess(node('-e', script));
    expect(stdout).toBe('0\n');
  });
});

/** The same source in every module system: only the compiler's options differ. */
const CONSUMER = `
import { createServer } from 'node:http';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import {
  DEFAULT_BLOCKED_METHODS,
  FileStore,
  MemoryStore,
  RpcGuardError,
  generateApiKey,
  generateSecret,
  hashSecret,
  rpcGuard,
} from 'rpc-guard';
import type {
  Decision,
  KeySettings,
  KeySettingsInput,
  Logger,
  Reason,
  RpcGuard,
  RpcGuardOptions,
  SettingsStore,
  WritableSettingsStore,
} from 'rpc-guard';

const upstream = 'http://127.0.0.1:8545';
const key: KeySettingsInput = { apiKey: generateApiKey(), secrets: [{ hash: hashSecret(generateSecret()) }] };
const memory: WritableSettingsStore = new MemoryStore([key, { apiKey: 'abcdefgh', allowlists: { methods: ['eth_*'] } }]);

class DatabaseStore implements SettingsStore {
  readonly #rows = new Map<string, KeySettingsInput>();
  async get(apiKey: string): Promise<KeySettingsInput | undefined> {
    return Promise.resolve(this.#rows.get(apiKey));
  }
}
const bare = { get: (apiKey: string) => (apiKey === 'abcdefgh' ? { apiKey } : null) };
const logger: Logger = { info: () => {}, warn: () => {}, error: (fields: object, message: string) => console.error(fields, message) };

const guard: RpcGuard = rpcGuard({
  upstream: { url: upstream, headers: { 'X-Upstream-Key': 'x' } },
  store: new DatabaseStore(),
  blockedMethods: [...DEFAULT_BLOCKED_METHODS, 'eth_sign'],
  addressParams: { acme_balance: (params) => String(params[0]), acme_health: 'none' },
  cors: { origin: ['https://app.example.com'] },
  logger,
  createProxyMiddleware,
  onDecision(decision) {
    const told: Decision = decision;
    const reason: Reason | undefined = decision.reason;
    const hint: string | undefined = decision.keyHint;
    const methods: readonly string[] = decision.methods;
    const milliseconds: number = decision.milliseconds;
    if (reason === 'METHOD_NOT_ALLOWED') console.log(told.requestId, hint, methods, milliseconds.toFixed(1));
    // @ts-expect-error a listener changes nothing
    decision.allowed = true;
    // @ts-expect-error there is no such reason
    if (reason === 'METHOD_NOT_ALOWED') console.log();
  },
});

const app = express();
app.use(guard);
app.use('/x', guard);
app.use('/y', express.json(), guard, (_req, res) => void res.status(404).end());
express.Router().use(guard);
const server = app.listen(0);
server.on('upgrade', guard.upgrade);
createServer((req, res) => guard(req, res, () => res.end()));
const closed: Promise<void> = guard.close();

const options: RpcGuardOptions = { upstream, store: bare, maxBodyBytes: 1024, exposeReason: false };
rpcGuard(options);
rpcGuard({ upstream, store: memory, onDecision: async (decision) => { await Promise.resolve(decision); } });
rpcGuard({ upstream, store: new FileStore('keys.json'), cors: false });

export async function settingsOf(apiKey: string): Promise<readonly string[]> {
  const settings: KeySettings | undefined = await memory.get(apiKey);
  const hints: readonly string[] = settings?.secrets.map(({ hint }) => hint) ?? [];
  // @ts-expect-error settings are read, and written anew
  if (settings !== undefined) settings.enabled = false;
  return hints;
}

export function explain(error: unknown): string {
  if (!(error instanceof RpcGuardError)) return String(closed);
  // @ts-expect-error there is no such code
  if (error.code === 'ERR_RPC_GUARD_WHATEVER') return '';
  return error.code === 'ERR_RPC_GUARD_OPTIONS' ? error.message : '';
}

// @ts-expect-error an option that does not exist
rpcGuard({ upstream, store: memory, blockMethods: [] });
// @ts-expect-error bytes are a number
rpcGuard({ upstream, store: memory, maxBodyBytes: '2mb' });
// @ts-expect-error no upstream
rpcGuard({ store: memory });
// @ts-expect-error no store
rpcGuard({ upstream });
// @ts-expect-error a store whose get gives something else
rpcGuard({ upstream, store: { get: () => 7 } });
// @ts-expect-error an upstream with an unknown member
rpcGuard({ upstream: { url: upstream, header: {} }, store: memory });
// @ts-expect-error a listener of something else
rpcGuard({ upstream, store: memory, onDecision: (decision: string) => decision });
// @ts-expect-error a secret in the place of its hash
new MemoryStore([{ apiKey: 'abcdefgh', secrets: ['secret'] }]);
// @ts-expect-error a list that does not exist
new MemoryStore([{ apiKey: 'abcdefgh', allowlists: { contracts: [] } }]);
// @ts-expect-error no key
new MemoryStore([{ requireSecret: true }]);
`;

describe('TypeScript type-checks an application', () => {
  const STRICT = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    target: 'es2023',
    lib: ['es2023'],
    types: ['node'],
  };

  const WITH_4 = CONSUMER.replace("from 'http-proxy-middleware'", "from 'http-proxy-middleware-4'");
  const APPLICATIONS: readonly [string, string, object, string?][] = [
    ['nodenext, ES module', 'app.mts', { module: 'nodenext', skipLibCheck: false }],
    ['node16, CommonJS', 'app.cts', { module: 'node16', esModuleInterop: true, skipLibCheck: false }],
    ['bundler', 'app.ts', { module: 'esnext', moduleResolution: 'bundler', skipLibCheck: false }],
    ['http-proxy-middleware 4', 'app.mts', { module: 'nodenext', skipLibCheck: true }, WITH_4],
  ];
  const applications = APPLICATIONS.slice(0, VERSION_4 === undefined ? 3 : 4);
  let checked: Readonly<Record<string, { readonly problems: string; readonly packages: readonly string[] }>>;

  beforeAll(async () => {
    for (const [name, file, compilerOptions, source = CONSUMER] of applications) {
      write(project.folder, {
        [`${name}/${file}`]: source,
        [`${name}/tsconfig.json`]: JSON.stringify({
          compilerOptions: { ...STRICT, ...compilerOptions },
          files: [file],
        }),
      });
    }
    const names = applications.map(([name]) => name);
    const { stdout } = await expectSuccess(node(join(__dirname, 'support/type-check.cjs'), ...names));
    checked = JSON.parse(stdout) as typeof checked;
  }, 120_000);

  test.each(applications)('%s, with the declarations of every dependency', (name) => {
    expect(checked[name]!.problems).toBe('');
  });

  test('without the declarations of zod', () => {
    const { packages } = checked[applications[0]![0]]!;
    expect(packages).toContain('rpc-guard');
    expect(packages).not.toContain('zod');
  });
});
