import { compileBlockedMethods } from '../../lib/policy/blocked-methods';
import { PASSES_ALL, compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { CompiledAllowlists } from '../../lib/settings/compile';
import { DEFAULT_BLOCKED_METHODS } from '../../lib/allowlists/default-blocked-methods';
import { admissionOf, checkCall } from '../../lib/policy/authorize';
import type { Refusal } from '../../lib/policy/refusals';
import { addressTable } from '../../lib/allowlists/address-table';
import { KEY, rpcCall } from '../support/pieces';

const isBlocked = compileBlockedMethods(DEFAULT_BLOCKED_METHODS);
const blocksNothing = () => false;

function lists(...entries: readonly string[]): CompiledAllowlists {
  return compileKeySettings(parseKeySettings({ apiKey: KEY, allowlists: { methods: entries } })).allowlists;
}

function gateMethod(
  allowlists: CompiledAllowlists,
  method: string,
  blocks: (method: string) => boolean,
): Refusal | undefined {
  const key = compileKeySettings(parseKeySettings({ apiKey: KEY }));
  const rules = { addressTable: addressTable({}), isBlocked: blocks, blockedMethods: DEFAULT_BLOCKED_METHODS };
  return checkCall({ ...admissionOf(key, undefined), allowlists }, rpcCall(method), rules);
}

test.each(['eth_call', 'eth_getLogs', 'net_version', 'acme_own'])('without a list %s passes', (method) => {
  expect(gateMethod(lists(), method, isBlocked)).toBeUndefined();
  expect(gateMethod(PASSES_ALL, method, isBlocked)).toBeUndefined();
});

test('with a list a method on it passes and no other', () => {
  const listed = lists('eth_call', 'eth_get*');
  for (const method of ['eth_call', 'eth_getLogs', 'eth_getBalance']) {
    expect(gateMethod(listed, method, isBlocked)).toBeUndefined();
  }
  for (const method of ['eth_sendRawTransaction', 'ETH_CALL', 'eth_callMany', 'eth_Get', 'net_version', '__proto__']) {
    expect(gateMethod(listed, method, isBlocked)).toEqual({ refused: 'METHOD_NOT_ALLOWED' });
  }
});

const blocked = [
  'admin_peers',
  'admin_addPeer',
  'personal_unlockAccount',
  'miner_start',
  'engine_newPayloadV4',
  'clique_propose',
  'les_serverInfo',
  'db_putString',
  'shh_post',
  'ethstats_x',
  'admin_',
  'admin_subscribe',
  'Admin_addPeer',
  'ADMIN_PEERS',
  'debug_setHead',
  'debug_sethead',
  'debug_startCPUProfile',
  'debug_standardTraceBlockToFile',
  'debug_traceBlockFromFile',
  'debug_resetHead',
  'debug_getConfigValue',
  'testing_buildBlockV1',
  'opp2p_blockPeer',
  'perm_addNodesToAllowlist',
  'ibft_proposeValidatorVote',
  'qbft_proposeValidatorVote',
  'parity_setMode',
  'plugins_reloadPluginConfig',
  'anvil_setBalance',
  'hardhat_impersonateAccount',
  'evm_revert',
];

test.each(blocked)('%s is blocked for every key, and said not to exist', (method) => {
  for (const allowlists of [PASSES_ALL, lists(), lists('eth_call'), lists(method), lists('admin_*', 'personal_*')]) {
    expect(gateMethod(allowlists, method, isBlocked)).toEqual({
      refused: 'METHOD_BLOCKED',
      message: `the method ${method} does not exist/is not available`,
    });
  }
});

test.each([
  'admin',
  'xadmin_peers',
  'eth_admin_peers',
  'adminx_peers',
  'debug_traceCall',
  'debug_traceBlockByHash',
  'ibft_getSignerMetrics',
  'debug_storageRangeAt',
])('%s is not blocked', (method) => {
  expect(gateMethod(PASSES_ALL, method, isBlocked)).toBeUndefined();
});

test('an operator may block nothing', () => {
  expect(gateMethod(PASSES_ALL, 'admin_peers', blocksNothing)).toBeUndefined();
  expect(gateMethod(lists('eth_call'), 'admin_peers', blocksNothing)).toEqual({ refused: 'METHOD_NOT_ALLOWED' });
});
