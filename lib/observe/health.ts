import type { CallLimits } from '../limits/limit-calls';
import type { CachedStore } from '../stores/settings-cache';
import type { UpstreamState } from '../upstream/upstream-health';

/** What the guard knows of what it depends on, from the requests it has served. */
export interface Health {
  /** Whether the store is up and no upstream is down: a good answer to a readiness probe. */
  readonly ok: boolean;
  /** Where the keys' settings are. Up until it has failed. */
  readonly store: 'up' | 'down';
  /** By host; `unknown` before the first request. */
  readonly upstreams: Readonly<Record<string, UpstreamState>>;
  /** Where several processes share what they have spent. While it is down each holds itself to its part. */
  readonly limitStore?: 'up' | 'down';
  /** WebSockets that are open. */
  readonly sockets: number;
}

export interface HealthSources {
  readonly store: Pick<CachedStore, 'isDown'>;
  readonly limits: Pick<CallLimits, 'isShared'>;
  /** States by host, over HTTP and over WebSocket. */
  readonly upstreams: readonly Readonly<Record<string, UpstreamState>>[];
  readonly sockets: number;
}

/** Makes no request. */
export function healthOf({ store, limits, upstreams: wires, sockets }: HealthSources): Health {
  const upstreams: Record<string, UpstreamState> = {};
  for (const states of wires) {
    for (const [host, state] of Object.entries(states)) upstreams[host] = worse(upstreams[host], state);
  }
  const isDown = store.isDown || Object.values(upstreams).includes('down');
  return {
    ok: !isDown,
    store: store.isDown ? 'down' : 'up',
    upstreams,
    ...(limits.isShared !== undefined && { limitStore: limits.isShared ? ('up' as const) : ('down' as const) }),
    sockets,
  };
}

/** One host may serve both wires. */
function worse(one: UpstreamState | undefined, other: UpstreamState): UpstreamState {
  if (one === 'down' || other === 'down') return 'down';
  return one === 'up' ? 'up' : other;
}
