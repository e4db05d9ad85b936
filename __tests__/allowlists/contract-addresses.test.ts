import { contractAddresses } from '../../lib/allowlists/contract-addresses';
import { refusalUnder, rpcCall } from '../support/pieces';

const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const CHECKSUMMED = '0xFe05a3E72235c9F92Fd9f2282f41A8154D6D342b';
const ALSO_LISTED = '0x00000000000000000000000000000000000000aa';
const OTHER = '0x1111111111111111111111111111111111111111';

function passes(method: string, params: readonly unknown[] | string, entries = [LISTED, ALSO_LISTED]): boolean {
  return refusalUnder({ contractAddresses: entries }, rpcCall(method, params)) === undefined;
}

test.each([LISTED, CHECKSUMMED, `0x${LISTED.slice(2).toUpperCase()}`, ALSO_LISTED])(
  'a listed address passes: %s',
  (it) => {
    expect(passes('eth_getBalance', [it, 'latest'])).toBe(true);
    expect(passes('eth_call', [{ to: it }, 'latest'])).toBe(true);
    expect(passes('eth_getLogs', [{ address: it }])).toBe(true);
    expect(passes('eth_getLogs', [{ address: [it] }])).toBe(true);
  },
);

test('an entry may be written in any case', () => {
  for (const entry of [LISTED, CHECKSUMMED, `0x${LISTED.slice(2).toUpperCase()}`]) {
    expect(contractAddresses.problem(entry)).toBeUndefined();
    expect(passes('eth_getCode', [LISTED, 'latest'], [entry])).toBe(true);
  }
});

test('an address that is not listed is refused', () => {
  expect(passes('eth_getBalance', [OTHER, 'latest'])).toBe(false);
  expect(passes('eth_call', [{ to: OTHER, from: LISTED }, 'latest'])).toBe(false);
  expect(passes('eth_getLogs', [{ address: OTHER }])).toBe(false);
});

test('every address must be listed', () => {
  expect(passes('eth_getLogs', [{ address: [LISTED, ALSO_LISTED] }])).toBe(true);
  expect(passes('eth_getLogs', [{ address: [LISTED, OTHER] }])).toBe(false);
  expect(passes('eth_getLogs', [{ address: [OTHER, LISTED] }])).toBe(false);
});

const misspelt: readonly unknown[] = [
  `0X${LISTED.slice(2)}`,
  LISTED.slice(0, -1),
  `${LISTED}0`,
  `0x0${LISTED.slice(2)}`,
  LISTED.slice(2),
  ` ${LISTED}`,
  `${LISTED} `,
  `${LISTED}\n`,
  `${LISTED}\0`,
  `\u200b${LISTED}`,
  `0x${'0'.repeat(24)}${LISTED.slice(2)}`,
  LISTED.replace('fe05', 'ｆｅ０５'),
  LISTED.replace('0x', '0х'),
  LISTED.replace('0x', '\\u0030x'),
  `${LISTED},${LISTED}`,
  `"${LISTED}"`,
  `["${LISTED}"]`,
  `{"to":"${LISTED}"}`,
  'vitalik.eth',
  'listed.eth',
  `xdc${LISTED.slice(2)}`,
  `eth:${LISTED}`,
  '',
  '0x',
  '0x0',
  'null',
  'latest',
  null,
  false,
  true,
  0,
  1,
  1.5,
  [],
  [null],
  [[]],
  {},
  [LISTED, null],
  [LISTED, ''],
  [[LISTED]],
  [{ address: LISTED }],
  { address: LISTED },
  { to: LISTED },
  { 0: LISTED, length: 1 },
];

describe.each([
  ['eth_getBalance', (it: unknown) => [it, 'latest']],
  ['eth_getStorageAt', (it: unknown) => [it, '0x0', 'latest']],
  ['eth_call', (it: unknown) => [{ to: it, data: '0x' }, 'latest']],
  ['eth_estimateGas', (it: unknown) => [{ to: it }]],
  ['eth_getLogs', (it: unknown) => [{ address: it }]],
  ['eth_subscribe', (it: unknown) => ['logs', { address: it }]],
  ['trace_filter', (it: unknown) => [{ toAddress: it }]],
])('%s refuses an address in another spelling:', (method, params) => {
  test('the address itself passes', () => {
    expect(passes(method, params(LISTED))).toBe(true);
  });

  test.each(misspelt)('%j', (it) => {
    expect(passes(method, params(it))).toBe(false);
  });

  test('an array of it where the method takes one', () => {
    const takesArrays = ['eth_getLogs', 'eth_subscribe', 'trace_filter'].includes(method);
    expect(passes(method, params([LISTED]))).toBe(takesArrays);
  });

  test('a number whose digits are those of the address', () => {
    const digits = BigInt(LISTED).toString();
    const text = JSON.stringify(params('ADDRESS')).replace('"ADDRESS"', digits);
    expect(passes(method, text)).toBe(false);
  });
});

test('an address after an escape is the address', () => {
  expect(passes('eth_getBalance', `["\\u0030x${LISTED.slice(2)}","latest"]`)).toBe(true);
  expect(passes('eth_getBalance', `["\\u0030x${OTHER.slice(2)}","latest"]`)).toBe(false);
});

test('a method that queries no address passes, an unknown one does not', () => {
  expect(passes('eth_blockNumber', [])).toBe(true);
  expect(passes('acme_unknown', [LISTED])).toBe(false);
});

test.each([
  '',
  '0x',
  LISTED.slice(2),
  LISTED.slice(0, -1),
  `${LISTED}0`,
  `0X${LISTED.slice(2)}`,
  ` ${LISTED}`,
  `${LISTED}\n`,
  LISTED.replace('f', 'g'),
  LISTED.replace('fe05', 'ｆｅ０５'),
  'vitalik.eth',
  '*',
  '0x*',
  `${LISTED},${OTHER}`,
])('%j may not be an entry', (entry) => {
  expect(contractAddresses.problem(entry)).toContain('0x and 40 hex digits');
});
