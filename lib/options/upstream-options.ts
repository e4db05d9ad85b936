import type { Logger } from '../logger';
import { MAX_TIMER_MS, isFunction, isWhole } from '../option-rules';
import type { OptionRules } from '../option-rules';
import type { UpstreamClientOptions } from '../upstream/http-client';
import { bundledProxyMiddleware } from '../upstream/proxy-middleware';
import type { CreateProxyMiddleware } from '../upstream/proxy-middleware';
import { parseUpstream, quoteUpstream } from '../upstream/upstream-url';
import type { UpstreamOption } from '../upstream/upstream-url';

/** The options of the way to the upstream. */
export interface UpstreamOptions {
  /** The Ethereum node or provider that allowed calls go to. */
  readonly upstream: UpstreamOption;
  /** Milliseconds that the upstream may stay silent, before its answer and within it. Default 30 s. */
  readonly upstreamTimeoutMs?: number;
  /** Milliseconds for all of an answer, however slowly it comes; 0 for no end. Default 10 minutes. */
  readonly upstreamTotalMs?: number;
  /** That of `http-proxy-middleware` 4, to use it in place of the bundled 3. */
  readonly createProxyMiddleware?: CreateProxyMiddleware;
}

export const UPSTREAM_RULES: OptionRules<UpstreamOptions> = {
  upstream: {
    accepts: (value) => parseUpstream(value) !== undefined,
    takes: 'an http(s) URL or { url, wsUrl, headers }, such as "http://127.0.0.1:8545"',
    isRequired: true,
    quote: quoteUpstream,
  },
  upstreamTimeoutMs: { accepts: isWhole(1, MAX_TIMER_MS), takes: 'whole milliseconds, such as 30000', default: 30_000 },
  upstreamTotalMs: { accepts: isWhole(0, MAX_TIMER_MS), takes: 'whole milliseconds, such as 600000', default: 600_000 },
  createProxyMiddleware: {
    accepts: isFunction,
    takes: 'createProxyMiddleware of http-proxy-middleware 4',
    default: bundledProxyMiddleware,
  },
};

/** A caller that takes nothing of its answer for so long is cut off. */
const CALLER_IDLE_MS = 30_000;

/** Takes apart what the rules have let pass. */
export function prepareUpstreamOptions(checked: Required<UpstreamOptions>, logger: Logger): UpstreamClientOptions {
  const { upstream, upstreamTimeoutMs, upstreamTotalMs, createProxyMiddleware } = checked;
  return {
    upstream: parseUpstream(upstream)!,
    upstreamTimeoutMs,
    upstreamTotalMs,
    callerIdleMs: CALLER_IDLE_MS,
    createProxyMiddleware,
    logger,
  };
}
