import { isAscii, isUtf8 } from 'node:buffer';
import {
  ANY_JSON,
  CALL_MEMBERS,
  ExactNumber,
  hasFoldedTwin,
  isJsonArray,
  isJsonObject,
  parseJson,
  quote,
  stringifyJson,
} from './strict-json';
import type { JsonObject, JsonValue } from './strict-json';

/** One JSON-RPC 2.0 call, as it was read and as it will be sent. */
export interface RpcCall {
  /** The id as JSON text (`7`, `"7"`, `null`), digit for digit; `undefined` for a notification. */
  readonly id: string | undefined;
  readonly method: string;
  /** `undefined` when the call has none. */
  readonly params: readonly JsonValue[] | undefined;
  /** Their JSON text as it was read, where it is just what would be written; as bytes if it is long. */
  readonly paramsText?: string | Buffer | undefined;
  /** What `queriedAddresses` has read from the params: lists, reports and usage ask in turn. */
  addresses?: readonly JsonValue[] | undefined;
}

/** Text and bytes that are sent one after the other. */
export type Pieces = readonly (string | Buffer)[];

/** Something that is not a valid call. `id` is its id as JSON text, if that much could be read. */
export interface InvalidCall {
  readonly id: string | undefined;
  readonly invalid: 'request' | 'params';
  readonly why: string;
}

export type ParsedCalls =
  | {
      readonly ok: true;
      readonly batch: boolean;
      readonly calls: readonly (RpcCall | InvalidCall)[];
      /** The body, where it is just what would be written of its calls. */
      readonly canonical: string | Buffer | undefined;
    }
  | { readonly ok: false; readonly broken: 'json' | 'request' | 'batch-size'; readonly why: string };

const MAX_DEPTH = 32;
const MAX_VALUES = 20_000;
const MAX_VALUES_PER_CALL = 20;
const MAX_ID_BYTES = 1024;
export const METHOD = /^[\x21-\x7e]{1,128}$/;

/** Valid method names → themselves, as texts of their own: a part of a body takes V8 five times as long to look up. */
export type MethodNames = ReadonlyMap<string, string>;

const NO_NAMES: MethodNames = new Map();

/**
 * Reads a body or a WebSocket message as one JSON-RPC 2.0 call or a batch of up to `maxBatchSize`.
 * Bytes must be UTF-8 without a byte order mark. Methods among `names` are told as they stand there. Never throws.
 */
export function parseCalls(body: Buffer | string, maxBatchSize: number, names = NO_NAMES): ParsedCalls {
  const text = typeof body === 'string' || isAscii(body) ? body : decodeUtf8(body);
  if (text === undefined) return { ok: false, broken: 'json', why: 'the body is not UTF-8' };
  const maxValues = Math.max(MAX_VALUES, maxBatchSize * MAX_VALUES_PER_CALL);
  const json = parseJson(text, { maxDepth: MAX_DEPTH, maxValues });
  if (!json.ok && json.broken === 'syntax') {
    return { ok: false, broken: 'json', why: `the body is not JSON from character ${String(json.at)} on` };
  }
  const size = json.ok ? json.spans.length / 2 : json.size;
  if (size > maxBatchSize) {
    return { ok: false, broken: 'batch-size', why: `a batch of ${String(size)} calls${json.ok ? '' : ' or more'}` };
  }
  if (!json.ok) return { ok: false, broken: 'request', why: json.rule };
  const { value, params } = json;
  const canonical = json.isCanonical ? body : undefined;
  if (!isJsonArray(value)) return { ok: true, batch: false, calls: [readCall(value, params[0], names)], canonical };
  if (size === 0) return { ok: false, broken: 'request', why: 'an empty batch' };
  const calls = value.map((item, index) => readCall(item, params[index], names));
  return { ok: true, batch: true, calls, canonical };
}

/** The JSON text that the upstream receives: `jsonrpc`, `id`, `method` and `params` of what was checked, nothing else. */
export function serialiseCall(call: RpcCall): string {
  const { params } = call;
  if (params === undefined) return `${headOf(call)}}`;
  const text = Buffer.isBuffer(call.paramsText) ? call.paramsText.toString('latin1') : call.paramsText;
  return `${headOf(call)},"params":${text ?? stringifyJson(params)}}`;
}

/** The same in pieces to be sent one after the other: long params are not copied. */
export function serialisePieces(call: RpcCall): Pieces {
  const { paramsText } = call;
  return Buffer.isBuffer(paramsText) ? [`${headOf(call)},"params":`, paramsText, '}'] : [serialiseCall(call)];
}

function headOf({ id, method }: RpcCall): string {
  return `{"jsonrpc":"2.0",${id === undefined ? '' : `"id":${id},`}"method":${quote(method)}`;
}

export function serialiseBatch(calls: readonly RpcCall[]): string {
  return `[${calls.map(serialiseCall).join(',')}]`;
}

/** A JSON-RPC 2.0 error response. `id` and `error` are JSON text; a call without an id is answered with `null`. */
export function errorReply(id: string | undefined, error: string): string {
  return `{"jsonrpc":"2.0","id":${id ?? 'null'},"error":${error}}`;
}

/** An upstream's answer to a batch. */
export interface BatchAnswer {
  /** The JSON-RPC responses as they came, by the JSON text of their id. */
  readonly byId: ReadonlyMap<string, readonly string[]>;
  /**
   * The error, as JSON text, that it gave to the batch as a whole, as nodes do for its size: in one object in place of
   * an array, or in the only item of an array, without an id.
   */
  readonly whole: string | undefined;
}

/** Reads an upstream's answer to a batch; `undefined` if it is not one. */
export function readBatchAnswer(body: Buffer): BatchAnswer | undefined {
  const text = decodeUtf8(body) ?? '';
  const json = parseJson(text, ANY_JSON);
  if (!json.ok) return undefined;
  const byId = new Map<string, string[]>();
  if (!isJsonArray(json.value)) {
    const whole = errorIn(text);
    return whole === undefined ? undefined : { byId, whole };
  }
  for (const [index, answer] of json.value.entries()) {
    if (!isJsonObject(answer) || answer['id'] === undefined) continue;
    const id = stringifyJson(answer['id']);
    const raw = text.slice(json.spans[index * 2], json.spans[index * 2 + 1]);
    const same = byId.get(id);
    if (same === undefined) byId.set(id, [raw]);
    else same.push(raw);
  }
  const [only, ...others] = json.value;
  const isWhole = others.length === 0 && isJsonObject(only) && namesNoCall(only);
  return { byId, whole: isWhole ? errorIn(text.slice(json.spans[0], json.spans[1])) : undefined };
}

/** Whether an upstream's message is one error response that names no call. */
export function isErrorWithoutId(message: Buffer): boolean {
  // Most messages are notifications, and need not be parsed for this.
  if (!message.includes('"error"')) return false;
  const json = parseJson(decodeUtf8(message) ?? '', ANY_JSON);
  return json.ok && isJsonObject(json.value) && namesNoCall(json.value) && isJsonObject(json.value['error']);
}

function namesNoCall({ id = null }: JsonObject): boolean {
  return id === null;
}

/** The error object of a response, digit for digit. */
function errorIn(response: string): string | undefined {
  const json = parseJson(response, { maxDepth: MAX_DEPTH, maxValues: MAX_VALUES });
  if (!json.ok || !isJsonObject(json.value)) return undefined;
  const { error } = json.value;
  return isJsonObject(error) ? stringifyJson(error) : undefined;
}

function decodeUtf8(bytes: Buffer): string | undefined {
  if (isAscii(bytes)) return bytes.toString('latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

function readCall(
  value: JsonValue,
  paramsText: string | Buffer | undefined,
  names: MethodNames,
): RpcCall | InvalidCall {
  if (!isJsonObject(value)) return { id: undefined, invalid: 'request', why: 'a call must be an object' };
  const { jsonrpc, params } = value;
  const id = readId(value['id']);
  if (id === false) return { id: undefined, invalid: 'request', why: 'id must be a short string, a number or null' };
  if (jsonrpc !== '2.0') return { id, invalid: 'request', why: 'jsonrpc must be "2.0"' };
  const method = readMethod(value['method'], names);
  if (method === undefined) {
    return { id, invalid: 'request', why: 'method must be up to 128 printable ASCII characters' };
  }
  // Most calls have no other member, and are not searched for one.
  const others = Object.keys(value).length - 2 - Number(id !== undefined) - Number(params !== undefined);
  if (others > 0 && hasFoldedTwin(value, CALL_MEMBERS))
    return { id, invalid: 'request', why: 'two member names differ only by case' };
  if (params === undefined || params === null)
    return { id, method, params: undefined, paramsText: undefined, addresses: undefined };
  if (!isJsonArray(params)) return { id, invalid: 'params', why: 'params must be an array' };
  return { id, method, params, paramsText, addresses: undefined };
}

function readMethod(method: JsonValue | undefined, names: MethodNames): string | undefined {
  if (typeof method !== 'string') return undefined;
  return names.get(method) ?? (METHOD.test(method) ? method : undefined);
}

/** The id as JSON text; `undefined` if there is none, `false` if JSON-RPC does not allow it. */
function readId(id: JsonValue | undefined): string | undefined | false {
  if (id === undefined) return undefined;
  const text = stringifyJson(id);
  if (id === null) return text;
  // Any number, fractions too: some clients number their calls by `Math.random()` or `performance.now()`.
  if (typeof id === 'number' || id instanceof ExactNumber) return text.length <= MAX_ID_BYTES && text;
  return typeof id === 'string' && Buffer.byteLength(id) <= MAX_ID_BYTES && text;
}
