import type { UsageRow } from './usage-store';

/** What refusals are grouped by. `''` where there is none. */
export interface RefusedCall {
  /** The reason, or `wouldRefuse:<REASON>`. */
  readonly outcome: string;
  readonly method: string;
  readonly origin: string;
  readonly userAgent: string;
  /** The contract that is not on the list. */
  readonly address: string;
  readonly wire: string;
  readonly secretId: string;
}

/** The name of a group's row. */
export function nameOfRefusal({ method, origin, userAgent, address, wire, secretId }: RefusedCall): string {
  return JSON.stringify([method, origin, userAgent, address, wire, secretId]);
}

/** What a group's row was grouped by. */
export function refusedCallOf({ name, outcome }: Pick<UsageRow, 'name' | 'outcome'>): RefusedCall {
  const [method = '', origin = '', userAgent = '', address = '', wire = '', secretId = ''] = JSON.parse(
    name,
  ) as string[];
  return { outcome, method, origin, userAgent, address, wire, secretId };
}
