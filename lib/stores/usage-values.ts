import type { RefusalDetail, UsageKind, UsageRow } from './usage-store';

/** What a row is of within its key, hour and instance, and what was counted, as two short strings. */
export function fieldOf({ kind, outcome, name }: UsageRow): string {
  return `${kind} ${outcome} ${name}`;
}

export function valueOf(row: UsageRow): string {
  const { calls, credits, bytesIn, bytesOut, upstreamErrors, lastAt, requests, peak, milliseconds, detail } = row;
  if (calls === 0) return '';
  return JSON.stringify([
    [calls, credits, bytesIn, bytesOut, upstreamErrors, lastAt, requests ?? null, peak ?? null],
    ...(milliseconds === undefined && detail === undefined ? [] : [milliseconds ?? null]),
    ...(detail === undefined ? [] : [detail]),
  ]);
}

type Value = readonly [
  counted: readonly (number | null)[],
  milliseconds?: readonly number[] | null,
  detail?: RefusalDetail,
];

export function rowOf(of: Pick<UsageRow, 'apiKey' | 'hour' | 'instance'>, field: string, value: string): UsageRow {
  const [kind = '', outcome = ''] = field.split(' ', 2);
  const name = field.slice(kind.length + outcome.length + 2);
  const [counted, milliseconds, detail] = JSON.parse(value) as Value;
  const [calls = 0, credits, bytesIn, bytesOut, upstreamErrors, lastAt, requests, peak] = counted;
  return {
    ...of,
    kind: kind as UsageKind,
    name,
    outcome,
    calls: calls ?? 0,
    credits: credits ?? 0,
    bytesIn: bytesIn ?? 0,
    bytesOut: bytesOut ?? 0,
    upstreamErrors: upstreamErrors ?? 0,
    lastAt: lastAt ?? 0,
    ...(typeof requests === 'number' && { requests, peak: peak ?? 0 }),
    ...(milliseconds != null && { milliseconds }),
    ...(detail !== undefined && { detail }),
  };
}
