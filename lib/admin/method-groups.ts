/** The methods that most applications use, as the dashboard offers them for a list of methods. */
export const METHOD_GROUPS: readonly { readonly group: string; readonly methods: readonly string[] }[] = [
  { group: 'Contracts', methods: ['eth_call', 'eth_estimateGas', 'eth_createAccessList', 'eth_getLogs'] },
  {
    group: 'Accounts',
    methods: [
      'eth_getBalance',
      'eth_getCode',
      'eth_getStorageAt',
      'eth_getTransactionCount',
      'eth_getProof',
      'eth_accounts',
    ],
  },
  {
    group: 'Transactions',
    methods: [
      'eth_sendRawTransaction',
      'eth_getTransactionByHash',
      'eth_getTransactionReceipt',
      'eth_getTransactionByBlockHashAndIndex',
      'eth_getTransactionByBlockNumberAndIndex',
    ],
  },
  {
    group: 'Blocks',
    methods: [
      'eth_blockNumber',
      'eth_getBlockByHash',
      'eth_getBlockByNumber',
      'eth_getBlockReceipts',
      'eth_getBlockTransactionCountByHash',
      'eth_getBlockTransactionCountByNumber',
      'eth_getUncleByBlockHashAndIndex',
      'eth_getUncleByBlockNumberAndIndex',
      'eth_getUncleCountByBlockHash',
      'eth_getUncleCountByBlockNumber',
    ],
  },
  { group: 'Fees', methods: ['eth_gasPrice', 'eth_maxPriorityFeePerGas', 'eth_feeHistory', 'eth_blobBaseFee'] },
  {
    group: 'Filters',
    methods: [
      'eth_newFilter',
      'eth_newBlockFilter',
      'eth_newPendingTransactionFilter',
      'eth_getFilterChanges',
      'eth_getFilterLogs',
      'eth_uninstallFilter',
    ],
  },
  { group: 'Subscriptions', methods: ['eth_subscribe', 'eth_unsubscribe'] },
  {
    group: 'Network',
    methods: [
      'eth_chainId',
      'eth_syncing',
      'net_version',
      'net_listening',
      'net_peerCount',
      'web3_clientVersion',
      'web3_sha3',
    ],
  },
  {
    group: 'Simulation and tracing',
    methods: [
      'eth_simulateV1',
      'debug_traceCall',
      'debug_traceTransaction',
      'trace_call',
      'trace_filter',
      'trace_transaction',
    ],
  },
  {
    group: 'Account abstraction',
    methods: [
      'eth_sendUserOperation',
      'eth_estimateUserOperationGas',
      'eth_getUserOperationByHash',
      'eth_getUserOperationReceipt',
      'eth_supportedEntryPoints',
    ],
  },
];
