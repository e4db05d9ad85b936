import type { Reason } from '../policy/refusals';

/**
 * What happened to one request or WebSocket message, told once, when it is over. A single call on a WebSocket is over
 * when it is handed to the upstream: which answer belongs to it is not tracked. No key, secret, parameter or caller's
 * address is in it. Frozen; `v` changes only when a member goes or comes to mean something else.
 */
export interface RequestEvent {
  readonly v: 1;
  /** When it arrived: ISO 8601, UTC. */
  readonly at: string;
  readonly requestId: string;
  /** The key's first characters; `undefined` when the path holds none. */
  readonly keyHint: string | undefined;
  /** The first 16 hex digits of the key's SHA-256, also of a key that does not exist; `undefined` when it is malformed. */
  readonly keyId: string | undefined;
  /** The id of the secret that was presented and is valid. */
  readonly secretId: string | undefined;
  readonly network: string | undefined;
  readonly wire: 'http' | 'webSocket';
  /** Method → how many calls, 100 methods at most; more are counted as `(other)`. Empty when no body was read. */
  readonly methods: Readonly<Record<string, number>>;
  /** `mixed`: some calls of a batch were refused. `failed`: allowed, and the upstream or the guard gave no answer. */
  readonly outcome: 'allowed' | 'refused' | 'mixed' | 'failed';
  /** Why it, or the first of its calls, was refused, or why it failed. */
  readonly reason: Reason | undefined;
  /** Why lists that only report would have refused it. */
  readonly wouldRefuse: Reason | undefined;
  /** What the log says besides the reason. The caller does not learn it. */
  readonly why: string | undefined;
  /** The HTTP status; `undefined` for a message on a WebSocket. */
  readonly status: number | undefined;
  /** What the allowed calls cost. */
  readonly credits: number;
  /** Milliseconds that it waited for room under its limits. */
  readonly limitWaitMs: number;
  /** Bytes of the body, inflated; 0 when it was not read. */
  readonly bytesIn: number;
  /** Bytes of the answer's body, as it was sent; 0 for a single call on a WebSocket. */
  readonly bytesOut: number;
  /** The host of the upstream that was asked. */
  readonly upstream: string | undefined;
  /** The HTTP status of the upstream's answer, of the last where there were several. */
  readonly upstreamStatus: number | undefined;
  /** The upstream's JSON-RPC error code, of a batch the first; `undefined` when its answer was long, or encoded. */
  readonly upstreamCode: number | undefined;
  readonly ms: {
    /** From the arrival to the verdict, reading the body included. */
    readonly decision: number;
    /** Waiting between verdict and upstream: for room under limits, and for earlier requests. */
    readonly wait: number;
    /** From the request to the upstream to the head of its answer; `undefined` when it was not asked. */
    readonly upstream: number | undefined;
    readonly total: number;
  };
  /** Whether the caller went away before it was answered. */
  readonly aborted: boolean;
}
