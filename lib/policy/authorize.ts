import type { AddressTable } from '../allowlists/address-table';
import type { InvalidCall, RpcCall } from '../json-rpc/call';
import { PASSES_ALL } from '../settings/compile';
import type { CompiledAllowlists, CompiledKey, CompiledSecret } from '../settings/compile';
import { isRefusal, refuse } from './refusals';
import type { Refusal } from './refusals';
import { API_KEY } from '../settings/api-key';
import type { RequestFacts } from '../request/request-facts';
import { checkContracts, checkHeaders } from './check-allowlists';
import { gateMethod } from './gate-method';
import { authenticate } from './authenticate';
import { whenKnown } from './value-or-promise';
import type { ValueOrPromise } from './value-or-promise';
import type { CachedStore, Lookup } from '../stores/settings-cache';

/** What the operator decides for all keys. */
export interface CallRules {
  readonly addressTable: AddressTable;
  readonly isBlocked: (method: string) => boolean;
}

/** Who a request comes from, and the lists that its calls are held against. */
export interface Admission {
  readonly key: CompiledKey;
  /** `undefined` where none was presented and none is needed. */
  readonly credential: CompiledSecret | undefined;
  readonly allowlists: CompiledAllowlists;
}

/** Everything that is decided before a body is read: key, secret, User-Agent and Origin. */
export async function admit(facts: RequestFacts, store: Pick<CachedStore, 'get'>): Promise<Admission | Refusal> {
  // What can be no key, and what is refused anyway, never reaches the store.
  const isAsked = facts.duplicateHeader === undefined && API_KEY.test(facts.apiKey);
  return admitTo(isAsked ? await store.get(facts.apiKey) : 'unknown', facts);
}

/** What `admit` decides once it is known what the key is. Synchronous where its authenticator is. */
export function admitTo(key: Lookup, facts: RequestFacts): ValueOrPromise<Admission | Refusal> {
  if (facts.duplicateHeader !== undefined) {
    return refuse('DUPLICATE_HEADER', { why: `${facts.duplicateHeader} was sent twice` });
  }
  if (facts.apiKey === '') return refuse('KEY_REQUIRED');
  if (key === 'unavailable') return refuse('SETTINGS_UNAVAILABLE');
  if (key === 'unknown') return whenKnown(authenticate(facts, undefined), () => refuse('KEY_UNKNOWN'));
  if (!key.settings.enabled) return refuse('KEY_DISABLED');

  return whenKnown(authenticate(facts, key), (credential) => {
    if (isRefusal(credential)) return credential;
    const admission = admissionOf(key, credential);
    return checkHeaders(admission.allowlists, facts) ?? admission;
  });
}

/**
 * The lists that hold for a request with this credential or none. A secret's own are its permissions [001]: the switch
 * that overrides the key's does not widen them.
 */
export function admissionOf(key: CompiledKey, credential: CompiledSecret | undefined): Admission {
  if (credential === undefined) return { key, credential, allowlists: key.allowlists };
  const ofKey = key.settings.overrideAllowlists ? PASSES_ALL : key.allowlists;
  return { key, credential, allowlists: credential.allowlists ?? ofKey };
}

/** What is decided of each call: contract addresses, then the method gate. `undefined` lets it pass. */
export function checkCall(
  { allowlists }: Admission,
  call: RpcCall | InvalidCall,
  rules: CallRules,
): Refusal | undefined {
  if ('invalid' in call) return refuseInvalid(call);
  return checkContracts(allowlists, call, rules.addressTable) ?? gateMethod(allowlists, call.method, rules.isBlocked);
}

function refuseInvalid({ invalid, why }: InvalidCall): Refusal {
  if (invalid === 'request') return refuse('INVALID_REQUEST', { why });
  return refuse('INVALID_REQUEST', { code: -32602, message: 'Invalid params', why });
}
