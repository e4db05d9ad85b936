import type { Request } from 'express';
import { LRUCache } from 'lru-cache';
import { growingTo } from '../growing-to';
import type { AuditTrail } from '../keys/audit';
import type { AuditAction, AuditVia } from '../stores/audit-store';

const ONCE_MS = 60_000;
const MAX_TOLD = 10_000;
const SANE_REQUEST_ID = /^[A-Za-z0-9._:+=/-]{1,128}$/;

/** What was not done: one event a minute for each actor and thing, so that nobody fills the history with them. */
export class AdminEvents {
  readonly #trail: AuditTrail;
  readonly #told = new LRUCache<string, true>({ ...growingTo(MAX_TOLD), ttl: ONCE_MS });

  constructor(trail: AuditTrail) {
    this.#trail = trail;
  }

  /** A viewer tried to change something. */
  denied(req: Request, actor: string, apiKey: string, what: string): Promise<void> {
    return this.#once(req, { actor, action: 'admin.denied', apiKey, what });
  }

  loginFailed(req: Request, actor: string): Promise<void> {
    return this.#once(req, { actor, action: 'admin.login-failed', apiKey: '', what: 'login' });
  }

  async #once(
    req: Request,
    { actor, action, apiKey, what }: Readonly<Record<'actor' | 'apiKey' | 'what', string>> & { action: AuditAction },
  ): Promise<void> {
    const id = JSON.stringify([actor, action, what]);
    if (this.#told.has(id)) return;
    this.#told.set(id, true);
    const changes = what === 'login' ? [] : [{ path: 'request', to: what }];
    await this.#trail.note({ actor, action, apiKey, changes, ...sourceOf(req) });
  }
}

/** By which way a request came, and its id. A browser says that it is the dashboard's own page that asks. */
export function sourceOf(req: Request): { readonly via: AuditVia; readonly requestId?: string } {
  const requestId = req.get('x-request-id');
  return {
    via: req.get('sec-fetch-site') === 'same-origin' ? 'dashboard' : 'api',
    ...(requestId !== undefined && SANE_REQUEST_ID.test(requestId) && { requestId }),
  };
}
