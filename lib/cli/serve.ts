import { randomBytes } from 'node:crypto';
import { Option } from 'commander';
import type { Command } from 'commander';
import { basicAuthAdmin, hashPassword } from '../admin/basic-auth-admin';
import type { BasicAuthAdminOptions } from '../admin/basic-auth-admin';
import type { Logger } from '../logger';
import { packageVersion } from '../version';
import { examples, parsePort } from './arguments';
import { storeFailed, usage } from './exit';
import { jsonOf, openOutput } from './output';
import type { Output } from './output';
import { isAttended } from './prompt';
import { serveOptions } from './serve-options';
import type { ServerOptions } from './serve-options';
import { openServerStore } from './server-store';
import type * as StandaloneModule from './standalone';
import type { Standalone } from './standalone';

interface ServeFlags {
  readonly config?: string;
  readonly upstream?: string;
  readonly host?: string;
  readonly port?: number;
  readonly metricsPort?: number;
  readonly metricsHost?: string;
  readonly trustProxy?: string;
  readonly dashboard: boolean;
  readonly adminUser: string;
  readonly adminPasswordHash?: string;
  readonly verbose?: boolean;
  readonly store?: string;
  readonly json?: boolean;
}

const MORE = `
A server of its own, for those without an Express backend: the guard at
/v3/KEY and /ws/v3/KEY, the dashboard at /admin/, /healthz, and /readyz.
Flags win over the environment, the environment over the file. The file, YAML or
JSON, also takes the other options of rpcGuard() that can be written:

  upstream: https://mainnet.example.com/v3/YOUR-UPSTREAM-KEY
  port: 3000
  credits: { eth_getLogs: 10 }
  users: { ann: '$scrypt$…' }    # rpc-guard admin hash-password

Put an upstream with a key in it into RPC_GUARD_UPSTREAM or the file: an
argument stays in the history.`;

export function addServe(program: Command): void {
  const serve = program
    .command('serve')
    .summary('run the guard as a server of its own')
    .description('Runs the guard with its dashboard as a server of its own, until SIGTERM or Ctrl-C.')
    .addOption(new Option('--config <file>', 'options in YAML or JSON').env('RPC_GUARD_CONFIG'))
    .addOption(new Option('--upstream <url>', 'where allowed calls go').env('RPC_GUARD_UPSTREAM'))
    .addOption(new Option('--host <address>', 'default 127.0.0.1; 0.0.0.0 for all').env('RPC_GUARD_HOST'))
    .addOption(new Option('--port <n>', 'default 3000').env('RPC_GUARD_PORT').argParser(parsePort))
    .addOption(
      new Option('--metrics-port <n>', 'serve metrics here').env('RPC_GUARD_METRICS_PORT').argParser(parsePort),
    )
    .addOption(new Option('--metrics-host <address>', 'default 127.0.0.1').env('RPC_GUARD_METRICS_HOST'))
    .addOption(new Option('--trust-proxy <ranges>', 'proxies in front, as Express takes').env('RPC_GUARD_TRUST_PROXY'))
    .addOption(new Option('--admin-password-hash <hash>', 'of the login').env('RPC_GUARD_ADMIN_PASSWORD_HASH'))
    .option('--admin-user <name>', 'of the login', 'admin')
    .option('--no-dashboard', 'without the dashboard')
    .option('--verbose', 'log every refusal too')
    .addHelpText('after', MORE)
    .action((_flags: object, command: Command) => runServe(command.optsWithGlobals<ServeFlags>()));
  examples(
    serve,
    'rpc-guard serve --upstream http://127.0.0.1:8545',
    'rpc-guard serve --config guard.yaml --store redis://127.0.0.1:6379',
  );
}

async function runServe(flags: ServeFlags): Promise<void> {
  const output = openOutput(flags.json ?? false);
  const {
    config,
    upstream,
    host,
    port,
    metricsPort,
    metricsHost,
    trustProxy,
    store,
    dashboard,
    verbose = false,
  } = flags;
  const given = { upstream, host, port, metricsPort, metricsHost, trustProxy: hopsOf(trustProxy), store };
  const options = serveOptions(
    { ...given, ...(!dashboard && { dashboard }) } as Parameters<typeof serveOptions>[0],
    config,
  );
  const login = options.server.dashboard ? await loginOf(flags, options.server.users) : undefined;
  const authorize = login && basicAuthAdmin({ users: login.users });
  const logger = loggerOf(verbose);
  const opened = openServerStore(options.server.store, logger);
  const server = await loadStandalone().standalone(options, opened, authorize, logger);
  tell(output, server, opened.name, login);
  await untilSignal();
  output.note('ending: requests under way have 10 s');
  await server.close();
}

interface Login {
  readonly users: BasicAuthAdminOptions['users'];
  /** Lines of the start: who logs in, with what. */
  readonly words: readonly string[];
}

/** The dashboard is never open: without a password one is made, for whoever watches the start. */
async function loginOf({ adminUser, adminPasswordHash }: ServeFlags, written: ServerOptions['users']): Promise<Login> {
  if (adminPasswordHash !== undefined) {
    return { users: { [adminUser]: adminPasswordHash }, words: [adminUser] };
  }
  if (written !== undefined) {
    return { users: written, words: [Object.keys(written).join(' or ')] };
  }
  if (!isAttended()) {
    throw usage(
      'the dashboard would have no password; give --admin-password-hash or RPC_GUARD_ADMIN_PASSWORD_HASH ' +
        '(from "rpc-guard admin hash-password"), or --no-dashboard',
    );
  }
  const password = randomBytes(15).toString('base64url');
  const words = [`${adminUser} with ${password}`, 'for this start; keep one with --admin-password-hash'];
  return { users: { [adminUser]: await hashPassword(password) }, words };
}

/** A number counts proxies; anything else names them. */
function hopsOf(trustProxy: string | undefined): string | number | undefined {
  return trustProxy !== undefined && /^\d{1,3}$/.test(trustProxy) ? Number(trustProxy) : trustProxy;
}

function loggerOf(isVerbose: boolean): Logger {
  const write = (level: string) => (fields: object, message: string) => {
    process.stderr.write(`${new Date().toISOString()} ${level} ${message} ${jsonOf(fields)}\n`);
  };
  return { info: isVerbose ? write('info') : () => undefined, warn: write('warn'), error: write('error') };
}

/** Express is loaded by this command alone. */
function loadStandalone(): typeof StandaloneModule {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require('./standalone') as typeof StandaloneModule;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw storeFailed('serve needs Express: npm install express');
  }
}

function tell(output: Output, { url, metricsUrl }: Standalone, store: string, login: Login | undefined): void {
  const socketUrl = url.replace(/^http/, 'ws');
  const dashboard = login && `${url}/admin/`;
  output.result({ url, dashboard, metrics: metricsUrl, store }, () => [
    `rpc-guard ${packageVersion()} is running`,
    `HTTP:      ${url}/v3/KEY`,
    `WebSocket: ${socketUrl}/ws/v3/KEY`,
    `keys:      ${store}`,
    ...(login === undefined ? [] : [`dashboard: ${url}/admin/`, `login:     ${login.words.join('\n           ')}`]),
    `health:    ${url}/healthz and ${url}/readyz`,
    ...(metricsUrl === undefined ? [] : [`metrics:   ${metricsUrl}`]),
    'Ctrl-C ends it.',
  ]);
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** The second signal, either of them, ends the process at once. */
async function untilSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      for (const signal of SIGNALS) process.off(signal, end);
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, end);
  });
}
