import type { AddressTable } from '../allowlists/address-table';
import type { InvalidCall, RpcCall } from '../json-rpc/call';
import { PASSES_ALL } from '../settings/key-settings';
import type { CompiledAllowlists, CompiledKey, CompiledSecret } from '../settings/key-settings';
import { isRefusal, refuse } from './refusals';
import type { Refusal } from './refusals';
import { API_KEY } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { checkContracts, checkHeaders } from './check-allowlists';
import { gateMethod } from './gate-method';
import { verifyAgainstNobody, verifySecret } from './authenticators/basic-secret';
import type { CachedStore, Lookup } from '../stores/settings-cache';

/** What the operator decides for all keys. */
export interface CallRules {
  readonly addressTable: AddressTable;
  readonly isBlocked: (method: string) => boolean;
}

/** The lists that an admitted request's calls are held against. */
export interface Admission {
  readonly allowlists: CompiledAllowlists;
  /** When the secret that it rests on expires, in milliseconds since 1970. */
  readonly expiresAtMs?: number | undefined;
}

/** Everything that is decided before a body is read: key, secret, User-Agent and Origin. */
export async function admit(facts: RequestFacts, store: Pick<CachedStore, 'get'>): Promise<Admission | Refusal> {
  if (facts.duplicateHeader !== undefined) return refuse('DUPLICATE_HEADER', { why: facts.duplicateHeader });
  if (facts.apiKey === '') return refuse('KEY_REQUIRED');
  return admitTo(API_KEY.test(facts.apiKey) ? await store.get(facts.apiKey) : 'unknown', facts);
}

/** What `admit` decides once it is known what the key is. */
export function admitTo(key: Lookup, facts: RequestFacts): Admission | Refusal {
  if (key === 'unavailable') return refuse('SETTINGS_UNAVAILABLE');
  if (key === 'unknown') {
    verifyAgainstNobody(facts);
    return refuse('KEY_UNKNOWN');
  }
  if (!key.settings.enabled) return refuse('KEY_DISABLED');

  const secret = verifySecret(facts, key);
  if (isRefusal(secret)) return secret;

  const allowlists = heldAgainst(key, secret);
  return checkHeaders(allowlists, facts) ?? { allowlists, expiresAtMs: secret?.expiresAtMs };
}

/**
 * The lists that hold for a request with this secret or none. A secret's own are its permissions [001]: the switch that
 * overrides the key's does not widen them.
 */
export function heldAgainst(key: CompiledKey, secret: CompiledSecret | undefined): CompiledAllowlists {
  if (secret === undefined) return key.allowlists;
  return secret.allowlists ?? (key.settings.overrideAllowlists ? PASSES_ALL : key.allowlists);
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
