import type { RpcCall } from '../json-rpc/call';
import type { JsonValue } from '../json-rpc/strict-json';
import type { RequestFacts } from '../request/request-facts';
import type { AddressTable } from './address-table';

/** Everything about one type of list. A type is one file that exports one of these, and its row in the registry. */
interface AllowlistOf<Refusal extends string> {
  readonly title: string;
  /** The noun for one entry, and its plural. */
  readonly one: string;
  readonly many: string;
  /** The dashboard's label for the field of one entry. */
  readonly field: string;
  /** What the list does, and what its first entry puts into force. */
  readonly help: string;
  readonly first: string;
  readonly examples: readonly [string, ...string[]];
  /** What the preview matches against entries. */
  readonly sample: { readonly label: string; readonly example: string };
  /** The CLI option for one entry, and further names that the CLI takes for the list. */
  readonly flag: `--${string} <${string}>`;
  readonly aliases: readonly string[];
  /** The reason of its refusals. */
  readonly refusal: Refusal;
  /** Whether entries that differ in case alone are the same entry. */
  readonly ignoresCase: boolean;
  /** What is wrong with an entry and how to write it right; `undefined` for a good one. */
  readonly problem: (entry: string) => string | undefined;
  /** Why a valid entry may not do what is meant; `undefined` for most. Completes the sentence "the entry …". */
  readonly doubt: (entry: string) => string | undefined;
  /** Prepares good entries once, so that a match only looks up and compares. */
  readonly compile: (entries: readonly string[]) => (value: string) => boolean;
}

/** Decides on what is known before a body is read. */
export interface RequestAllowlist<Refusal extends string = string> extends AllowlistOf<Refusal> {
  readonly phase: 'request';
  /** The value that entries are matched against. A request without it is refused. */
  readonly reads: (facts: RequestFacts) => string | undefined;
  /** The header that it reads. */
  readonly header: string;
}

/** Decides on each call. */
export interface CallAllowlist<Refusal extends string = string> extends AllowlistOf<Refusal> {
  readonly phase: 'call';
  /** The values that entries are matched against: each must match one. `undefined` refuses the call. */
  readonly reads: (call: RpcCall, table: AddressTable) => readonly JsonValue[] | undefined;
  /** Why a call passes, is refused for one of its values, or cannot be read: for the dry run. */
  readonly explain: {
    readonly passed: (values: readonly JsonValue[]) => string;
    readonly unmatched: (value: JsonValue) => string;
    readonly unread: (call: RpcCall, table: AddressTable) => string;
  };
}

export type Allowlist = RequestAllowlist | CallAllowlist;

/** Entries that a list may have [002]. */
export const MAX_ENTRIES = 30;
