import type { RequestFacts } from '../../request/request-facts';
import type { CompiledKey, CompiledSecret } from '../../settings/compile';
import type { Refusal } from '../refusals';
import type { ValueOrPromise } from '../value-or-promise';

/** One way to say who calls. */
export interface Authenticator {
  /** Whether the request holds credentials of this kind, right or wrong. */
  readonly isPresented: (facts: RequestFacts) => boolean;
  /** For an unknown key (`undefined`) it does the same work, so that timing does not tell which keys exist. */
  readonly verify: (facts: RequestFacts, key: CompiledKey | undefined) => ValueOrPromise<CompiledSecret | Refusal>;
}
