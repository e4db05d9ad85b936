import { compileMethods } from '../allowlists/method-entries';
import type { Allowlists } from '../settings/key-settings';
import type { KeyView } from '../settings/key-view';

/** What a caller has to send so that a key's lists let it pass; a header only where a list reads it. */
export interface SampleRequest {
  readonly origin: string | undefined;
  readonly userAgent: string | undefined;
  /** Without parameters, if the lists let such a method pass. */
  readonly method: string;
}

export const USUAL_METHOD = 'eth_blockNumber';

/**
 * @param secret that goes with the request
 * @param known methods to choose from where a list has prefixes alone
 */
export function sampleRequest(key: KeyView, secret: string | undefined, known: readonly string[]): SampleRequest {
  const lists = listsFor(key, secret);
  const [origin] = lists?.origins ?? [];
  return {
    origin: origin === undefined ? undefined : originOf(origin),
    userAgent: lists?.userAgents[0],
    method: methodOf(lists?.methods ?? [], known),
  };
}

/** As an argument of a shell; without quotes where they are not needed. */
export function inShell(text: string): string {
  return /^[\w:/.@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The lists that a request with the secret is held against. */
function listsFor({ secrets, allowlists, overrideAllowlists }: KeyView, secret: string | undefined) {
  if (secret === undefined) return allowlists;
  const own = secrets.find(({ hint }) => hint !== '' && secret.startsWith(hint))?.allowlists;
  return own ?? (overrideAllowlists ? undefined : allowlists);
}

/** An origin that the entry matches. */
function originOf(entry: string): string {
  if (entry === 'null') return entry;
  const [scheme = '', host = ''] = entry.includes('://') ? entry.split('://') : ['https', entry];
  const example = (host === '' ? 'example.com' : host).replace(/:\*$/, '');
  return `${scheme}://${example.replace(/^\*\./, 'app.').replace('*', 'preview')}`;
}

/** A method that the entries let pass, without parameters if there is one. */
function methodOf(entries: Allowlists['methods'], known: readonly string[]): string {
  const exact = entries.filter((entry) => !entry.endsWith('*'));
  const passes = entries.length === 0 ? () => true : compileMethods(entries);
  return [USUAL_METHOD, 'eth_chainId', 'net_version', ...exact, ...known].find(passes) ?? USUAL_METHOD;
}
