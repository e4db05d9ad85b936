import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { ZlibOptions } from 'node:zlib';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

/** What the upstream answered to a call: a stream of what still comes, or bytes that were read and looked into. */
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
}

/** How long a caller may take nothing of its answer. */
export const CALLER_IDLE_MS = 30_000;
const MAX_ERROR_BYTES = 1024 * 1024;

type Decoder = (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>;
const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ['gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['x-gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['deflate', promisify<Buffer, ZlibOptions, Buffer>(inflate)],
  ['br', promisify<Buffer, ZlibOptions, Buffer>(brotliDecompress)],
]);

/**
 * Why an answer with this head is none to a call: its body is not for the caller. A 401, 403 or 407 is about the
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

/** An error of the upstream for the caller, with the upstream's own path and credentials taken out by `hide`. */
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
export async function readAnswer(
  { headers, body }: UpstreamAnswer,
  patience: Patience,
  maxBytes: number,
): Promise<Buffer | Refusal> {
  const bytes = Buffer.isBuffer(body) ? body : await readStream(body, patience, maxBytes);
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (isRefusal(bytes) || encoding === '' || encoding === 'identity' || bytes.length === 0) return bytes;
  const decode = DECODERS.get(encoding);
  if (decode === undefined) return unavailable(`its answer is encoded as ${encoding}`);
  try {
    return await decode(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return unavailable(code === 'ERR_BUFFER_TOO_LARGE' ? 'its answer is too large' : `its answer is not ${encoding}`);
  }
}

async function readStream(answer: IncomingMessage, patience: Patience, maxBytes: number): Promise<Buffer | Refusal> {
  const heard = endWhenSilent(answer, patience, () => false);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      heard();
      size += chunk.length;
      if (size > maxBytes) return unavailable('its answer is too large');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } catch {
    return unavailable('its answer was cut off');
  }
}

/**
 * Ends an answer that stays silent, one that never ends, and one that its caller has stopped taking. Call the function
 * it returns on each sign of life.
 */
export function endWhenSilent(answer: IncomingMessage, patience: Patience, isHeldUp: () => boolean): () => void {
  const { upstreamTimeoutMs, upstreamTotalMs } = patience;
  let heardAt = performance.now();
  const timer = setTimeout(() => {
    if (isHeldUp() && performance.now() - heardAt < CALLER_IDLE_MS) timer.refresh();
    else answer.destroy();
  }, upstreamTimeoutMs);
  const end = upstreamTotalMs === 0 ? undefined : setTimeout(() => answer.destroy(), upstreamTotalMs);
  answer.on('error', () => undefined);
  answer.on('close', () => {
    clearTimeout(timer);
    clearTimeout(end);
  });
  return () => {
    heardAt = performance.now();
    timer.refresh();
  };
}

function unavailable(why: string): Refusal {
  return refuse('UPSTREAM_UNAVAILABLE', { why });
}
