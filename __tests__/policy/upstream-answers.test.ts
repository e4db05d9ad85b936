import type { ServerResponse } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { KEY, call, post } from '../support/guarded-app';
import type { Answer } from '../support/guarded-app';
import { guardedSockets } from '../support/guarded-sockets';
import { recordingLogger } from '../support/pieces';
import { errorOf } from '../support/refusal-table';
import { recordingUpstream } from '../support/upstream';
import { webSocketUpstream } from '../support/web-socket-upstream';

const ALLOWED = [call('eth_a', [], 1), call('eth_b', [], 3)];
const MIXED = [ALLOWED[0], call('net_x', [], 2), ALLOWED[1]];

const HTML = '<html>hidden</html>';
const GOOD = [
  { jsonrpc: '2.0', id: 1, result: 'a' },
  { jsonrpc: '2.0', id: 3, result: 'b' },
];
const LONG = GOOD.map((answer) => ({ ...answer, result: 'x'.repeat(9 * 1024 * 1024) }));
const ERROR = { code: -32005, message: 'batch too large', data: [1, 2] };
const REFUSED = { jsonrpc: '2.0', id: 2, error: errorOf('METHOD_NOT_ALLOWED') };
const failed = (id: number, error: unknown = ERROR) => ({ jsonrpc: '2.0', id, error });
const noAnswer = (id: number) => failed(id, errorOf('UPSTREAM_UNAVAILABLE'));

const EACH_ERROR = [failed(1), REFUSED, failed(3)];
const EACH_NONE = [noAnswer(1), REFUSED, noAnswer(3)];

interface Row {
  /** What the upstream sends over HTTP: text with status 200, or anything. */
  readonly http?: string | ((res: ServerResponse) => unknown);
  /** What it sends over WebSocket. */
  readonly ws?: string;
  /** What the mixed batch gets. */
  readonly mixed: readonly unknown[];
  /** What the batch gets of which nothing is refused; default what was sent. */
  readonly whole?: unknown;
  /** The status of both, or of each; default 200. */
  readonly status?: number | { readonly mixed: number; readonly whole: number };
  readonly retryAfter?: string;
  /** Why calls have no answer, in the log; `undefined` where all have one. */
  readonly log?: RegExp;
  readonly maxMergedBytes?: number;
}

const both = (text: string) => ({ http: text, ws: text });
const sends =
  (status: number, headers: Record<string, string>, body: string | Buffer = '') =>
  (res: ServerResponse) =>
    res.writeHead(status, headers).end(body);
const error = (id?: unknown) => JSON.stringify({ jsonrpc: '2.0', id, error: ERROR });
const json = { 'Content-Type': 'application/json' };
const html = { 'Content-Type': 'text/html' };
const NONE_EACH = { mixed: EACH_NONE, whole: [noAnswer(1), noAnswer(3)] };

const ROWS: Readonly<Record<string, Row>> = {
  'good answers': { ...both(JSON.stringify(GOOD)), mixed: [GOOD[0], REFUSED, GOOD[1]] },
  'good answers in another order': {
    ...both(JSON.stringify([...GOOD].reverse())),
    mixed: [GOOD[0], REFUSED, GOOD[1]],
  },
  'one error object with a null id': { ...both(error(null)), mixed: EACH_ERROR },
  'one error object without an id': { ...both(error()), mixed: EACH_ERROR },
  'one error object with the id of a call': { http: error(3), mixed: EACH_ERROR },
  'an array of one error with a null id': { ...both(`[${error(null)}]`), mixed: EACH_ERROR },
  'an array of one error with the id of a call': {
    ...both(`[${error(1)}]`),
    mixed: [failed(1), REFUSED, noAnswer(3)],
    log: /not just one for 1 of 2 calls/,
  },
  'an array of one answer': {
    ...both(JSON.stringify([GOOD[1]])),
    mixed: [noAnswer(1), REFUSED, GOOD[1]],
    log: /not just one for 1 of 2 calls/,
  },
  'gzip, though identity was asked for': {
    http: sends(200, { 'Content-Encoding': 'gzip' }, gzipSync(JSON.stringify(GOOD))),
    mixed: [GOOD[0], REFUSED, GOOD[1]],
    whole: GOOD,
  },
  deflate: {
    http: sends(200, { 'Content-Encoding': 'deflate' }, deflateSync(JSON.stringify(GOOD))),
    mixed: [GOOD[0], REFUSED, GOOD[1]],
    whole: GOOD,
  },
  br: {
    http: sends(200, { 'Content-Encoding': 'br' }, brotliCompressSync(JSON.stringify(GOOD))),
    mixed: [GOOD[0], REFUSED, GOOD[1]],
    whole: GOOD,
  },
  '18 MB of good answers': { ...both(JSON.stringify(LONG)), mixed: [LONG[0], REFUSED, LONG[1]] },
  'more than maxMergedBytes': {
    ...both(JSON.stringify(GOOD)),
    maxMergedBytes: 20,
    mixed: EACH_NONE,
    log: /too large/,
  },
  'more than maxMergedBytes once it is decoded': {
    http: sends(200, { 'Content-Encoding': 'br' }, brotliCompressSync(JSON.stringify(LONG))),
    maxMergedBytes: 1_000_000,
    mixed: EACH_NONE,
    whole: LONG,
    log: /too large/,
  },
  '413 with an error': { http: sends(413, json, error(null)), status: { mixed: 200, whole: 413 }, mixed: EACH_ERROR },
  '413 without JSON': { http: sends(413, {}, 'hidden'), ...NONE_EACH, log: /status 413 without JSON/ },
  '500 with an error': { http: sends(500, json, error(null)), status: { mixed: 200, whole: 500 }, mixed: EACH_ERROR },
  '500 with HTML': { http: sends(500, html, HTML), ...NONE_EACH, log: /HTML in place of JSON-RPC/ },
  '500 with text': { http: sends(500, {}, 'hidden'), ...NONE_EACH, log: /status 500 without JSON/ },
  '503 with an error': {
    http: sends(503, { ...json, 'Retry-After': '7' }, error(null)),
    status: 503,
    retryAfter: '07',
    mixed: EACH_ERROR,
  },
  '503 with HTML': {
    http: sends(503, { ...html, 'Retry-After': '120' }, HTML),
    status: 503,
    retryAfter: '0120',
    ...NONE_EACH,
    log: /status 503 without JSON/,
  },
  '429 with an error': {
    http: sends(429, { ...json, 'Retry-After': '1' }, error(null)),
    status: 429,
    retryAfter: '01',
    mixed: EACH_ERROR,
  },
  '429 with answers': {
    http: sends(429, { ...json, 'Retry-After': 'Thu, 26 Nov 2026 17:50:00 GMT' }, JSON.stringify(GOOD)),
    status: 429,
    retryAfter: 'Thu, 26 Nov 2026 17:50:00 GMT',
    mixed: [GOOD[0], REFUSED, GOOD[1]],
  },
  '429 with text': {
    http: sends(429, { 'Retry-After': '30' }, 'slow down'),
    status: 429,
    retryAfter: '030',
    ...NONE_EACH,
    log: /status 429 without JSON/,
  },
  '429 without Retry-After': { http: sends(429, json, error(null)), status: 429, mixed: EACH_ERROR },
  HTML: { http: sends(200, html, HTML), ...NONE_EACH, log: /HTML in place of JSON-RPC/ },
  'broken JSON': {
    ...both(JSON.stringify(GOOD).slice(0, -1)),
    mixed: EACH_NONE,
    log: /neither an array nor an error/,
  },
  'JSON that is no answer': { http: '{"error":"hidden"}', mixed: EACH_NONE, log: /neither an array nor an error/ },
};

interface Given {
  readonly answer: Answer | { readonly json: unknown; readonly text: string };
  readonly told: readonly string[];
}

async function overHttp({ http, maxMergedBytes }: Row, batch: unknown): Promise<Given & { readonly answer: Answer }> {
  const upstream = await recordingUpstream((_req, res) => (typeof http === 'string' ? res.end(http) : http?.(res)));
  const logger = recordingLogger();
  const keys = [{ apiKey: KEY, allowlists: { methods: ['eth_*'] } }];
  const sockets = await webSocketUpstream();
  const options = { upstream: upstream.url, logger, ...(maxMergedBytes === undefined ? {} : { maxMergedBytes }) };
  const app = await guardedSockets({ upstream: sockets, keys, options });
  const answer = await post(app.rpcUrl, batch);
  return { answer, told: logger.lines.filter(({ level }) => level === 'warn').map(({ text }) => text) };
}

async function overWebSocket({ ws, maxMergedBytes }: Row, batch: unknown): Promise<Given> {
  const upstream = await webSocketUpstream({ answer: (socket) => socket.send(ws!) });
  const logger = recordingLogger();
  const keys = [{ apiKey: KEY, allowlists: { methods: ['eth_*'] } }];
  const options = { logger, ...(maxMergedBytes === undefined ? {} : { maxMergedBytes }) };
  const client = await (await guardedSockets({ upstream, keys, options })).open();
  client.socket.send(JSON.stringify(batch));
  const text = await client.next();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const told = logger.lines.filter(({ level }) => level === 'warn').map((line) => line.text);
  return { answer: { json: value, text }, told };
}

function expectTold(told: readonly string[], why: RegExp | undefined): void {
  expect(told).toEqual(why === undefined ? [] : [expect.stringMatching(why)]);
  expect(told.join()).not.toContain('hidden');
}

describe.each(Object.entries(ROWS))('where the upstream sends %s', (_what, row) => {
  const { status = 200, http, ws } = row;
  const sent = typeof http === 'string' ? http : undefined;

  if (http !== undefined) {
    test('each call of a mixed batch gets its own answer over HTTP', async () => {
      const { answer, told } = await overHttp(row, MIXED);
      expect(answer.json).toEqual(row.mixed);
      expect(answer.status).toBe(typeof status === 'number' ? status : status.mixed);
      expect(answer.headers.get('retry-after')).toBe(row.retryAfter ?? null);
      expectTold(told, row.log);
    });

    test('a batch of which nothing is refused gets it unchanged over HTTP', async () => {
      const { answer, told } = await overHttp(row, ALLOWED);
      if (row.whole !== undefined) expect(answer.json).toEqual(row.whole);
      else if (sent !== undefined) expect(answer.text).toBe(sent);
      expect(answer.text).not.toContain('hidden</');
      expect(answer.status).toBe(typeof status === 'number' ? status : status.whole);
      expect(answer.headers.get('retry-after')).toBe(row.retryAfter ?? null);
      expectTold(told, row.whole === NONE_EACH.whole ? row.log : undefined);
    });
  }

  if (ws !== undefined) {
    test('each call of a mixed batch gets its own answer over WebSocket', async () => {
      const { answer, told } = await overWebSocket(row, MIXED);
      expect(answer.json).toEqual(row.mixed);
      expectTold(told, row.log);
    });

    test('a batch of which nothing is refused gets it unchanged over WebSocket', async () => {
      const { answer, told } = await overWebSocket(row, ALLOWED);
      expect(answer.text).toBe(ws);
      expectTold(told, undefined);
    });
  }
});
