import { addressTable } from '../../lib/allowlists/address-table';
import { PASSES_ALL, compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import type { Allowlists } from '../../lib/settings/key-settings';
import type { CompiledAllowlists } from '../../lib/settings/compile';
import type { AddressTable } from '../../lib/allowlists/address-table';
import type { RpcCall } from '../../lib/json-rpc/call';
import { runChecks } from '../../lib/policy/check';
import { CALL_LIST_CHECKS, REQUEST_LIST_CHECKS } from '../../lib/policy/check-allowlists';
import type { Refusal } from '../../lib/policy/refusals';
import type { RequestFacts } from '../../lib/request/request-facts';
import { KEY, factsOf, rpcCall } from '../support/pieces';

const LISTED = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';
const OTHER = '0x1111111111111111111111111111111111111111';
const table = addressTable({});

function lists(allowlists: Partial<Allowlists>): CompiledAllowlists {
  return compileKeySettings(parseKeySettings({ apiKey: KEY, allowlists })).allowlists;
}

function checkHeaders(held: CompiledAllowlists, facts: RequestFacts): Refusal | undefined {
  return runChecks(REQUEST_LIST_CHECKS, held, facts);
}

function checkContracts(held: CompiledAllowlists, call: RpcCall, addresses: AddressTable): Refusal | undefined {
  const rules = { addressTable: addresses, isBlocked: () => false, blockedMethods: [] };
  const checks = CALL_LIST_CHECKS.filter(({ type }) => type === 'contractAddresses').map(({ check }) => check);
  return runChecks(checks, held, { call, rules });
}

describe('User-Agent and Origin', () => {
  const both = lists({ userAgents: ['Android', 'iPhone'], origins: ['https://a.example', 'https://b.example'] });

  test.each([
    ['Android', 'https://a.example'],
    ['Android', 'https://b.example'],
    ['iPhone', 'https://b.example'],
  ])('pass when an entry of each list matches: %s %s', (userAgent, origin) => {
    expect(checkHeaders(both, factsOf({ userAgent, origin }))).toBeUndefined();
  });

  test.each([
    ['curl/8', 'https://a.example', 'USER_AGENT_NOT_ALLOWED'],
    [undefined, 'https://a.example', 'USER_AGENT_NOT_ALLOWED'],
    ['curl/8', 'https://evil.example', 'USER_AGENT_NOT_ALLOWED'],
    [undefined, undefined, 'USER_AGENT_NOT_ALLOWED'],
    ['Android', 'https://evil.example', 'ORIGIN_NOT_ALLOWED'],
    ['Android', undefined, 'ORIGIN_NOT_ALLOWED'],
    ['Android', 'null', 'ORIGIN_NOT_ALLOWED'],
    ['Android https://a.example', undefined, 'ORIGIN_NOT_ALLOWED'],
  ])('are refused when one of them does not: %s %s', (userAgent, origin, reason) => {
    expect(checkHeaders(both, factsOf({ userAgent, origin }))).toMatchObject({ refused: reason });
  });

  test('are not looked at without a list', () => {
    for (const allowlists of [lists({}), PASSES_ALL, lists({ contractAddresses: [LISTED], methods: ['eth_call'] })]) {
      expect(checkHeaders(allowlists, factsOf())).toBeUndefined();
      expect(checkHeaders(allowlists, factsOf({ userAgent: 'x', origin: 'not an origin' }))).toBeUndefined();
    }
  });

  test('are looked at one without the other', () => {
    const onlyAgents = lists({ userAgents: ['Android'] });
    const onlyOrigins = lists({ origins: ['https://a.example'] });
    expect(checkHeaders(onlyAgents, factsOf({ userAgent: 'Android' }))).toBeUndefined();
    expect(checkHeaders(onlyOrigins, factsOf({ origin: 'https://a.example' }))).toBeUndefined();
    expect(checkHeaders(onlyOrigins, factsOf({ userAgent: 'Android' }))).toMatchObject({
      refused: 'ORIGIN_NOT_ALLOWED',
    });
  });

  test('are refused without a word on what the lists contain', () => {
    const refusal = JSON.stringify(checkHeaders(both, factsOf({ userAgent: 'x' })));
    for (const entry of ['Android', 'iPhone', 'a.example']) expect(refusal).not.toContain(entry);
  });
});

describe('contract addresses', () => {
  const listed = lists({ contractAddresses: [LISTED] });

  test.each<readonly [string, readonly unknown[]]>([
    ['eth_call', [{ to: LISTED }, 'latest']],
    ['eth_getBalance', [LISTED, 'latest']],
    ['eth_getLogs', [{ address: [LISTED] }]],
    ['eth_blockNumber', []],
  ])('pass when they are listed, or there are none: %s', (method, params) => {
    expect(checkContracts(listed, rpcCall(method, params), table)).toBeUndefined();
  });

  test.each<readonly [string, readonly unknown[]]>([
    ['eth_call', [{ to: OTHER }, 'latest']],
    ['eth_call', [{}, 'latest']],
    ['eth_getLogs', [{ address: [LISTED, OTHER] }]],
    ['eth_getLogs', [{}]],
    ['acme_unknown', []],
  ])('are refused when one is not listed, is missing or cannot be known: %s %j', (method, params) => {
    const refusal = checkContracts(listed, rpcCall(method, params), table);
    expect(refusal).toMatchObject({ refused: 'CONTRACT_ADDRESS_NOT_ALLOWED' });
    expect(JSON.stringify(refusal)).not.toContain(LISTED);
  });

  test('are not looked at without a list', () => {
    for (const allowlists of [lists({}), PASSES_ALL, lists({ contractAddresses: [] }), lists({ origins: ['null'] })]) {
      expect(checkContracts(allowlists, rpcCall('eth_call', [{ to: OTHER }]), table)).toBeUndefined();
      expect(checkContracts(allowlists, rpcCall('acme_unknown', [{}]), table)).toBeUndefined();
    }
  });

  test("may be those of an operator's own method", () => {
    const rows = addressTable({ acme_read: (params) => params[1] as string });
    expect(checkContracts(listed, rpcCall('acme_read', [OTHER, LISTED]), rows)).toBeUndefined();
    expect(checkContracts(listed, rpcCall('acme_read', [LISTED, OTHER]), rows)).toBeDefined();
    expect(checkContracts(listed, rpcCall('acme_read', [LISTED, LISTED]), table)).toBeDefined();
  });
});
