import type { Request } from 'express';
import type { KeyManager } from '../keys/key-manager';
import type { RefusalGroup } from '../keys/refusal-report';
import { namesCsv, pointsCsv, refusalsCsv } from '../keys/usage-csv';
import type { UsageBy, UsageReport } from '../keys/usage-report';
import { CsvAnswer, wantsCsv } from './csv-answer';
import { roleOf } from './actor';
import type { KeyIds } from './key-ids';
import { param, query } from './requests';

/** `GET /usage`, `GET /keys/:apiKey/usage` */
export interface UsageAnswer {
  readonly usage: UsageReport;
}

/** `GET /refusals`, `GET /keys/:apiKey/refusals` */
export interface RefusalsAnswer {
  readonly refusals: readonly RefusalGroup[];
}

interface Context {
  readonly manager: KeyManager;
  readonly keyIds: KeyIds;
}

/** Of one key, or of all. As CSV it is a line a name, or, where `step` is given, a line an hour or day. */
export async function getUsage({ manager, keyIds }: Context, req: Request): Promise<UsageAnswer | CsvAnswer> {
  const { since, until, step, by, outcome } = query(req);
  const isCsv = wantsCsv(req);
  const found = await manager.usage(keyOf(req), {
    since,
    until,
    step: step as UsageReport['step'] | undefined, // the manager says what these may be
    by: by as UsageBy | undefined,
    outcome,
  });
  const usage = roleOf(req) === 'viewer' ? keyIds.hidden(found) : found;
  if (!isCsv) return { usage };
  return new CsvAnswer(step === undefined ? namesCsv(usage) : pointsCsv(usage), 'usage.csv');
}

export async function getRefusals({ manager, keyIds }: Context, req: Request): Promise<RefusalsAnswer | CsvAnswer> {
  const { requestId, reason, limit = '100' } = query(req);
  const isCsv = wantsCsv(req);
  const found = await manager.refusals(keyOf(req), { requestId, reason, limit: Number(limit) });
  const refusals = roleOf(req) === 'viewer' ? keyIds.hidden(found) : found;
  return isCsv ? new CsvAnswer(refusalsCsv(refusals), 'refusals.csv') : { refusals };
}

function keyOf(req: Request): string | undefined {
  return param(req, 'apiKey') || undefined;
}
