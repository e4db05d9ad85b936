import type { Request } from 'express';
import { auditCsv, auditCsvRows, wordsOf } from '../keys/audit-words';
import type { AuditOptions } from '../keys/changes';
import type { KeyManager } from '../keys/key-manager';
import type { AuditAction, AuditEvent } from '../stores/audit-store';
import { roleOf } from './actor';
import { invalidRequest } from './api-error';
import { PartsAnswer, wantsCsv } from './csv-answer';
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

const MAX_PAGE = 500;

interface Context {
  readonly manager: KeyManager;
  readonly keyIds: KeyIds;
}

/** Of one key, or of all: a page, or with CSV and JSON lines everything that is asked for. */
export async function getAudit({ manager, keyIds }: Context, req: Request): Promise<AuditAnswer | PartsAnswer> {
  const { actor, action, before, since, limit, format } = query(req);
  const isLines = format === 'jsonl';
  const isCsv = !isLines && wantsCsv(req);
  if (Number.isNaN(Number(limit ?? 1))) throw invalidRequest('limit: it takes a whole number from 1 to 500');
  const apiKey = param(req, 'apiKey') || undefined;
  const pageSize = Number(limit ?? (isLines || isCsv ? MAX_PAGE : 100));
  const asked = { apiKey, actor, action: action as AuditAction | undefined, before, since, limit: pageSize };
  const first = await manager.audit(asked);
  const shown = (events: readonly AuditEvent[]) => (roleOf(req) === 'viewer' ? keyIds.hidden(events) : events);
  if (!isLines && !isCsv) {
    const next = first.length === pageSize ? (first.at(-1)?.id ?? null) : null;
    return { events: shown(first).map((event) => ({ ...event, words: wordsOf(event) })), next };
  }
  const pages = limit === undefined ? pagesFrom(manager, asked, first) : [first];
  return isCsv
    ? new PartsAnswer(csvParts(pages, shown), 'audit.csv', 'text/csv; charset=utf-8')
    : new PartsAnswer(lineParts(pages, shown), 'audit.jsonl', 'application/jsonl; charset=utf-8');
}

type Pages = AsyncIterable<readonly AuditEvent[]> | Iterable<readonly AuditEvent[]>;
type Shown = (events: readonly AuditEvent[]) => readonly AuditEvent[];

/** All pages, each when the one before is sent. */
async function* pagesFrom(
  manager: KeyManager,
  asked: AuditOptions,
  first: readonly AuditEvent[],
): AsyncGenerator<readonly AuditEvent[], void> {
  for (let page = first; ;) {
    yield page;
    if (page.length < MAX_PAGE) return;
    page = await manager.audit({ ...asked, before: page.at(-1)!.id });
  }
}

async function* csvParts(pages: Pages, shown: Shown): AsyncGenerator<string, void> {
  yield auditCsv([]);
  for await (const page of pages) yield auditCsvRows(shown(page));
}

async function* lineParts(pages: Pages, shown: Shown): AsyncGenerator<string, void> {
  for await (const page of pages)
    yield shown(page)
      .map((event) => `${JSON.stringify(event)}\n`)
      .join('');
}
