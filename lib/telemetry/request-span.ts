import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api';
import type { AddressTable } from '../allowlists/address-table';
import { outcomeOf, refusalIn } from '../observe/request-event';
import type { Occurrence } from '../observe/request-event';
import { upstreamCodeIn } from '../observe/upstream-code';
import { codeOf, isRefusal } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { keyHint } from '../settings/api-key';
import type { Parent } from './trace-context';

/** A request's span, and the context of what is done for it. */
export interface RequestSpan {
  readonly name: string;
  readonly span: Span;
  readonly context: Context;
  readonly method: Attributes;
}

const MAX_EVENTS = 100;
const MAX_METHOD_LENGTH = 128;
/** What an operator has to look at. Any other refusal is the caller's fault. */
const FAULTS: ReadonlySet<Reason> = new Set<Reason>([
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_TIMEOUT',
  'INTERNAL_ERROR',
  'CONFIGURATION_ERROR',
  'SETTINGS_UNAVAILABLE',
]);

/** What is known of a request once it is decided on: it began when it arrived. */
export function startRequestSpan(
  tracer: Tracer,
  occurrence: Occurrence,
  { context, links }: Parent,
  table: AddressTable,
): RequestSpan {
  const { wire, judged, arrivedAt } = occurrence;
  const isBatch = judged !== undefined && !isRefusal(judged) && judged.batch;
  const method = methodAttributes(occurrence, table);
  const known = method['rpc.method'];
  const name = isBatch ? 'jsonrpc batch' : typeof known === 'string' && known !== '_OTHER' ? known : 'jsonrpc';
  const attributes = {
    'rpc.system.name': 'jsonrpc',
    ...method,
    'network.protocol.name': wire === 'http' ? 'http' : 'websocket',
    'jsonrpc.protocol.version': '2.0',
  };
  const options = { kind: SpanKind.SERVER, startTime: arrivedAt, attributes, links: [...links] };
  const span = tracer.startSpan(name, options, context);
  return { name, span, context: trace.setSpan(context, span), method };
}

/** `rpc.method` of a single call: callers can make up any number of others. */
export function methodAttributes({ judged }: Occurrence, table: AddressTable): Attributes {
  if (judged === undefined || isRefusal(judged) || judged.batch) return {};
  const call = judged.calls[0]?.call;
  if (call === undefined || !('method' in call)) return {};
  if (table.has(call.method)) return { 'rpc.method': call.method };
  return { 'rpc.method': '_OTHER', 'rpc.method_original': call.method.slice(0, MAX_METHOD_LENGTH) };
}

/** What became of a request: its error code as text, and what went wrong. */
export function resultAttributes({ judged, failure, answered }: Occurrence): Attributes {
  const told = failure ?? refusalIn(judged);
  const code = told === undefined ? answered && upstreamCodeIn(answered) : codeOf(told);
  return {
    ...(code !== undefined && { 'rpc.status_code': String(code) }),
    ...(told !== undefined && { 'error.type': told.refused }),
  };
}

export function endRequestSpan({ span }: RequestSpan, occurrence: Occurrence): void {
  if (!span.isRecording()) return;
  const { facts, judged, failure } = occurrence;
  const refusal = refusalIn(judged);
  const told = failure ?? refusal;
  span.setAttributes({ ...resultAttributes(occurrence), 'rpc_guard.outcome': outcomeOf(occurrence, refusal) });
  if (told !== undefined) span.setAttribute('rpc_guard.reason', told.refused);
  if (facts.apiKey !== '') span.setAttribute('rpc_guard.key_hint', keyHint(facts.apiKey));
  if (occurrence.aborted) span.setAttribute('rpc_guard.aborted', true);
  if (occurrence.status !== undefined) span.setAttribute('http.response.status_code', occurrence.status);
  if (told !== undefined && FAULTS.has(told.refused)) span.setStatus({ code: SpanStatusCode.ERROR });
  addEvents(span, judged);
  span.end(performance.now());
}

function addEvents(span: Span, judged: Occurrence['judged']): void {
  if (judged === undefined) return;
  if (isRefusal(judged)) {
    span.addEvent('rpc_guard.refused', { 'rpc_guard.reason': judged.refused });
    return;
  }
  const { batch, calls, wouldRefuse } = judged;
  if (batch) span.setAttribute('rpc_guard.batch.size', calls.length);
  const id = batch ? undefined : calls[0]?.call.id;
  if (id !== undefined && id !== 'null') span.setAttribute('jsonrpc.request.id', id.replace(/^"(.*)"$/s, '$1'));
  if (calls.length === 0 && wouldRefuse !== undefined) addVerdict(span, 'would_refuse', wouldRefuse);
  for (const { call, refusal, wouldRefuse: would } of calls.slice(0, MAX_EVENTS)) {
    const method = 'method' in call ? { 'rpc.method': call.method } : {};
    if (refusal !== undefined) addVerdict(span, 'refused', refusal, method);
    else if (would !== undefined) addVerdict(span, 'would_refuse', would, method);
    else if (batch) span.addEvent('rpc_guard.call', method);
  }
}

function addVerdict(span: Span, verdict: 'refused' | 'would_refuse', { refused }: Refusal, method?: Attributes): void {
  span.addEvent(`rpc_guard.${verdict}`, { 'rpc_guard.reason': refused, ...method });
}
