import { likelyMeant, methods } from '../../lib/allowlists/methods';

const matches = (entries: readonly string[], method: string) => methods.compile(entries)(method);

test.each([
  ['eth_call', 'eth_call'],
  ['eth_get*', 'eth_getBalance'],
  ['eth_get*', 'eth_getLogs'],
  ['eth_get*', 'eth_get'],
  ['eth_*', 'eth_call'],
  ['e*', 'eth_call'],
  ['eth_call*', 'eth_call'],
  ['eth_call*', 'eth_callMany'],
])('the entry %s allows %s', (entry, method) => {
  expect(matches([entry], method)).toBe(true);
  expect(matches(['net_version', entry], method)).toBe(true);
});

test.each([
  ['eth_call', 'eth_callMany'],
  ['eth_call', 'eth_cal'],
  ['eth_call', 'ETH_CALL'],
  ['eth_call', 'Eth_call'],
  ['eth_call', 'eth_Call'],
  ['eth_call', 'xeth_call'],
  ['eth_call', ' eth_call'],
  ['eth_call', 'eth_call '],
  ['eth_call', 'eth_call\n'],
  ['eth_call', 'eth_call\0'],
  ['eth_call', 'eth-call'],
  ['eth_call', ''],
  ['eth_get*', 'eth_Get'],
  ['eth_get*', 'ETH_GETBALANCE'],
  ['eth_get*', 'xeth_getBalance'],
  ['eth_get*', 'eth_ge'],
  ['eth_get*', 'eth'],
  ['eth_*', 'ethx_call'],
  ['eth_*', 'eth'],
  ['eth.call', 'eth_call'],
  ['eth.*', 'eth_call'],
  ['[a-z]*', 'eth_call'],
])('the entry %s does not allow %j', (entry, method) => {
  expect(matches([entry], method)).toBe(false);
});

test('names of object members are method names like any other', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'has']) {
    expect(matches(['eth_call'], name)).toBe(false);
    expect(matches([name], name)).toBe(true);
  }
});

test.each(['eth_call', 'eth_*', 'e*', 'eth_get*', 'a.b/c', '__proto__', 'a'.repeat(128), `${'a'.repeat(127)}*`])(
  '%j may be an entry',
  (entry) => {
    expect(methods.problem(entry)).toBeUndefined();
  },
);

test.each([
  '',
  ' ',
  'eth call',
  ' eth_call',
  'eth_call ',
  'eth_call\n',
  'eth_call\0',
  '*_call',
  'eth_*call',
  'eth_*Many*',
  'eth_**',
  '**',
  'eth_cäll',
  'ｅth_call',
  'a'.repeat(129),
])('%j may not be an entry', (entry) => {
  expect(methods.problem(entry)).toContain('"eth_get*"');
});

test.each([
  ['eth_blokNumber', 'eth_blockNumber'],
  ['ETH_CALL', 'eth_call'],
  ['eth_getBalanse', 'eth_getBalance'],
  ['txpool_contents', 'txpool_content'],
  ['net_versoin', 'net_version'],
  ['eht_*', 'eth_*'],
  ['Eth_get*', 'eth_get*'],
  ['eth_gte*', 'eth_get*'],
])('the entry %s most likely means %s', (entry, meant) => {
  expect(likelyMeant(entry)).toBe(meant);
});

test.each(['eth_call', 'net_version', 'eth_get*', 'e*', 'trace_*', 'acme_balance', 'acme_*', 'x', 'x*', 'admin_peers'])(
  'the entry %s is taken as it is',
  (entry) => {
    expect(likelyMeant(entry)).toBeUndefined();
  },
);
