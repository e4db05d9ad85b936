import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { readBody } from '../http/request-body';
import type { ParsedRequestOptions } from '../options/request-options';
import { authenticate } from '../policy/authenticate';
import { admissionOf, admitTo, checkCall, reportCall } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import { judgeBody, serialiseAllowed } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { isRefusal, messageOf, statusOf } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { passed, refused } from '../policy/trace';
import type { TracedStep, Tracer } from '../policy/trace';
import { requestFacts } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { compileKeySettings } from '../settings/compile';
import type { CompiledKey } from '../settings/compile';
import type { KeySettings } from '../settings/key-settings';
import type { LimitStore } from '../stores/limit-store';
import { dryCharge } from './dry-limits';

export interface DryRunRequest {
  readonly apiKey: string;
  /** Names and values, as they would be sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

export type DryRunStep = TracedStep;

export interface DryRunCall {
  readonly method: string | null;
  /** JSON text; `null` for a notification. */
  readonly id: string | null;
  readonly allowed: boolean;
  readonly reason: Reason | null;
  /** Why it would be refused, where it is allowed, if the lists that only report refused. */
  readonly wouldRefuse: Reason | null;
  readonly steps: readonly DryRunStep[];
}

/** What the guard would do with a request, and why. */
export interface DryRun {
  /** Whether all of it would be forwarded. */
  readonly allowed: boolean;
  readonly reason: Reason | null;
  /** Why it, or the first of what is allowed, would be refused if the lists that only report refused. */
  readonly wouldRefuse: Reason | null;
  /** The HTTP status of a refusal; 200 where the upstream is asked, or a batch gets its refusals one by one. */
  readonly status: number;
  readonly message: string;
  /** The steps that decide on the request as a whole. They go on after a refusal. */
  readonly steps: readonly DryRunStep[];
  readonly calls: readonly DryRunCall[];
  /** Whether the allowed calls have room under the limits, all together; `null` where none is allowed. */
  readonly limits: DryRunStep | null;
  /** What the upstream would receive; `null` where nothing. */
  readonly forwarded: string | null;
}

export type DryRunOptions = ParsedRequestOptions;

/**
 * Decides on a request as the guard does, by the guard's own checks, and collects what each says. Nothing is forwarded,
 * and nothing charged: `store` tells what is spent.
 */
export async function dryRun(
  request: DryRunRequest,
  settings: KeySettings | undefined,
  options: DryRunOptions,
  store: LimitStore | undefined,
): Promise<DryRun> {
  const facts = factsOf(request, options);
  const key = settings && compileKeySettings(settings);
  const { steps, trace } = collector();
  const admission = await admitTo(key ?? 'unknown', facts, trace);
  if (key === undefined) return refusedWhole(admission as Refusal, steps);

  const held = isRefusal(admission) ? await admissionAnyway(key, facts) : admission;
  const read = await judge(request, held, options);
  trace(isRefusal(read) ? refused('body', read) : passed('body', describeCalls(read)));
  if (isRefusal(read)) return refusedWhole(isRefusal(admission) ? admission : read, steps);

  const { judged, step: limits } = await dryCharge(facts, held, read, options, store);
  const calls = judged.calls.map((call) => explainCall(call, held, options));
  const [first] = judged.calls;
  const whole = isRefusal(admission) ? admission : (judged.limited ?? (judged.batch ? undefined : first?.refusal));
  if (whole !== undefined) return { ...refusedWhole(whole, steps), calls, limits };
  const allowed = judged.allowed.length === judged.calls.length;
  const message = allowed
    ? 'allowed'
    : `${String(judged.allowed.length)} of ${String(judged.calls.length)} calls are allowed`;
  const reason = judged.calls.find(({ refusal }) => refusal !== undefined)?.refusal?.refused ?? null;
  const forwarded = judged.allowed.length > 0 ? String(serialiseAllowed(judged)) : null;
  const wouldRefuse = judged.wouldRefuse?.refused ?? null;
  return { allowed, reason, wouldRefuse, status: 200, message, steps, calls, limits, forwarded };
}

function collector(): { readonly steps: readonly DryRunStep[]; readonly trace: Tracer } {
  const steps: DryRunStep[] = [];
  const trace: Tracer = (step) => {
    const at = steps.findIndex((said) => said.step === step.step);
    if (at === -1) steps.push(step);
    // To what refuses, a list that only reports is none.
    else if (step.outcome !== 'skip') steps[at] = step;
  };
  return { steps, trace };
}

/** The admission that calls are checked against after a refusal: the steps go on as if there had been none. */
async function admissionAnyway(key: CompiledKey, facts: RequestFacts): Promise<Admission> {
  const credential = await authenticate(facts, key);
  return admissionOf(key, isRefusal(credential) ? undefined : credential);
}

function factsOf({ apiKey, headers }: DryRunRequest, { path }: DryRunOptions): RequestFacts {
  const url = `${path.before}KEY${path.after}`;
  return { ...requestFacts({ url, headers: byName(headers), rawHeaders: headers.flat() }, path)!, apiKey };
}

/** The guard's own reader reads the body, by the headers that describe it. */
async function judge(
  { headers, body }: DryRunRequest,
  held: Admission,
  options: DryRunOptions,
): Promise<Refusal | JudgedCalls> {
  const message = Object.assign(Readable.from([Buffer.from(body)]), { headers: byName(headers) });
  const bytes = await readBody(message as unknown as IncomingMessage, options);
  return isRefusal(bytes) ? bytes : judgeBody(bytes, options.maxBatchSize, held, options);
}

function byName(headers: DryRunRequest['headers']): IncomingHttpHeaders {
  return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
}

function explainCall(
  { call, refusal, wouldRefuse }: JudgedCalls['calls'][number],
  held: Admission,
  options: DryRunOptions,
): DryRunCall {
  const { steps, trace } = collector();
  checkCall(held, call, options, trace);
  if (!('invalid' in call)) reportCall(held, call, options, trace);
  return {
    method: 'method' in call ? call.method : null,
    id: call.id ?? null,
    allowed: refusal === undefined,
    reason: refusal?.refused ?? null,
    wouldRefuse: wouldRefuse?.refused ?? null,
    steps,
  };
}

function describeCalls({ batch, calls }: JudgedCalls): string {
  return batch ? `a batch of ${String(calls.length)}` : 'one call';
}

function refusedWhole(refusal: Refusal, steps: readonly DryRunStep[]): DryRun {
  return {
    allowed: false,
    reason: refusal.refused,
    wouldRefuse: null,
    status: statusOf(refusal),
    message: messageOf(refusal),
    steps,
    calls: [],
    limits: null,
    forwarded: null,
  };
}
