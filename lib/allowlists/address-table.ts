import type { RpcCall } from '../json-rpc/call';
import type { JsonValue } from '../json-rpc/strict-json';
import {
  account,
  accountsBySlots,
  block,
  blockOverride,
  bundles,
  callAndSender,
  callTo,
  debugConfig,
  debuggedCall,
  fields,
  list,
  logFilter,
  scalar,
  simulation,
  stateOverride,
  statelessConfig,
  subscription,
  subscriptionOptions,
  traceConfig,
  traceFilter,
  tracedBlockOverride,
  tracedCall,
  tracedCalls,
  isScalar,
  takes,
  toldBy,
} from './address-readers';
import type { AddressReader, Kind, ToldAddresses } from './address-readers';

/** A method, whether a call of it may be sent a second time, and what stands in each position of its `params`. */
export type MethodRow = readonly [method: string, repeat: Repeat, ...kinds: Kind[]];
type Repeat = typeof READS | typeof ONCE;

/** It only reads: sent a second time, nothing happens twice. */
export const READS = 'reads';
/** It sends or signs, or makes, reads or ends a filter or a subscription. */
export const ONCE = 'once';

/** Every method that the guard knows. Another is refused while a list is in force, and never sent a second time. */
export const METHOD_ROWS: readonly MethodRow[] = [
  // A transaction that is executed or signed: its `to`.
  ['eth_call', READS, callTo, block, stateOverride, blockOverride],
  ['eth_estimateGas', READS, callTo, block, stateOverride, blockOverride],
  ['eth_createAccessList', READS, callTo, block, stateOverride, blockOverride],
  ['debug_traceCall', READS, debuggedCall, block, debugConfig],
  ['trace_call', READS, tracedCall, list, block, stateOverride, tracedBlockOverride],
  ['linea_estimateGas', READS, callTo, block, stateOverride],
  ['eth_sendTransaction', ONCE, callTo],
  ['eth_signTransaction', ONCE, callAndSender],
  ['eth_fillTransaction', READS, callAndSender],
  ['eth_resend', ONCE, callTo, scalar, scalar],

  // An account.
  ['eth_getBalance', READS, account, block],
  ['eth_getCode', READS, account, block],
  ['eth_getStorageAt', READS, account, scalar, block],
  ['eth_getTransactionCount', READS, account, block],
  ['eth_getProof', READS, account, list, block],
  ['eth_getAccount', READS, account, block],
  ['eth_getAccountInfo', READS, account, block],
  ['eth_getTransactionBySenderAndNonce', READS, account, scalar],
  ['eth_sign', ONCE, account, scalar],
  ['debug_storageRangeAt', READS, block, scalar, account, scalar, scalar],
  ['txpool_contentFrom', READS, account],
  ['ots_hasCode', READS, account, block],
  ['ots_getContractCreator', READS, account],
  ['ots_getTransactionBySenderAndNonce', READS, account, scalar],
  ['ots_searchTransactionsBefore', READS, account, scalar, scalar],
  ['ots_searchTransactionsAfter', READS, account, scalar, scalar],

  // A log filter: its `address`, one or an array.
  ['eth_getLogs', READS, logFilter],
  ['eth_newFilter', ONCE, logFilter],
  ['erigon_getLogs', READS, logFilter],
  ['eth_subscribe', ONCE, subscription, subscriptionOptions],

  // Several at once: every one of them.
  ['eth_simulateV1', READS, simulation, block],
  ['eth_callMany', READS, bundles, fields, stateOverride, scalar],
  ['debug_traceCallMany', READS, bundles, fields, statelessConfig],
  ['trace_callMany', READS, tracedCalls, block],
  ['eth_getStorageValues', READS, accountsBySlots, block],
  ['trace_filter', READS, traceFilter],

  // None.
  ['eth_accounts', READS],
  ['eth_baseFee', READS],
  ['eth_blobBaseFee', READS],
  ['eth_blockNumber', READS],
  ['eth_capabilities', READS],
  ['eth_chainId', READS],
  ['eth_coinbase', READS],
  ['eth_config', READS],
  ['eth_gasPrice', READS],
  ['eth_hashrate', READS],
  ['eth_maxPriorityFeePerGas', READS],
  ['eth_mining', READS],
  ['eth_newBlockFilter', ONCE],
  ['eth_newPendingTransactionFilter', ONCE, scalar],
  ['eth_pendingTransactions', READS],
  ['eth_protocolVersion', READS],
  ['eth_syncing', READS],
  ['eth_feeHistory', READS, scalar, block, list],
  ['eth_getBlockByHash', READS, scalar, scalar],
  ['eth_getBlockByNumber', READS, block, scalar],
  ['eth_getBlockReceipts', READS, block],
  ['eth_getBlockTransactionCountByHash', READS, scalar],
  ['eth_getBlockTransactionCountByNumber', READS, block],
  ['eth_getFilterChanges', ONCE, scalar],
  ['eth_getFilterLogs', ONCE, scalar],
  ['eth_getHeaderByHash', READS, scalar],
  ['eth_getHeaderByNumber', READS, block],
  ['eth_getRawTransactionByBlockHashAndIndex', READS, scalar, scalar],
  ['eth_getRawTransactionByBlockNumberAndIndex', READS, block, scalar],
  ['eth_getRawTransactionByHash', READS, scalar],
  ['eth_getTransactionByBlockHashAndIndex', READS, scalar, scalar],
  ['eth_getTransactionByBlockNumberAndIndex', READS, block, scalar],
  ['eth_getTransactionByHash', READS, scalar],
  ['eth_getTransactionReceipt', READS, scalar],
  ['eth_getUncleByBlockHashAndIndex', READS, scalar, scalar],
  ['eth_getUncleByBlockNumberAndIndex', READS, block, scalar],
  ['eth_getUncleCountByBlockHash', READS, scalar],
  ['eth_getUncleCountByBlockNumber', READS, block],
  ['eth_sendRawTransaction', ONCE, scalar],
  ['eth_sendRawTransactionSync', ONCE, scalar, scalar],
  ['eth_uninstallFilter', ONCE, scalar],
  ['eth_unsubscribe', ONCE, scalar],
  ['debug_getRawBlock', READS, block],
  ['debug_getRawHeader', READS, block],
  ['debug_getRawReceipts', READS, block],
  ['debug_getRawTransaction', READS, scalar],
  ['debug_traceBlockByHash', READS, scalar, traceConfig],
  ['debug_traceBlockByNumber', READS, block, traceConfig],
  ['debug_traceTransaction', READS, scalar, traceConfig],
  ['ots_getApiLevel', READS],
  ['ots_getBlockDetails', READS, block],
  ['ots_getBlockDetailsByHash', READS, scalar],
  ['ots_getBlockTransactions', READS, block, scalar, scalar],
  ['ots_getInternalOperations', READS, scalar],
  ['ots_getTransactionError', READS, scalar],
  ['ots_traceTransaction', READS, scalar],
  ['rpc_modules', READS],
  ['trace_block', READS, block],
  ['trace_get', READS, scalar, list],
  ['trace_replayBlockTransactions', READS, block, list],
  ['trace_replayTransaction', READS, scalar, list],
  ['trace_transaction', READS, scalar],
  ['txpool_status', READS],
];

export type AddressTable = ReadonlyMap<string, AddressReader>;

const ADDRESS_TABLE: AddressTable = new Map(METHOD_ROWS.map(([method, , ...kinds]) => [method, takes(kinds)]));
const READ_ONLY = new Set(METHOD_ROWS.filter(([, repeat]) => repeat === READS).map(([method]) => method));

/** Namespaces whose methods take no address. Not their `_subscribe`: geth runs every such name as a subscription. */
const ADDRESSLESS_NAMESPACE = /^(?:net|web3)_(?!.*subscribe$)/;

/** What an operator says of a method of their own node: the addresses it queries, or `'none'` when it takes none. */
export type AddressParams = 'none' | ((params: readonly JsonValue[]) => ToldAddresses);

/** The table with an operator's methods added; theirs replace the guard's. */
export function addressTable(added: Readonly<Record<string, AddressParams>>): AddressTable {
  const rows = Object.entries(added).map(([method, told]): [string, AddressReader] => [
    method,
    told === 'none' ? () => [] : toldBy(told),
  ]);
  return new Map([...ADDRESS_TABLE, ...rows]);
}

/** Whether a table says what stands in the method's params. */
export function isKnownMethod(method: string, table: AddressTable): boolean {
  return table.has(method) || ADDRESSLESS_NAMESPACE.test(method);
}

/** The addresses that a call queries, or `undefined` where it must be refused. */
export function queriedAddresses(call: RpcCall, table: AddressTable): readonly JsonValue[] | undefined {
  const params = call.params ?? [];
  const read = table.get(call.method);
  if (read !== undefined) return read(params);
  return ADDRESSLESS_NAMESPACE.test(call.method) && params.every(isScalar) ? [] : undefined;
}

/** Whether a call of this method may be sent twice. Of a method that is not in the table nobody knows. */
export function isReadOnly(method: string): boolean {
  return READ_ONLY.has(method);
}
