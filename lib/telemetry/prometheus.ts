import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RpcGuard } from '../rpc-guard';
import { guardMetrics } from './guard-metrics';
import type { Metric } from './metric';
import { CONTENT_TYPE, textOf } from './text-format';

/** A metric as registries of `prom-client` 15 and `@prometheus-io/client` ask it for its values. */
export interface RegisteredMetric {
  readonly name: string;
  readonly help: string;
  readonly aggregator: string;
  get(): Promise<{
    readonly name: string;
    readonly help: string;
    readonly type: string;
    readonly aggregator: string;
    readonly values: readonly {
      readonly labels: Readonly<Record<string, string>>;
      readonly value: number;
      readonly metricName?: string;
    }[];
  }>;
  /** Does nothing: what was counted stays. */
  reset(): void;
}

/** A registry of `prom-client` 15 or `@prometheus-io/client`. */
export interface MetricRegistry {
  readonly contentType: string;
  // Its parameter is a class of the package, with private members.
  registerMetric(metric: never): void;
}

export interface PrometheusMetrics {
  /** Answers a scrape in the text format 0.0.4: `app.get('/metrics', handler)`. Put it where only Prometheus comes. */
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void;
  /** Adds the metrics to a registry that the application has. Once a registry. */
  register(registry: MetricRegistry): void;
}

/**
 * Counts what a guard does from now on, in metrics for Prometheus. Series are bounded, whatever callers send: there is
 * no label by key, and methods that no table knows are `other`.
 * @throws RpcGuardError `ERR_RPC_GUARD_ARGUMENT` when `guard` is not what `rpcGuard()` returned.
 * @example
 * const metrics = prometheusMetrics(guard);
 * app.get('/metrics', metrics.handler);
 */
export function prometheusMetrics(guard: RpcGuard): PrometheusMetrics {
  const metrics = guardMetrics(guard);
  return {
    handler(req, res) {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        res.writeHead(405, { Allow: 'GET, HEAD' }).end();
        return;
      }
      const text = textOf(metrics);
      res.writeHead(200, { 'Content-Type': CONTENT_TYPE, 'Content-Length': Buffer.byteLength(text) });
      res.end(req.method === 'HEAD' ? undefined : text);
    },
    register(registry) {
      for (const metric of metrics) registry.registerMetric(registered(metric, registry) as never);
    },
  };
}

function registered({ name, help, type, aggregator, samples }: Metric, registry: MetricRegistry): RegisteredMetric {
  return {
    name,
    help,
    aggregator,
    get() {
      // A registry that writes OpenMetrics adds `_total` to a counter's name itself.
      const isSuffixed = type === 'counter' && registry.contentType.startsWith('application/openmetrics-text');
      const values = samples().map(({ suffix, labels, value }) =>
        suffix === undefined ? { labels, value } : { labels, value, metricName: name + suffix },
      );
      const told = isSuffixed ? name.replace(/_total$/, '') : name;
      return Promise.resolve({ name: told, help, type, aggregator, values });
    },
    reset() {
      // What was counted stays.
    },
  };
}
