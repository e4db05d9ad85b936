import type { Request } from 'express';
import { auditCsv, wordsOf } from '../keys/audit-words';
import type { KeyManager } from '../keys/key-manager';
import type { AuditAction, AuditEvent } from '../stores/audit-store';
import { roleOf } from './actor';
import { invalidRequest } from './api-error';
import { CsvAnswer, LinesAnswer, wantsCsv } from './csv-answer';
import type { KeyIds } from './key-ids';
import { param, query } from './requests';

/** An event as the API shows it. */
export interface ShownEvent extends AuditEvent {
  /** What changed, a line each: `origins: added https://app.example.com`. */
  readonly words: readonly string[];
}

/** `GET /audit`, `GET /keys/:apiKey/audit` */
export interface AuditAnswer {
  readonly events: readonly ShownEvent[];
  /** Give it as `before` for those that happened before; null at the end. */
  readonly next: string | null;
}

interface Context {
  readonly manager: KeyManager;
  readonly keyIds: KeyIds;
}

/** Of one key, or of all. */
export async function getAudit(
  { manager, keyIds }: Context,
  req: Request,
): Promise<AuditAnswer | CsvAnswer | LinesAnswer> {
  const { actor, action, before, since, limit = '100', format } = query(req);
  const isLines = format === 'jsonl';
  const isCsv = !isLines && wantsCsv(req);
  if (Number.isNaN(Number(limit))) throw invalidRequest('limit: it takes a whole number from 1 to 500');
  const apiKey = param(req, 'apiKey') || undefined;
  const asked = { apiKey, actor, action: action as AuditAction | undefined, before, since, limit: Number(limit) };
  const found = await manager.audit(asked);
  const events = roleOf(req) === 'viewer' ? keyIds.hidden(found) : found;
  if (isCsv) return new CsvAnswer(auditCsv(events), 'audit.csv');
  if (isLines) return new LinesAnswer(events.map((event) => `${JSON.stringify(event)}\n`).join(''), 'audit.jsonl');
  const next = found.length === Number(limit) ? (found.at(-1)?.id ?? null) : null;
  return { events: events.map((event) => ({ ...event, words: wordsOf(event) })), next };
}
