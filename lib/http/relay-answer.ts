import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { isShort } from '../observe/upstream-code';
import { CutOff, endWhenSilent } from '../upstream/read-answer';
import type { Patience, UpstreamAnswer } from '../upstream/read-answer';
import { endInSlices } from './client-connection';
import { retryAfter, writeHead } from './respond';
import type { Answerable } from './respond';

/**
 * Of the upstream's headers only these pass, and those about rates. A list of what is withheld would have to know every
 * header that steers a server in front (`X-Accel-Redirect`) or a browser (`Refresh`).
 */
const PASSING_HEADERS: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'cache-control',
  'retry-after',
  'server-timing',
  'traceresponse',
]);
/** The upstream's value replaces the application's: these say how the bytes are to be read. */
const FRAMING_HEADERS: ReadonlySet<string> = new Set(['content-length', 'content-encoding']);

/** What is noted of an answer as it is passed on. */
interface Relayed extends Answerable {
  answered: Buffer | undefined;
}

/**
 * Streams the upstream's answer to the caller as it came. Cut off on one side, it is cut off on the other. Where it
 * has not come whole with its headers, the promise settles when the upstream is done with it. `onCut` is told why an
 * answer stays in pieces, unless its caller has stopped taking it.
 */
export function relayAnswer(
  answer: UpstreamAnswer,
  call: Relayed,
  patience: Patience,
  onCut: (why: string) => void,
): Promise<void> | undefined {
  const { status, headers, body } = answer;
  const { res } = call;
  const relayed = relayedHeaders(headers, call);
  if (Buffer.isBuffer(body)) relayed['content-length'] = body.length;
  // The application has answered meanwhile, and `writeHead` throws: unread, the answer would keep its connection.
  else if (res.headersSent) body.destroy();
  writeHead(res, status, relayed);
  if (Buffer.isBuffer(body)) {
    note(call, body, headers);
    endInSlices(res, body, patience.callerIdleMs);
    return undefined;
  }
  if (body.complete && !body.destroyed) {
    const bytes = body.read() as Buffer | null;
    if (bytes !== null) note(call, bytes, headers);
    res.end(bytes);
    return undefined;
  }
  return new Promise((resolve) => {
    // Nothing is read while the caller takes nothing; that does not count as the upstream's silence.
    const heard = endWhenSilent(body, patience, () => res.writableNeedDrain);
    body.on('data', (chunk: Buffer) => {
      call.bytesOut += chunk.length;
      heard();
    });
    let cut = new CutOff('its answer was cut off');
    body.on('error', (error) => {
      if (error instanceof CutOff) cut = error;
    });
    body.on('close', () => {
      if (!body.complete) {
        if (!cut.isCallersFault) onCut(cut.message);
        res.destroy();
      }
      resolve();
    });
    body.pipe(res);
  });
}

/** The guard's headers come before the upstream's, and the application's too. */
function relayedHeaders(given: IncomingHttpHeaders, { res, headers }: Relayed): OutgoingHttpHeaders {
  const relayed: OutgoingHttpHeaders = Object.assign({}, headers);
  for (const name in given) {
    const value = given[name];
    if (value === undefined || !passes(name)) continue;
    if (!FRAMING_HEADERS.has(name) && (isSet(headers, name) || res.hasHeader(name))) continue;
    relayed[name] = name === 'retry-after' ? retryAfter(String(value)) : value;
  }
  return relayed;
}

function passes(name: string): boolean {
  return PASSING_HEADERS.has(name) || name.startsWith('ratelimit') || name.startsWith('x-ratelimit-');
}

function isSet(headers: OutgoingHttpHeaders, name: string): boolean {
  return Object.keys(headers).some((other) => other.toLowerCase() === name);
}

function note(call: Relayed, bytes: Buffer, headers: IncomingHttpHeaders): void {
  call.bytesOut = bytes.length;
  if (isShort(bytes.length) && headers['content-encoding'] === undefined) call.answered = bytes;
}
