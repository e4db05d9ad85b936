import type { Admission } from '../policy/authorize';
import type { RequestFacts } from '../request/request-facts';
import { createUpstreamClient } from './http-client';
import type { UpstreamClient, UpstreamClientOptions } from './http-client';
import type { UpstreamState } from './upstream-health';

export interface Upstreams {
  /** The upstream that serves this request. */
  resolveUpstream(facts: RequestFacts, admission: Admission): UpstreamClient;
  /** By host. */
  states(): Readonly<Record<string, UpstreamState>>;
  close(): void;
}

/** The one upstream of the options, for every request. */
export function createUpstreams(options: UpstreamClientOptions): Upstreams {
  const client = createUpstreamClient(options);
  return {
    resolveUpstream: () => client,
    states: () => ({ [options.upstream.host]: client.health.state }),
    close() {
      client.close();
    },
  };
}
