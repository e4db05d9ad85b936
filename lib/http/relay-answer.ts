import type { IncomingMessage, ServerResponse } from 'node:http';
import { endWhenSilent } from '../upstream/read-answer';

/** Of the upstream's headers these stay here: hop-by-hop, CORS, and what speaks of the upstream's own host. */
const WITHHELD_HEADERS =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|access-control-.*|set-cookie2?|www-authenticate|location|alt-svc|server|via|x-powered-by|strict-transport-security|clear-site-data|nel|report-to|x-request-id)$/;
/** Set by the upstream even where the application has set them. None of them is withheld. */
const ANSWERS_OWN_HEADERS: ReadonlySet<string> = new Set(['content-type', 'content-length', 'content-encoding']);

/**
 * Streams the upstream's answer to the caller as it came. Cut off on one side, it is cut off on the other. Where it
 * has not come whole with its headers, the promise settles when the upstream is done with it.
 */
export function relayAnswer(answer: IncomingMessage, res: ServerResponse, idleMs: number): Promise<void> | undefined {
  res.statusCode = answer.statusCode ?? 502;
  const { headers } = answer;
  for (const name of Object.keys(headers)) {
    if (ANSWERS_OWN_HEADERS.has(name) || !(WITHHELD_HEADERS.test(name) || res.hasHeader(name))) {
      res.setHeader(name, headers[name]!);
    }
  }
  if (answer.complete && !answer.destroyed) {
    res.end(answer.read() as Buffer | null);
    return undefined;
  }
  return new Promise((resolve) => {
    // While the caller takes nothing, nothing is read: that is not the upstream's silence.
    const heard = endWhenSilent(answer, idleMs, () => res.writableNeedDrain);
    answer.on('data', heard);
    answer.on('close', () => {
      if (!answer.complete) res.destroy();
      resolve();
    });
    answer.pipe(res);
  });
}
