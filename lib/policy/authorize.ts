import type { InvalidCall, RpcCall } from '../json-rpc/call';
import type { RequestFacts } from '../request/request-facts';
import { API_KEY } from '../settings/api-key';
import { PASSES_ALL } from '../settings/compile';
import type { CompiledAllowlists, CompiledKey, CompiledSecret } from '../settings/compile';
import type { CachedStore, Lookup } from '../stores/settings-cache';
import { authenticate } from './authenticate';
import { checkBlockedMethods } from './blocked-methods';
import { runChecks, runReports } from './check';
import type { CallRules, Check, CheckedCall } from './check';
import { CALL_LIST_CHECKS, REQUEST_LIST_CHECKS } from './check-allowlists';
import { isRefusal, refuse } from './refusals';
import type { Refusal } from './refusals';
import { passed, refused } from './trace';
import type { TracedStep, Tracer } from './trace';
import { whenKnown } from './value-or-promise';
import type { ValueOrPromise } from './value-or-promise';

/** Who a request comes from, and the lists that its calls are held against. */
export interface Admission {
  readonly key: CompiledKey;
  /** `undefined` where none was presented and none is needed. */
  readonly credential: CompiledSecret | undefined;
  /** Those that refuse. */
  readonly allowlists: CompiledAllowlists;
  /** Those that only tell what they would refuse; `undefined` where there is none. */
  readonly reported: CompiledAllowlists | undefined;
  /** Why these would refuse the request before its body is read. */
  readonly wouldRefuse: Refusal | undefined;
}

/** A request that took or waited longer than this is admitted again: its key may have been revoked meanwhile. */
export const READMIT_AFTER_MS = 500;

const OVERRIDDEN = { allowlists: PASSES_ALL, reported: undefined };

/** The checks of each call, in order: the operator's blocked methods come before the key's list of methods. */
const CALL_CHECKS: readonly Check<CheckedCall>[] = CALL_LIST_CHECKS.flatMap(({ type, check }) =>
  type === 'methods' ? [checkBlockedMethods, check] : [check],
);

const CALL_REPORTS: readonly Check<CheckedCall>[] = CALL_LIST_CHECKS.map(({ check }) => check);

/**
 * Everything that is decided before a body is read: key, secret, and the lists that read the request. Synchronous if the
 * key's settings are cached.
 */
export function admit(facts: RequestFacts, store: Pick<CachedStore, 'get'>): ValueOrPromise<Admission | Refusal> {
  // A malformed key, and a request that is refused anyway, never reaches the store.
  const isAsked = facts.duplicateHeader === undefined && API_KEY.test(facts.apiKey);
  return whenKnown(isAsked ? store.get(facts.apiKey) : 'unknown', (key) => admitTo(key, facts));
}

/** Decides as `admit` does, once the key has been looked up. Synchronous if its authenticator is. */
export function admitTo(key: Lookup, facts: RequestFacts, trace?: Tracer): ValueOrPromise<Admission | Refusal> {
  const ofKey = checkKey(key, facts);
  trace?.(ofKey === undefined ? passed('key', 'known and enabled') : refused('key', ofKey));
  if (typeof key === 'string') {
    const refusal = ofKey ?? refuse('KEY_UNKNOWN');
    // Does the work of a known key, so that timing does not tell which keys there are.
    return refusal.refused === 'KEY_UNKNOWN' ? whenKnown(authenticate(facts, undefined), () => refusal) : refusal;
  }
  if (ofKey !== undefined && trace === undefined) return ofKey;

  return whenKnown(authenticate(facts, key), (credential) => {
    const admission = admissionOf(key, isRefusal(credential) ? undefined : credential);
    trace?.(isRefusal(credential) ? refused('secret', credential, whyNotAuthentic(credential)) : authentic(admission));
    const ofCredential = isRefusal(credential) ? credential : undefined;
    if (ofCredential !== undefined && trace === undefined) return ofCredential;
    const ofLists = runChecks(REQUEST_LIST_CHECKS, admission.allowlists, facts, trace);
    const refusal = ofKey ?? ofCredential ?? ofLists;
    const { reported } = admission;
    if (reported === undefined || (refusal !== undefined && trace === undefined)) return refusal ?? admission;
    const wouldRefuse = runReports(REQUEST_LIST_CHECKS, reported, facts, trace);
    return refusal ?? { ...admission, wouldRefuse };
  });
}

function checkKey(key: Lookup, { duplicateHeader, apiKey }: RequestFacts): Refusal | undefined {
  if (duplicateHeader !== undefined) return refuse('DUPLICATE_HEADER', { why: `${duplicateHeader} was sent twice` });
  if (apiKey === '') return refuse('KEY_REQUIRED');
  if (key === 'unavailable') return refuse('SETTINGS_UNAVAILABLE');
  if (key === 'unknown') return refuse('KEY_UNKNOWN');
  return key.settings.enabled ? undefined : refuse('KEY_DISABLED', { why: 'disabled' });
}

function authentic({ credential, allowlists }: Admission): TracedStep {
  if (credential === undefined) return passed('secret', 'none was sent, and none is required');
  const { label, hint, allowlists: own } = credential;
  const named = label === '' ? 'valid' : `"${label}" is valid`;
  if (own !== undefined) return passed('secret', `${named}; its own lists hold in place of the key's`, hint);
  return passed('secret', allowlists === PASSES_ALL ? `${named}, and overrides the lists` : named, hint);
}

function whyNotAuthentic({ refused: reason }: Refusal): string {
  if (reason === 'SECRET_REQUIRED') return 'a secret is required, and none was sent';
  return 'the credentials are malformed, or hold no active secret of this key';
}

/**
 * The lists that hold for a request with this credential or none. A secret's own are its permissions [001]: the switch
 * that overrides the key's does not widen them.
 */
export function admissionOf(key: CompiledKey, credential: CompiledSecret | undefined): Admission {
  const { allowlists, reported } = listsOf(key, credential);
  return { key, credential, allowlists, reported, wouldRefuse: undefined };
}

function listsOf(key: CompiledKey, credential: CompiledSecret | undefined): Pick<Admission, 'allowlists' | 'reported'> {
  if (credential === undefined) return key;
  const { allowlists, reported } = credential;
  if (allowlists !== undefined) return { allowlists, reported };
  return key.settings.overrideAllowlists ? OVERRIDDEN : key;
}

/** Decides on one call: the addresses it queries, then the method gate. `undefined` lets it pass. */
export function checkCall(
  { allowlists }: Admission,
  call: RpcCall | InvalidCall,
  rules: CallRules,
  trace?: Tracer,
): Refusal | undefined {
  if (!('invalid' in call)) return runChecks(CALL_CHECKS, allowlists, { call, rules }, trace);
  const refusal = refuseInvalid(call);
  trace?.(refused('body', refusal));
  return refusal;
}

/**
 * Why a call that passes would be refused if every list refused: those that read the request come before those that read
 * the call. Only to be asked where `reported` is there.
 */
export function reportCall(
  { reported, wouldRefuse }: Admission,
  call: RpcCall,
  rules: CallRules,
  trace?: Tracer,
): Refusal | undefined {
  const ofCall = reported && runReports(CALL_REPORTS, reported, { call, rules }, trace);
  return ofCall?.refused === 'INTERNAL_ERROR' ? ofCall : (wouldRefuse ?? ofCall);
}

function refuseInvalid({ invalid, why }: InvalidCall): Refusal {
  if (invalid === 'request') return refuse('INVALID_REQUEST', { why });
  return refuse('INVALID_REQUEST', { code: -32602, message: 'Invalid params', why });
}
