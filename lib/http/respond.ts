import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { REFUSALS, refusalReply, statusOf } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import { SLICE_BYTES, dropRest, endInSlices } from './client-connection';

/** A request that has not been answered yet. */
export interface Answerable {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly facts: RequestFacts;
  /** The answer's headers, for one `writeHead`: set one by one they cost 4 % of a request. */
  readonly headers: OutgoingHttpHeaders;
  /** Bytes of the answer as it was sent. */
  bytesOut: number;
}

/** How a refusal is answered. */
export interface RefusalOptions {
  readonly exposeReason: boolean;
  readonly callerIdleMs: number;
}

/** Answers a refusal of the request as a whole. `id` is that of its only call, as JSON text. */
export function respondRefusal(call: Answerable, refusal: Refusal, options: RefusalOptions, id?: string): void {
  const { requestId } = call.facts;
  const json = refusalReply(refusal, id, { requestId, exposeReason: options.exposeReason });
  respondRefusalJson(call, refusal, json, options);
}

/** Answers a refusal whose body is already written: `json` holds an error for each call. */
export function respondRefusalJson(
  call: Answerable,
  refusal: Refusal,
  json: string,
  { callerIdleMs }: RefusalOptions,
): void {
  respondJson(call, setRefusalHeaders(call, refusal), json, callerIdleMs);
  if (!call.req.complete) dropRest(call.req);
}

/** Sets a refusal's headers and returns its status. */
export function setRefusalHeaders(call: Answerable, refusal: Refusal): number {
  const { headers = REFUSALS[refusal.refused].headers } = refusal;
  for (const name in headers) {
    const value = headers[name]!;
    call.headers[name] = name === 'Retry-After' ? retryAfter(value) : value;
  }
  return statusOf(refusal);
}

/** Seconds with a leading zero: ethers reads a number without one as milliseconds, and retries at once. */
export function retryAfter(value: string): string {
  return /^[1-9][0-9]*$/.test(value) ? `0${value}` : value;
}

/** Whatever the upstream says, no answer is a page. */
export function writeHead(res: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  headers['Content-Type'] = 'application/json';
  headers['X-Content-Type-Options'] = 'nosniff';
  res.writeHead(status, headers);
}

/** `callerIdleMs`: how long a caller may take nothing of a long answer before it is cut off. */
export function respondJson(call: Answerable, status: number, json: string, callerIdleMs: number): void {
  const { res, headers } = call;
  const body = json.length > SLICE_BYTES ? Buffer.from(json) : json;
  call.bytesOut = Buffer.byteLength(body);
  headers['Content-Length'] = call.bytesOut;
  writeHead(res, status, headers);
  if (typeof body === 'string') res.end(body);
  else endInSlices(res, body, callerIdleMs);
}
