import { ALLOWLISTS, ALLOWLIST_TYPES } from '../allowlists';
import type { Allowlist, CallAllowlist, RequestAllowlist } from '../allowlists/allowlist';
import type { JsonValue } from '../json-rpc/strict-json';
import type { RequestFacts } from '../request/request-facts';
import { PASSES_ALL } from '../settings/compile';
import type { CompiledAllowlists, CompiledList } from '../settings/compile';
import type { AllowlistType } from '../settings/key-settings';
import type { CheckedCall } from './check';
import type { Check } from './check';
import { refuse } from './refusals';
import type { ListReason } from './refusals';
import { passed, refused, skipped } from './trace';
import type { Tracer } from './trace';

interface Row<List extends Allowlist> {
  readonly type: AllowlistType;
  readonly list: List;
}

const ROWS = ALLOWLIST_TYPES.map((type): Row<RequestAllowlist<ListReason> | CallAllowlist<ListReason>> => ({
  type,
  list: ALLOWLISTS[type],
}));

/** Step 2, before the body is read: User-Agent and Origin [002]. */
export const REQUEST_LIST_CHECKS: readonly Check<RequestFacts>[] = ROWS.flatMap(({ type, list }) =>
  list.phase === 'request' ? [requestCheck({ type, list })] : [],
);

/** Steps 2 and 3, for each call: what it queries, and its method [002]. */
export const CALL_LIST_CHECKS: readonly { readonly type: AllowlistType; readonly check: Check<CheckedCall> }[] =
  ROWS.flatMap(({ type, list }) => (list.phase === 'call' ? [{ type, check: callCheck({ type, list }) }] : []));

function requestCheck({ type, list }: Row<RequestAllowlist<ListReason>>): Check<RequestFacts> {
  return (lists, facts, trace) => {
    const inForce = lists[type];
    if (inForce === undefined) return skip(type, lists, trace);
    const value = list.reads(facts);
    if (value !== undefined && inForce.matches(value)) {
      trace?.(passed(type, 'matches', decidingEntries(list, inForce, [value])));
      return undefined;
    }
    trace?.(
      refused(
        type,
        refuse(list.refusal),
        value === undefined ? `there is no ${list.header} header` : 'no entry matches',
      ),
    );
    return refuse(list.refusal);
  };
}

function callCheck({ type, list }: Row<CallAllowlist<ListReason>>): Check<CheckedCall> {
  return (lists, { call, rules: { addressTable } }, trace) => {
    const inForce = lists[type];
    if (inForce === undefined) return skip(type, lists, trace);
    const values = list.reads(call, addressTable);
    const isMatched = (value: JsonValue) => typeof value === 'string' && inForce.matches(value);
    if (values?.every(isMatched) === true) {
      trace?.(passed(type, list.explain.passed(values), decidingEntries(list, inForce, values)));
      return undefined;
    }
    const { unread, unmatched } = list.explain;
    trace?.(
      refused(
        type,
        refuse(list.refusal),
        values === undefined ? unread(call, addressTable) : unmatched(values.find((value) => !isMatched(value))!),
      ),
    );
    return refuse(list.refusal);
  };
}

function skip(type: AllowlistType, lists: CompiledAllowlists, trace: Tracer | undefined): undefined {
  trace?.(skipped(type, lists === PASSES_ALL ? 'overridden' : 'no list'));
}

/** The first entry that matches each value, in the order of the list. */
function decidingEntries(
  { compile }: Allowlist,
  { entries }: CompiledList,
  values: readonly JsonValue[],
): string | null {
  const matching = values.map((value) => entries.find((entry) => compile([entry])(value as string)));
  return entries.filter((entry) => matching.includes(entry)).join(' ') || null;
}
