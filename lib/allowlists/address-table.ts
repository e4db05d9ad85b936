import type { RpcCall } from '../json-rpc/call';
import { ExactNumber, hasFoldedTwin, isJsonArray, isJsonObject } from '../json-rpc/strict-json';
import type { JsonObject, JsonValue } from '../json-rpc/strict-json';

/**
 * The addresses that a call with these params queries. `[]` means none; `undefined` means that the call does not say,
 * or says it in a way that some node could read differently, and is refused.
 */
export type AddressReader = (params: readonly JsonValue[]) => readonly JsonValue[] | undefined;
export type AddressTable = ReadonlyMap<string, AddressReader>;

/** One position of `params`, read by its kind. */
type Kind = (value: JsonValue | undefined) => readonly JsonValue[] | undefined;

/** Method → what stands in each position of its `params`. A method that is not here is refused while a list is in force. */
const ADDRESS_TABLE: AddressTable = new Map<string, AddressReader>([
  // A transaction that is executed or signed: its `to`.
  ['eth_call', takes(callTo, block, stateOverride, blockOverride)],
  ['eth_estimateGas', takes(callTo, block, stateOverride, blockOverride)],
  ['eth_createAccessList', takes(callTo, block, stateOverride, blockOverride)],
  ['debug_traceCall', tracedCall],
  ['trace_call', traceCall],
  ['linea_estimateGas', takes(callTo, block, stateOverride)],
  ['eth_sendTransaction', takes(callTo)],
  ['eth_signTransaction', takes(callTo)],
  ['eth_fillTransaction', takes(callBoth)],
  ['eth_resend', takes(callTo, scalar, scalar)],

  // An account.
  ['eth_getBalance', takes(account, block)],
  ['eth_getCode', takes(account, block)],
  ['eth_getStorageAt', takes(account, scalar, block)],
  ['eth_getTransactionCount', takes(account, block)],
  ['eth_getProof', takes(account, list, block)],
  ['eth_getAccount', takes(account, block)],
  ['eth_getAccountInfo', takes(account, block)],
  ['eth_getTransactionBySenderAndNonce', takes(account, scalar)],
  ['eth_sign', takes(account, scalar)],
  ['debug_storageRangeAt', takes(scalar, scalar, account, scalar, scalar)],
  ['txpool_contentFrom', takes(account)],
  ['ots_hasCode', takes(account, block)],
  ['ots_getContractCreator', takes(account)],
  ['ots_getTransactionBySenderAndNonce', takes(account, scalar)],
  ['ots_searchTransactionsBefore', takes(account, scalar, scalar)],
  ['ots_searchTransactionsAfter', takes(account, scalar, scalar)],

  // A log filter: its `address`, one or an array.
  ['eth_getLogs', takes(logFilter)],
  ['eth_newFilter', takes(logFilter)],
  ['erigon_getLogs', takes(logFilter)],
  ['eth_subscribe', subscription],

  // Several at once: every one of them.
  ['eth_simulateV1', takes(simulation, block)],
  ['eth_callMany', takes(bundles, fields, stateOverride, scalar)],
  ['debug_traceCallMany', takes(bundles, fields, statelessTraceConfig)],
  ['trace_callMany', takes(tracedCalls, block)],
  ['eth_getStorageValues', takes(accountsBySlots, block)],
  ['trace_filter', takes(traceFilter)],

  // None.
  ['eth_accounts', takes()],
  ['eth_baseFee', takes()],
  ['eth_blobBaseFee', takes()],
  ['eth_blockNumber', takes()],
  ['eth_capabilities', takes()],
  ['eth_chainId', takes()],
  ['eth_coinbase', takes()],
  ['eth_config', takes()],
  ['eth_gasPrice', takes()],
  ['eth_hashrate', takes()],
  ['eth_maxPriorityFeePerGas', takes()],
  ['eth_mining', takes()],
  ['eth_newBlockFilter', takes()],
  ['eth_newPendingTransactionFilter', takes(scalar)],
  ['eth_pendingTransactions', takes()],
  ['eth_protocolVersion', takes()],
  ['eth_syncing', takes()],
  ['eth_feeHistory', takes(scalar, block, list)],
  ['eth_getBlockByHash', takes(scalar, scalar)],
  ['eth_getBlockByNumber', takes(block, scalar)],
  ['eth_getBlockReceipts', takes(block)],
  ['eth_getBlockTransactionCountByHash', takes(scalar)],
  ['eth_getBlockTransactionCountByNumber', takes(block)],
  ['eth_getFilterChanges', takes(scalar)],
  ['eth_getFilterLogs', takes(scalar)],
  ['eth_getHeaderByHash', takes(scalar)],
  ['eth_getHeaderByNumber', takes(block)],
  ['eth_getRawTransactionByBlockHashAndIndex', takes(scalar, scalar)],
  ['eth_getRawTransactionByBlockNumberAndIndex', takes(block, scalar)],
  ['eth_getRawTransactionByHash', takes(scalar)],
  ['eth_getTransactionByBlockHashAndIndex', takes(scalar, scalar)],
  ['eth_getTransactionByBlockNumberAndIndex', takes(block, scalar)],
  ['eth_getTransactionByHash', takes(scalar)],
  ['eth_getTransactionReceipt', takes(scalar)],
  ['eth_getUncleByBlockHashAndIndex', takes(scalar, scalar)],
  ['eth_getUncleByBlockNumberAndIndex', takes(block, scalar)],
  ['eth_getUncleCountByBlockHash', takes(scalar)],
  ['eth_getUncleCountByBlockNumber', takes(block)],
  ['eth_sendRawTransaction', takes(scalar)],
  ['eth_sendRawTransactionSync', takes(scalar, scalar)],
  ['eth_uninstallFilter', takes(scalar)],
  ['eth_unsubscribe', takes(scalar)],
  ['debug_getRawBlock', takes(block)],
  ['debug_getRawHeader', takes(block)],
  ['debug_getRawReceipts', takes(block)],
  ['debug_getRawTransaction', takes(scalar)],
  ['debug_traceBlockByHash', takes(scalar, traceConfig)],
  ['debug_traceBlockByNumber', takes(block, traceConfig)],
  ['debug_traceTransaction', takes(scalar, traceConfig)],
  ['ots_getApiLevel', takes()],
  ['ots_getBlockDetails', takes(block)],
  ['ots_getBlockDetailsByHash', takes(scalar)],
  ['ots_getBlockTransactions', takes(block, scalar, scalar)],
  ['ots_getInternalOperations', takes(scalar)],
  ['ots_getTransactionError', takes(scalar)],
  ['ots_traceTransaction', takes(scalar)],
  ['rpc_modules', takes()],
  ['trace_block', takes(block)],
  ['trace_get', takes(scalar, list)],
  ['trace_replayBlockTransactions', takes(block, list)],
  ['trace_replayTransaction', takes(scalar, list)],
  ['trace_transaction', takes(scalar)],
  ['txpool_status', takes()],
]);

/** Namespaces whose methods take no address. Not their `_subscribe`: geth runs every such name as a subscription. */
const ADDRESSLESS_NAMESPACE = /^(?:net|web3)_(?!.*subscribe$)/;

const WORD = /^[A-Za-z0-9_-]*$/;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const QUANTITY = /^0x[0-9a-fA-F]{1,64}$/;
/** What may be overridden of an account: it reads nothing. */
const HARMLESS = ['balance', 'nonce'];
/** The tracers built into nodes. Any other name is JavaScript that can read every contract's storage. */
const TRACERS = ['callTracer', 'flatCallTracer', 'prestateTracer', '4byteTracer', 'noopTracer', 'erc7562Tracer'];
const SUBSCRIPTIONS = ['newHeads', 'newPendingTransactions', 'syncing'];

/** The addresses that a call queries, or `undefined` where it must be refused. */
export function queriedAddresses(call: RpcCall, table: AddressTable): readonly JsonValue[] | undefined {
  const params = call.params ?? [];
  const read = table.get(call.method);
  if (read !== undefined) return read(params);
  return ADDRESSLESS_NAMESPACE.test(call.method) && params.every(isScalar) ? [] : undefined;
}

/** What an operator says of a method of their own node: the addresses it queries, or `'none'` when it takes none. */
export type AddressParams = 'none' | ((params: readonly JsonValue[]) => string | readonly string[] | undefined);

/**
 * The table with an operator's methods added. What their function returns must be one address or more: nothing, `[]`
 * (an empty list that the caller may have sent), and an exception refuse the call. It cannot change the params.
 */
export function addressTable(added: Readonly<Record<string, AddressParams>>): AddressTable {
  const rows = Object.entries(added).map(([method, read]): [string, AddressReader] => [
    method,
    (params) => (read === 'none' ? [] : attempt(() => read(deepFreeze(params)))),
  ]);
  return new Map([...ADDRESS_TABLE, ...rows]);
}

function attempt(read: () => string | readonly string[] | undefined): readonly JsonValue[] | undefined {
  try {
    const addresses: unknown = read();
    // An answer that is still to come is none.
    if (addresses instanceof Promise) addresses.catch(() => undefined);
    return oneOrMore(Array.isArray(addresses) ? Array.from(addresses as string[]) : (addresses as string | undefined));
  } catch {
    return undefined;
  }
}

function deepFreeze<T extends JsonValue>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

function takes(...kinds: readonly Kind[]): AddressReader {
  return (params) => {
    if (params.length > kinds.length) return undefined;
    const addresses: JsonValue[] = [];
    for (let i = 0; i < kinds.length; i++) {
      const found = kinds[i]!(params[i]);
      if (found === undefined) return undefined;
      for (const address of found) addresses.push(address); // a caller's list may be too long to be spread
    }
    return addresses;
  };
}

function account(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return typeof value === 'string' ? [value] : undefined;
}

function callTo(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (!isJsonObject(value) || hasFoldedTwin(value, ['to', 'authorizationList'])) return undefined;
  // An authorization makes an account run the code of any other.
  return value['authorizationList'] === undefined ? account(value['to']) : undefined;
}

/** `from` too, where the answer tells what stands in its account. */
function callBoth(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  const to = callTo(value);
  if (to === undefined || !isJsonObject(value) || hasFoldedTwin(value, ['from'])) return undefined;
  const from = account(value['from']);
  return from && [...to, ...from];
}

/** The `stateDiff` of a call holds the accounts of its sender and of the block's beneficiary. */
function traceCall(params: readonly JsonValue[]): readonly JsonValue[] | undefined {
  const [, types] = params;
  if (!isJsonArray(types) || !types.includes('stateDiff')) {
    return takes(callTo, list, block, stateOverride, blockOverride)(params);
  }
  return takes(callBoth, list, block, stateOverride, noBlockOverride)(params);
}

/** What `prestateTracer` returns holds the accounts of the sender and of the block's beneficiary. */
function tracedCall(params: readonly JsonValue[]): readonly JsonValue[] | undefined {
  const [, , config] = params;
  const isStateful = isJsonObject(config) && config['tracer'] === 'prestateTracer';
  if (!isStateful) return takes(callTo, block, traceConfig)(params);
  if (hasFoldedTwin(config, ['blockOverrides']) || config['blockOverrides'] !== undefined) return undefined;
  return takes(callBoth, block, traceConfig)(params);
}

function statelessTraceConfig(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return isJsonObject(value) && value['tracer'] === 'prestateTracer' ? undefined : traceConfig(value);
}

function noBlockOverride(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return value === undefined || value === null ? [] : undefined;
}

function logFilter(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (!isJsonObject(value) || hasFoldedTwin(value, ['address'])) return undefined;
  return oneOrMore(value['address']);
}

function subscription(params: readonly JsonValue[]): readonly JsonValue[] | undefined {
  if (params[0] === 'logs') return takes(scalar, logFilter)(params);
  return SUBSCRIPTIONS.includes(params[0] as string) ? takes(scalar, scalar)(params) : undefined;
}

function simulation(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return eachOf(value, 'blockStateCalls', (blockCalls) => {
    if (!isJsonObject(blockCalls) || hasFoldedTwin(blockCalls, ['stateOverrides', 'blockOverrides'])) return undefined;
    if (stateOverride(blockCalls['stateOverrides']) === undefined) return undefined;
    return eachOf(blockCalls, 'calls', callTo);
  });
}

function bundles(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return each(value, (bundle) => eachOf(bundle, 'transactions', callTo));
}

function tracedCalls(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return each(value, (pair) => (isJsonArray(pair) ? traceCall(pair.length > 2 ? [] : pair) : undefined));
}

function accountsBySlots(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (!isJsonObject(value) || !Object.values(value).every((slots) => list(slots))) return undefined;
  return oneOrMore(Object.keys(value));
}

function traceFilter(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (!isJsonObject(value) || hasFoldedTwin(value, ['fromAddress', 'toAddress'])) return undefined;
  const { fromAddress, toAddress } = value;
  const named = [fromAddress, toAddress].filter((side) => side !== undefined);
  return each(named, oneOrMore);
}

/** Of `balance` and `nonce` alone: replaced code or storage makes a listed contract read any other. */
function stateOverride(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (value === undefined || value === null) return [];
  if (!isJsonObject(value)) return undefined;
  return Object.entries(value).every(([address, account]) => ADDRESS.test(address) && readsNothing(account))
    ? []
    : undefined;
}

function readsNothing(override: JsonValue): boolean {
  if (!isJsonObject(override)) return false;
  const members = Object.entries(override);
  return members.length > 0 && members.every(([name, value]) => HARMLESS.includes(name) && isQuantity(value));
}

function isQuantity(value: JsonValue): boolean {
  return typeof value === 'string' && QUANTITY.test(value);
}

function traceConfig(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (value === undefined || value === null) return [];
  if (!isJsonObject(value) || hasFoldedTwin(value, ['stateOverrides', 'tracer'])) return undefined;
  const { tracer, stateOverrides } = value;
  if (tracer !== undefined && !TRACERS.includes(tracer as string)) return undefined;
  return stateOverride(stateOverrides);
}

function blockOverride(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return value === undefined || value === null || isJsonObject(value) ? [] : undefined;
}

function block(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return isScalar(value) || isFlat(value) ? [] : undefined;
}

function fields(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return value === undefined || value === null || isFlat(value) ? [] : undefined;
}

function list(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return value === undefined || value === null || (isJsonArray(value) && value.every(isScalar)) ? [] : undefined;
}

function scalar(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return isScalar(value) ? [] : undefined;
}

/** A string that could itself be JSON is no scalar: some node might parse it. */
function isScalar(value: JsonValue | undefined): boolean {
  if (typeof value === 'string') return WORD.test(value);
  return value === null || typeof value !== 'object' || value instanceof ExactNumber;
}

function isFlat(value: JsonValue | undefined): value is JsonObject {
  return isJsonObject(value) && Object.values(value).every(isScalar);
}

function oneOrMore(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (!isJsonArray(value)) return account(value);
  return value.length > 0 ? value : undefined;
}

/** What `read` finds in each item of a non-empty array. */
function each(value: JsonValue | undefined, read: Kind): readonly JsonValue[] | undefined {
  if (!isJsonArray(value) || value.length === 0) return undefined;
  const found = value.map(read);
  return found.includes(undefined) ? undefined : found.flatMap((addresses) => addresses ?? []);
}

/** `each`, over the array that an object holds under `name`. */
function eachOf(value: JsonValue | undefined, name: string, read: Kind): readonly JsonValue[] | undefined {
  if (!isJsonObject(value) || hasFoldedTwin(value, [name])) return undefined;
  return each(value[name], read);
}

/** Whatever sends, signs, or makes, reads or ends a filter: a second time is not the same as the first. */
const CHANGES_SOMETHING = /send|sign|submit|fill|filter|subscri/i;

/** Whether a call of this method may be sent twice. Of a method that is not in the table nobody knows. */
export function isReadOnly(method: string): boolean {
  return ADDRESS_TABLE.has(method) && !CHANGES_SOMETHING.test(method);
}
