import { isUtf8 } from 'node:buffer';
import basicAuth from 'basic-auth';
import type { CompiledKey, CompiledSecret } from '../../settings/key-settings';
import { refuse } from '../refusals';
import type { Refusal } from '../refusals';
import type { RequestFacts } from '../../request/request-facts';
import { matchSecret } from '../../settings/secret';

const BASIC_CREDENTIALS = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

/**
 * Step 1. The secret is the password of HTTP Basic credentials whose user name is empty or the API key [000].
 * Credentials that are present are checked even where none are required.
 * @returns the secret that was presented, `undefined` where none was and none is needed, or a refusal.
 */
export function verifySecret(facts: RequestFacts, key: CompiledKey): CompiledSecret | Refusal | undefined {
  if (facts.authorization === undefined) {
    return key.settings.requireSecret ? refuse('SECRET_REQUIRED') : undefined;
  }
  return presentedSecret(facts, key.secrets) ?? refuse('SECRET_INVALID');
}

/** Does the work of `verifySecret` for a key that does not exist, so that timing does not tell which keys do. */
export function verifyAgainstNobody(facts: RequestFacts): void {
  if (facts.authorization !== undefined) presentedSecret(facts, []);
}

function presentedSecret(facts: RequestFacts, secrets: readonly CompiledSecret[]): CompiledSecret | undefined {
  const credentials = parseCredentials(facts.authorization ?? '');
  const secret = matchSecret(credentials?.pass ?? '', secrets, Date.now());
  return credentials?.name === '' || credentials?.name === facts.apiKey ? secret : undefined;
}

/** Node decodes Base64 that is none, and bytes that are not UTF-8: neither is what the secret's owner was given. */
export function parseCredentials(authorization: string): basicAuth.BasicAuthResult | undefined {
  const base64 = BASIC_CREDENTIALS.exec(authorization)?.[1];
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.toString('base64') === base64 && isUtf8(bytes) ? basicAuth.parse(authorization) : undefined;
}
