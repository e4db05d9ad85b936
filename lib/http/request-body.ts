import type { IncomingMessage } from 'node:http';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { ZlibOptions } from 'node:zlib';
import { isRefusal, refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { ValueOrPromise } from '../policy/value-or-promise';
import type { Holding } from './byte-budget';
import { whenGone } from './client-connection';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
}

/** The inflated bytes, and the engine, which tells how many bytes it has read. */
interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}
type Inflater = (bytes: Buffer, maxOutputLength: number) => Promise<Inflated>;

function inflater(
  inflate: (bytes: Buffer, options: ZlibOptions, callback: (error: Error | null, result: Buffer) => void) => void,
): Inflater {
  return (bytes, maxOutputLength) =>
    new Promise((resolve, reject) => {
      inflate(bytes, { maxOutputLength, info: true }, (error, result: unknown) => {
        if (error === null) resolve(result as Inflated);
        else reject(error);
      });
    });
}

const INFLATERS: ReadonlyMap<string, Inflater> = new Map([
  ['gzip', inflater(gunzip)],
  ['x-gzip', inflater(gunzip)],
  ['deflate', inflater(inflate)],
  ['br', inflater(brotliDecompress)],
]);
/** The longest body of a refused request that is searched for ids. */
const MAX_ECHO_BYTES = 64 * 1024;
const FORM_TYPE = /^(?:application\/x-www-form-urlencoded|multipart\/)/i;
const HAND_OUT_BYTES = ['emit', 'push', 'read'];
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]*)"?/gi;

/**
 * The body of a request: its bytes, inflated, whatever its `Content-Type` says; or the text of what an earlier
 * middleware parsed. Too large, too slow, encoded in another way or cut short, it is a refusal. It is inflated when
 * there is `room` for what may come of it, which is held until `room` is given back. Synchronous for a plain body that
 * has come whole.
 */
export function readBody(
  req: IncomingMessage,
  limits: BodyLimits,
  room?: Holding,
): ValueOrPromise<Buffer | string | Refusal> {
  if (req.readableDidRead || req.readableEnded) return parsedBody(req, limits.maxBodyBytes);
  const { 'content-encoding': named = '', 'content-type': type = '' } = req.headers;
  const encoding = named.trim().toLowerCase();
  const decode = encoding === '' ? undefined : INFLATERS.get(encoding);
  if (decode === undefined && encoding !== '' && encoding !== 'identity') return refuse('UNSUPPORTED_ENCODING');
  if (!isUtf8Type(type)) return refuse('UNSUPPORTED_ENCODING');
  const bytes = receive(req, limits);
  return decode === undefined ? bytes : inflated(req, { bytes, encoding, decode }, limits, room);
}

/** A body as it is sent, perhaps still on its way, and how it is inflated. */
interface Encoded {
  readonly bytes: ValueOrPromise<Buffer | Refusal>;
  readonly encoding: string;
  readonly decode: Inflater;
}

async function inflated(
  req: IncomingMessage,
  { bytes: arriving, encoding, decode }: Encoded,
  limits: BodyLimits,
  room: Holding | undefined,
): Promise<Buffer | Refusal> {
  const bytes = await arriving;
  if (isRefusal(bytes)) return bytes;
  if (room !== undefined && !(await waitForRoom(req, room, limits.maxBodyBytes))) return goneAway();
  try {
    const { buffer, engine } = await decode(bytes, limits.maxBodyBytes);
    room?.shrinkTo(buffer.length);
    return engine.bytesWritten === bytes.length ? buffer : notEncoded(encoding);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(limits.maxBodyBytes);
    return notEncoded(encoding);
  }
}

async function waitForRoom(req: IncomingMessage, room: Holding, bytes: number): Promise<boolean> {
  let stopListening: () => unknown = () => undefined;
  const isIn = await room.growInTurn(bytes, (drop) => {
    stopListening = whenGone(req, drop);
  });
  stopListening();
  return isIn;
}

function notEncoded(encoding: string): Refusal {
  return refuse('PARSE_ERROR', { why: `the body is not ${encoding}, or not only that` });
}

/**
 * The body of a refused request, if it is short and came with the headers. Nothing is waited for. What came is taken
 * off in any case: left to Node it costs more.
 */
export function arrivedBody(req: IncomingMessage, maxBodyBytes: number): Buffer | string | undefined {
  if (req.method !== 'POST') return undefined;
  const isConsumed = req.readableDidRead || req.readableEnded;
  const isWhole = req.complete && !req.destroyed;
  const maxBytes = Math.min(MAX_ECHO_BYTES, maxBodyBytes);
  const bytes = isConsumed ? parsedBody(req, maxBytes) : isWhole ? (req.read() as Buffer | null) : null;
  if (bytes === null || isRefusal(bytes) || bytes.length > maxBytes) return undefined;
  const { 'content-encoding': encoding, 'content-type': type = '' } = req.headers;
  return encoding === undefined && isUtf8Type(type) ? bytes : undefined;
}

function receive(req: IncomingMessage, limits: BodyLimits): ValueOrPromise<Buffer | Refusal> {
  const { maxBodyBytes } = limits;
  if (Number(req.headers['content-length']) > maxBodyBytes) return tooLarge(maxBodyBytes);
  if (!req.complete || req.destroyed || req.readableFlowing === true) return receiveSlowly(req, limits);
  const isHeard = isOverheard(req);
  const bytes = bytesOf(req, (req.read() as Buffer | string | null) ?? '');
  if (bytes.length > maxBodyBytes) return tooLarge(maxBodyBytes);
  return isHeard ? Buffer.from(bytes) : bytes;
}

/** Whether a middleware is given the very bytes that the guard reads: it listens, or has wrapped what hands them out. */
function isOverheard(req: IncomingMessage): boolean {
  return req.listenerCount('data') > 0 || HAND_OUT_BYTES.some((name) => Object.hasOwn(req, name));
}

function receiveSlowly(req: IncomingMessage, { maxBodyBytes, bodyTimeoutMs }: BodyLimits): Promise<Buffer | Refusal> {
  return new Promise((resolve) => {
    const declared = Number(req.headers['content-length'] ?? 0);
    let bytes: Buffer = Buffer.alloc(0);
    let size = 0;
    const timer = setTimeout(() => {
      settle(refuse('BODY_TIMEOUT'));
    }, bodyTimeoutMs);

    function onData(read: Buffer | string): void {
      const chunk = bytesOf(req, read);
      if (size + chunk.length > maxBodyBytes) {
        settle(tooLarge(maxBodyBytes));
        return;
      }
      bytes = append(bytes, size, chunk, declared);
      size += chunk.length;
    }
    function onEnd(): void {
      settle(bytes.subarray(0, size));
    }
    function onClose(): void {
      settle(goneAway());
    }
    /** After a refusal the stream flows on, and the rest is dropped. */
    function settle(result: Buffer | Refusal): void {
      clearTimeout(timer);
      req.off('data', onData).off('end', onEnd).off('close', onClose);
      resolve(result);
    }

    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    // A middleware may have paused it, and left the rest to the guard.
    req.resume();
    if (req.destroyed) onClose();
  });
}

/** A middleware that has called `req.setEncoding` gets strings for everybody. */
function bytesOf({ readableEncoding }: IncomingMessage, read: Buffer | string): Buffer {
  return typeof read === 'string' ? Buffer.from(read, readableEncoding ?? 'utf8') : read;
}

/**
 * Appends a chunk to one buffer, which doubles, or grows eightfold to the length that is `declared`: a list of one-byte
 * chunks takes 25 times the memory.
 */
function append(bytes: Buffer, size: number, chunk: Buffer, declared: number): Buffer {
  const needed = size + chunk.length;
  const grown = Math.max(needed, declared === 0 ? 2 * bytes.length : Math.min(declared, 8 * needed));
  const room = needed > bytes.length ? Buffer.allocUnsafeSlow(grown) : bytes;
  if (room !== bytes) bytes.copy(room, 0, 0, size);
  chunk.copy(room, size);
  return room;
}

/** The body as an earlier middleware parsed it. The stream has been read, so nothing else is left. */
function parsedBody(
  req: IncomingMessage & { readonly body?: unknown },
  maxBodyBytes: number,
): string | Buffer | Refusal {
  const { body } = req;
  if (body === undefined) return consumed('without leaving it in req.body');
  if (FORM_TYPE.test(req.headers['content-type'] ?? '') && isFormFields(body)) return consumed('as a form');
  // A copy: what is checked is not to be changed by whoever else has it.
  const raw = isBytes(body) ? Buffer.from(body) : textOf(body);
  if (isRefusal(raw)) return raw;
  return Buffer.byteLength(raw) > maxBodyBytes ? tooLarge(maxBodyBytes) : raw;
}

function isBytes(body: unknown): body is Uint8Array {
  return body instanceof Uint8Array;
}

/** A JSON parser may accept the form type, which curl sends by default. */
function isFormFields(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || isBytes(body)) return false;
  return !Object.hasOwn(body, 'jsonrpc');
}

function textOf(body: unknown): string | Refusal {
  if (typeof body === 'string') return body;
  let rounded = false as boolean;
  try {
    const text = JSON.stringify(body, (_name, value: unknown) => {
      if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) rounded = true;
      return value;
    });
    const why = 'a body parser in front of rpc-guard has rounded a large number; mount rpc-guard before it';
    return rounded ? refuse('INVALID_REQUEST', { why }) : text;
  } catch {
    return consumed('into something that is not JSON');
  }
}

function consumed(how: string): Refusal {
  const message = `rpc-guard is misconfigured: a middleware in front of it consumed the request body ${how}; mount rpc-guard before it`;
  return refuse('CONFIGURATION_ERROR', { message, why: message });
}

function goneAway(): Refusal {
  return refuse('PARSE_ERROR', { why: 'the client went away' });
}

function tooLarge(maxBodyBytes: number): Refusal {
  return refuse('BODY_TOO_LARGE', { message: `request body larger than ${String(maxBodyBytes)} bytes` });
}

function isUtf8Type(contentType: string): boolean {
  if (!contentType.includes(';')) return true;
  for (const [, charset = ''] of contentType.matchAll(CHARSET)) {
    if (!/^utf-?8$/i.test(charset)) return false;
  }
  return true;
}
