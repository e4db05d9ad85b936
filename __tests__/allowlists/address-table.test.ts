import { isDeepStrictEqual } from 'node:util';
import { METHOD_ROWS, addressTable, isReadOnly, queriedAddresses } from '../../lib/allowlists/address-table';
import { scalar } from '../../lib/allowlists/address-readers';
import type { AddressParams } from '../../lib/allowlists/address-table';
import { parseCalls, serialiseCall } from '../../lib/json-rpc/call';
import type { RpcCall } from '../../lib/json-rpc/call';
import { admissionOf, checkCall } from '../../lib/policy/authorize';
import { compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { memoryKept } from '../support/memory-kept';
import { KEY, refusalUnder, rpcCall } from '../support/pieces';

const A = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const B = '0x00000000000000000000000000000000000000bb';
const OTHER = '0x1111111111111111111111111111111111111111';
const HASH = `0x${'ab'.repeat(32)}`;
const DATA = '0x70a08231';
const table = addressTable({});

function addressesOf(method: string, params: readonly unknown[] | string = []): readonly unknown[] | undefined {
  return queriedAddresses(rpcCall(method, params), table);
}

const listed = compileKeySettings(parseKeySettings({ apiKey: KEY, allowlists: { contractAddresses: [A, B] } }));
const admission = admissionOf(listed, undefined);

/** Whether the call passes a list of `A` and `B`. */
function passes(method: string, params: readonly unknown[] | string = [], rows = table): boolean {
  const rules = { addressTable: rows, isBlocked: () => false, blockedMethods: [] };
  return checkCall(admission, rpcCall(method, params), rules) === undefined;
}

type Params = readonly unknown[];
/** A method, where its address stands in its params, and the most positions that its params have. */
type Row = readonly [method: string, params: (address: unknown) => Params, positions: number];

const callRows: readonly Row[] = [
  ['eth_call', (to) => [{ from: OTHER, to, data: DATA }, 'latest'], 4],
  ['eth_estimateGas', (to) => [{ to, value: '0x0' }], 4],
  ['eth_createAccessList', (to) => [{ to, input: DATA }, 'pending'], 4],
  ['debug_traceCall', (to) => [{ to }, 'latest', { tracer: 'callTracer' }], 3],
  ['trace_call', (to) => [{ to }, ['trace'], 'latest'], 5],
  ['eth_sendTransaction', (to) => [{ from: OTHER, to }], 1],
];
const accountRows: readonly Row[] = [
  ['eth_getBalance', (account) => [account, 'latest'], 2],
  ['eth_getCode', (account) => [account, '0x10'], 2],
  ['eth_getStorageAt', (account) => [account, '0x0', 'latest'], 3],
  ['eth_getTransactionCount', (account) => [account, { blockHash: HASH, requireCanonical: true }], 2],
  ['eth_getProof', (account) => [account, ['0x0', HASH], 'latest'], 3],
  ['eth_getAccount', (account) => [account, 'latest'], 2],
  ['ots_hasCode', (account) => [account, 'latest'], 2],
];
const filterRows: readonly Row[] = [
  ['eth_getLogs', (address) => [{ address, fromBlock: '0x1', topics: [HASH, null, [HASH]] }], 1],
  ['eth_newFilter', (address) => [{ address }], 1],
  ['eth_subscribe', (address) => ['logs', { address, topics: [] }], 2],
];
const manyRows: readonly Row[] = [
  ['eth_simulateV1', (to) => [{ blockStateCalls: [{ calls: [{ to: A }, { to }] }] }, 'latest'], 2],
  ['eth_simulateV1', (to) => [{ blockStateCalls: [{ calls: [{ to: A }] }, { calls: [{ to }] }] }], 2],
  ['eth_callMany', (to) => [[{ transactions: [{ to: A }, { to }] }], { blockNumber: 'latest' }], 4],
  ['eth_callMany', (to) => [[{ transactions: [{ to: A }] }, { transactions: [{ to }] }]], 4],
  [
    'trace_callMany',
    (to) => [
      [
        [{ to: A }, ['trace']],
        [{ to }, ['vmTrace']],
      ],
      'latest',
    ],
    2,
  ],
  ['debug_traceCallMany', (to) => [[{ transactions: [{ to: A }, { to }] }], { blockNumber: '0x1' }], 3],
  ['trace_filter', (fromAddress) => [{ fromAddress: [A, fromAddress], toAddress: [B] }], 1],
  ['trace_filter', (toAddress) => [{ fromAddress: [A], toAddress: [toAddress] }], 1],
];
const signerRows: readonly Row[] = [
  ['eth_signTransaction', (to) => [{ from: B, to }], 1],
  ['eth_fillTransaction', (to) => [{ from: B, to }], 1],
];
const extensionRows: readonly Row[] = [
  ['linea_estimateGas', (to) => [{ to }, 'latest'], 3],
  ['linea_getProof', (account) => [account, ['0x0'], 'latest'], 3],
  ['zks_estimateFee', (to) => [{ from: OTHER, to }], 2],
  ['zks_estimateGasL1ToL2', (to) => [{ from: OTHER, to }], 2],
  ['zks_getProof', (account) => [account, [HASH], '0x7'], 3],
  ['zks_getAllAccountBalances', (account) => [account], 1],
  ['zks_getL2ToL1MsgProof', (sender) => ['0x7', sender, HASH, '0x0'], 4],
  ['arbtrace_call', (to) => [{ to }, ['trace'], 'latest'], 3],
  ['arbtrace_callMany', (to) => [[[{ to }, ['trace']]], 'latest'], 2],
  ['arbtrace_filter', (toAddress) => [{ toAddress: [toAddress] }], 1],
  ['alchemy_simulateAssetChanges', (to) => [{ from: OTHER, to }], 2],
  ['alchemy_simulateAssetChangesBundle', (to) => [[{ to: A }, { from: OTHER, to }]], 2],
  ['alchemy_getTokenMetadata', (token) => [token], 1],
  ['alchemy_getTokenBalances', (account) => [account, 'erc20', { maxCount: 10 }], 3],
  ['alchemy_getTokenBalances', (token) => [A, [B, token]], 3],
  ['alchemy_getTokenAllowance', (contract) => [{ contract, owner: A, spender: B }], 1],
  ['alchemy_getTokenAllowance', (owner) => [{ contract: A, owner, spender: B }], 1],
  ['alchemy_getTokenAllowance', (spender) => [{ contract: A, owner: B, spender }], 1],
  ['alchemy_getAssetTransfers', (fromAddress) => [{ fromAddress, category: ['erc20'] }], 1],
  ['alchemy_getAssetTransfers', (toAddress) => [{ fromBlock: '0x0', toAddress }], 1],
  ['alchemy_getAssetTransfers', (contract) => [{ contractAddresses: [A, contract] }], 1],
  ['erigon_getLatestLogs', (address) => [{ address }, { logCount: 1 }], 2],
  ['logIndex_blockNumbers', (address) => [{ address, fromBlock: '0x1' }], 1],
  ['debug_accountAt', (account) => [HASH, '0x0', account], 3],
  ['eth_sendTransactionSync', (to) => [{ from: OTHER, to }], 2],
  ['eth_sendUserOperation', (sender) => [{ sender, callData: DATA }, B], 2],
  ['eth_sendUserOperation', (entryPoint) => [{ sender: A, callData: DATA }, entryPoint], 2],
  ['eth_estimateUserOperationGas', (sender) => [{ sender, nonce: '0x0' }, B], 3],
  ['pm_getPaymasterStubData', (sender) => [{ sender }, B, '0x1', { policyId: 'x' }], 4],
  ['pm_getPaymasterData', (entryPoint) => [{ sender: A }, entryPoint, '0x1', {}], 4],
];
const rows = [...extensionRows, ...callRows, ...signerRows, ...accountRows, ...filterRows, ...manyRows];

const NO_ADDRESS = [
  null,
  '',
  '0x',
  [],
  {},
  7,
  true,
  [[]],
  [null],
  [A, null],
  { to: A },
  'vitalik.eth',
  `0X${A.slice(2)}`,
];

describe.each(rows)('%s', (method, params, positions) => {
  test('passes with a listed address', () => {
    expect(passes(method, params(A))).toBe(true);
    expect(addressesOf(method, params(B))).toContain(B);
  });

  test('is refused with an address that is not listed', () => {
    expect(passes(method, params(OTHER))).toBe(false);
  });

  // One test for all values: a test for each takes longer than all checks of this file.
  test('is refused with anything else where the address stands', () => {
    expect(NO_ADDRESS.filter((it) => passes(method, params(it)))).toEqual([]);
  });

  test('is refused without an address', () => {
    expect(passes(method, params(undefined))).toBe(false);
    expect(passes(method, [])).toBe(false);
    expect(passes(method, '[{}]')).toBe(false);
  });

  test('is refused with more positions than it has', () => {
    const filled = [...params(A), ...Array<unknown>(positions).fill(null)];
    for (const extra of ['latest', null, {}, [], A]) {
      expect(passes(method, [...filled.slice(0, positions), extra])).toBe(false);
    }
  });

  test('is refused with JSON in a string where an object, an array or a block stands', () => {
    const good = params(A);
    for (const [n, value] of good.entries()) {
      const other = [...good];
      other[n] = JSON.stringify(typeof value === 'string' ? { to: value } : value);
      if (other[n] !== value) expect(passes(method, other)).toBe(false);
    }
  });

  test('is refused when its first positions are swapped for arrays', () => {
    expect(passes(method, [params(A)])).toBe(false);
    const [first, ...rest] = params(A);
    expect(passes(method, [[[first]], ...rest])).toBe(false);
  });
});

describe.each([1000, 10_000])('a string of %i bytes', (bytes) => {
  const long = 'ab'.repeat(bytes);

  test.each([`0x${long}`, `0x${long}, ${long}`])('that is data stands for no address', (data) => {
    expect(addressesOf('eth_sendRawTransaction', [data])).toEqual([]);
  });

  test.each([`{"to":"${A}","data":"0x${long}"}`, `["${A}","${long}"]`, `0x["${A}","${long}"]`, `"${long}"`, long])(
    'that could be JSON, or does not begin as data, is refused',
    (text) => {
      expect(passes('eth_sendRawTransaction', [text])).toBe(false);
    },
  );
});

test('long bytes are read in each method as their text is', () => {
  const long = 'ab'.repeat(8200);
  const texts = [`0x${long}`, `${A}${long}`, `0x${long}{`, long];
  const shapes: readonly ((text: string) => unknown)[] = [
    (text) => text,
    (text) => [text],
    (text) => [[text]],
    (text) => ({ to: text, address: text, data: text, from: text }),
    (text) => ({ to: A, from: A, data: text, gas: text }),
    (text) => [{ to: A, data: text }],
    (text) => ({ fromAddress: text, toAddress: [A, text], contract: text, owner: A, spender: A }),
    (text) => ({ sender: A, callData: text, initCode: text, paymasterAndData: text }),
    (text) => ({ tracer: text, knownAccounts: { [text]: text } }),
    (text) => ({ [A]: { code: text }, [text]: { balance: text } }),
  ];
  const body = (params: Params) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params });
  const read = (given: Buffer | string) => {
    const parsed = parseCalls(given, 1);
    return (parsed.ok && parsed.calls[0]) as RpcCall;
  };
  for (const shaped of texts.flatMap((text) => shapes.map((shape) => shape(text)))) {
    for (const params of [[shaped], ['logs', shaped], [A, shaped]]) {
      const [ofText, ofBytes] = [read(body(params)), read(Buffer.from(body(params)))];
      for (const [method] of METHOD_ROWS) {
        const [expected, found] = [ofText, ofBytes].map((call) =>
          queriedAddresses({ ...call, method }, table)?.map(String),
        );
        if (!isDeepStrictEqual(found, expected)) throw new Error(`${method} of ${body(params).slice(0, 100)}`);
      }
    }
  }
});

describe.each(callRows)('%s', (method, params) => {
  test('queries `to` alone, whatever other addresses it names', () => {
    const [call, ...rest] = params(A);
    const more = { ...(call as object), from: OTHER, accessList: [{ address: OTHER, storageKeys: [] }] };
    expect(addressesOf(method, [more, ...rest])).toEqual([A]);
  });

  test('is refused when it creates a contract', () => {
    const [call, ...rest] = params(A);
    expect(passes(method, [{ ...(call as object), to: undefined, data: DATA }, ...rest])).toBe(false);
  });

  test('is refused with `to` in another spelling, beside `to` or without it', () => {
    const text = JSON.stringify(params(A));
    for (const name of ['TO', 'To', 'tO', 't\\u004f', '\\u0054o']) {
      expect([name, passes(method, text.replace('"to":', `"${name}":"${A}","to":`))]).toEqual([name, false]);
      expect([name, passes(method, text.replace('"to":', `"${name}":`))]).toEqual([name, false]);
    }
  });
});

describe.each(filterRows)('%s', (method, params) => {
  test('takes one address or an array of them', () => {
    expect(addressesOf(method, params(A))).toEqual([A]);
    expect(addressesOf(method, params([A, B]))).toEqual([A, B]);
  });

  test('is refused with an array that holds anything but listed addresses', () => {
    const arrays = [[A, OTHER], [OTHER, A], [A, ''], [A, null], [A, [A]], [A, { address: A }], [[A]]];
    expect(arrays.filter((addresses) => passes(method, params(addresses)))).toEqual([]);
  });

  test('is refused with `address` in another spelling, beside `address` or without it', () => {
    const names = [
      'ADDRESS',
      'Address',
      'addresS',
      'addre\u017fs',
      'addres\u017f',
      'addre\\u017fs',
      'ADDRE\u017f\u017f',
    ];
    const text = JSON.stringify(params(A));
    for (const name of names) {
      expect([name, passes(method, text.replace('"address":', `"${name}":"${A}","address":`))]).toEqual([name, false]);
      expect([name, passes(method, text.replace('"address":', `"${name}":`))]).toEqual([name, false]);
    }
  });
});

describe('a state override', () => {
  const code = { [A]: { code: '0x6000' } };
  const withOverride: readonly (readonly [method: string, params: (override: unknown) => Params])[] = [
    ['eth_call', (override) => [{ to: A }, 'latest', override]],
    ['eth_estimateGas', (override) => [{ to: A }, 'latest', override]],
    ['eth_createAccessList', (override) => [{ to: A }, 'latest', override]],
    ['trace_call', (override) => [{ to: A }, ['trace'], 'latest', override]],
    ['debug_traceCall', (stateOverrides) => [{ to: A }, 'latest', { stateOverrides }]],
    ['eth_simulateV1', (stateOverrides) => [{ blockStateCalls: [{ stateOverrides, calls: [{ to: A }] }] }]],
    [
      'eth_simulateV1',
      (stateOverrides) => [{ blockStateCalls: [{ calls: [{ to: A }] }, { stateOverrides, calls: [{ to: A }] }] }],
    ],
    ['eth_callMany', (override) => [[{ transactions: [{ to: A }] }], { blockNumber: 'latest' }, override]],
    [
      'debug_traceCallMany',
      (stateOverrides) => [[{ transactions: [{ to: A }] }], { blockNumber: '0x1' }, { stateOverrides }],
    ],
  ];

  test.each(withOverride)('that is empty passes in %s', (method, params) => {
    expect(passes(method, params({}))).toBe(true);
    expect(passes(method, params(undefined))).toBe(true);
  });

  test.each(withOverride)('of balance and nonce alone passes in %s: it reads nothing', (method, params) => {
    expect(passes(method, params({ [OTHER]: { balance: '0x56bc75e2d63100000', nonce: '0x1' } }))).toBe(true);
    expect(passes(method, params({ [A]: { nonce: '0x0' }, [OTHER]: { balance: '0x0' } }))).toBe(true);
  });

  test.each(withOverride)('of anything else is refused in %s', (method, params) => {
    const overrides = [
      code,
      { [OTHER]: { code: '0x6000' } },
      { [A]: { balance: '0x1', code: '0x6000' } },
      { [A]: { balance: 1 } },
      { [A]: { Balance: '0x1' } },
      { [A]: { balance: '0x1' }, [B]: { state: {} } },
      { vitalik: { balance: '0x1' } },
      { [A]: { state: {} } },
      { [A]: { stateDiff: { '0x0': '0x1' } } },
      { [A]: { movePrecompileToAddress: OTHER } },
      { [A]: {} },
      { '': {} },
      [],
      [code],
      JSON.stringify(code),
      '',
      '{}',
      'latest',
      0,
      1,
      true,
      false,
    ];
    for (const override of overrides) expect(passes(method, params(override))).toBe(false);
  });

  test.each(['stateoverrides', 'StateOverrides', 'STATEOVERRIDES', '\u017ftateOverrides', 'stateOverride\u017f'])(
    'under the name %j is refused, beside the name itself or alone',
    (name) => {
      const traced = (config: object) => passes('debug_traceCall', [{ to: A }, 'latest', config]);
      expect(traced({ [name]: code })).toBe(false);
      expect(traced({ stateOverrides: {}, [name]: code })).toBe(false);
      const simulated = (block: object) =>
        passes('eth_simulateV1', [{ blockStateCalls: [{ ...block, calls: [{ to: A }] }] }]);
      expect(simulated({ [name]: code })).toBe(false);
      expect(simulated({ stateOverrides: {}, [name]: code })).toBe(false);
      const many = (config: object) => passes('debug_traceCallMany', [[{ transactions: [{ to: A }] }], {}, config]);
      expect(many({ [name]: code })).toBe(false);
    },
  );

  test('is refused in every other position', () => {
    for (const params of [
      [{ to: A }, 'latest', null, {}, code],
      [{ to: A }, 'latest', {}, {}, code],
      [{ to: A }, { blockHash: HASH, stateOverrides: code }],
      [{ to: A }, code],
      [{ to: A }, [code]],
    ]) {
      expect(passes('eth_call', params)).toBe(false);
    }
    expect(passes('eth_getBalance', [A, 'latest', code])).toBe(false);
    expect(passes('eth_getBalance', [A, code])).toBe(false);
    expect(passes('trace_call', [{ to: A }, ['trace'], code])).toBe(false);
    expect(passes('trace_call', [{ to: A }, [code], 'latest'])).toBe(false);
    expect(passes('trace_callMany', [[[{ to: A }, ['trace'], code]], 'latest'])).toBe(false);
    expect(passes('trace_callMany', [[[{ to: A }, ['trace']]], 'latest', code])).toBe(false);
    expect(passes('eth_simulateV1', [{ blockStateCalls: [{ calls: [{ to: A }] }] }, 'latest', code])).toBe(false);
    expect(passes('eth_callMany', [[{ transactions: [{ to: A }] }], code])).toBe(false);
  });
});

describe('member names of inspected objects', () => {
  test.each([
    ['eth_simulateV1', [{ BlockStateCalls: [{ calls: [{ to: OTHER }] }], blockStateCalls: [{ calls: [{ to: A }] }] }]],
    ['eth_simulateV1', [{ blocKStateCalls: [{ calls: [{ to: OTHER }] }], blockStateCalls: [{ calls: [{ to: A }] }] }]],
    ['eth_simulateV1', [{ blockStateCallſ: [{ calls: [{ to: OTHER }] }], blockStateCalls: [{ calls: [{ to: A }] }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ calls: [{ to: A }], Calls: [{ to: OTHER }] }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ calls: [{ to: A }], callſ: [{ to: OTHER }] }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ calls: [{ to: A, TO: OTHER }] }] }]],
    ['eth_callMany', [[{ transactions: [{ to: A }], Transactions: [{ to: OTHER }] }]]],
    ['eth_callMany', [[{ transactions: [{ to: A }], tranſactions: [{ to: OTHER }] }]]],
    ['eth_callMany', [[{ transactions: [{ to: A, To: OTHER }] }]]],
    ['debug_traceCallMany', [[{ transactions: [{ to: A }], TRANSACTIONS: [{ to: OTHER }] }]]],
    ['trace_callMany', [[[{ to: A, To: OTHER }, ['trace']]]]],
    ['trace_filter', [{ toAddress: [A], ToAddress: [OTHER] }]],
    ['trace_filter', [{ fromAddress: [A], fromaddress: [OTHER] }]],
    ['trace_filter', [{ toAddress: [A], fromAddreſs: [OTHER] }]],
    ['trace_filter', [{ fromAddress: [A], toAddreſſ: [OTHER] }]],
    ['debug_traceCall', [{ to: A }, 'latest', { tracer: 'callTracer', Tracer: '{}' }]],
    ['debug_traceCall', [{ to: A }, 'latest', { TRACER: '{}' }]],
  ])('are refused in %s when case folding makes them equal: %j', (method, params) => {
    expect(passes(method, params)).toBe(false);
  });

  test('may be anything else', () => {
    expect(passes('eth_call', [{ to: A, FROM: OTHER, too: 1, t: 2 }])).toBe(true);
  });
});

describe('several at once', () => {
  test('every inner address is queried', () => {
    const calls = [{ to: A }, { to: B }, { to: OTHER }];
    expect(addressesOf('eth_simulateV1', [{ blockStateCalls: [{ calls }, { calls: [{ to: A }] }] }])).toEqual([
      A,
      B,
      OTHER,
      A,
    ]);
    expect(addressesOf('eth_callMany', [[{ transactions: calls }, { transactions: [{ to: B }] }]])).toEqual([
      A,
      B,
      OTHER,
      B,
    ]);
    expect(addressesOf('trace_callMany', [calls.map((call) => [call, ['trace']]), 'latest'])).toEqual([A, B, OTHER]);
    expect(addressesOf('eth_getStorageValues', [{ [A]: ['0x0'], [OTHER]: ['0x1'] }, 'latest'])).toEqual([A, OTHER]);
    expect(addressesOf('trace_filter', [{ fromAddress: [A, OTHER], toAddress: [B] }])).toEqual([A, OTHER, B]);
  });

  test.each([
    ['eth_simulateV1', [{ blockStateCalls: [] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ Calls: [{ to: OTHER }] }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{}, { calls: [{ to: OTHER }] }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ stateOverrides: { [A]: { code: '0x6000' } } }] }]],
    ['eth_simulateV1', [{ blockStateCalls: { calls: [{ to: A }] } }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ calls: { to: A } }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [{ calls: [[{ to: A }]] }] }]],
    ['eth_simulateV1', [{ blockStateCalls: [null] }]],
    ['eth_simulateV1', [[{ calls: [{ to: A }] }]]],
    ['eth_callMany', [[]]],
    ['eth_callMany', [[{}]]],
    ['eth_callMany', [[{ transactions: [] }]]],
    ['eth_callMany', [[{ to: A }]]],
    ['eth_callMany', [{ transactions: [{ to: A }] }]],
    ['eth_callMany', [[{ transactions: { to: A } }]]],
    ['trace_callMany', [[]]],
    ['trace_callMany', [[[]]]],
    ['trace_callMany', [[{ to: A }]]],
    ['trace_callMany', [[[['trace'], { to: A }]]]],
    ['trace_callMany', [[[{ to: A }, 'trace']]]],
    ['eth_getStorageValues', [{}]],
    ['eth_getStorageValues', [[A]]],
    ['eth_getStorageValues', [A]],
    ['eth_getStorageValues', [{ [OTHER]: ['0x0'] }]],
    ['eth_getStorageValues', [{ [A]: ['0x0'], [OTHER]: [] }]],
    ['eth_getStorageValues', [{ [A.toUpperCase()]: ['0x0'] }]],
    ['eth_getStorageValues', [{ [A]: { [OTHER]: ['0x0'] } }]],
    ['eth_getStorageValues', [{ [A]: ['0x0'] }, 'latest', {}]],
    ['trace_filter', [{}]],
    ['trace_filter', [{ fromBlock: '0x1', toBlock: '0x2' }]],
    ['trace_filter', [{ fromAddress: [] }]],
    ['trace_filter', [{ fromAddress: [], toAddress: [A] }]],
    ['trace_filter', [{ fromAddress: null, toAddress: [A] }]],
    ['trace_filter', [{ fromAddress: [A], toAddress: [OTHER] }]],
  ])('%s is refused with %j', (method, params) => {
    expect(passes(method, params)).toBe(false);
  });

  test.each([
    [[{}]],
    [[{ calls: [] }]],
    [[{ blockOverrides: { number: '0x20' } }, { calls: [{ to: A }] }]],
    [[{ stateOverrides: { [OTHER]: { balance: '0x1' } } }, { calls: [{ to: A }] }, {}]],
  ])('a simulated block without calls reads nothing: %j', (blockStateCalls) => {
    expect(passes('eth_simulateV1', [{ blockStateCalls }, 'latest'])).toBe(true);
  });

  test('the values of eth_getStorageValues pass with listed accounts', () => {
    expect(passes('eth_getStorageValues', [{ [A]: ['0x0', HASH], [B]: ['0x0'] }, 'latest'])).toBe(true);
  });
});

describe('methods that take no address pass', () => {
  test.each<readonly [string, Params]>([
    ['eth_blockNumber', []],
    ['eth_chainId', []],
    ['eth_gasPrice', []],
    ['eth_maxPriorityFeePerGas', []],
    ['eth_blobBaseFee', []],
    ['eth_syncing', []],
    ['eth_accounts', []],
    ['eth_feeHistory', ['0x4', 'latest', [25, 75]]],
    ['eth_feeHistory', [4, 'latest', [25.5, 75]]],
    ['eth_getBlockByHash', [HASH, false]],
    ['eth_getBlockByNumber', ['latest', true]],
    ['eth_getBlockByNumber', ['0x10', false]],
    ['eth_getBlockReceipts', ['latest']],
    ['eth_getBlockReceipts', [{ blockHash: HASH }]],
    ['eth_getBlockTransactionCountByNumber', ['latest']],
    ['eth_getTransactionByHash', [HASH]],
    ['eth_getTransactionByBlockHashAndIndex', [HASH, '0x0']],
    ['eth_getTransactionByBlockNumberAndIndex', ['latest', '0x0']],
    ['eth_getTransactionReceipt', [HASH]],
    ['eth_sendRawTransaction', [`0x${'f8'.repeat(5000)}`]],
    ['eth_newBlockFilter', []],
    ['eth_newPendingTransactionFilter', []],
    ['eth_getFilterChanges', ['0x1']],
    ['eth_uninstallFilter', ['0x1']],
    ['eth_subscribe', ['newHeads']],
    ['eth_subscribe', ['newPendingTransactions']],
    ['eth_subscribe', ['newPendingTransactions', true]],
    ['eth_subscribe', ['newHeads', {}]],
    ['eth_subscribe', ['syncing', null]],
    ['eth_subscribe', ['droppedPendingTransactions']],
    ['eth_unsubscribe', ['0x9cef478923ff08bf67fde6c64013158d']],
    ['net_version', []],
    ['net_listening', []],
    ['net_peerCount', []],
    ['web3_clientVersion', []],
    ['web3_sha3', ['0x68656c6c6f']],
  ])('%s %j', (method, params) => {
    expect(addressesOf(method, params)).toEqual([]);
    expect(passes(method, params)).toBe(true);
  });

  test('without params too', () => {
    expect(queriedAddresses({ id: '1', method: 'eth_blockNumber', params: undefined }, table)).toEqual([]);
    expect(queriedAddresses({ id: '1', method: 'net_version', params: undefined }, table)).toEqual([]);
  });

  test('with their id kept digit for digit', () => {
    expect(passes('eth_getFilterChanges', '[340282366920938463463374607431768211455]')).toBe(true);
  });

  test.each<readonly [string, Params]>([
    ['eth_blockNumber', [A]],
    ['eth_blockNumber', [{}]],
    ['eth_chainId', [null]],
    ['eth_getBlockByNumber', ['latest', true, A]],
    ['eth_getBlockByNumber', ['latest', { to: A }]],
    ['eth_getBlockByNumber', [['latest']]],
    ['eth_getTransactionReceipt', [{ hash: HASH }]],
    ['eth_getTransactionReceipt', [[HASH]]],
    ['eth_getTransactionReceipt', [`["${HASH}"]`]],
    ['eth_getTransactionReceipt', [`{"hash":"${HASH}"}`]],
    ['eth_getFilterChanges', [{ address: OTHER }]],
    ['eth_sendRawTransaction', [{ to: OTHER }]],
    ['eth_subscribe', ['newHeads', { address: OTHER }]],
    ['eth_subscribe', ['newPendingTransactions', { toAddress: [OTHER] }]],
    ['eth_subscribe', [['logs', { address: A }]]],
    ['eth_subscribe', [{ 0: 'logs' }]],
    ['eth_subscribe', ['"logs"', { address: A }]],
    ['web3_sha3', [{ to: OTHER }]],
    ['web3_sha3', [['0x00']]],
    ['net_version', ['{"to":"x"}']],
  ])('but not with params that they do not take: %s %j', (method, params) => {
    expect(passes(method, params)).toBe(false);
  });
});

describe('unknown methods are refused', () => {
  test.each([
    'acme_balance',
    'eth_unknown',
    'eth_getBalances',
    'eth_call ',
    'eth_calls',
    'ETH_CALL',
    'Eth_blockNumber',
    'eth_Call',
    'eth_blocknumber',
    'debug_storageRange',
    'debug_dumpBlock',
    'debug_accountRange',
    'debug_preimage',
    'txpool_contents',
    'parity_allTransactions',
    'alchemy_getTokenBalance',
    'trace_rawTransaction',
    'eth_callBundle',
    'debug_traceBlock',
    'debug_traceBlockFromFile',
    'overlay_getLogs',
    'zks_sendRawTransactionWithDetailedOutput',
    'reth_subscribeChainNotifications',
    'admin_peers',
    'rpc.discover',
    'net',
    'web3',
    'web3.sha3',
    'Net_version',
    'xnet_version',
    'constructor',
    '__proto__',
    'toString',
    'get',
    'eth_subscription',
    'debug_subscribe',
    'eth_logs_subscribe',
    'logs_subscribe',
    '_subscribe',
    'net_subscribe',
    'web3_subscribe',
    'net_x_subscribe',
    'web3__subscribe',
    'acme_subscribe',
    'erigon_subscribe',
  ])('%j', (method) => {
    const trimmed = { id: '1', method, params: undefined };
    expect(queriedAddresses(trimmed, table)).toBeUndefined();
    for (const params of [[], [A], ['logs'], ['logs', { address: A }], ['newHeads']]) {
      expect(queriedAddresses({ ...trimmed, params }, table)).toBeUndefined();
    }
  });

  test.each([
    ['logs', { address: OTHER }],
    ['logs'],
    ['logs', null],
    ['logs', {}],
    ['logs', { address: A }, { address: OTHER }],
    ['Logs', { address: OTHER }],
    ['logs ', { address: OTHER }],
    ['LOGS'],
    ['newheads'],
    ['alchemy_minedTransactions'],
    ['alchemy_pendingTransactions', { toAddress: [A] }],
    ['__proto__'],
    [''],
    [null],
    [],
    [7],
  ])('and so are unknown subscriptions and logs without a listed address: %j %j', (...params) => {
    expect(passes('eth_subscribe', params)).toBe(false);
  });
});

describe('a tracer', () => {
  test.each(['callTracer', 'prestateTracer', '4byteTracer', 'flatCallTracer', 'noopTracer', 'keccak256PreimageTracer'])(
    'that is built into nodes passes: %s',
    (tracer) => {
      expect(
        passes('debug_traceCall', [{ from: B, to: A }, 'latest', { tracer, tracerConfig: { onlyTopCall: true } }]),
      ).toBe(true);
      expect(passes('debug_traceTransaction', [HASH, { tracer }])).toBe(true);
    },
  );

  test.each<readonly [tracer: unknown]>([
    ['{result: function(ctx, db) { return db.getState(...) }, step() {}, fault() {}}'],
    ['{}'],
    [''],
    [' callTracer'],
    ['callTracer '],
    ['CallTracer'],
    ['callTracer;'],
    ['muxTracer2'],
    ['constructor'],
    ['toString'],
    [null],
    [7],
    [true],
    [[]],
    [['callTracer']],
    [{ callTracer: {} }],
    [{ toString: 'callTracer' }],
  ])('of any other name could be code, and is refused: %j', (tracer) => {
    expect(passes('debug_traceCall', [{ to: A }, 'latest', { tracer }])).toBe(false);
    expect(passes('debug_traceCallMany', [[{ transactions: [{ to: A }] }], {}, { tracer }])).toBe(false);
    expect(passes('debug_traceTransaction', [HASH, { tracer }])).toBe(false);
    expect(passes('debug_traceBlockByNumber', ['latest', { tracer }])).toBe(false);
  });

  const mux = (tracerConfig: unknown) => ({ tracer: 'muxTracer', tracerConfig });

  test('that runs several passes when each of them is built into nodes', () => {
    for (const config of [{}, { callTracer: {} }, { callTracer: { withLog: true }, muxTracer: { noopTracer: null } }]) {
      expect(passes('debug_traceCall', [{ to: A }, 'latest', mux(config)])).toBe(true);
      expect(passes('debug_traceTransaction', [HASH, mux(config)])).toBe(true);
    }
    for (const config of [
      undefined,
      null,
      [],
      ['callTracer'],
      'callTracer',
      { '{}': {} },
      { muxTracer: { '{}': {} } },
    ]) {
      expect(passes('debug_traceCall', [{ to: A }, 'latest', mux(config)])).toBe(false);
      expect(passes('debug_traceTransaction', [HASH, mux(config)])).toBe(false);
    }
    const twice = { ...mux({ callTracer: {} }), TracerConfig: { '{}': {} } };
    expect(passes('debug_traceCall', [{ to: A }, 'latest', twice])).toBe(false);
  });

  test.each([
    'callTracer',
    '{"tracer":"callTracer"}',
    '',
    [],
    ['callTracer'],
    [{ tracer: 'callTracer' }],
    7,
    true,
    false,
  ])('is refused when its settings are not an object: %j', (config) => {
    expect(passes('debug_traceCall', [{ to: A }, 'latest', config])).toBe(false);
    expect(passes('debug_traceTransaction', [HASH, config])).toBe(false);
  });
});

describe('addressParams', () => {
  const withRow = (read: AddressParams) => addressTable({ acme_read: read });
  const passesWith = (read: unknown, params: Params = [A]) =>
    passes('acme_read', params, withRow(read as AddressParams));

  test('add a method; their function returns its addresses', () => {
    expect(passesWith((params: Params) => params[0], [A, 'latest'])).toBe(true);
    expect(passesWith((params: Params) => params[0], [OTHER])).toBe(false);
    expect(passesWith((params: Params) => params, [A, B])).toBe(true);
    expect(passesWith((params: Params) => params, [A, OTHER])).toBe(false);
    expect(passesWith(([options]: readonly { account: string }[]) => options?.account, [{ account: B }])).toBe(true);
  });

  test("'none' lets the method pass, whatever its params", () => {
    for (const params of [[], [OTHER], [{ to: OTHER }], [[]]]) expect(passesWith('none', params)).toBe(true);
  });

  test.each<readonly [string, unknown]>([
    ['undefined', () => undefined],
    ['null', () => null],
    ['[]', () => []],
    ['an empty string', () => ''],
    ['true', () => true],
    ['a number', () => 7],
    ['an object', () => ({ address: A })],
    ['a promise', () => Promise.resolve(A)],
    ['a function', () => () => A],
    ['a set', () => new Set([A])],
    ['a String object', () => new String(A)],
    ['an array with undefined', () => [A, undefined]],
    ['an array with null', () => [null]],
    ['an array with an array', () => [[A]]],
    ['an array with an object', () => [{ toString: () => A }]],
    ['an array of holes', () => new Array<string>(2)],
    ['an array with a hole', () => Object.assign([A], { length: 2 })],
    ["'none'", () => 'none'],
    ['another spelling', () => ` ${A}`],
    ['another address', () => OTHER],
    ['a listed address and another', () => [A, OTHER]],
  ])('refuse the call when their function returns %s', (_, read) => {
    expect(passesWith(read)).toBe(false);
  });

  test.each<readonly [string, () => never]>([
    [
      'an error',
      () => {
        throw new Error('broken');
      },
    ],
    [
      'a listed address',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- operators write what they write
        throw A;
      },
    ],
    [
      'undefined',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- operators write what they write
        throw undefined;
      },
    ],
  ])('refuse the call when their function throws %s', (_, read) => {
    expect(passesWith(read)).toBe(false);
  });

  test('may keep what they are given, without the body that it was part of', async () => {
    const seen = new Set<unknown>();
    const rowsWith = withRow(([account]) => {
      seen.add(account);
      return account as string;
    });
    const kept = await memoryKept(() => {
      for (let n = 0; n < 10; n++) {
        const account = `0x${String(n).padStart(40, '0')}`;
        passes('acme_read', JSON.stringify([account, 'é', 'x'.repeat(1_000_000)]), rowsWith);
      }
    });
    expect(seen.size).toBe(10);
    expect(kept).toBeLessThan(4_000_000);
  });

  test('pass [] for a call without params', () => {
    const seen: unknown[] = [];
    const rowsWith = withRow((params) => {
      seen.push(params);
      return A;
    });
    expect(queriedAddresses({ id: '1', method: 'acme_read', params: undefined }, rowsWith)).toEqual([A]);
    expect(seen).toEqual([[]]);
  });

  test('cannot change what is forwarded', () => {
    const call = rpcCall('acme_read', [A, { account: A }]);
    const before = serialiseCall(call);
    const meddling = withRow((params) => {
      const mutable = params as unknown[];
      const [first] = mutable;
      Object.assign(mutable[1] as object, { account: OTHER });
      mutable[0] = OTHER;
      return first as string;
    });
    refusalUnder({ contractAddresses: [A] }, call, meddling);
    expect(serialiseCall(call)).toBe(before);
  });

  test('are given each string as a string, however long it is', () => {
    const data = `0x${'ab'.repeat(10_000)}`;
    const seen: unknown[] = [];
    const call = rpcCall('acme_read', [A, data, [{ data }], 1.5]);
    const before = serialiseCall(call);
    queriedAddresses(
      call,
      withRow((params) => {
        seen.push(...params);
        return A;
      }),
    );
    expect(seen).toEqual([A, data, [{ data }], 1.5]);
    expect(serialiseCall(call)).toBe(before);
    expect(serialiseCall({ ...call, paramsText: undefined })).toBe(before);
  });

  test('are given the same again where a call is read again', () => {
    const seen: unknown[] = [];
    const refuses = withRow((params) => {
      seen.push(params);
      return undefined;
    });
    const call = rpcCall('acme_read', [{ account: A }]);
    for (let n = 0; n < 2; n++) expect(queriedAddresses(call, refuses)).toBeUndefined();
    expect(seen).toEqual([[{ account: A }], [{ account: A }]]);
  });

  test('leave every other method as it was, and the next table too', () => {
    const changed = addressTable({ acme_read: 'none', eth_call: 'none' });
    expect(passes('eth_call', [{ to: OTHER }], changed)).toBe(true);
    expect(passes('eth_getBalance', [OTHER], changed)).toBe(false);
    expect(passes('acme_other', [A], changed)).toBe(false);
    expect(passes('eth_call', [{ to: OTHER }], addressTable({}))).toBe(false);
    expect(passes('acme_read', [A], addressTable({}))).toBe(false);
  });

  test.each(['__proto__', 'constructor', 'acme_subscribe', 'net_peers'])('may name the method %s', (method) => {
    const named = addressTable(Object.fromEntries([[method, (params: Params) => params[0] as string]]));
    expect(passes(method, [A], named)).toBe(true);
    expect(passes(method, [OTHER], named)).toBe(false);
  });
});

describe('an answer that reveals the state of another account', () => {
  const prestate = { tracer: 'prestateTracer' };
  const inMux = { tracer: 'muxTracer', tracerConfig: { callTracer: {}, muxTracer: { prestateTracer: {} } } };
  /** Calls whose answer holds the accounts that they name, made with these members. */
  const telling: readonly (readonly [what: string, method: string, params: (call: object) => Params])[] = [
    ['a prestate', 'debug_traceCall', (call) => [call, 'latest', prestate]],
    ['a prestate among others', 'debug_traceCall', (call) => [call, 'latest', inMux]],
    ['a state difference', 'trace_call', (call) => [call, ['stateDiff'], 'latest']],
    ['a state difference', 'trace_callMany', (call) => [[[call, ['trace', 'stateDiff']]], 'latest']],
  ];
  const tellingNonce: typeof telling = [
    ['a transaction filled with its nonce', 'eth_fillTransaction', (call) => [call]],
    ['a signed transaction', 'eth_signTransaction', (call) => [call]],
    [
      'a transaction in full',
      'eth_simulateV1',
      (call) => [{ blockStateCalls: [{ calls: [call] }], returnFullTransactions: true }],
    ],
    ['a validation', 'eth_simulateV1', (call) => [{ blockStateCalls: [{ calls: [call] }], validation: true }]],
  ];

  test.each([...telling, ...tellingNonce])('is refused unless from is listed too: %s of %s', (_, method, params) => {
    expect(passes(method, params({ from: B, to: A }))).toBe(true);
    for (const from of [OTHER, undefined, null, '0x0']) expect(passes(method, params({ from, to: A }))).toBe(false);
    expect(passes(method, params({ From: B, to: A }))).toBe(false);
  });

  test.each(telling)('is refused unless each account of accessList is listed: %s of %s', (_, method, params) => {
    const call = (accessList: unknown) => params({ from: B, to: A, accessList });
    const slots = { storageKeys: ['0x0'] };
    for (const list of [undefined, null, [], [{ address: A, ...slots }], [{ address: A }, { address: B, ...slots }]]) {
      expect(passes(method, call(list))).toBe(true);
    }
    for (const list of [
      [{ address: OTHER, ...slots }],
      [{ address: A }, { address: OTHER }],
      [{ Address: A }],
      [slots],
    ]) {
      expect(passes(method, call(list))).toBe(false);
    }
    for (const list of [[A], [null], {}, 'x', 7]) expect(passes(method, call(list))).toBe(false);
    expect(passes(method, params({ from: B, to: A, AccessList: [{ address: OTHER }] }))).toBe(false);
  });

  test('is refused where a block override names the beneficiary', () => {
    const blockOverrides = { coinbase: OTHER };
    for (const tracer of [prestate, inMux]) {
      const call = { from: B, to: A };
      expect(passes('debug_traceCall', [call, 'latest', { ...tracer, blockOverrides }])).toBe(false);
      expect(passes('debug_traceCall', [call, 'latest', { ...tracer, BlockOverrides: {} }])).toBe(false);
    }
    expect(passes('trace_call', [{ from: B, to: A }, ['stateDiff'], 'latest', {}, blockOverrides])).toBe(false);
    expect(passes('trace_call', [{ from: B, to: A }, ['trace'], 'latest', {}, blockOverrides])).toBe(true);
  });

  test('is refused of several calls at once, whose senders differ', () => {
    const bundle = [{ transactions: [{ to: A }] }];
    expect(passes('debug_traceCallMany', [bundle, {}, { tracer: 'callTracer' }])).toBe(true);
    for (const tracer of [prestate, inMux]) expect(passes('debug_traceCallMany', [bundle, {}, tracer])).toBe(false);
  });

  test('does not concern a simulation that returns neither transactions nor nonces', () => {
    const calls = [{ from: OTHER, to: A }];
    for (const more of [{}, { validation: false, returnFullTransactions: null }, { traceTransfers: true }]) {
      expect(passes('eth_simulateV1', [{ blockStateCalls: [{ calls }], ...more }])).toBe(true);
    }
    for (const more of [{ Validation: true }, { returnfulltransactions: true }, { validation: 'true' }]) {
      expect(passes('eth_simulateV1', [{ blockStateCalls: [{ calls }], ...more }])).toBe(false);
    }
  });

  test('is not that of eth_createAccessList: it names what was touched, not what that holds', () => {
    const accessList = [{ address: OTHER, storageKeys: ['0x0'] }];
    expect(passes('eth_createAccessList', [{ from: OTHER, to: A, accessList }, 'latest'])).toBe(true);
  });
});

describe('a call that runs other code than that of its `to`', () => {
  const callers = [
    ...callRows,
    ...signerRows,
    ...manyRows.filter(([method]) => method !== 'trace_filter'),
    ['linea_estimateGas', (to: unknown) => [{ to }], 3] as const,
  ];
  /** The params with members added to the last call that they hold. */
  const added = (params: Params, members: object): string =>
    JSON.stringify(params).replace(/\{([^{}]*"to":[^{}]*)\}(?!.*"to":)/, `{$1,${JSON.stringify(members).slice(1)}`);

  test.each(callers)('by an authorization is refused: %s', (method, params) => {
    expect(passes(method, added(params(A), { nonce: '0x0' }))).toBe(true);
    for (const name of ['authorizationList', 'AuthorizationList', 'aaAuthorizationList', 'aaauthorizationlist']) {
      for (const list of [[{ address: OTHER }], [], null]) {
        expect(passes(method, added(params(A), { [name]: list }))).toBe(false);
      }
    }
  });

  test.each(callers)('by further calls is refused: %s', (method, params) => {
    for (const name of ['calls', 'Calls']) {
      expect(passes(method, added(params(A), { [name]: [{ to: OTHER }] }))).toBe(false);
    }
  });

  test.each(callers)('by a paymaster is refused unless that is listed: %s', (method, params) => {
    const paidBy = (paymaster: unknown) => ({ eip712Meta: { paymasterParams: { paymaster, paymasterInput: [0] } } });
    expect(passes(method, added(params(A), paidBy(B)))).toBe(true);
    for (const meta of [null, {}, { gasPerPubdata: '0xc350', paymasterParams: null, factoryDeps: [[1]] }]) {
      expect(passes(method, added(params(A), { eip712Meta: meta }))).toBe(true);
    }
    for (const paymaster of [OTHER, null, undefined, [A]]) {
      expect(passes(method, added(params(A), paidBy(paymaster)))).toBe(false);
    }
    for (const meta of [[], 'x', { PaymasterParams: {} }, { paymasterParams: { paymaster: A, Paymaster: OTHER } }]) {
      expect(passes(method, added(params(A), { eip712Meta: meta }))).toBe(false);
    }
    expect(passes(method, added(params(A), { Eip712Meta: {} }))).toBe(false);
  });
});

test('debug_storageRangeAt takes its block as a hash, a number or an object', () => {
  for (const block of [HASH, '0x10', 'latest', { blockHash: HASH, requireCanonical: true }, { blockNumber: '0x10' }]) {
    expect(passes('debug_storageRangeAt', [block, 0, A, '0x0', 10])).toBe(true);
    expect(passes('debug_storageRangeAt', [block, 0, OTHER, '0x0', 10])).toBe(false);
  }
});

describe('a user operation', () => {
  const methods: readonly (readonly [method: string, params: (operation: object) => Params])[] = [
    ['eth_sendUserOperation', (operation) => [operation, B]],
    ['eth_estimateUserOperationGas', (operation) => [operation, B]],
    ['pm_getPaymasterStubData', (operation) => [operation, B, '0x1', null]],
    ['pm_getPaymasterData', (operation) => [operation, B, '0x1', null]],
  ];
  const packed = (address: string) => `${address}${'ab'.repeat(40)}`;

  test.each(methods)('names every account whose code runs in %s', (method, params) => {
    const operation = { sender: A, factory: B, factoryData: DATA, paymaster: A, paymasterData: '0x' };
    expect(addressesOf(method, params(operation))).toEqual([A, B, A, B]);
    expect(addressesOf(method, params({ sender: A, initCode: packed(B), paymasterAndData: '0x' }))).toEqual([A, B, B]);
    for (const none of [undefined, null, '0x']) {
      expect(passes(method, params({ sender: A, factory: none, paymaster: none }))).toBe(true);
      expect(passes(method, params({ sender: A, initCode: none, paymasterAndData: none }))).toBe(true);
    }
  });

  test.each(methods)('is refused in %s unless all of them are listed', (method, params) => {
    for (const name of ['factory', 'paymaster', 'Factory', 'paymaSter']) {
      expect(passes(method, params({ sender: A, [name]: OTHER }))).toBe(false);
    }
    for (const name of ['initCode', 'paymasterAndData', 'InitCode', 'PAYMASTERANDDATA']) {
      expect(passes(method, params({ sender: A, [name]: packed(OTHER) }))).toBe(false);
    }
    for (const other of [7, [], {}, '', '0x7702', A.slice(0, 41), `0X${A.slice(2)}`, ` ${A}`]) {
      expect(passes(method, params({ sender: A, factory: other }))).toBe(false);
      expect(passes(method, params({ sender: A, initCode: other }))).toBe(false);
    }
    for (const name of ['eip7702Auth', 'authorization', 'Eip7702Auth']) {
      expect(passes(method, params({ sender: A, [name]: { address: B } }))).toBe(false);
    }
    expect(passes(method, params({ sender: A, Sender: OTHER }))).toBe(false);
  });

  test('may come with overrides of balance and nonce alone', () => {
    const estimate = (override: unknown) => passes('eth_estimateUserOperationGas', [{ sender: A }, B, override]);
    expect(estimate({ [A]: { balance: '0x1' } })).toBe(true);
    expect(estimate({ [A]: { code: '0x6000' } })).toBe(false);
  });
});

test('the conditions of a transaction name accounts whose storage they test', () => {
  for (const method of ['eth_sendRawTransactionConditional', 'bor_sendRawTransactionConditional']) {
    const conditional = (conditions: unknown) => passes(method, ['0x02f8', conditions]);
    const known = (account: string) => ({ knownAccounts: { [A]: HASH, [account]: { '0x0': HASH } } });
    for (const none of [undefined, null, {}, { blockNumberMin: '0x1' }, { knownAccounts: null }, known(B)]) {
      expect(conditional(none)).toBe(true);
    }
    for (const other of [known(OTHER), { KnownAccounts: {} }, { knownAccounts: [OTHER] }, [], 'x']) {
      expect(conditional(other)).toBe(false);
    }
  }
});

test('an optional account may be left out', () => {
  for (const params of [[], [null], [A]]) expect(passes('parity_pendingTransactions', params)).toBe(true);
  for (const params of [[OTHER], [{ from: A }], ['']]) expect(passes('parity_pendingTransactions', params)).toBe(false);
});

test('one word stands for all tokens of an account', () => {
  for (const word of [undefined, null, 'erc20', 'DEFAULT_TOKENS']) {
    expect(addressesOf('alchemy_getTokenBalances', [A, word])).toEqual([A]);
  }
  for (const word of [OTHER, [OTHER], [], '0x', {}]) {
    expect(passes('alchemy_getTokenBalances', [A, word])).toBe(false);
  }
});

describe('every row of the table', () => {
  const none = METHOD_ROWS.filter(([method]) => addressesOf(method, [])?.length === 0);

  test('refuses a position more than it has', () => {
    for (const [method, , ...kinds] of METHOD_ROWS) {
      for (const extra of [null, A, {}, [], 'latest']) {
        expect(passes(method, [...Array<unknown>(kinds.length).fill(null), extra])).toBe(false);
      }
    }
  });

  test('that takes no address refuses a call or an array of addresses in any position', () => {
    expect(none.length).toBeGreaterThan(150);
    for (const [method, , ...kinds] of none) {
      for (const [position, kind] of kinds.entries()) {
        const objects = kind === scalar ? [{}, { address: OTHER }] : [];
        for (const other of [...objects, [{ address: OTHER }], [[OTHER]], '{"to":0}', `["${OTHER}"]`]) {
          const params = Array<unknown>(kinds.length).fill(null);
          params[position] = other;
          expect(passes(method, params)).toBe(false);
        }
      }
    }
  });
});

test.each<readonly [string, Params]>([
  ['eth_getBlockAccessList', ['latest']],
  ['eth_getUserOperationByHash', [HASH]],
  ['eth_getUserOperationReceipt', [HASH]],
  ['eth_supportedEntryPoints', []],
  ['debug_getBadBlocks', []],
  ['txpool_content', []],
  ['alchemy_getTransactionReceipts', [{ blockNumber: '0x10' }]],
  ['arb_getRawBlockMetadata', ['0x1', 'latest']],
  ['bor_getAuthor', ['0x10']],
  ['optimism_outputAtBlock', ['0x10']],
  ['zks_getL1BatchDetails', [7]],
  ['trace_replayTransaction', [HASH, ['trace', 'stateDiff']]],
])('%s %j takes no address', (method, params) => {
  expect(addressesOf(method, params)).toEqual([]);
});

test('no method is in the table twice', () => {
  const methods = METHOD_ROWS.map(([method]) => method);
  expect(methods).toEqual([...new Set(methods)]);
});

describe('a call may be repeated', () => {
  test.each(['eth_call', 'eth_getBalance', 'eth_getTransactionBySenderAndNonce', 'trace_filter', 'eth_chainId'])(
    'when its method only reads: %s',
    (method) => {
      expect(isReadOnly(method)).toBe(true);
    },
  );

  test.each([
    'eth_sendRawTransaction',
    'eth_sendRawTransactionSync',
    'eth_sendTransaction',
    'eth_sign',
    'eth_resend',
    'eth_newFilter',
    'eth_newBlockFilter',
    'eth_newPendingTransactionFilter',
    'eth_getFilterChanges',
    'eth_getFilterLogs',
    'eth_uninstallFilter',
    'eth_subscribe',
    'eth_unsubscribe',
  ])('but not when it sends, signs, or concerns a filter or a subscription: %s', (method) => {
    expect(isReadOnly(method)).toBe(false);
  });

  test.each(['acme_balance', 'eth_Call', 'net_start', '', 'constructor'])(
    'nor when it is not in the table: %j',
    (method) => {
      expect(isReadOnly(method)).toBe(false);
    },
  );

  test('whatever an operator says of its addresses', () => {
    addressTable({ acme_write: 'none', eth_sendRawTransaction: 'none' });
    expect(isReadOnly('acme_write')).toBe(false);
    expect(isReadOnly('eth_sendRawTransaction')).toBe(false);
  });
});

test('a filter of more addresses than can be spread is read', () => {
  const many = Array.from({ length: 300_000 }, () => A);
  expect(addressesOf('eth_getLogs', [{ address: many.slice(0, 10) }])).toHaveLength(10);
  const call = { id: '1', method: 'eth_getLogs', params: [{ address: many }] };
  expect(queriedAddresses(call, table)).toHaveLength(300_000);
});
