import type { IncomingMessage, ServerResponse } from 'node:http';
import { REFUSALS, refusalReply } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import { SLICE_BYTES, dropRest, endInSlices } from './client-connection';

/** A request that has not been answered yet. */
export interface Answerable {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly facts: RequestFacts;
}

/** Answers a refusal of the request as a whole. `id` is that of its only call, as JSON text. */
export function respondRefusal(
  { req, res, facts }: Answerable,
  refusal: Refusal,
  exposeReason: boolean,
  id?: string,
): void {
  const json = refusalReply(refusal, id, { requestId: facts.requestId, exposeReason });
  respondRefusalJson({ req, res, facts }, refusal, json);
}

/** Answers a refusal whose body is already written: `json` holds an error for each call. */
export function respondRefusalJson({ req, res }: Answerable, refusal: Refusal, json: string): void {
  respondJson(res, setRefusalHeaders(res, refusal), json);
  if (!req.complete) dropRest(req);
}

/** Sets a refusal's headers and returns its status. */
export function setRefusalHeaders(res: ServerResponse, refusal: Refusal): number {
  const row = REFUSALS[refusal.refused];
  const { status = row.status, headers = row.headers ?? {} } = refusal;
  for (const [name, value] of Object.entries(headers)) {
    res.setHeader(name, name === 'Retry-After' ? retryAfter(value) : value);
  }
  return status;
}

/** Seconds with a leading zero: ethers reads a number without one as milliseconds, and retries at once. */
export function retryAfter(value: string): string {
  return /^[1-9][0-9]*$/.test(value) ? `0${value}` : value;
}

/** `callerIdleMs`: how long a caller may take nothing of a long answer before it is cut off. */
export function respondJson(res: ServerResponse, status: number, json: string, callerIdleMs?: number): void {
  const body = json.length > SLICE_BYTES ? Buffer.from(json) : json;
  res.writeHead(status, {
    'Content-Type': 'application/json',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(body),
  });
  if (callerIdleMs === undefined || typeof body === 'string') res.end(body);
  else endInSlices(res, body, callerIdleMs);
}
