import { isAscii, isUtf8 } from 'node:buffer';
import {
  ANY_JSON,
  ExactNumber,
  hasFoldedTwin,
  isJsonArray,
  isJsonObject,
  parseJson,
  quote,
  stringifyJson,
} from './strict-json';
import type { JsonValue } from './strict-json';

/** One JSON-RPC 2.0 call, as it was read and as it will be sent. */
export interface RpcCall {
  /** The id as JSON text (`7`, `"7"`, `null`), digit for digit; `undefined` for a notification. */
  readonly id: string | undefined;
  readonly method: string;
  /** `undefined` when the call has none. */
  readonly params: readonly JsonValue[] | undefined;
}

/** What stands where a call was expected. `id` is its id as JSON text if that much could be read. */
export interface InvalidCall {
  readonly id: string | undefined;
  readonly invalid: 'request' | 'params';
  readonly why: string;
}

export type ParsedCalls =
  | { readonly ok: true; readonly batch: boolean; readonly calls: readonly (RpcCall | InvalidCall)[] }
  | { readonly ok: false; readonly broken: 'json' | 'request' | 'batch-size'; readonly why: string };

const MAX_DEPTH = 32;
const MAX_VALUES = 20_000;
const MAX_VALUES_PER_CALL = 20;
const MAX_ID_BYTES = 1024;
const METHOD = /^[\x21-\x7e]{1,128}$/;
const MEMBERS = ['jsonrpc', 'id', 'method', 'params'] as const;

/**
 * Reads a body or a WebSocket message as one JSON-RPC 2.0 call or a batch of up to `maxBatchSize`.
 * Bytes must be UTF-8 without a byte order mark. Never throws.
 */
export function parseCalls(body: Buffer | string, maxBatchSize: number): ParsedCalls {
  const text = typeof body === 'string' ? body : decodeUtf8(body);
  if (text === undefined) return { ok: false, broken: 'json', why: 'the body is not UTF-8' };
  const maxValues = Math.max(MAX_VALUES, maxBatchSize * MAX_VALUES_PER_CALL);
  const json = parseJson(text, { maxDepth: MAX_DEPTH, maxValues });
  if (!json.ok && json.broken === 'syntax') {
    return { ok: false, broken: 'json', why: `the body is not JSON from character ${String(json.at)} on` };
  }
  const size = json.ok ? json.spans.length / 2 : json.size;
  if (size > maxBatchSize) return { ok: false, broken: 'batch-size', why: `a batch of ${String(size)} calls` };
  if (!json.ok) return { ok: false, broken: 'request', why: json.rule };
  if (!isJsonArray(json.value)) return { ok: true, batch: false, calls: [readCall(json.value)] };
  if (size === 0) return { ok: false, broken: 'request', why: 'an empty batch' };
  return { ok: true, batch: true, calls: json.value.map(readCall) };
}

/** The JSON text that the upstream receives: `jsonrpc`, `id`, `method` and `params` of what was checked, nothing else. */
export function serialiseCall(call: RpcCall): string {
  const id = call.id === undefined ? '' : `"id":${call.id},`;
  const params = call.params === undefined ? '' : `,"params":${stringifyJson(call.params)}`;
  return `{"jsonrpc":"2.0",${id}"method":${quote(call.method)}${params}}`;
}

export function serialiseBatch(calls: readonly RpcCall[]): string {
  return `[${calls.map(serialiseCall).join(',')}]`;
}

/** A JSON-RPC 2.0 error response. `id` is JSON text; a call without one is answered with `null`. */
export function errorReply(id: string | undefined, error: object): string {
  return `{"jsonrpc":"2.0","id":${id ?? 'null'},"error":${JSON.stringify(error)}}`;
}

/** The JSON-RPC responses in an upstream's answer to a batch, as they came, by id; `undefined` if it is none. */
export function splitAnswers(body: Buffer): ReadonlyMap<string, readonly string[]> | undefined {
  const text = decodeUtf8(body) ?? '';
  const json = parseJson(text, ANY_JSON);
  if (!json.ok || !isJsonArray(json.value)) return undefined;
  const answers = new Map<string, string[]>();
  for (const [index, answer] of json.value.entries()) {
    if (!isJsonObject(answer) || answer['id'] === undefined) continue;
    const id = stringifyJson(answer['id']);
    const raw = text.slice(json.spans[index * 2], json.spans[index * 2 + 1]);
    const same = answers.get(id);
    if (same === undefined) answers.set(id, [raw]);
    else same.push(raw);
  }
  return answers;
}

/** Whether an upstream's message is one error response that names no call. */
export function isErrorWithoutId(message: Buffer): boolean {
  // Most messages are notifications: they are not parsed for this.
  if (!message.includes('"error"')) return false;
  const json = parseJson(decodeUtf8(message) ?? '', ANY_JSON);
  return json.ok && isJsonObject(json.value) && json.value['id'] === null && json.value['error'] !== undefined;
}

function decodeUtf8(bytes: Buffer): string | undefined {
  if (isAscii(bytes)) return bytes.toString('latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

function readCall(value: JsonValue): RpcCall | InvalidCall {
  if (!isJsonObject(value)) return { id: undefined, invalid: 'request', why: 'a call is an object' };
  const { jsonrpc, method, params } = value;
  const id = readId(value['id']);
  if (id === false) return { id: undefined, invalid: 'request', why: 'id is a short string, a number or null' };
  if (jsonrpc !== '2.0') return { id, invalid: 'request', why: 'jsonrpc is "2.0"' };
  if (typeof method !== 'string' || !METHOD.test(method)) {
    return { id, invalid: 'request', why: 'method is up to 128 printable ASCII characters' };
  }
  if (hasFoldedTwin(value, MEMBERS)) return { id, invalid: 'request', why: 'a member differs from another by case' };
  if (params === undefined || params === null) return { id, method, params: undefined };
  if (!isJsonArray(params)) return { id, invalid: 'params', why: 'params is an array' };
  return { id, method, params };
}

/** The id as JSON text; `undefined` where there is none, `false` where it is none that JSON-RPC allows. */
function readId(id: JsonValue | undefined): string | undefined | false {
  if (id === undefined) return undefined;
  const text = stringifyJson(id);
  if (id === null) return text;
  // Any number, fractions too: some clients number their calls by `Math.random()` or `performance.now()`.
  if (typeof id === 'number' || id instanceof ExactNumber) return text.length <= MAX_ID_BYTES && text;
  return typeof id === 'string' && Buffer.byteLength(id) <= MAX_ID_BYTES && text;
}
