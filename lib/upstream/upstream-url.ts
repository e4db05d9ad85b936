import { validateHeaderName, validateHeaderValue } from 'node:http';
import { isObject, isPlainObject } from '../option-rules';

/** An upstream's URL, `http:` or `https:`, with its own path and query; credentials in it become Basic credentials. */
export type UpstreamOption =
  | string
  | {
      readonly url: string;
      /** Where WebSockets go, `ws:` or `wss:`. Default: `url` with the scheme changed. */
      readonly wsUrl?: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

interface UpstreamParts {
  readonly url: string;
  readonly wsUrl?: unknown;
  readonly headers?: unknown;
}

export interface Upstream {
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  readonly host: string;
  /** An IPv6 address without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  /** What authenticates the guard to the upstream, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly wsUrl: string;
  readonly wsHeaders: Readonly<Record<string, string>>;
}

/** The guard alone sets framing and content type. */
const GUARDS_HEADERS =
  /^(?:connection|content-(?:encoding|length|type)|expect|keep-alive|te|trailer|transfer-encoding|upgrade)$/i;

/** Parses the upstream option; `undefined` if it is invalid. */
export function parseUpstream(upstream: unknown): Upstream | undefined {
  if (typeof upstream === 'string') return parseUpstream({ url: upstream });
  if (!isObject(upstream) || !('url' in upstream) || typeof upstream.url !== 'string') return undefined;
  const { url, wsUrl = upstream.url.replace(/^http/i, 'ws'), headers = {}, ...rest } = upstream as UpstreamParts;
  const http = parseUrl(url, 'http:', 'https:');
  const ws = parseUrl(wsUrl, 'ws:', 'wss:');
  if (http === undefined || ws === undefined) return undefined;
  // http-proxy folds repeated slashes into one: such a path would not arrive as it is written.
  if (http.pathname.includes('//') || Object.keys(rest).length > 0 || !areHeaders(headers)) return undefined;
  const names = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    origin: http.origin,
    host: http.host,
    hostname: http.hostname.replace(/^\[|\]$/g, ''),
    port: Number(http.port) || (http.protocol === 'https:' ? 443 : 80),
    path: http.pathname + http.search,
    headers: { ...basicCredentials(http), ...Object.fromEntries(names) },
    wsUrl: `${ws.protocol}//${ws.host}${ws.pathname}${ws.search}`,
    wsHeaders: { ...basicCredentials(ws), ...Object.fromEntries(names) },
  };
}

function parseUrl(url: unknown, ...protocols: readonly string[]): URL | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined;
  const parsed = new URL(url);
  if (parsed.hash !== '' || basicCredentials(parsed) === undefined) return undefined;
  return protocols.includes(parsed.protocol) ? parsed : undefined;
}

/** The part of it that holds no secret: credentials, path and headers may. */
export function quoteUpstream(upstream: unknown): string {
  const url = isObject(upstream) && 'url' in upstream ? upstream.url : upstream;
  if (typeof url !== 'string') return typeof url;
  return url === upstream ? quoteUrl(url) : `{ url: ${quoteUrl(url)}, … }`;
}

function quoteUrl(url: string): string {
  if (/^[\w.:\s-]{0,40}$/.test(url)) return JSON.stringify(url);
  if (!URL.canParse(url)) return 'a string that is no URL';
  const { protocol, username, host, pathname, search } = new URL(url);
  return `"${protocol}//${username === '' ? '' : '***@'}${host}${pathname.length + search.length > 1 ? '/…' : ''}"`;
}

/** The header that carries a URL's credentials; `undefined` when they are not percent-encoded as they must be. */
function basicCredentials({ username, password }: URL): Record<string, string> | undefined {
  if (username === '' && password === '') return {};
  try {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
  } catch {
    return undefined;
  }
}

function areHeaders(headers: unknown): headers is Record<string, string> {
  if (!isPlainObject(headers)) return false;
  if (new Set(Object.keys(headers).map((name) => name.toLowerCase())).size < Object.keys(headers).length) return false;
  return Object.entries(headers).every(([name, value]: [string, unknown]) => {
    if (typeof value !== 'string' || GUARDS_HEADERS.test(name)) return false;
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
      return true;
    } catch {
      return false;
    }
  });
}
