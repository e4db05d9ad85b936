import { SpanKind, SpanStatusCode, context, metrics, propagation, trace } from '@opentelemetry/api';
import type { Attributes, Context, Histogram, Tracer } from '@opentelemetry/api';
import { RpcGuardError } from '../errors';
import type { Guard } from '../http/incoming-call';
import type { Occurrence } from '../observe/request-event';
import type { TraceHeaders, Tracing } from '../observe/tracing';
import { BOOLEAN_RULE, checkArgument } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { isRefusal } from '../policy/refusals';
import { insideOf } from '../rpc-guard';
import type { RpcGuard } from '../rpc-guard';
import type { Exchange } from '../upstream/http-client';
import { packageVersion } from '../version';
import { endRequestSpan, methodAttributes, resultAttributes, startRequestSpan } from './request-span';
import type { RequestSpan } from './request-span';
import { hideKey, parentOf, withoutInstrumentation } from './trace-context';
import type { TrustTraceContext } from './trace-context';

export type { TrustTraceContext };

export interface OpenTelemetryOptions {
  /**
   * Whose `traceparent` a request may continue: `'secret'` of callers with a valid secret, `true` of everybody, `false`
   * of nobody. Of the others it becomes a link of a new trace. Default `'secret'`.
   */
  readonly trustTraceContext?: TrustTraceContext;
  /** Whether the histogram `rpc.server.call.duration` is recorded too. Default `false`. */
  readonly metrics?: boolean;
}

const RULES: OptionRules<OpenTelemetryOptions> = {
  trustTraceContext: {
    accepts: (value) => value === 'secret' || typeof value === 'boolean',
    takes: '"secret", true or false',
  },
  metrics: BOOLEAN_RULE,
};

/** Seconds; those of the semantic conventions for `rpc.server.call.duration`. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const NAME = 'rpc-guard';

/**
 * Makes a span of each request and WebSocket message of a guard, and a child of it of each request to the upstream,
 * whose context the upstream gets in place of the caller's. Semantic conventions 1.45.0.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` when `guard` is not what `rpcGuard()` returned or is traced already, or
 * an option is wrong.
 * @example
 * openTelemetry(guard, { metrics: true });
 */
export function openTelemetry(guard: RpcGuard, options: OpenTelemetryOptions = {}): void {
  checkArgument('openTelemetry(guard, options)', RULES, options);
  const inside = insideOf(guard);
  if (inside.tracing !== undefined) {
    throw new RpcGuardError('ERR_RPC_GUARD_ARGUMENT', 'openTelemetry(guard): the guard is traced already');
  }
  const spans = new Spans(inside, options.trustTraceContext ?? 'secret');
  inside.tracing = spans;
  inside.observers.push((occurrence) => {
    spans.end(occurrence);
  });
  if (options.metrics === true) inside.observers.push(durations(inside));
}

/** The spans of the requests that are under way. */
class Spans implements Tracing {
  readonly #tracer: Tracer = trace.getTracer(NAME, packageVersion());
  readonly #inside: Guard;
  readonly #trust: TrustTraceContext;
  readonly #server: Attributes;
  readonly #spans = new WeakMap<Occurrence, RequestSpan>();

  constructor(inside: Guard, trust: TrustTraceContext) {
    const { protocol, hostname, port } = new URL(inside.options.upstream.origin);
    const defaultPort = protocol === 'https:' ? 443 : 80;
    this.#inside = inside;
    this.#trust = trust;
    this.#server = { 'server.address': hostname, 'server.port': port === '' ? defaultPort : Number(port) };
  }

  arrived({ apiKey }: Parameters<Tracing['arrived']>[0]): void {
    hideKey(apiKey);
  }

  exchange(occurrence: Occurrence, send: (headers: TraceHeaders) => Exchange): Exchange {
    const request = this.#spanOf(occurrence);
    // What is not sampled has no children: the upstream learns that from its own context.
    if (!request.span.isRecording()) return sendWithin(request.context, send);
    const attributes = { 'rpc.system.name': 'jsonrpc', ...request.method, ...this.#server };
    const span = this.#tracer.startSpan(request.name, { kind: SpanKind.CLIENT, attributes }, request.context);
    const exchange = sendWithin(trace.setSpan(request.context, span), send);
    void exchange.answer.then((answer) => {
      const status = isRefusal(answer) ? answer.upstreamStatus : answer.status;
      if (status !== undefined) span.setAttribute('http.response.status_code', status);
      if (isRefusal(answer)) {
        span.setAttribute('error.type', answer.refused);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    });
    return exchange;
  }

  end(occurrence: Occurrence): void {
    endRequestSpan(this.#spanOf(occurrence), occurrence);
    // Left to the garbage collector, it costs 3 µs of 10 a request.
    this.#spans.delete(occurrence);
  }

  /** Begun when its verdict is there, because sampling goes by the method. */
  #spanOf(occurrence: Occurrence): RequestSpan {
    let span = this.#spans.get(occurrence);
    if (span === undefined) {
      const parent = parentOf(occurrence, this.#trust);
      span = startRequestSpan(this.#tracer, occurrence, parent, this.#inside.options.addressTable);
      this.#spans.set(occurrence, span);
    }
    return span;
  }
}

function sendWithin(of: Context, send: (headers: TraceHeaders) => Exchange): Exchange {
  const headers: Record<string, string> = {};
  propagation.inject(of, headers);
  return context.with(withoutInstrumentation(of), send, undefined, headers);
}

/** The meter is asked for with the first request: unlike a tracer, it knows no provider that is registered later. */
function durations({ options: { addressTable } }: Guard): (occurrence: Occurrence) => void {
  let histogram: Histogram | undefined;
  return (occurrence) => {
    histogram ??= metrics.getMeter(NAME, packageVersion()).createHistogram('rpc.server.call.duration', {
      unit: 's',
      description: 'From arrival to answer.',
      advice: { explicitBucketBoundaries: BOUNDARIES },
    });
    const { 'rpc.method': method } = methodAttributes(occurrence, addressTable);
    histogram.record((performance.now() - occurrence.arrivedAt) / 1000, {
      'rpc.system.name': 'jsonrpc',
      ...(method !== undefined && { 'rpc.method': method }),
      ...resultAttributes(occurrence),
    });
  };
}
