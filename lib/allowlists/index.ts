import type { Allowlist } from './allowlist';
import { contractAddresses } from './contract-addresses';
import { methods } from './methods';
import { origins } from './origins';
import { userAgents } from './user-agents';

/**
 * Every type of list, in the order in which they are shown and, within a phase, checked. Guard, dry run, settings
 * schema, command line, API and dashboard are drawn from these rows: a new type is its file and its row here.
 */
export const ALLOWLISTS = { contractAddresses, userAgents, origins, methods } as const satisfies Readonly<
  Record<string, Allowlist>
>;

export type AllowlistType = keyof typeof ALLOWLISTS;

export const ALLOWLIST_TYPES: readonly AllowlistType[] = Object.keys(ALLOWLISTS) as AllowlistType[];

/** One member a type, in the order of the registry. */
export function forEachType<T>(make: (type: AllowlistType) => T): Record<AllowlistType, T> {
  return Object.fromEntries(ALLOWLIST_TYPES.map((type) => [type, make(type)])) as Record<AllowlistType, T>;
}
