import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as TlsServer } from 'node:tls';
import type { Duplex } from 'node:stream';

/** The connection of an upgrade. `_httpMessage` is the answer to an earlier request that is still under way on it. */
type Connection = Duplex & { readonly server?: Server; readonly _httpMessage?: ServerResponse | null };

/** Header names and values that Node keeps by default. It drops the rest. */
const KEPT_VALUES = 2000;
const UPGRADE_TOKENS: ReadonlySet<string> = new Set(['upgrade', 'http2-settings']);

const served = new WeakSet<IncomingMessage>();

export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return /websocket/i.test(headers.upgrade ?? '');
}

/**
 * Serves a request as if it asked for no upgrade (RFC 9110, section 7.8). Java's HttpClient and `curl --http2` offer
 * `h2c` with each request over plain HTTP; a server with upgrade listeners hands these over with their body unread. The
 * head is put back without the offer, before what came after it, and the server gets the connection anew.
 */
export function serveWithoutUpgrade(req: IncomingMessage, connection: Connection, rest: Buffer): void {
  const { server } = connection;
  if (served.has(req) || server === undefined) return;
  served.add(req);
  const head = headWithoutUpgrade(req, server);
  whenAnswered(connection, () => {
    if (head === undefined) {
      answerAndEnd(connection, '431 Request Header Fields Too Large');
      return;
    }
    connection.unshift(Buffer.concat([head, rest]));
    server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', connection);
  });
}

/** Answers an upgrade with a status and nothing else. */
export function answerAndEnd(connection: Duplex, status: string): void {
  connection.on('error', () => connection.destroy());
  connection.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => connection.destroy());
}

/** `undefined` if headers may have been dropped: one that frames the body could be missing. */
function headWithoutUpgrade(req: IncomingMessage, { maxHeadersCount }: Server): Buffer | undefined {
  const { method, url, httpVersion, rawHeaders } = req;
  const kept = maxHeadersCount === null ? KEPT_VALUES : maxHeadersCount * 2;
  if (kept > 0 && rawHeaders.length >= kept) return undefined;
  const lines = [`${method!} ${url!} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    if (/[\0\r\n]/.test(value)) return undefined; // what a lenient parser has let pass
    const isConnection = name.toLowerCase() === 'connection';
    if (isConnection) lines.push(`${name}: ${withoutUpgrade(value)}`);
    else if (!UPGRADE_TOKENS.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function withoutUpgrade(connectionOptions: string): string {
  const options = connectionOptions.split(',').map((option) => option.trim());
  return options.filter((option) => !UPGRADE_TOKENS.has(option.toLowerCase())).join(', ');
}

/** Earlier pipelined requests are answered first: the server has forgotten them, and answers would interleave. */
function whenAnswered(connection: Connection, go: () => void): void {
  const answer = connection._httpMessage;
  if (connection.destroyed) return;
  if (answer === null || answer === undefined) {
    go();
    return;
  }
  const onError = () => connection.destroy();
  connection.on('error', onError);
  answer.on('finish', () => {
    connection.off('error', onError);
    whenAnswered(connection, go);
  });
}
