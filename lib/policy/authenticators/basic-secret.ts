import basicAuth from 'basic-auth';
import type { CompiledSecret } from '../../settings/compile';
import { refuse } from '../refusals';
import type { Authenticator } from './authenticator';
import type { RequestFacts } from '../../request/request-facts';
import { matchSecret } from '../../settings/secret';

const BASIC_CREDENTIALS = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

/**
 * The secret is the password of HTTP Basic credentials whose user name is empty or the API key [000]. Takes whatever
 * the `Authorization` header holds: credentials of another kind are no secret of the key.
 */
export const basicSecret: Authenticator = {
  isPresented: (facts) => facts.authorization !== undefined,
  verify: (facts, key) => presentedSecret(facts, key?.secrets ?? []) ?? refuse('SECRET_INVALID'),
};

function presentedSecret(facts: RequestFacts, secrets: readonly CompiledSecret[]): CompiledSecret | undefined {
  const credentials = parseCredentials(facts.authorization ?? '');
  const secret = matchSecret(credentials?.pass ?? '', secrets, Date.now());
  return credentials?.name === '' || credentials?.name === facts.apiKey ? secret : undefined;
}

/**
 * Node decodes Base64 that is none, and bytes that are not UTF-8: neither is what the secret's owner was given. Written
 * anew, what it has made of them differs.
 */
export function parseCredentials(authorization: string): basicAuth.BasicAuthResult | undefined {
  const base64 = BASIC_CREDENTIALS.exec(authorization)?.[1];
  const credentials = base64 === undefined ? undefined : basicAuth.parse(authorization);
  if (credentials === undefined) return undefined;
  const { name, pass } = credentials;
  return Buffer.from(`${name}:${pass}`).toString('base64') === base64 ? credentials : undefined;
}
