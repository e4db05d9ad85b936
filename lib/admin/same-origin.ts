import type { IncomingMessage } from 'node:http';

const DEFAULT_PORT = /:(?:80|443)$/;

/**
 * Whether a request comes from our own page, or from no page at all. A browser adds a cookie or Basic credentials to
 * what any website sends here, and says of each such request where it comes from.
 * @param host that the request was sent to, port included.
 */
export function isSameOrigin({ headers }: IncomingMessage, host: string): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || (site === 'none' && headers.origin === undefined);
  const { origin } = headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase().replace(DEFAULT_PORT, '');
}
