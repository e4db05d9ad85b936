import { BOOLEAN_RULE, isPlainObject, problemsOf, quoteValue } from '../option-rules';
import type { OptionRule, OptionRules } from '../option-rules';

/** Kinds of names that usage counts by. Default `true` each. */
export interface UsageOptions {
  /** Where calls come from, as browsers tell. */
  readonly origins?: boolean;
  /** The contracts and accounts that calls query. */
  readonly addresses?: boolean;
  /** The product of user agents (`ethers`), never the whole of them. */
  readonly userAgents?: boolean;
}

export type UsageKinds = Required<UsageOptions>;

const RULES: OptionRules<UsageOptions> = { origins: BOOLEAN_RULE, addresses: BOOLEAN_RULE, userAgents: BOOLEAN_RULE };

export const USAGE_RULE: OptionRule = {
  accepts: (value) =>
    typeof value === 'boolean' || (isPlainObject(value) && problemsOf<UsageOptions>(RULES, value).length === 0),
  quote: (value) => (isPlainObject(value) ? `an object (${problemsOf(RULES, value).join('; ')})` : quoteValue(value)),
  takes: 'true, false, or kinds to leave out, such as { origins: false, addresses: false, userAgents: false }',
  default: true,
};

/** The kinds that are counted; `undefined` where nothing is. */
export function usageKinds(option: boolean | UsageOptions): UsageKinds | undefined {
  if (option === false) return undefined;
  return { origins: true, addresses: true, userAgents: true, ...(option === true ? {} : option) };
}
