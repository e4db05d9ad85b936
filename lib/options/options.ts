import {
  BOOLEAN_RULE,
  LOGGER_RULE,
  MAX_TIMER_MS,
  checkOptions,
  hasMethods,
  isFunction,
  isText,
  isWhole,
} from '../option-rules';
import type { OptionRule, OptionRules } from '../option-rules';
import { oddCredits } from '../limits/credits';
import { quiet } from '../logger';
import type { GuardLogger, Logger } from '../logger';
import type { Reason } from '../policy/refusals';
import { parseKeyPath } from '../request/key-path';
import type { KeyPath } from '../request/key-path';
import { clientAddress } from '../request/client-address';
import type { ClientAddress, TrustProxy } from '../request/client-address';
import type { SettingsStore } from '../stores/settings-store';
import type { UpstreamClientOptions } from '../upstream/http-client';
import { CORS_RULE } from './cors-options';
import type { CorsOptions } from './cors-options';
import type { RequestEvent } from './request-event';
import { USAGE_RULE, usageKinds } from './usage-option';
import type { UsageKinds, UsageOptions } from './usage-option';
import { REQUEST_RULES, prepareRequestOptions } from './request-options';
import type { ParsedRequestOptions, RequestOptions } from './request-options';
import { UPSTREAM_RULES, prepareUpstreamOptions } from './upstream-options';
import type { UpstreamOptions } from './upstream-options';

/** One decision. Calls of a mixed batch with the same outcome share it. */
export interface Decision {
  readonly allowed: boolean;
  /** Why not; `undefined` when allowed. */
  readonly reason: Reason | undefined;
  /** Why it would be refused if the key's lists that only report refused; `undefined` when it would not, or was. */
  readonly wouldRefuse: Reason | undefined;
  /** The key's first characters; `undefined` when the path holds none. */
  readonly keyHint: string | undefined;
  /** The methods decided on, in order; `[]` when the request was refused before its body was read. */
  readonly methods: readonly string[];
  readonly requestId: string;
  /** From the request's arrival to the verdict, reading its body included. */
  readonly milliseconds: number;
}

export interface RpcGuardOptions extends RequestOptions, UpstreamOptions {
  /** Where the settings of API keys are. */
  readonly store: SettingsStore;
  /** Where WebSockets are taken, from the server's root, before the key. Default `/ws/v3`. */
  readonly wsPath?: string;
  /** WebSockets that one key may have open. Default 1000. */
  readonly maxSocketsPerKey?: number;
  /** Requests under way to the upstream at once. More wait, up to 1000. Default 512. */
  readonly maxConcurrent?: number;
  /** Bytes of the upstream's answers, decoded, to a batch of which some is refused: those are put together. Default 32 MiB. */
  readonly maxMergedBytes?: number;
  /** Milliseconds that settings go on serving when the store is down. Default 60 s. */
  readonly staleIfErrorMs?: number;
  /** Whether answers tell of limits in `RateLimit` and `RateLimit-Policy`. Default `true`. */
  readonly limitHeaders?: boolean;
  /** Which proxies' `X-Forwarded-For` is believed: the values of Express' `trust proxy`. Default `false`. */
  readonly trustProxy?: TrustProxy;
  /** `true` lets any origin call; `false` leaves CORS to the application; an object goes to the `cors` package. Default `true`. */
  readonly cors?: boolean | CorsOptions;
  /** Whether a refusal names its reason in `error.data.reason`. Default `true`. */
  readonly exposeReason?: boolean;
  /** Whether, and by what, is counted what keys do. Default `true`. */
  readonly usage?: boolean | UsageOptions;
  /** Pino-shaped. Default: to stderr, errors of configuration and stores, and at the first request where the guard answers. */
  readonly logger?: Logger;
  /** Called once for every decision. It cannot change it, and may throw. */
  readonly onDecision?: (decision: Decision) => void;
  /** Called once for every request and WebSocket message, when it is over. It may throw. */
  readonly onRequest?: (event: RequestEvent) => void;
}

/** Options as the guard works with them. */
export interface ParsedOptions extends ParsedRequestOptions, UpstreamClientOptions {
  readonly store: SettingsStore;
  readonly wsPath: KeyPath;
  readonly maxSocketsPerKey: number;
  readonly maxConcurrent: number;
  readonly maxMergedBytes: number;
  readonly staleIfErrorMs: number;
  readonly limitHeaders: boolean;
  readonly trustProxy: TrustProxy;
  readonly clientAddress: ClientAddress;
  readonly cors: boolean | CorsOptions;
  readonly exposeReason: boolean;
  /** `undefined` where nothing is counted. */
  readonly usage: UsageKinds | undefined;
  readonly logger: GuardLogger;
  readonly onDecision: ((decision: Decision) => void) | undefined;
  readonly onRequest: ((event: RequestEvent) => void) | undefined;
}

export const WS_PATH_RULE: OptionRule = {
  accepts: (value) => typeof value === 'string' && parseWsPath(value) !== undefined,
  takes: 'a path without the key, such as "/ws/v3"',
  default: '/ws/v3',
};

/** Each is held in memory several times over while it is put together. */
const MAX_MERGED_BYTES = 256 * 1024 * 1024;

/** Of everything that starts a guard. */
export const GUARD_RULES: OptionRules<RpcGuardOptions> = {
  ...UPSTREAM_RULES,
  store: {
    accepts: (value) => hasMethods(value, 'get'),
    takes: 'a store with get(apiKey), such as new FileStore("./rpc-guard.json")',
    isRequired: true,
  },
  ...REQUEST_RULES,
  wsPath: WS_PATH_RULE,
  maxConcurrent: { accepts: isWhole(1, 100_000), takes: 'a whole number up to 100000, such as 512', default: 512 },
  maxMergedBytes: {
    accepts: isWhole(1, MAX_MERGED_BYTES),
    takes: 'whole bytes up to 268435456 (256 MiB), such as 33554432',
    default: 32 * 1024 * 1024,
  },
  maxSocketsPerKey: {
    accepts: isWhole(1, 1_000_000),
    takes: 'a whole number up to 1000000, such as 1000',
    default: 1000,
  },
  staleIfErrorMs: { accepts: isWhole(0, MAX_TIMER_MS), takes: 'whole milliseconds, such as 60000', default: 60_000 },
  limitHeaders: { ...BOOLEAN_RULE, default: true },
  trustProxy: {
    accepts: isTrustProxy,
    takes: 'what Express takes as "trust proxy": false, 1 for one proxy, or ranges such as "loopback, 10.0.0.0/8"',
    default: false,
  },
  cors: CORS_RULE,
  exposeReason: { ...BOOLEAN_RULE, default: true },
  usage: USAGE_RULE,
  logger: LOGGER_RULE,
  onDecision: { accepts: isFunction, takes: 'a function, such as (decision) => {}' },
  onRequest: { accepts: isFunction, takes: 'a function, such as (event) => {}' },
};

/**
 * Checks the guard's options and fills in the defaults.
 * @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem, the value found and a right one. Credentials and
 * the path of an upstream are not in the message.
 */
export function parseOptions(options: RpcGuardOptions): ParsedOptions {
  const checked = checkOptions('rpcGuard(options)', GUARD_RULES, options) as Required<RpcGuardOptions>;
  const logger = quiet(checked.logger);
  const prepared = prepareRequestOptions(checked);
  for (const problem of oddCredits(checked.credits, prepared.addressTable)) logger.warn({}, problem);
  return {
    ...checked,
    clientAddress: clientAddress(checked.trustProxy),
    usage: usageKinds(checked.usage),
    ...prepared,
    ...prepareUpstreamOptions(checked, logger),
    wsPath: parseWsPath(checked.wsPath)!,
    logger,
  };
}

function isTrustProxy(value: unknown): boolean {
  const isShaped =
    typeof value === 'boolean' ||
    isWhole(0, 1000)(value) ||
    isText(value) ||
    (Array.isArray(value) && value.every(isText)) ||
    isFunction(value);
  if (!isShaped) return false;
  try {
    clientAddress(value as TrustProxy);
    return true;
  } catch {
    return false;
  }
}

export function parseWsPath(prefix: string): KeyPath | undefined {
  return parseKeyPath(`${prefix}/:apiKey`);
}
