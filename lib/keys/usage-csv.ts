import { csvOf } from '../csv';
import type { RefusalGroup } from './refusal-report';
import type { UsageReport } from './usage-report';

/** A line for each name. */
export function namesCsv({ by, rows }: UsageReport): string {
  const header = [by, 'allowed', 'refused', 'would be refused', 'credits', 'share', 'last'];
  return csvOf(
    header,
    rows.map((row) => [row.name, row.allowed, row.refused, row.wouldRefuse, row.credits, row.share, row.lastAt]),
  );
}

/** A line for each hour or day. */
export function pointsCsv({ step, points }: UsageReport): string {
  const header = [step, 'allowed', 'refused', 'would be refused', 'credits', 'p50 ms', 'p95 ms'];
  return csvOf(
    header,
    points.map((point) => [
      point.at,
      point.allowed,
      point.refused,
      point.wouldRefuse,
      point.credits,
      point.p50,
      point.p95,
    ]),
  );
}

/** A line for each group of refusals. */
export function refusalsCsv(groups: readonly RefusalGroup[]): string {
  const header = ['key', 'reason', 'would be', 'method', 'origin', 'user agent', 'address', 'wire', 'secret'];
  return csvOf(
    [...header, 'why', 'count', 'first', 'last', 'request ids'],
    groups.map((it) => [
      ...[it.apiKey, it.reason, it.wouldBe, it.method, it.origin, it.userAgent, it.address, it.wire, it.secretId],
      ...[it.why, it.count, it.first, it.last, it.requestIds.join(' ')],
    ]),
  );
}
