import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { CallLimits } from '../limits/limit-calls';
import { Occurrence } from '../observe/request-event';
import type { Observe } from '../observe/request-event';
import type { Tracing } from '../observe/tracing';
import type { ParsedOptions } from '../options/options';
import type { Admission } from '../policy/authorize';
import type { JudgedCalls } from '../policy/evaluate-body';
import type { Refusal, ReplyOptions } from '../policy/refusals';
import type { RequestFacts } from '../request/request-facts';
import { keyHint } from '../settings/api-key';
import type { CachedStore } from '../stores/settings-cache';
import type { Place, UpstreamQueue } from '../upstream/upstream-queue';
import type { Upstreams } from '../upstream/upstreams';
import type { ByteBudget, Holding } from './byte-budget';
import { hasGone } from './client-connection';
import type { CorsHandler } from './cors';
import type { Answerable } from './respond';
import type { RequestsUnderWay } from './under-way';

/** The parts that the route uses. */
export interface Guard {
  readonly options: ParsedOptions;
  readonly store: CachedStore;
  readonly upstreams: Upstreams;
  readonly queue: UpstreamQueue;
  /** Bodies that are being inflated, and inflated ones that are not sent yet. */
  readonly inflated: ByteBudget;
  /** Answers that their callers have not taken yet. */
  readonly answers: ByteBudget;
  readonly underWay: RequestsUnderWay;
  readonly applyCors: CorsHandler;
  readonly limits: CallLimits;
  /** Called with every request that goes to `next()`. */
  readonly hintAtMount: (req: IncomingMessage) => void;
  readonly observe: Observe;
  /** Those that `observe` calls. Entries of their own add theirs. */
  readonly observers: Observe[];
  /** Set by an entry of its own, where requests are traced. */
  tracing: Tracing | undefined;
}

export interface AdmittedCalls {
  readonly admission: Admission;
  readonly judged: JudgedCalls;
}

/** A request on its way, with what is noted of it for the event at its end. */
export class IncomingCall extends Occurrence implements Answerable {
  /** Its place before the upstream, from when it goes there. */
  place: Place | undefined = undefined;
  /** What it holds of the guard's budgets. */
  inflated: Holding | undefined = undefined;
  answer: Holding | undefined = undefined;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    facts: RequestFacts,
    readonly headers: OutgoingHttpHeaders,
  ) {
    super(facts, 'http', performance.now());
  }
}

export function replyOptions({ options }: Guard, { facts }: IncomingCall): ReplyOptions {
  return { requestId: facts.requestId, exposeReason: options.exposeReason };
}

/** Sets why calls that were allowed got no answer. @returns whether it is a failure: where the caller has gone, none is. */
export function setFailure(call: IncomingCall, failure: Refusal): boolean {
  if (hasGone(call.req)) return false;
  call.failure = failure;
  return true;
}

/** Sets and logs why forwarded calls got no answer. */
export function noteFailure({ options }: Guard, call: IncomingCall, failure: Refusal): void {
  if (!setFailure(call, failure)) return;
  const { refused: reason, why } = failure;
  const { apiKey, requestId } = call.facts;
  options.logger.warn({ key: keyHint(apiKey), requestId, reason, why }, 'no answer from the upstream');
}
