import { isKnownMethod } from '../allowlists/address-table';
import type { AddressTable } from '../allowlists/address-table';
import type { RpcCall } from '../json-rpc/call';
import type { MethodPrices } from '../keys/warnings';
import { nearestTo } from '../spelling';

/** Names and prefixes (`trace_*`) → what one call of the method costs. */
export type Credits = Readonly<Record<string, number>>;

/** What calls cost. */
export interface Prices extends MethodPrices {
  costOf(calls: readonly RpcCall[]): number;
  /** Whether some calls cost nothing. */
  readonly hasFree: boolean;
}

/** An exact name beats prefixes, the longest prefix beats shorter ones; every other call costs 1. */
export function compileCredits(credits: Credits): Prices {
  const entries = Object.entries(credits);
  if (entries.length === 0) {
    return { costOf: (calls) => calls.length, priceOf: () => 1, priced: [], hasFree: false };
  }
  const exact = new Map(entries.filter(([entry]) => !entry.endsWith('*')));
  const prefixes = entries
    .filter(([entry]) => entry.endsWith('*'))
    .map(([entry, price]): [string, number] => [entry.slice(0, -1), price])
    .sort(([a], [b]) => b.length - a.length);
  const priceOf = (method: string): number =>
    exact.get(method) ?? prefixes.find(([prefix]) => method.startsWith(prefix))?.[1] ?? 1;
  return {
    costOf: (calls) => calls.reduce((sum, { method }) => sum + priceOf(method), 0),
    priceOf,
    priced: Object.keys(credits),
    hasFree: entries.some(([, price]) => price === 0),
  };
}

/** Warnings about `credits`: entries that match no known method. */
export function oddCredits(credits: Credits, table: AddressTable): readonly string[] {
  const known = [...table.keys()];
  return Object.keys(credits).flatMap((entry) => {
    const prefix = entry.slice(0, -1);
    const isKnown = entry.endsWith('*')
      ? known.some((method) => method.startsWith(prefix))
      : isKnownMethod(entry, table);
    if (isKnown) return [];
    const meant = nearestTo(entry, known);
    return [`credits: no table knows ${entry}${meant === undefined ? '' : `; did you mean ${meant}?`}`];
  });
}
