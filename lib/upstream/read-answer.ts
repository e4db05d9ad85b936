import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream';
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

/** The upstream's answer: a stream, or the bytes of a body that had to be examined. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage | Buffer;
}

/** How long the upstream may take. */
export interface Patience {
  /** Milliseconds without a byte. */
  readonly upstreamTimeoutMs: number;
  /** Milliseconds for all of an answer; 0 for no end. */
  readonly upstreamTotalMs: number;
  /** Milliseconds for which a caller may take nothing of it. */
  readonly callerIdleMs: number;
}

const MAX_ERROR_BYTES = 1024 * 1024;

type Decoder = Transform & { readonly bytesWritten: number };
const DECODERS: ReadonlyMap<string, () => Decoder> = new Map<string, () => Decoder>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
]);
/** Errors of `node:zlib` begin so. */
const NOT_ENCODED = /^(?:Z_|ERR__)/;

/**
 * Why an answer with this head does not answer a call, so that its body is withheld. A 401, 403 or 407 is about the
 * guard's own credentials, a redirect's target is the upstream's to know, and HTML would run on the application's
 * origin.
 */
export function headProblem({ statusCode = 0, headers }: IncomingMessage): string | undefined {
  if (statusCode >= 300 && statusCode <= 399) return `status ${statusCode}: it redirects`;
  if ([401, 403, 407].includes(statusCode)) return `status ${statusCode}: it refuses the credentials of the guard`;
  if (statusCode < 200 || statusCode > 599) return `status ${statusCode}`;
  if (isBackOff(statusCode)) return undefined;
  return /^\s*text\/html/i.test(headers['content-type'] ?? '') ? 'HTML in place of JSON-RPC' : undefined;
}

/** These keep their status and `Retry-After` whatever the body is, so that clients back off. */
export function isBackOff(status: number): boolean {
  return status === 429 || status === 503;
}

/** An error of the upstream for the caller. `hide` removes the upstream's own path and credentials. */
export async function readError(
  answer: IncomingMessage,
  patience: Patience,
  hide: (json: string) => string,
): Promise<UpstreamAnswer | Refusal> {
  const { statusCode: status = 502, headers } = answer;
  const bytes = await readAnswer({ status, headers, body: answer }, patience, MAX_ERROR_BYTES);
  if (isRefusal(bytes)) return bytes;
  const text = bytes.toString();
  try {
    JSON.parse(text);
  } catch {
    return unavailable(`status ${status} without JSON`);
  }
  const plain = { ...headers, 'content-encoding': undefined, 'content-length': undefined };
  return { status, headers: plain, body: Buffer.from(hide(text)) };
}

/** The whole of the upstream's answer, decoded, or a refusal where it is cut off or more than `maxBytes`. */
export function readAnswer(answer: UpstreamAnswer, patience: Patience, maxBytes: number): Promise<Buffer | Refusal>;
/** Asks `mayHold` for room as it grows; `undefined` if there is none. */
export function readAnswer(
  answer: UpstreamAnswer,
  patience: Patience,
  maxBytes: number,
  mayHold: (bytes: number) => boolean,
): Promise<Buffer | Refusal | undefined>;
export async function readAnswer(
  { headers, body }: UpstreamAnswer,
  patience: Patience,
  maxBytes: number,
  mayHold: (bytes: number) => boolean = () => true,
): Promise<Buffer | Refusal | undefined> {
  if (Buffer.isBuffer(body)) return body; // it was decoded as it was read
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  const isEncoded = encoding !== '' && encoding !== 'identity';
  const decoder = DECODERS.get(encoding)?.();
  if (isEncoded && decoder === undefined) {
    body.destroy();
    return unavailable(`its answer is encoded as ${encoding}`);
  }
  const heard = endWhenSilent(body, patience, () => false);
  const source = decoder === undefined ? body : decoded(body, decoder, heard);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      heard();
      size += chunk.length;
      if (size > maxBytes) return unavailable('its answer is too large');
      if (!mayHold(chunk.length)) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } catch (error) {
    if (body.complete && decoder?.bytesWritten === 0) return Buffer.alloc(0); // nothing is encoded in any way
    const { code = '' } = error as NodeJS.ErrnoException;
    if (error instanceof CutOff) return unavailable(error.message);
    return unavailable(NOT_ENCODED.test(code) ? `its answer is not ${encoding}` : 'its answer was cut off');
  }
}

/** Decoded in steps: a few bytes may inflate to more than there is room for. */
function decoded(body: IncomingMessage, decoder: Decoder, heard: () => void): Decoder {
  body.on('data', heard);
  pipeline(body, decoder, () => undefined);
  return decoder;
}

/** Why the guard ended an answer before it was whole. */
export class CutOff extends Error {
  constructor(
    why: string,
    readonly isCallersFault = false,
  ) {
    super(why);
  }
}

/**
 * Ends an answer that stays silent, one that never ends, and one that its caller has stopped taking. Call the returned
 * function on each sign of life.
 */
export function endWhenSilent(answer: IncomingMessage, patience: Patience, isHeldUp: () => boolean): () => void {
  const { upstreamTimeoutMs, upstreamTotalMs, callerIdleMs } = patience;
  const [sooner, later] = [Math.min(upstreamTimeoutMs, callerIdleMs), Math.max(upstreamTimeoutMs, callerIdleMs)];
  let heardAt = performance.now();
  let timer = setTimeout(look, sooner);
  const tooLong = `its answer took more than ${String(upstreamTotalMs)} ms`;
  const end = upstreamTotalMs === 0 ? undefined : setTimeout(cut, upstreamTotalMs, tooLong);
  function look(): void {
    const silentMs = performance.now() - heardAt;
    const isCallers = isHeldUp();
    if (silentMs < (isCallers ? callerIdleMs : upstreamTimeoutMs)) {
      timer = setTimeout(look, (silentMs < sooner ? sooner : later) - silentMs);
    } else if (isCallers) cut(`the caller took nothing for ${String(callerIdleMs)} ms`, true);
    else cut(`its answer paused for ${String(upstreamTimeoutMs)} ms`);
  }
  function cut(why: string, isCallersFault = false): void {
    answer.destroy(new CutOff(why, isCallersFault));
  }
  answer.on('error', () => undefined);
  answer.on('close', () => {
    clearTimeout(timer);
    clearTimeout(end);
  });
  return () => {
    heardAt = performance.now();
  };
}

function unavailable(why: string): Refusal {
  return refuse('UPSTREAM_UNAVAILABLE', { why });
}
