import { admit } from '../policy/authorize';
import { judgeAgain } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import type { AdmittedCalls, Guard } from './incoming-call';

/** A request that has waited is checked against the key's current settings: the key may be revoked by now. */
export async function admitAgain(
  { options, store }: Guard,
  facts: RequestFacts,
  before: JudgedCalls,
): Promise<AdmittedCalls | Refusal> {
  const admission = await admit(facts, store);
  return isRefusal(admission) ? admission : { admission, judged: judgeAgain(before, admission, options) };
}
