import type { IncomingHttpHeaders } from 'node:http';
import { isReadOnly } from '../allowlists/address-table';
import type { Pieces } from '../json-rpc/call';
import type { TraceHeaders } from '../observe/tracing';
import type { Admission } from '../policy/authorize';
import { isRefusal, refuse, refuseForNow } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import type { UpstreamAnswer } from '../upstream/read-answer';
import { Holding } from './byte-budget';
import { hasGone, whenGone } from './client-connection';
import type { Guard, IncomingCall } from './incoming-call';

/** Bytes of a streamed answer that are under way between upstream and caller. */
const STREAM_BYTES = 128 * 1024;
export const UNTAKEN = refuseForNow(
  'too many answers are waiting for their callers, try again',
  'too many answers are waiting for their callers',
);

/** Sends checked calls to the upstream. A caller that goes away ends it. */
export async function askUpstream(
  { upstreams, tracing }: Guard,
  call: IncomingCall,
  admission: Admission,
  body: Pieces,
  headers: IncomingHttpHeaders,
): Promise<UpstreamAnswer | Refusal> {
  const { req, facts } = call;
  if (hasGone(req)) return refuse('UPSTREAM_UNAVAILABLE');
  const sentAt = performance.now();
  const client = upstreams.resolveUpstream(facts, admission);
  call.upstream = client.name;
  const send = (trace?: TraceHeaders) => client.send(body, headers, facts.requestId, onlyReads(call), trace);
  const exchange = tracing === undefined ? send() : tracing.exchange(call, send);
  const stopListening = whenGone(req, () => {
    exchange.abort();
  });
  const answer = await exchange.answer;
  call.inflated?.shrinkTo(0);
  call.upstreamMs = (call.upstreamMs ?? 0) + performance.now() - sentAt;
  call.upstreamStatus = isRefusal(answer) ? answer.upstreamStatus : answer.status;
  if (isRefusal(answer) || Buffer.isBuffer(answer.body) || answer.body.complete) stopListening();
  else answer.body.on('close', stopListening);
  return answer;
}

/** Whether it can safely be sent twice. Decided up front: what the connection refers to lives long. */
function onlyReads({ judged }: IncomingCall): boolean {
  if (judged === undefined || isRefusal(judged)) return false;
  return judged.allowed.every(({ method }) => isReadOnly(method));
}

/** Reserves room for so much of an answer, until the caller has taken it or has gone. `false` if there is none. */
export function holdAnswer({ answers }: Guard, call: IncomingCall, bytes: number): boolean {
  const { req, res, facts } = call;
  const isFirst = call.answer === undefined;
  const holding = (call.answer ??= new Holding(answers, facts.apiKey));
  if (hasGone(req) || !holding.grow(bytes)) return false;
  if (isFirst) {
    const release = (): void => {
      stopListening();
      holding.shrinkTo(0);
    };
    const stopListening = whenGone(req, release);
    res.once('close', release);
  }
  return true;
}

/** Bytes of an answer that stay in memory while its caller does not take it. */
export function waitingBytes({ body }: UpstreamAnswer): number {
  if (Buffer.isBuffer(body)) return body.length;
  return body.complete ? body.readableLength : STREAM_BYTES;
}
