import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { keyInPath } from './key-path';
import type { KeyPath } from './key-path';
import { duplicateHeader } from './unique-headers';

/** What the guard decides on before it reads a body. The same over HTTP and on a WebSocket handshake. */
export interface RequestFacts {
  /** The key as it stands in the raw path; `''` when it is missing. It may still be malformed. */
  readonly apiKey: string;
  /** The `Authorization` header, whatever it holds. */
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly userAgent: string | undefined;
  /** All headers, for lists that read others. */
  readonly headers: IncomingHttpHeaders;
  /** The header that must be unique and came twice, if any. */
  readonly duplicateHeader: string | undefined;
  /** The peer of the connection, which may be a proxy: for the caller's address, ask `clientAddress`. */
  readonly remoteAddress: string | undefined;
  /** The caller's `X-Request-Id` if it is sane, else a fresh UUID. */
  readonly requestId: string;
}

const SANE_REQUEST_ID = /^[A-Za-z0-9._:+=/-]{1,128}$/;

/** The facts of a request on the guard's path; `undefined` on any other path. Nothing is decoded: a key has one spelling. */
export function requestFacts(
  req: Pick<IncomingMessage, 'url' | 'headers' | 'rawHeaders'> & {
    readonly socket?: { readonly remoteAddress?: string | undefined };
  },
  path: KeyPath,
): RequestFacts | undefined {
  const apiKey = keyInPath(req.url ?? '', path);
  if (apiKey === undefined) return undefined;
  const { headers } = req;
  const { authorization, origin } = headers;
  const requestId = headers['x-request-id'];
  return {
    apiKey,
    authorization,
    origin,
    userAgent: headers['user-agent'],
    headers,
    duplicateHeader: duplicateHeader(req.rawHeaders),
    remoteAddress: req.socket?.remoteAddress,
    requestId: typeof requestId === 'string' && SANE_REQUEST_ID.test(requestId) ? requestId : randomUUID(),
  };
}
