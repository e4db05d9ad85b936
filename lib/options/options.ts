import type { CorsOptions } from 'cors';
import { addressTable } from '../allowlists/address-table';
import type { AddressParams, AddressTable } from '../allowlists/address-table';
import { methods } from '../allowlists/methods';
import { RpcGuardError } from '../errors';
import { quiet, stderrLogger } from '../logger';
import type { Logger } from '../logger';
import { compileBlockedMethods } from '../policy/blocked-methods';
import type { Reason } from '../policy/refusals';
import { parseKeyPath } from '../request/key-path';
import type { KeyPath } from '../request/key-path';
import type { SettingsStore } from '../stores/settings-store';
import { bundledProxyMiddleware } from '../upstream/proxy-middleware';
import type { CreateProxyMiddleware } from '../upstream/proxy-middleware';
import { isObject, isPlainObject, parseUpstream, quoteUpstream } from '../upstream/upstream-url';
import type { Upstream, UpstreamOption } from '../upstream/upstream-url';

/** One verdict. The calls of a mixed batch that fared alike share one. */
export interface Decision {
  readonly allowed: boolean;
  /** Why not; `undefined` when allowed. */
  readonly reason: Reason | undefined;
  /** The key's first characters; `undefined` when the path holds none. */
  readonly keyHint: string | undefined;
  /** The methods decided on, in order; `[]` when the request was refused before its body was read. */
  readonly methods: readonly string[];
  readonly requestId: string;
  /** From the request's arrival to the verdict, reading its body included. */
  readonly milliseconds: number;
}

export interface RpcGuardOptions {
  /** The Ethereum node or provider that allowed calls go to. */
  readonly upstream: UpstreamOption;
  /** Where the settings of API keys are. */
  readonly store: SettingsStore;
  /** Where the key stands in the path, below the mount point. Default `/v3/:apiKey`. */
  readonly path?: string;
  /** Where WebSockets are taken, from the server's root, before the key. Default `/ws/v3`. */
  readonly wsPath?: string;
  /** Names and prefixes (`admin_*`) refused for every key. Default: the node-administration namespaces. */
  readonly blockedMethods?: readonly string[];
  /** Methods of your node that the built-in table does not know → the addresses they query, or `'none'`. */
  readonly addressParams?: Readonly<Record<string, AddressParams>>;
  /** Bytes of a body, before and after decompression. Default 2 MiB. */
  readonly maxBodyBytes?: number;
  /** Calls in a batch. Default 1000. */
  readonly maxBatchSize?: number;
  /** WebSockets that one key may have open. Default 1000. */
  readonly maxSocketsPerKey?: number;
  /** Milliseconds for the whole body to arrive. Default 10 s. */
  readonly bodyTimeoutMs?: number;
  /** Milliseconds that the upstream may stay silent, before its answer and within it. Default 30 s. */
  readonly upstreamTimeoutMs?: number;
  /** Milliseconds for all of an answer, however slowly it comes; 0 for no end. Default 10 minutes. */
  readonly upstreamTotalMs?: number;
  /** Milliseconds that settings go on serving when the store is down. Default 60 s. */
  readonly staleIfErrorMs?: number;
  /** `true` lets any origin call; `false` leaves CORS to the application; an object goes to the `cors` package. Default `true`. */
  readonly cors?: boolean | CorsOptions;
  /** Whether a refusal names its reason in `error.data.reason`. Default `true`. */
  readonly exposeReason?: boolean;
  /** Pino-shaped. Default: configuration and store errors to stderr, nothing else. */
  readonly logger?: Logger;
  /** Is told every verdict once. It cannot change it, and may throw. */
  readonly onDecision?: (decision: Decision) => void;
  /** That of `http-proxy-middleware` 4, to use it in place of the bundled 3. */
  readonly createProxyMiddleware?: CreateProxyMiddleware;
}

/** Options as the guard works with them. */
export interface ParsedOptions {
  readonly upstream: Upstream;
  readonly store: SettingsStore;
  readonly path: KeyPath;
  readonly wsPath: KeyPath;
  readonly blockedMethods: readonly string[];
  readonly isBlocked: (method: string) => boolean;
  readonly addressTable: AddressTable;
  readonly maxBodyBytes: number;
  readonly maxBatchSize: number;
  readonly maxSocketsPerKey: number;
  readonly bodyTimeoutMs: number;
  readonly upstreamTimeoutMs: number;
  readonly upstreamTotalMs: number;
  readonly staleIfErrorMs: number;
  readonly cors: boolean | CorsOptions;
  readonly exposeReason: boolean;
  readonly logger: Logger;
  readonly onDecision: ((decision: Decision) => void) | undefined;
  readonly createProxyMiddleware: CreateProxyMiddleware;
}

export const DEFAULT_BLOCKED_METHODS: readonly string[] = [
  'admin_*',
  'personal_*',
  'miner_*',
  'engine_*',
  'clique_*',
  'les_*',
  'db_*',
  'shh_*',
  'ethstats_*',
  // What changes, profiles or writes files on the node.
  'debug_set*',
  'debug_start*',
  'debug_stop*',
  'debug_write*',
  'debug_standardTrace*',
  'debug_cpuProfile',
  'debug_goTrace',
  'debug_blockProfile',
  'debug_mutexProfile',
  'debug_freeOSMemory',
  'debug_backtraceAt',
  'debug_verbosity',
  'debug_vmodule',
  'debug_chaindb*',
  'debug_db*',
  // Permissions and validators of private networks, settings and plugins of a node.
  'perm_*',
  'ibft_propose*',
  'ibft_discard*',
  'qbft_propose*',
  'qbft_discard*',
  'parity_set*',
  'plugins_*',
  // Development nodes: balances, time and identities at will.
  'anvil_*',
  'hardhat_*',
  'evm_*',
];

const MAX_TIMER_MS = 2 ** 31 - 1;
const METHOD = /^[\x21-\x7e]{1,128}$/;
const CORS_OPTIONS = [
  'origin',
  'methods',
  'allowedHeaders',
  'exposedHeaders',
  'credentials',
  'maxAge',
  'preflightContinue',
  'optionsSuccessStatus',
];

const isFunction = (value: unknown) => typeof value === 'function';
const has = (value: unknown, ...names: string[]) =>
  isObject(value) && names.every((name) => isFunction((value as Record<string, unknown>)[name]));
const isWhole = (min: number, max: number) => (value: unknown) =>
  Number.isInteger(value) && Number(value) >= min && Number(value) <= max;

interface OptionRule {
  readonly accepts: (value: unknown) => boolean;
  /** Ends the sentence "it takes …", with a right value. */
  readonly takes: string;
  /** `undefined` where there is none: whether the option must be given is for `accepts` to say. */
  readonly default: unknown;
}

const OPTIONS: Readonly<Record<keyof RpcGuardOptions, OptionRule>> = {
  upstream: {
    accepts: (value) => parseUpstream(value) !== undefined,
    takes: 'an http(s) URL or { url, wsUrl, headers }, such as "http://127.0.0.1:8545"',
    default: undefined,
  },
  store: {
    accepts: (value) => has(value, 'get'),
    takes: 'a store with get(apiKey), such as new FileStore("./rpc-guard.json")',
    default: undefined,
  },
  path: {
    accepts: (value) => typeof value === 'string' && parseKeyPath(value) !== undefined,
    takes: 'a path with one :apiKey segment, such as "/v3/:apiKey"',
    default: '/v3/:apiKey',
  },
  wsPath: {
    accepts: (value) => typeof value === 'string' && parseWsPath(value) !== undefined,
    takes: 'a path without the key, such as "/ws/v3"',
    default: '/ws/v3',
  },
  blockedMethods: {
    accepts: (value) => Array.isArray(value) && value.every((entry) => isMethodEntry(entry)),
    takes: 'an array of method names and prefixes, such as ["admin_*", "eth_sign"]',
    default: DEFAULT_BLOCKED_METHODS,
  },
  addressParams: {
    accepts: (value) =>
      isPlainObject(value) &&
      Object.entries(value).every(([method, row]) => METHOD.test(method) && (row === 'none' || isFunction(row))),
    takes: 'functions of params or "none" by method, such as { acme_balance: (params) => params[0] }',
    default: {},
  },
  maxBodyBytes: {
    accepts: isWhole(1, 256 * 1024 * 1024),
    takes: 'whole bytes up to 268435456, such as 2097152',
    default: 2 * 1024 * 1024,
  },
  maxBatchSize: { accepts: isWhole(1, 100_000), takes: 'a whole number up to 100000, such as 1000', default: 1000 },
  maxSocketsPerKey: {
    accepts: isWhole(1, 1_000_000),
    takes: 'a whole number up to 1000000, such as 1000',
    default: 1000,
  },
  bodyTimeoutMs: { accepts: isWhole(1, MAX_TIMER_MS), takes: 'whole milliseconds, such as 10000', default: 10_000 },
  upstreamTimeoutMs: { accepts: isWhole(1, MAX_TIMER_MS), takes: 'whole milliseconds, such as 30000', default: 30_000 },
  upstreamTotalMs: { accepts: isWhole(0, MAX_TIMER_MS), takes: 'whole milliseconds, such as 600000', default: 600_000 },
  staleIfErrorMs: { accepts: isWhole(0, MAX_TIMER_MS), takes: 'whole milliseconds, such as 60000', default: 60_000 },
  cors: {
    accepts: (value) =>
      typeof value === 'boolean' ||
      (isPlainObject(value) && Object.keys(value).every((name) => CORS_OPTIONS.includes(name))),
    takes: 'true, false or options of the cors package, such as { origin: "https://app.example.com" }',
    default: true,
  },
  exposeReason: { accepts: (value) => typeof value === 'boolean', takes: 'true or false', default: true },
  logger: {
    accepts: (value) => has(value, 'info', 'warn', 'error'),
    takes: 'an object with info, warn and error, such as pino()',
    default: stderrLogger,
  },
  onDecision: {
    accepts: (value) => value === undefined || isFunction(value),
    takes: 'a function, such as (decision) => {}',
    default: undefined,
  },
  createProxyMiddleware: {
    accepts: isFunction,
    takes: 'createProxyMiddleware of http-proxy-middleware 4',
    default: bundledProxyMiddleware,
  },
};

/**
 * Checks options and fills in the defaults.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem, the value found and a right one. Credentials and
 * the path of an upstream are not in the message.
 */
export function parseOptions(options: RpcGuardOptions, whose = 'rpcGuard'): ParsedOptions {
  const given: Record<string, unknown> = isPlainObject(options) ? { ...options } : {};
  const values: Record<string, unknown> = {};
  const problems = Object.keys(given)
    .filter((name) => !Object.hasOwn(OPTIONS, name))
    .map(unknownOption);
  for (const [name, rule] of Object.entries(OPTIONS)) {
    const value = given[name];
    values[name] = value ?? rule.default;
    if (value === undefined && rule.default !== undefined) continue;
    if (!rule.accepts(value)) problems.push(`  ${name}: got ${quote(name, value)}; it takes ${rule.takes}`);
  }
  if (problems.length > 0) {
    throw new RpcGuardError('ERR_RPC_GUARD_OPTIONS', `${whose}(options) cannot start:\n${problems.join('\n')}`);
  }
  const checked = values as unknown as Required<RpcGuardOptions>;
  return {
    ...checked,
    logger: quiet(checked.logger),
    upstream: parseUpstream(checked.upstream)!,
    path: parseKeyPath(checked.path)!,
    wsPath: parseWsPath(checked.wsPath)!,
    isBlocked: compileBlockedMethods(checked.blockedMethods),
    addressTable: addressTable(checked.addressParams),
  };
}

function unknownOption(name: string): string {
  const known = Object.keys(OPTIONS);
  const meant = known.find((option) => option.toLowerCase() === name.toLowerCase());
  return `  ${name}: no such option; ${meant === undefined ? `there are ${known.join(', ')}` : `write ${meant}`}`;
}

function quote(name: string, value: unknown): string {
  if (name === 'upstream' || (typeof value === 'string' && value.includes('@'))) return quoteUpstream(value);
  if (Array.isArray(value)) {
    const wrong = value.find((entry) => !isMethodEntry(entry)) as unknown;
    return `an array with ${quote('', wrong)}`;
  }
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100));
  if (isObject(value)) return 'an object';
  return isFunction(value) ? 'a function' : String(value);
}

function isMethodEntry(entry: unknown): entry is string {
  return typeof entry === 'string' && methods.problem(entry) === undefined;
}

function parseWsPath(prefix: string): KeyPath | undefined {
  return parseKeyPath(`${prefix}/:apiKey`);
}
