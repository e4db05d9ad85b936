import type { GuardedApp } from './guarded-app';

/** HTTP status, JSON-RPC code and message of every refusal, as the contract has them; a pattern where it leaves words open. */
export const REFUSAL_TABLE = {
  KEY_REQUIRED: [401, -32001, 'project id required in the url'],
  KEY_UNKNOWN: [401, -32001, 'invalid project id'],
  KEY_DISABLED: [403, -32002, 'rejected due to project ID settings'],
  SECRET_INVALID: [401, -32001, 'invalid project id or project secret'],
  SECRET_REQUIRED: [401, -32002, 'rejected due to project ID settings'],
  USER_AGENT_NOT_ALLOWED: [403, -32002, 'rejected due to project ID settings'],
  ORIGIN_NOT_ALLOWED: [403, -32002, 'rejected due to project ID settings'],
  CONTRACT_ADDRESS_NOT_ALLOWED: [403, -32002, 'rejected due to project ID settings'],
  METHOD_NOT_ALLOWED: [403, -32002, 'rejected due to project ID settings'],
  METHOD_BLOCKED: [403, -32601, 'the method admin_peers does not exist/is not available'],
  PARSE_ERROR: [400, -32700, 'Parse error'],
  INVALID_REQUEST: [400, -32600, 'Invalid Request'],
  BODY_TOO_LARGE: [413, -32600, /\d+/],
  BATCH_TOO_LARGE: [413, -32600, /\d+/],
  UNSUPPORTED_ENCODING: [415, -32600, /./],
  METHOD_NOT_POST: [405, -32600, /./],
  BODY_TIMEOUT: [408, -32600, /./],
  DUPLICATE_HEADER: [400, -32600, /./],
  SETTINGS_UNAVAILABLE: [503, -32603, /./],
  UPSTREAM_UNAVAILABLE: [502, -32603, /./],
  UPSTREAM_TIMEOUT: [504, -32603, /./],
} as const satisfies Record<string, readonly [number, number, string | RegExp]>;

export type TabledReason = keyof typeof REFUSAL_TABLE;

interface AnyAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: { get(name: string): string | null | undefined };
}

/** The error object that a call refused for `reason` gets. */
export function errorOf(reason: TabledReason): unknown {
  const [, code, message] = REFUSAL_TABLE[reason];
  return {
    code,
    message: typeof message === 'string' ? message : (expect.stringMatching(message) as unknown),
    data: { reason, requestId: expect.stringMatching(/^[\w.:+=/-]{1,128}$/) as unknown },
  };
}

/**
 * Holds an answer against the table's row, and the upstream against "nothing that was refused reaches it". Without an
 * `id` the answer may have none or that of `call`, which is told where the body came with the headers.
 */
export function expectRefusal(
  answer: AnyAnswer,
  reason: TabledReason,
  { upstream, id }: { readonly upstream?: GuardedApp['upstream'] | undefined; readonly id?: unknown } = {},
): void {
  // The body first: it tells what was refused in place of what was expected.
  const json = JSON.parse(answer.text) as { readonly id: unknown };
  expect(json).toEqual({ jsonrpc: '2.0', id: id ?? json.id, error: errorOf(reason) });
  if (id === undefined) expect([null, 1]).toContain(json.id);
  expect(answer.status).toBe(REFUSAL_TABLE[reason][0]);
  expect(answer.headers.get('content-type')).toBe('application/json');
  if (upstream !== undefined) expect(upstream.seen).toEqual([]);
}
