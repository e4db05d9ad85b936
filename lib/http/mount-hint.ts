import type { IncomingMessage } from 'node:http';
import type { Logger } from '../logger';
import { keyInPath } from '../request/key-path';
import type { KeyPath } from '../request/key-path';

/**
 * Warns once when a request that goes to `next()` had the guard's path before Express stripped the mount path:
 * `app.use('/v3', guard)` answers at `/v3/v3/…` alone. No key is in what it says.
 */
export function createMountHint(path: KeyPath, logger: Logger): (req: IncomingMessage) => void {
  let isTold = false;
  return (req) => {
    const { originalUrl } = req as { readonly originalUrl?: unknown };
    if (isTold || typeof originalUrl !== 'string' || originalUrl === req.url) return;
    if ((keyInPath(originalUrl, path) ?? '') === '') return;
    isTold = true;
    const { baseUrl } = req as { readonly baseUrl?: unknown };
    const mount = typeof baseUrl === 'string' && path.before.startsWith(`${baseUrl}/`) ? baseUrl : '…';
    const answersAt = `${mount}${path.before}:apiKey${path.after}`;
    logger.error(
      { answersAt, write: 'app.use(guard)' },
      'the guard is mounted under its own path, and so expects it twice',
    );
  };
}
