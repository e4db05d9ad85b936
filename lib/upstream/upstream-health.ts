import type { Logger } from '../logger';

/** As far as requests have shown: no request is made to find out. */
export type UpstreamState = 'up' | 'down' | 'unknown';

/** Says once when the upstream goes away and once when it is back. */
export interface UpstreamHealth {
  readonly state: UpstreamState;
  /** It could not be reached, or something other than a JSON-RPC server answered. */
  failed(why: string): void;
  answered(): void;
}

/** An upstream that comes and goes must not flood the log. */
const SILENT_MS = 10_000;

/** What the operator can do about each of Node's error codes. */
const HINTS: readonly (readonly [code: RegExp, hint: string])[] = [
  [/^ECONNREFUSED$/, 'nothing listens there'],
  [/^(?:ENOTFOUND|EAI_AGAIN)$/, 'its name does not resolve'],
  [/^(?:EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, 'there is no way to it'],
  [/CERT|SIGNATURE|^ERR_TLS/, 'its certificate is not trusted'],
  [/^(?:EPROTO|ERR_SSL)/, 'it does not speak TLS; is it http:?'],
  [/^HPE_INVALID_CONSTANT$/, 'it does not speak HTTP/1.1; is it https:?'],
  [/^HPE_/, 'its answer breaks HTTP/1.1'],
  [/^no connection/, 'a firewall may swallow what is sent to it'],
  [/^ECONNRESET$/, 'it closed the connection'],
];

export function createUpstreamHealth(host: string, logger: Logger): UpstreamHealth {
  let state: UpstreamState = 'unknown';
  let isTold = false;
  let toldAt = -Infinity;
  return {
    get state() {
      return state;
    },
    failed(why) {
      state = 'down';
      if (isTold || performance.now() - toldAt < SILENT_MS) return;
      isTold = true;
      toldAt = performance.now();
      logger.error({ upstream: host, why: explain(why) }, 'the upstream is away');
    },
    answered() {
      if (state === 'up') return;
      state = 'up';
      if (!isTold) return;
      isTold = false;
      // Logged as an error, so that whoever read that it is down reads this too.
      logger.error({ upstream: host }, 'the upstream is back');
    },
  };
}

function explain(why: string): string {
  const hint = HINTS.find(([code]) => code.test(why))?.[1];
  return hint === undefined ? why : `${why}: ${hint}`;
}
