import type { MethodNames, RpcCall } from '../json-rpc/call';
import type { JsonValue } from '../json-rpc/strict-json';
import {
  account,
  accountsBySlots,
  assetTransfers,
  block,
  blockOverride,
  bundles,
  callAndSender,
  calls,
  callTo,
  conditions,
  debugConfig,
  debuggedCall,
  fields,
  isScalar,
  list,
  logFilter,
  optionalAccount,
  scalar,
  simulation,
  stateOverride,
  statelessConfig,
  subscription,
  subscriptionOptions,
  takes,
  tokenAllowance,
  tokens,
  toldBy,
  traceConfig,
  tracedBlockOverride,
  tracedCall,
  tracedCalls,
  traceFilter,
  userOperation,
} from './address-readers';
import type { AddressReader, Kind, ToldAddresses } from './address-readers';

/** A method, whether a call of it may be sent a second time, and what stands in each position of its `params`. */
export type MethodRow = readonly [method: string, repeat: Repeat, ...kinds: Kind[]];
type Repeat = typeof READS | typeof ONCE;

/** It only reads: sent a second time, nothing happens twice. */
export const READS = 'reads';
/** It sends or signs, or makes, reads or ends a filter or a subscription. */
export const ONCE = 'once';

/** Every method that the guard knows. Any other is refused while a list is in force, and never sent twice. */
export const METHOD_ROWS: readonly MethodRow[] = [
  // A transaction that is executed or signed: its `to`.
  ['eth_call', READS, callTo, block, stateOverride, blockOverride],
  ['eth_estimateGas', READS, callTo, block, stateOverride, blockOverride],
  ['eth_createAccessList', READS, callTo, block, stateOverride, blockOverride],
  ['debug_traceCall', READS, debuggedCall, block, debugConfig],
  ['trace_call', READS, tracedCall, list, block, stateOverride, tracedBlockOverride],
  ['linea_estimateGas', READS, callTo, block, stateOverride],
  ['zks_estimateFee', READS, callTo, stateOverride],
  ['zks_estimateGasL1ToL2', READS, callTo, stateOverride],
  ['arbtrace_call', READS, tracedCall, list, block],
  ['alchemy_simulateAssetChanges', READS, callTo, block],
  ['eth_sendTransaction', ONCE, callTo],
  ['eth_sendTransactionSync', ONCE, callTo, scalar],
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
  ['debug_accountAt', READS, block, scalar, account],
  ['linea_getProof', READS, account, list, block],
  ['zks_getProof', READS, account, list, scalar],
  ['zks_getAllAccountBalances', READS, account],
  ['zks_getL2ToL1MsgProof', READS, scalar, account, scalar, scalar],
  ['parity_pendingTransactions', READS, optionalAccount],
  ['alchemy_getTokenMetadata', READS, account],
  ['alchemy_getTokenBalances', READS, account, tokens, fields],
  ['alchemy_getTokenAllowance', READS, tokenAllowance],
  ['alchemy_getAssetTransfers', READS, assetTransfers],
  ['ots_hasCode', READS, account, block],
  ['ots_getContractCreator', READS, account],
  ['ots_getTransactionBySenderAndNonce', READS, account, scalar],
  ['ots_searchTransactionsBefore', READS, account, scalar, scalar],
  ['ots_searchTransactionsAfter', READS, account, scalar, scalar],

  // A log filter: its `address`, one or an array.
  ['eth_getLogs', READS, logFilter],
  ['eth_newFilter', ONCE, logFilter],
  ['erigon_getLogs', READS, logFilter],
  ['erigon_getLatestLogs', READS, logFilter, fields],
  ['logIndex_blockNumbers', READS, logFilter],
  ['eth_subscribe', ONCE, subscription, subscriptionOptions],

  // Several at once: every one of them.
  ['eth_simulateV1', READS, simulation, block],
  ['eth_callMany', READS, bundles, fields, stateOverride, scalar],
  ['debug_traceCallMany', READS, bundles, fields, statelessConfig],
  ['trace_callMany', READS, tracedCalls, block],
  ['eth_getStorageValues', READS, accountsBySlots, block],
  ['trace_filter', READS, traceFilter],
  ['arbtrace_callMany', READS, tracedCalls, block],
  ['arbtrace_filter', READS, traceFilter],
  ['alchemy_simulateAssetChangesBundle', READS, calls, block],
  ['eth_sendRawTransactionConditional', ONCE, scalar, conditions],
  ['bor_sendRawTransactionConditional', ONCE, scalar, conditions],

  // Account abstraction (ERC-4337, ERC-7677): sender, factory, paymaster and EntryPoint.
  ['eth_sendUserOperation', ONCE, userOperation, account],
  ['eth_estimateUserOperationGas', READS, userOperation, account, stateOverride],
  ['pm_getPaymasterStubData', ONCE, userOperation, account, scalar, fields],
  ['pm_getPaymasterData', ONCE, userOperation, account, scalar, fields],

  // None.
  ['eth_accounts', READS],
  ['eth_baseFee', READS],
  ['eth_blobBaseFee', READS],
  ['eth_blockNumber', READS],
  ['eth_capabilities', READS],
  ['eth_chainId', READS],
  ['eth_coinbase', READS],
  ['eth_config', READS],
  ['eth_feeHistory', READS, scalar, block, list],
  ['eth_gasPrice', READS],
  ['eth_getBlockAccessList', READS, block],
  ['eth_getBlockAccessListByBlockHash', READS, scalar],
  ['eth_getBlockAccessListByBlockNumber', READS, block],
  ['eth_getBlockAccessListRaw', READS, block],
  ['eth_getBlockByHash', READS, scalar, scalar],
  ['eth_getBlockByNumber', READS, block, scalar],
  ['eth_getBlockReceipts', READS, block],
  ['eth_getBlockTransactionCountByHash', READS, scalar],
  ['eth_getBlockTransactionCountByNumber', READS, block],
  ['eth_getBorBlockReceipt', READS, scalar],
  ['eth_getFilterChanges', ONCE, scalar],
  ['eth_getFilterLogs', ONCE, scalar],
  ['eth_getHeaderByHash', READS, scalar],
  ['eth_getHeaderByNumber', READS, block],
  ['eth_getRawTransactionByBlockHashAndIndex', READS, scalar, scalar],
  ['eth_getRawTransactionByBlockNumberAndIndex', READS, block, scalar],
  ['eth_getRawTransactionByHash', READS, scalar],
  ['eth_getRootHash', READS, scalar, scalar],
  ['eth_getTransactionByBlockHashAndIndex', READS, scalar, scalar],
  ['eth_getTransactionByBlockNumberAndIndex', READS, block, scalar],
  ['eth_getTransactionByHash', READS, scalar],
  ['eth_getTransactionReceipt', READS, scalar],
  ['eth_getTransactionReceiptsByBlock', READS, block],
  ['eth_getUncleByBlockHashAndIndex', READS, scalar, scalar],
  ['eth_getUncleByBlockNumberAndIndex', READS, block, scalar],
  ['eth_getUncleCountByBlockHash', READS, scalar],
  ['eth_getUncleCountByBlockNumber', READS, block],
  ['eth_getUserOperationByHash', READS, scalar],
  ['eth_getUserOperationReceipt', READS, scalar],
  ['eth_getWork', READS],
  ['eth_hashrate', READS],
  ['eth_maxPriorityFeePerGas', READS],
  ['eth_mining', READS],
  ['eth_newBlockFilter', ONCE],
  ['eth_newPendingTransactionFilter', ONCE, scalar],
  ['eth_pendingTransactions', READS],
  ['eth_protocolVersion', READS],
  ['eth_sendRawTransaction', ONCE, scalar],
  ['eth_sendRawTransactionSync', ONCE, scalar, scalar],
  ['eth_submitHashrate', ONCE, scalar, scalar],
  ['eth_submitWork', ONCE, scalar, scalar, scalar],
  ['eth_supportedEntryPoints', READS],
  ['eth_syncing', READS],
  ['eth_uninstallFilter', ONCE, scalar],
  ['eth_unsubscribe', ONCE, scalar],
  ['net_listening', READS],
  ['net_peerCount', READS],
  ['net_version', READS],
  ['web3_clientVersion', READS],
  ['web3_sha3', READS, scalar],
  ['rpc_modules', READS],
  ['debug_chainConfig', READS],
  ['debug_codeByHash', READS, scalar, block],
  ['debug_executionWitness', READS, block],
  ['debug_executionWitnessByBlockHash', READS, scalar],
  ['debug_getAccessibleState', READS, block, block],
  ['debug_getBadBlocks', READS],
  ['debug_getBlockAccessList', READS, block],
  ['debug_getBlockRlp', READS, scalar],
  ['debug_getBlockRlpByHash', READS, scalar],
  ['debug_getModifiedAccountsByHash', READS, scalar, scalar],
  ['debug_getModifiedAccountsByNumber', READS, block, block],
  ['debug_getRawBlock', READS, block],
  ['debug_getRawHeader', READS, block],
  ['debug_getRawReceipts', READS, block],
  ['debug_getRawTransaction', READS, scalar],
  ['debug_getRawTransactions', READS, block],
  ['debug_intermediateRoots', READS, scalar, traceConfig],
  ['debug_printBlock', READS, scalar],
  ['debug_seedHash', READS, block],
  ['debug_traceBadBlock', READS, scalar, traceConfig],
  ['debug_traceBlockByHash', READS, scalar, traceConfig],
  ['debug_traceBlockByNumber', READS, block, traceConfig],
  ['debug_traceChain', READS, block, block, traceConfig],
  ['debug_traceTransaction', READS, scalar, traceConfig],
  ['debug_traceTransactionByBlockAndIndex', READS, block, scalar, traceConfig],
  ['debug_traceTransactionByBlockhashAndIndex', READS, scalar, scalar, traceConfig],
  ['trace_block', READS, block],
  ['trace_blockOpcodeGas', READS, block],
  ['trace_get', READS, scalar, list],
  ['trace_replayBlockTransactions', READS, block, list],
  ['trace_replayTransaction', READS, scalar, list],
  ['trace_transaction', READS, scalar],
  ['trace_transactionOpcodeGas', READS, scalar],
  ['txpool_besuPendingTransactions', READS, scalar, fields],
  ['txpool_besuStatistics', READS],
  ['txpool_besuTransactions', READS],
  ['txpool_content', READS],
  ['txpool_inspect', READS],
  ['txpool_status', READS],
  ['ots_getApiLevel', READS],
  ['ots_getBlockDetails', READS, block],
  ['ots_getBlockDetailsByHash', READS, scalar],
  ['ots_getBlockTransactions', READS, block, scalar, scalar],
  ['ots_getHeaderByNumber', READS, block],
  ['ots_getInternalOperations', READS, scalar],
  ['ots_getTransactionError', READS, scalar],
  ['ots_traceTransaction', READS, scalar],
  ['erigon_blockNumber', READS, block],
  ['erigon_forks', READS],
  ['erigon_getBalanceChangesInBlock', READS, block],
  ['erigon_getBlockByTimestamp', READS, scalar, scalar],
  ['erigon_getBlockReceiptsByBlockHash', READS, scalar],
  ['erigon_getHeaderByHash', READS, scalar],
  ['erigon_getHeaderByNumber', READS, block],
  ['erigon_getLogsByHash', READS, scalar],
  ['reth_forkSchedule', READS],
  ['reth_getBalanceChangesInBlock', READS, block],
  ['parity_getBlockReceipts', READS, block],
  ['proof_getTransactionByHash', READS, scalar, scalar],
  ['proof_getTransactionReceipt', READS, scalar, scalar],
  ['logIndex_status', READS],
  ['ibft_getPendingVotes', READS],
  ['ibft_getSignerMetrics', READS, block, block],
  ['ibft_getValidatorsByBlockHash', READS, scalar],
  ['ibft_getValidatorsByBlockNumber', READS, block],
  ['qbft_getPendingVotes', READS],
  ['qbft_getRequestTimeoutSeconds', READS],
  ['qbft_getSignerMetrics', READS, block, block],
  ['qbft_getValidatorsByBlockHash', READS, scalar],
  ['qbft_getValidatorsByBlockNumber', READS, block],
  ['pm_supportedEntryPoints', READS],
  ['alchemy_getTransactionReceipts', READS, fields],
  ['arb_checkPublisherHealth', READS],
  ['arb_getRawBlockMetadata', READS, block, block],
  ['arbdebug_pricingModel', READS, block, block],
  ['arbdebug_timeoutQueue', READS, block],
  ['arbdebug_timeoutQueueHistory', READS, block, block],
  ['arbtrace_block', READS, block],
  ['arbtrace_get', READS, scalar, list],
  ['arbtrace_replayBlockTransactions', READS, block, list],
  ['arbtrace_replayTransaction', READS, scalar, list],
  ['arbtrace_transaction', READS, scalar],
  ['bor_getAuthor', READS, block],
  ['bor_getCurrentProposer', READS],
  ['bor_getCurrentValidators', READS],
  ['bor_getRootHash', READS, scalar, scalar],
  ['bor_getSigners', READS, block],
  ['bor_getSignersAtHash', READS, scalar],
  ['bor_getSnapshot', READS, block],
  ['bor_getSnapshotAtHash', READS, scalar],
  ['bor_getSnapshotProposer', READS, block],
  ['bor_getSnapshotProposerSequence', READS, block],
  ['linea_getTransactionExclusionStatusV1', READS, scalar],
  ['optimism_outputAtBlock', READS, scalar],
  ['optimism_rollupConfig', READS],
  ['optimism_safeHeadAtL1Block', READS, scalar],
  ['optimism_syncStatus', READS],
  ['optimism_version', READS],
  ['zks_L1BatchNumber', READS],
  ['zks_L1ChainId', READS],
  ['zks_getBaseTokenL1Address', READS],
  ['zks_getBatchFeeInput', READS],
  ['zks_getBlockDetails', READS, scalar],
  ['zks_getBridgeContracts', READS],
  ['zks_getBridgehubContract', READS],
  ['zks_getBytecodeByHash', READS, scalar],
  ['zks_getConfirmedTokens', READS, scalar, scalar],
  ['zks_getFeeParams', READS],
  ['zks_getL1BatchBlockRange', READS, scalar],
  ['zks_getL1BatchDetails', READS, scalar],
  ['zks_getL1GasPrice', READS],
  ['zks_getL2DAValidator', READS],
  ['zks_getL2Multicall3', READS],
  ['zks_getL2ToL1LogProof', READS, scalar, scalar],
  ['zks_getMainContract', READS],
  ['zks_getProtocolVersion', READS, scalar],
  ['zks_getRawBlockTransactions', READS, scalar],
  ['zks_getTestnetPaymaster', READS],
  ['zks_getTimestampAsserter', READS],
  ['zks_getTransactionDetails', READS, scalar],
];

export type AddressTable = ReadonlyMap<string, AddressReader>;

const ADDRESS_TABLE: AddressTable = new Map(METHOD_ROWS.map(([method, , ...kinds]) => [method, takes(kinds)]));
/** Known methods → themselves, as texts of their own. */
export const METHOD_NAMES: MethodNames = new Map(METHOD_ROWS.map(([method]) => [method, method]));
const READ_ONLY = new Set(METHOD_ROWS.filter(([, repeat]) => repeat === READS).map(([method]) => method));

/** Namespaces whose methods take no address. Not their `_subscribe`: geth runs every such name as a subscription. */
const ADDRESSLESS_NAMESPACE = /^(?:net|web3)_(?!.*subscribe$)/;

/** An operator's row for a method of their own node: the addresses it queries, or `'none'` if it takes none. */
export type AddressParams = 'none' | ((params: readonly JsonValue[]) => ToldAddresses);

/** The table with an operator's rows added. They replace the built-in ones. */
export function addressTable(added: Readonly<Record<string, AddressParams>>): AddressTable {
  const rows = Object.entries(added).map(([method, told]): [string, AddressReader] => [
    method,
    told === 'none' ? () => [] : toldBy(told),
  ]);
  return new Map([...ADDRESS_TABLE, ...rows]);
}

/** Whether a table has a row for the method. */
export function isKnownMethod(method: string, table: AddressTable): boolean {
  return table.has(method) || ADDRESSLESS_NAMESPACE.test(method);
}

/** The addresses that a call queries, or `undefined` where it must be refused. */
export function queriedAddresses(call: RpcCall, table: AddressTable): readonly JsonValue[] | undefined {
  return (call.addresses ??= read(call, table));
}

function read(call: RpcCall, table: AddressTable): readonly JsonValue[] | undefined {
  const params = call.params ?? [];
  const reader = table.get(call.method);
  if (reader !== undefined) return reader(params);
  return ADDRESSLESS_NAMESPACE.test(call.method) && params.every(isScalar) ? [] : undefined;
}

/** Whether a call of this method may be sent twice. `false` for a method that is not in the table. */
export function isReadOnly(method: string): boolean {
  return READ_ONLY.has(method);
}
