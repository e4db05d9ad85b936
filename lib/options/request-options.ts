import { DEFAULT_BLOCKED_METHODS } from '../allowlists/default-blocked-methods';
import { methods } from '../allowlists/methods';
import { addressTable } from '../allowlists/address-table';
import type { AddressParams, AddressTable } from '../allowlists/address-table';
import { METHOD } from '../json-rpc/call';
import { compileCredits } from '../limits/credits';
import type { Credits, Prices } from '../limits/credits';
import { MAX_TIMER_MS, checkOptions, isFunction, isPlainObject, isWhole, quoteValue } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { compileBlockedMethods } from '../policy/blocked-methods';
import { parseKeyPath } from '../request/key-path';
import type { KeyPath } from '../request/key-path';

/** The options that decide on a request: those of the guard, and of a dry run. */
export interface RequestOptions {
  /** Where the key stands in the path, below the mount point. Default `/v3/:apiKey`. */
  readonly path?: string;
  /** Names and prefixes (`admin_*`) refused for every key. Default: the node-administration namespaces. */
  readonly blockedMethods?: readonly string[];
  /** Methods of your node that the built-in table does not know → the addresses they query, or `'none'`. */
  readonly addressParams?: Readonly<Record<string, AddressParams>>;
  /** What a call costs of its key's limits, by method or prefix (`trace_*`): 0 to 10,000. Default 1 each. */
  readonly credits?: Credits;
  /** Milliseconds that a request may wait for room under its limits before it is refused: up to 5000. Default 1 s. */
  readonly limitWaitMs?: number;
  /** Bytes of a body, before and after decompression. Default 2 MiB. */
  readonly maxBodyBytes?: number;
  /** Calls in a batch. Default 1000. */
  readonly maxBatchSize?: number;
  /** Milliseconds for the whole body to arrive. Default 10 s. */
  readonly bodyTimeoutMs?: number;
}

export interface ParsedRequestOptions {
  readonly path: KeyPath;
  readonly blockedMethods: readonly string[];
  readonly isBlocked: (method: string) => boolean;
  readonly addressTable: AddressTable;
  readonly prices: Prices;
  readonly limitWaitMs: number;
  readonly maxBodyBytes: number;
  readonly maxBatchSize: number;
  readonly bodyTimeoutMs: number;
}

export const REQUEST_RULES: OptionRules<RequestOptions> = {
  path: {
    accepts: (value) => typeof value === 'string' && parseKeyPath(value) !== undefined,
    takes: 'a path with one :apiKey segment, such as "/v3/:apiKey"',
    default: '/v3/:apiKey',
  },
  blockedMethods: {
    accepts: (value) => Array.isArray(value) && value.every(isMethodEntry),
    takes: 'an array of method names and prefixes, such as ["admin_*", "eth_sign"]',
    default: DEFAULT_BLOCKED_METHODS,
    quote: quoteMethods,
  },
  addressParams: {
    accepts: (value) =>
      isPlainObject(value) &&
      Object.entries(value).every(([method, row]) => METHOD.test(method) && (row === 'none' || isFunction(row))),
    takes: 'functions of params or "none" by method, such as { acme_balance: (params) => params[0] }',
    default: {},
  },
  credits: {
    accepts: (value) =>
      isPlainObject(value) &&
      Object.entries(value).every(([name, price]) => methods.problem(name) === undefined && isWhole(0, 10_000)(price)),
    takes: 'whole numbers up to 10000 by method or prefix, such as { eth_getLogs: 10, "trace_*": 20 }',
    default: {},
  },
  limitWaitMs: { accepts: isWhole(0, 5000), takes: 'whole milliseconds up to 5000, such as 1000', default: 1000 },
  maxBodyBytes: {
    accepts: isWhole(1, 256 * 1024 * 1024),
    takes: 'whole bytes up to 268435456, such as 2097152',
    default: 2 * 1024 * 1024,
  },
  maxBatchSize: { accepts: isWhole(1, 100_000), takes: 'a whole number up to 100000, such as 1000', default: 1000 },
  bodyTimeoutMs: { accepts: isWhole(1, MAX_TIMER_MS), takes: 'whole milliseconds, such as 10000', default: 10_000 },
};

/** @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem. */
export function parseRequestOptions(whose: string, options: RequestOptions): ParsedRequestOptions {
  return prepareRequestOptions(checkOptions(whose, REQUEST_RULES, options) as Required<RequestOptions>);
}

/** Takes apart what the rules have let pass. */
export function prepareRequestOptions(checked: Required<RequestOptions>): ParsedRequestOptions {
  const { limitWaitMs, maxBodyBytes, maxBatchSize, bodyTimeoutMs, blockedMethods } = checked;
  return {
    path: parseKeyPath(checked.path)!,
    blockedMethods,
    isBlocked: compileBlockedMethods(blockedMethods),
    addressTable: addressTable(checked.addressParams),
    prices: compileCredits(checked.credits),
    limitWaitMs,
    maxBodyBytes,
    maxBatchSize,
    bodyTimeoutMs,
  };
}

function isMethodEntry(entry: unknown): boolean {
  return typeof entry === 'string' && methods.problem(entry) === undefined;
}

function quoteMethods(value: unknown): string {
  if (!Array.isArray(value)) return quoteValue(value);
  const wrong: unknown = value.find((entry) => !isMethodEntry(entry));
  return `an array with ${quoteValue(wrong)}`;
}
