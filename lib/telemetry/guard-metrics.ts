import { readFileSync } from 'node:fs';
import type { AddressTable } from '../allowlists/address-table';
import { counters } from '../counters';
import type { Occurrence } from '../observe/request-event';
import { outcomeOf, refusalIn } from '../observe/request-event';
import { ownText } from '../own-text';
import { isRefusal } from '../policy/refusals';
import { insideOf } from '../rpc-guard';
import type { RpcGuard } from '../rpc-guard';
import { packageVersion } from '../version';
import { Counter, Histogram, counterOf, gauge } from './metric';
import type { Metric } from './metric';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const DECISION_SECONDS = [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2];
const MAX_METHODS = 100;

/** What is counted of a guard from now on. Each label has a bounded number of values, whatever callers send. */
export function guardMetrics(guard: RpcGuard): readonly Metric[] {
  const inside = insideOf(guard);
  const series = createSeries();
  // An alert on the first of these needs a zero before it.
  for (const wire of ['http', 'webSocket']) {
    series.requests.add(0, wire, 'failed', 'INTERNAL_ERROR');
    series.requests.add(0, wire, 'refused', 'CONFIGURATION_ERROR');
    series.requests.add(0, wire, 'refused', 'SETTINGS_UNAVAILABLE');
  }
  const label = createMethodLabel(inside.options.addressTable);
  inside.observers.push((occurrence) => {
    countRequest(series, occurrence);
    countCalls(series, occurrence, label);
    countUpstream(series, occurrence);
  });
  return [...Object.values(series), ...statesOf(guard)];
}

function createSeries() {
  return {
    requests: new Counter(
      'rpc_guard_requests_total',
      'Requests and WebSocket messages, by outcome and the reason of the first refusal.',
      ...['wire', 'outcome', 'reason'],
    ),
    calls: new Counter('rpc_guard_calls_total', 'Calls, by method and outcome.', 'method', 'outcome'),
    refusals: new Counter('rpc_guard_refusals_total', 'Refused requests, and refused calls of batches.', 'reason'),
    wouldRefuse: new Counter(
      'rpc_guard_would_refuse_total',
      'Calls that lists which only report would have refused.',
      'reason',
    ),
    credits: new Counter('rpc_guard_credits_total', 'What allowed calls cost, by the outcome.', 'outcome'),
    limitWaits: new Counter('rpc_guard_limit_waits_total', 'Requests that waited for room under limits.'),
    received: new Counter('rpc_guard_received_bytes_total', 'Bytes of bodies, inflated.', 'wire'),
    sent: new Counter('rpc_guard_sent_bytes_total', 'Bytes of the bodies of answers.', 'wire'),
    aborted: new Counter('rpc_guard_aborted_total', 'Requests whose callers left before the answer.', 'wire'),
    upstream: new Counter(
      'rpc_guard_upstream_requests_total',
      'Requests handed to an upstream, by its host and what became of them.',
      ...['upstream', 'outcome'],
    ),
    requestSeconds: new Histogram(
      'rpc_guard_request_duration_seconds',
      'From arrival to answer, on a WebSocket to the hand-off of a single call.',
      SECONDS,
      'wire',
    ),
    decisionSeconds: new Histogram(
      'rpc_guard_decision_duration_seconds',
      'From arrival to verdict, reading the body included.',
      DECISION_SECONDS,
      'wire',
    ),
    upstreamSeconds: new Histogram(
      'rpc_guard_upstream_duration_seconds',
      'From the request to an upstream to the head of its answer.',
      SECONDS,
      'upstream',
    ),
  };
}

type Series = ReturnType<typeof createSeries>;
type MethodLabel = (method: string) => string;

function countRequest(series: Series, occurrence: Occurrence): void {
  const { wire, judged, failure, credits, arrivedAt, decidedAt } = occurrence;
  const refusal = refusalIn(judged);
  const outcome = outcomeOf(occurrence, refusal);
  series.requests.add(1, wire, outcome, (failure ?? refusal)?.refused ?? 'none');
  series.received.add(occurrence.bytesIn, wire);
  series.sent.add(occurrence.bytesOut, wire);
  if (credits > 0) series.credits.add(credits, outcome);
  if (occurrence.limitWaitMs > 0) series.limitWaits.add(1);
  if (occurrence.aborted) series.aborted.add(1, wire);
  series.requestSeconds.observe((performance.now() - arrivedAt) / 1000, wire);
  series.decisionSeconds.observe((decidedAt - arrivedAt) / 1000, wire);
}

function countCalls({ calls, refusals, wouldRefuse: would }: Series, occurrence: Occurrence, label: MethodLabel): void {
  const { judged, failure } = occurrence;
  if (judged === undefined) return;
  if (isRefusal(judged)) {
    refusals.add(1, judged.refused);
    return;
  }
  for (const { call, refusal, wouldRefuse } of judged.calls) {
    if (refusal !== undefined) refusals.add(1, refusal.refused);
    if (wouldRefuse !== undefined) would.add(1, wouldRefuse.refused);
    const ofAllowed = failure === undefined ? 'allowed' : 'failed';
    calls.add(1, 'method' in call ? label(call.method) : 'invalid', refusal === undefined ? ofAllowed : 'refused');
  }
}

function countUpstream(series: Series, { upstream, upstreamMs, failure, aborted }: Occurrence): void {
  if (upstream === undefined) return;
  const failed = failure?.refused === 'UPSTREAM_TIMEOUT' ? 'timeout' : 'failed';
  series.upstream.add(1, upstream, failure !== undefined ? failed : aborted ? 'aborted' : 'answered');
  if (upstreamMs !== undefined) series.upstreamSeconds.observe(upstreamMs / 1000, upstream);
}

/** A method of the table by its name, up to a hundred; any other is `other`. */
export function createMethodLabel(addressTable: AddressTable): MethodLabel {
  const labels = new Map<string, string>();
  return (method) => {
    const label = labels.get(method);
    if (label !== undefined) return label;
    if (labels.size === MAX_METHODS || !addressTable.has(method)) return 'other';
    const own = ownText(method);
    labels.set(own, own);
    return own;
  };
}

/** What is known when somebody asks. */
function statesOf(guard: RpcGuard): readonly Metric[] {
  const one = (value: number) => [{ labels: {}, value }];
  const files = openFilesMax();
  return [
    gauge('rpc_guard_websockets', 'WebSockets that are open.', () => one(guard.health().sockets)),
    gauge(
      'rpc_guard_open_files_max',
      'Files and sockets that the process may have open. A WebSocket takes two. Linux only.',
      () => (files === undefined ? [] : one(files)),
    ),
    gauge('rpc_guard_store_up', 'Whether the store of settings is up.', () => one(isUp(guard.health().store)), 'min'),
    gauge(
      'rpc_guard_upstream_up',
      'Whether an upstream is up, by its host. Nothing before the first request to it.',
      () =>
        Object.entries(guard.health().upstreams)
          .filter(([, state]) => state !== 'unknown')
          .map(([upstream, state]) => ({ labels: { upstream }, value: isUp(state) })),
      'min',
    ),
    gauge(
      'rpc_guard_limit_store_up',
      'Whether what processes spend is shared. Nothing where the store shares no counts.',
      () => {
        const { limitStore } = guard.health();
        return limitStore === undefined ? [] : one(isUp(limitStore));
      },
      'min',
    ),
    counterOf('rpc_guard_usage_dropped_total', 'Rows of usage lost: the store was away.', () => counters.usageDropped),
    counterOf(
      'rpc_guard_audit_failures_total',
      'Changes whose audit event could not be kept.',
      () => counters.auditFailures,
    ),
    gauge(
      'rpc_guard_build_info',
      'The version of rpc-guard.',
      () => [{ labels: { version: packageVersion() }, value: 1 }],
      'first',
    ),
  ];
}

function isUp(state: 'up' | 'down' | 'unknown'): number {
  return state === 'up' ? 1 : 0;
}

function openFilesMax(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
