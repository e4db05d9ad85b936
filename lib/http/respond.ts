import type { IncomingMessage, ServerResponse } from 'node:http';
import { REFUSALS, refusalReply } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import { dropRest } from './client-connection';

/** A request that waits for its answer. */
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
  const { status, headers: ofRow = {} } = REFUSALS[refusal.refused];
  const headers = refusal.headers ?? ofRow;
  for (const name of Object.keys(headers)) res.setHeader(name, headers[name]!);
  respondJson(res, status, refusalReply(refusal, id, { requestId: facts.requestId, exposeReason }));
  if (!req.complete) dropRest(req);
}

export function respondJson(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}
