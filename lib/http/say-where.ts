import type { IncomingMessage } from 'node:http';
import type { EventEmitter } from 'node:events';
import type { GuardLogger } from '../logger';
import type { KeyPath } from '../request/key-path';

/** A longer segment of the mount path may be a key, and is not printed. */
const LONG_SEGMENT = /[^/]{16,}/g;

/**
 * Says once where the guard answers, at the first request that Express hands to it: where it is mounted, and whether the
 * server has anybody who hears `upgrade`, is known only then.
 */
export function createSayWhere(path: KeyPath, wsPath: KeyPath, logger: GuardLogger): (req: IncomingMessage) => void {
  let isTold = false;
  return (req) => {
    if (isTold) return;
    isTold = true;
    const { baseUrl } = req as { readonly baseUrl?: unknown };
    const mount = typeof baseUrl === 'string' ? baseUrl.replace(LONG_SEGMENT, '…') : '';
    const { server } = req.socket as { readonly server?: EventEmitter };
    const isHeard = server === undefined || server.listenerCount('upgrade') > 0;
    const http = `POST ${mount}${path.before}:apiKey${path.after}`;
    const webSocket = isHeard
      ? `${wsPath.before}:apiKey${wsPath.after}`
      : "nowhere; write server.on('upgrade', guard.upgrade)";
    logger.notice({ http, webSocket }, 'the guard answers');
  };
}
