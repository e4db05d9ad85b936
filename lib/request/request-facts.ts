import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What the guard decides on before it reads a body. The same over HTTP and on a WebSocket handshake. */
export interface RequestFacts {
  /** The key as it stands in the raw path; `''` when it is missing. It may still be malformed. */
  readonly apiKey: string;
  /** The `Authorization` header, whatever it holds. */
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly userAgent: string | undefined;
  /** A header that must be unique and came twice. */
  readonly duplicateHeader: string | undefined;
  /** The caller's `X-Request-Id` if it is sane, else a fresh UUID. */
  readonly requestId: string;
}

/** A path pattern, taken apart once. */
export interface KeyPath {
  readonly before: string;
  readonly after: string;
}

/** What an API key looks like, in settings and in the raw path. */
export const API_KEY = /^[A-Za-z0-9_-]{8,128}$/;

const PARAMETER = ':apiKey';
const PATTERN = /^(?:\/[A-Za-z0-9._~-]+)*\/:apiKey(?:\/[A-Za-z0-9._~-]+)*$/;
const SANE_REQUEST_ID = /^[A-Za-z0-9._:+=/-]{1,128}$/;
/** Headers that hops disagree on when they come twice, and a bit for each. */
const UNIQUE_HEADERS: ReadonlyMap<string, number> = new Map(
  ['host', 'authorization', 'origin', 'user-agent', 'content-type', 'content-encoding'].map((name, n) => [
    name,
    1 << n,
  ]),
);

/** Takes a pattern such as `/v3/:apiKey` apart; `undefined` when it is none. */
export function parseKeyPath(pattern: string): KeyPath | undefined {
  if (!PATTERN.test(pattern)) return undefined;
  const at = pattern.indexOf(PARAMETER);
  return { before: pattern.slice(0, at), after: pattern.slice(at + PARAMETER.length) };
}

/** The facts of a request on the guard's path; `undefined` on any other path. Nothing is decoded: a key has one spelling. */
export function requestFacts(
  req: Pick<IncomingMessage, 'url' | 'headers' | 'rawHeaders'>,
  path: KeyPath,
): RequestFacts | undefined {
  const apiKey = keyInPath(req.url ?? '', path);
  if (apiKey === undefined) return undefined;
  const { authorization, origin } = req.headers;
  const requestId = req.headers['x-request-id'];
  return {
    apiKey,
    authorization,
    origin,
    userAgent: req.headers['user-agent'],
    duplicateHeader: duplicateHeader(req.rawHeaders),
    requestId: typeof requestId === 'string' && SANE_REQUEST_ID.test(requestId) ? requestId : randomUUID(),
  };
}

/** What may be logged of a key: its first characters, never more than half of it. */
export function keyHint(apiKey: string): string {
  return `${apiKey.slice(0, Math.min(6, apiKey.length >> 1))}…`;
}

function keyInPath(url: string, { before, after }: KeyPath): string | undefined {
  const query = url.indexOf('?');
  let path = query === -1 ? url : url.slice(0, query);
  if (after === '' && path === before.slice(0, -1)) return '';
  if (path.endsWith('/') && path.length > before.length) path = path.slice(0, -1);
  if (!path.startsWith(before) || !path.endsWith(after)) return undefined;
  const apiKey = path.slice(before.length, path.length - after.length);
  return apiKey.includes('/') ? undefined : apiKey;
}

function duplicateHeader(rawHeaders: readonly string[]): string | undefined {
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const bit = UNIQUE_HEADERS.get(name) ?? 0;
    if ((seen & bit) !== 0) return name;
    seen |= bit;
  }
  return undefined;
}
