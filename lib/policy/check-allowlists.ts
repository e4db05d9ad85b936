import type { AddressTable } from '../allowlists/address-table';
import type { RpcCall } from '../json-rpc/call';
import type { CompiledAllowlists } from '../settings/compile';
import { refuse } from './refusals';
import type { Refusal } from './refusals';
import type { RequestFacts } from '../request/request-facts';

/** Step 2, before the body is read: User-Agent and Origin [002]. */
export function checkHeaders(lists: CompiledAllowlists, facts: RequestFacts): Refusal | undefined {
  const failed = lists.headers.find(({ matches }) => !matches(facts));
  return failed && refuse(failed.refusal);
}

/** Step 2, for each call: the contract addresses that it queries [002]. */
export function checkContracts(lists: CompiledAllowlists, call: RpcCall, table: AddressTable): Refusal | undefined {
  const failed = lists.calls.find(({ matches }) => !matches(call, table));
  return failed && refuse(failed.refusal);
}
