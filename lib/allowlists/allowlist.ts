import type { RpcCall } from '../json-rpc/call';
import type { RequestFacts } from '../request/request-facts';
import type { AddressTable } from './address-table';

/** How entries of one type are checked and matched. A type is one file that exports one of these. */
interface AllowlistOf<Matcher> {
  /** Whether entries that differ in case alone are the same entry. */
  readonly ignoresCase: boolean;
  /** What is wrong with an entry and how to write it right; `undefined` for a good one. */
  readonly problem: (entry: string) => string | undefined;
  /** Prepares good entries once, so that a match only looks up and compares. */
  readonly compile: (entries: readonly string[]) => Matcher;
}

/** Decides on what is known before a body is read. */
export interface HeaderAllowlist extends AllowlistOf<(facts: RequestFacts) => boolean> {
  readonly decides: 'headers';
  readonly refusal: 'USER_AGENT_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED';
}

/** Decides on what a call queries. */
export interface CallAllowlist extends AllowlistOf<(call: RpcCall, table: AddressTable) => boolean> {
  readonly decides: 'call';
  readonly refusal: 'CONTRACT_ADDRESS_NOT_ALLOWED';
}

/** Decides on a call's method name: the method gate. */
export interface MethodAllowlist extends AllowlistOf<(method: string) => boolean> {
  readonly decides: 'method';
  readonly refusal: 'METHOD_NOT_ALLOWED';
}

export type Allowlist = HeaderAllowlist | CallAllowlist | MethodAllowlist;

/** Entries that one type may have [002]. */
export const MAX_ENTRIES = 30;
