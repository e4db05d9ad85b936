import { ROOT_CONTEXT, createContextKey, context, defaultTextMapGetter, propagation, trace } from '@opentelemetry/api';
import type { Context, Link, Span } from '@opentelemetry/api';
import type { Occurrence } from '../observe/request-event';
import { MIN_KEY_LENGTH, keyHint } from '../settings/api-key';

/** Whose trace context a request may continue: of callers with a valid secret, of everybody, of nobody. */
export type TrustTraceContext = 'secret' | boolean;

/** The keys under which the SDK keeps these; `@opentelemetry/core` exports nothing but functions for them. */
const RPC_METADATA = createContextKey('OpenTelemetry SDK Context Key RPC_METADATA');
const SUPPRESS_TRACING = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

export interface Parent {
  readonly context: Context;
  readonly links: readonly Link[];
}

/**
 * What a request's span is a child of. A stranger's trace context is not continued, only linked to (W3C Trace Context,
 * section 7.2): its sampled flag could run up a bill.
 */
export function parentOf({ facts, admission }: Occurrence, trust: TrustTraceContext): Parent {
  const active = context.active();
  // Most callers send none: extracting nothing costs a microsecond.
  if (!propagation.fields().some((name) => facts.headers[name] !== undefined)) return { context: active, links: [] };
  const around = trace.getSpanContext(active);
  const extracted = propagation.extract(ROOT_CONTEXT, facts.headers, defaultTextMapGetter);
  const callers = trace.getSpanContext(extracted);
  if (callers === undefined) return { context: active, links: [] };
  const isTrusted = trust === true || (trust === 'secret' && admission?.credential !== undefined);
  if (isTrusted) {
    return { context: around === undefined ? propagation.extract(active, facts.headers) : active, links: [] };
  }
  const own = propagation.deleteBaggage(active);
  if (around === undefined) return { context: own, links: [{ context: callers }] };
  // The application's own instrumentation may have continued the caller's trace.
  if (around.traceId !== callers.traceId) return { context: own, links: [] };
  return { context: trace.deleteSpan(own), links: [{ context: around }] };
}

/** In it, instrumentation of `node:http` makes no span of its own: that would tell the upstream's URL. */
export function withoutInstrumentation(of: Context): Context {
  return of.setValue(SUPPRESS_TRACING, true);
}

/**
 * Overwrites the key in what spans of the application's own instrumentation say of the URL. What is too short for a key
 * stays: with `T` in its place, `POST` would become `POS…`.
 */
export function hideKey(apiKey: string): void {
  if (apiKey.length < MIN_KEY_LENGTH) return;
  const active = context.active();
  const metadata = active.getValue(RPC_METADATA) as { readonly span?: Span } | undefined;
  for (const span of new Set([trace.getSpan(active), metadata?.span])) {
    const { attributes } = (span ?? {}) as { readonly attributes?: Readonly<Record<string, unknown>> };
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (typeof value === 'string' && value.includes(apiKey)) {
        span?.setAttribute(name, value.replaceAll(apiKey, keyHint(apiKey)));
      }
    }
  }
}
