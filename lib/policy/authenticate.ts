import type { RequestFacts } from '../request/request-facts';
import type { CompiledKey, CompiledSecret } from '../settings/compile';
import type { Authenticator } from './authenticators/authenticator';
import { basicSecret } from './authenticators/basic-secret';
import { refuse } from './refusals';
import type { Refusal } from './refusals';
import type { ValueOrPromise } from './value-or-promise';

/** The first whose credentials a request holds verifies it. */
const AUTHENTICATORS: readonly Authenticator[] = [basicSecret];

/**
 * Step 1: who calls. Credentials are checked whenever they are present, required or not, also for a key that does not
 * exist (`undefined`). Synchronous if the authenticator is.
 * @returns the credential that was presented, `undefined` where none was and none is needed, or a refusal.
 */
export function authenticate(
  facts: RequestFacts,
  key: CompiledKey | undefined,
): ValueOrPromise<CompiledSecret | Refusal | undefined> {
  const authenticator = AUTHENTICATORS.find(({ isPresented }) => isPresented(facts));
  if (authenticator !== undefined) return authenticator.verify(facts, key);
  return key?.settings.requireSecret === true ? refuse('SECRET_REQUIRED') : undefined;
}
