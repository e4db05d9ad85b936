import type { CompiledAllowlists } from '../settings/compile';
import { refuse } from './refusals';
import type { Refusal } from './refusals';

/** Step 3: what the operator blocks for all keys, then the key's own list of methods [002]. */
export function gateMethod(
  lists: CompiledAllowlists,
  method: string,
  isBlocked: (method: string) => boolean,
): Refusal | undefined {
  if (isBlocked(method)) {
    return refuse('METHOD_BLOCKED', { message: `the method ${method} does not exist/is not available` });
  }
  const failed = lists.methods.find(({ matches }) => !matches(method));
  return failed && refuse(failed.refusal);
}
