import type { Meta, ShownKey } from '../api';
import type { Allowlists } from '../../settings/key-settings';

/** What a caller has to send so that a key's lists let it pass. */
export interface SnippetFacts {
  readonly url: string;
  readonly socketUrl: string;
  readonly secret: string | undefined;
  readonly origin: string | undefined;
  readonly userAgent: string | undefined;
  readonly method: string;
}

const USUAL = 'eth_blockNumber';

/** @param isSecured whether this page came over TLS: the server behind a proxy may not know. */
export function snippetFacts(
  settings: ShownKey,
  meta: Meta,
  secret: string | undefined,
  isSecured: boolean,
): SnippetFacts {
  const address = (url: string) => {
    const seen = isSecured && meta.isUrlGuessed ? url.replace(/^(http|ws):/, '$1s:') : url;
    return seen.replace('YOUR-API-KEY', settings.apiKey);
  };
  const lists = listsFor(settings, secret);
  const [origin] = lists?.origins ?? [];
  return {
    url: address(meta.httpUrl),
    socketUrl: address(meta.wsUrl),
    secret,
    origin: origin === undefined ? undefined : originOf(origin),
    userAgent: lists?.userAgents[0],
    method: methodOf(lists?.methods ?? [], meta),
  };
}

/** The lists that a request with the secret is held against. */
function listsFor({ secrets, allowlists, overrideAllowlists }: ShownKey, secret: string | undefined) {
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
function methodOf(entries: Allowlists['methods'], { methodGroups }: Meta): string {
  const known = methodGroups.flatMap(({ methods }) => methods);
  const exact = entries.filter((entry) => !entry.endsWith('*'));
  const passes = (method: string) =>
    entries.length === 0 ||
    exact.includes(method) ||
    entries.some((entry) => entry.endsWith('*') && method.startsWith(entry.slice(0, -1)));
  return [USUAL, 'eth_chainId', 'net_version', ...exact, ...known].find(passes) ?? USUAL;
}
