import { ALLOWLISTS } from '../allowlists';
import type { AllowlistType } from '../allowlists';
import { errorReply } from '../json-rpc/call';
import { quote } from '../json-rpc/strict-json';

interface RefusalRow {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  /** Headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

const SETTINGS = 'rejected due to project ID settings';

const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="rpc-guard", charset="UTF-8"' };

export type ListReason = (typeof ALLOWLISTS)[AllowlistType]['refusal'];

/** Every list refuses in the same words, which do not reveal the lists that exist. */
function listRefusals(): Record<ListReason, RefusalRow> {
  const rows = Object.values(ALLOWLISTS).map(({ refusal }): [ListReason, RefusalRow] => [
    refusal,
    { status: 403, code: -32002, message: SETTINGS },
  ]);
  return Object.fromEntries(rows) as Record<ListReason, RefusalRow>;
}

/** Reason → HTTP status, JSON-RPC code, message, headers. */
const TABLE = {
  KEY_REQUIRED: { status: 401, code: -32001, message: 'project id required in the url', headers: CHALLENGE },
  KEY_UNKNOWN: { status: 401, code: -32001, message: 'invalid project id', headers: CHALLENGE },
  KEY_DISABLED: { status: 403, code: -32002, message: SETTINGS },
  SECRET_INVALID: { status: 401, code: -32001, message: 'invalid project id or project secret', headers: CHALLENGE },
  SECRET_REQUIRED: { status: 401, code: -32002, message: SETTINGS, headers: CHALLENGE },
  ...listRefusals(),
  METHOD_BLOCKED: { status: 403, code: -32601, message: 'the method does not exist/is not available' },
  PARSE_ERROR: { status: 400, code: -32700, message: 'Parse error' },
  INVALID_REQUEST: { status: 400, code: -32600, message: 'Invalid Request' },
  BODY_TOO_LARGE: { status: 413, code: -32600, message: 'request body too large' },
  BATCH_TOO_LARGE: { status: 413, code: -32600, message: 'batch too large' },
  UNSUPPORTED_ENCODING: { status: 415, code: -32600, message: 'unsupported content encoding or charset' },
  METHOD_NOT_POST: { status: 405, code: -32600, message: 'only POST is allowed', headers: { Allow: 'POST, OPTIONS' } },
  BODY_TIMEOUT: { status: 408, code: -32600, message: 'the request body took too long' },
  DUPLICATE_HEADER: { status: 400, code: -32600, message: 'a header that must be unique was sent twice' },
  TOO_MANY_SOCKETS: { status: 429, code: -32005, message: 'too many sockets are open for this project ID' },
  RATE_LIMITED: { status: 429, code: -32005, message: 'project ID request rate exceeded' },
  DAILY_LIMIT_REACHED: { status: 402, code: -32005, message: 'daily request count exceeded, request rate limited' },
  SETTINGS_UNAVAILABLE: {
    status: 503,
    code: -32603,
    message: 'project ID settings are unavailable, try again',
    headers: { 'Retry-After': '01' },
  },
  UPSTREAM_UNAVAILABLE: { status: 502, code: -32603, message: 'upstream unavailable' },
  UPSTREAM_TIMEOUT: { status: 504, code: -32603, message: 'upstream timed out' },
  INTERNAL_ERROR: { status: 500, code: -32603, message: 'internal error' },
  CONFIGURATION_ERROR: { status: 500, code: -32603, message: 'rpc-guard is misconfigured' },
} satisfies Record<string, RefusalRow>;

export type Reason = keyof typeof TABLE;

/** Every refusal there is. */
export const REFUSALS: Readonly<Record<Reason, RefusalRow>> = TABLE;

/** These come before it is known whether there is such a key: callers could make up a new one for each. */
export const KEY_NOT_LOOKED_UP: ReadonlySet<Reason> = new Set([
  'KEY_REQUIRED',
  'KEY_UNKNOWN',
  'METHOD_NOT_POST',
  'DUPLICATE_HEADER',
  'SETTINGS_UNAVAILABLE',
] satisfies Reason[]);

/** An expected "no". */
export interface Refusal {
  readonly refused: Reason;
  /** The message, where it says more than the table's. */
  readonly message?: string;
  /** The JSON-RPC code, where it differs from the table's. */
  readonly code?: number;
  /** The HTTP status, where it differs from the table's. */
  readonly status?: number;
  /** The headers, where they differ from the table's. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the error's `data`. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** What the upstream answered in its place, if it did. */
  readonly upstreamStatus?: number | undefined;
  /** For the log only: it may say what the caller must not learn. */
  readonly why?: string;
}

export function refuse(refused: Reason, more: Omit<Refusal, 'refused'> = {}): Refusal {
  return { refused, ...more };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'refused' in value;
}

export function statusOf({ refused, status }: Refusal): number {
  return status ?? REFUSALS[refused].status;
}

export function codeOf({ refused, code }: Refusal): number {
  return code ?? REFUSALS[refused].code;
}

export function messageOf({ refused, message }: Refusal): string {
  return message ?? REFUSALS[refused].message;
}

export interface ReplyOptions {
  readonly requestId: string;
  readonly exposeReason: boolean;
}

/** The guard has no room now; clients may retry. */
export function refuseForNow(message: string, why: string): Refusal {
  return refuse('UPSTREAM_UNAVAILABLE', { status: 503, headers: { 'Retry-After': '01' }, message, why });
}

/** The guard takes no more: clients find another instance, or the next one. */
export const CLOSING = refuse('SETTINGS_UNAVAILABLE', {
  message: 'the service is shutting down, try again',
  why: 'the guard is closing',
});

/** The JSON-RPC error response that a refused call gets, alone or in a batch. `id` is JSON text. */
export function refusalReply(refusal: Refusal, id: string | undefined, options: ReplyOptions): string {
  const reason = options.exposeReason ? `"reason":"${refusal.refused}",` : '';
  const more = refusal.data === undefined ? '' : `,${JSON.stringify(refusal.data).slice(1, -1)}`;
  const data = `{${reason}"requestId":${quote(options.requestId)}${more}}`;
  // Put together by hand: `JSON.stringify` takes 3 % of a refused request.
  const message = quote(messageOf(refusal));
  return errorReply(id, `{"code":${String(codeOf(refusal))},"message":${message},"data":${data}}`);
}
