import { hashSecret } from '../../lib';
import type { KeySettingsInput, Logger, SettingsStore } from '../../lib';
import { KEY, basic, call, guardedApp } from './guarded-app';
import type { GuardedApp, GuardedAppOptions } from './guarded-app';
import { rawUpstream } from './raw-upstream';
import type { TabledReason } from './refusal-table';
import { recordingUpstream } from './upstream';
import { exchange, requestBytes } from './wire';

export const SECRET = 'a-secret-brought-along-from-elsewhere';

export const CONTRACT = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';

export const CALL = call('eth_blockNumber');

export interface Case {
  readonly reason: TabledReason;
  readonly given?: GuardedAppOptions | (() => GuardedAppOptions | Promise<GuardedAppOptions>);
  readonly target?: string;
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer | object;
  readonly id?: unknown;
  /** Decided before the body has been read. */
  readonly early?: boolean;
  /** Refused by the hand-off, so the upstream may have seen the call. */
  readonly late?: boolean;
  readonly message?: RegExp;
}

export const keyWith = (settings: Omit<KeySettingsInput, 'apiKey'>): GuardedAppOptions => ({
  keys: [{ apiKey: KEY, ...settings }],
});

const line = (headers: Record<string, string>) => Object.entries(headers).map(([name, value]) => `${name}: ${value}`);

export const CASES: readonly Case[] = [
  { reason: 'KEY_REQUIRED', target: '/v3/', early: true },
  { reason: 'KEY_UNKNOWN', target: `/v3/${KEY}x`, early: true },
  { reason: 'KEY_UNKNOWN', target: '/v3/short', early: true },
  { reason: 'KEY_UNKNOWN', target: `/v3/${KEY}x`, headers: line(basic(SECRET)), early: true },
  { reason: 'KEY_DISABLED', given: keyWith({ enabled: false }), early: true },
  {
    reason: 'KEY_DISABLED',
    given: keyWith({ enabled: false, overrideAllowlists: true, secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: line(basic(SECRET)),
    early: true,
  },
  ...['wrong', '', `${SECRET} `, SECRET.toUpperCase(), `:${SECRET}`].map((secret): Case => ({
    reason: 'SECRET_INVALID',
    given: keyWith({ secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: line(basic(secret)),
    early: true,
  })),
  ...[
    'Basic',
    'Basic ',
    'Basic !!!!',
    `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}!`,
    `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}==x`,
    `Basic ${Buffer.from(`:${SECRET}`).toString('base64')}, Basic eA==`,
    `Basic ${Buffer.from(SECRET).toString('base64')}`,
    `Basic ${Buffer.from(`other:${SECRET}`).toString('base64')}`,
    `Basic ${Buffer.from(`${KEY}x:${SECRET}`).toString('base64')}`,
    `Bearer ${SECRET}`,
    SECRET,
    '',
  ].map((value): Case => ({
    reason: 'SECRET_INVALID',
    given: keyWith({ secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: [`Authorization: ${value}`],
    early: true,
  })),
  {
    reason: 'SECRET_INVALID',
    given: keyWith({ secrets: [{ hash: hashSecret(SECRET), expiresAt: '2020-01-01T00:00:00Z' }] }),
    headers: line(basic(SECRET)),
    early: true,
  },
  { reason: 'SECRET_INVALID', headers: line(basic(SECRET)), early: true },
  {
    reason: 'SECRET_REQUIRED',
    given: keyWith({ requireSecret: true, secrets: [{ hash: hashSecret(SECRET) }] }),
    early: true,
  },
  { reason: 'SECRET_REQUIRED', given: keyWith({ requireSecret: true }), early: true },
  {
    reason: 'SECRET_INVALID',
    given: keyWith({
      requireSecret: true,
      secrets: [{ hash: hashSecret(SECRET), expiresAt: '2020-01-01T00:00:00Z' }],
    }),
    headers: line(basic(SECRET)),
    early: true,
  },
  {
    reason: 'USER_AGENT_NOT_ALLOWED',
    given: keyWith({ allowlists: { userAgents: ['Android'] } }),
    headers: ['User-Agent: android'],
    early: true,
  },
  { reason: 'USER_AGENT_NOT_ALLOWED', given: keyWith({ allowlists: { userAgents: ['Android'] } }), early: true },
  {
    reason: 'ORIGIN_NOT_ALLOWED',
    given: keyWith({ allowlists: { origins: ['https://*.example.com'] } }),
    headers: ['Origin: https://example.com'],
    early: true,
  },
  { reason: 'ORIGIN_NOT_ALLOWED', given: keyWith({ allowlists: { origins: ['https://'] } }), early: true },
  {
    reason: 'CONTRACT_ADDRESS_NOT_ALLOWED',
    given: keyWith({ allowlists: { contractAddresses: [CONTRACT] } }),
    body: call('eth_call', [{ to: CONTRACT.replace('f', 'e') }, 'latest'], 7),
    id: 7,
  },
  {
    reason: 'METHOD_NOT_ALLOWED',
    given: keyWith({ allowlists: { methods: ['eth_get*', 'eth_call'] } }),
    body: call('eth_Call', [], 'seven'),
    id: 'seven',
  },
  { reason: 'METHOD_BLOCKED', body: call('admin_peers', [], null) },
  {
    reason: 'METHOD_BLOCKED',
    given: keyWith({ overrideAllowlists: true, secrets: [{ hash: hashSecret(SECRET) }] }),
    headers: line(basic(SECRET)),
    body: call('admin_peers', [], 3),
    id: 3,
  },
  { reason: 'PARSE_ERROR', body: '{"jsonrpc":"2.0"' },
  { reason: 'PARSE_ERROR', body: '' },
  { reason: 'INVALID_REQUEST', body: '{}' },
  { reason: 'INVALID_REQUEST', body: '[]' },
  { reason: 'INVALID_REQUEST', body: { jsonrpc: '1.0', id: 4, method: 'eth_blockNumber' }, id: 4 },
  { reason: 'BODY_TOO_LARGE', given: { options: { maxBodyBytes: 61 } }, body: 'x'.repeat(62), message: /\b61\b/ },
  {
    reason: 'BATCH_TOO_LARGE',
    given: { options: { maxBatchSize: 2 } },
    body: [CALL, CALL, CALL],
    message: /\b2\b/,
  },
  { reason: 'UNSUPPORTED_ENCODING', headers: ['Content-Encoding: zstd'] },
  { reason: 'METHOD_NOT_POST', method: 'PUT', early: true },
  {
    reason: 'DUPLICATE_HEADER',
    headers: ['Origin: https://a.example.com', 'Origin: https://a.example.com'],
    early: true,
  },
  { reason: 'SETTINGS_UNAVAILABLE', given: { store: brokenStore(), options: { logger: silent() } }, early: true },
  {
    reason: 'SETTINGS_UNAVAILABLE',
    given: {
      store: { get: () => ({ apiKey: KEY, allowlists: { origins: ['not an origin/'] } }) },
      options: { logger: silent() },
    },
    early: true,
  },
  {
    reason: 'UPSTREAM_UNAVAILABLE',
    given: async () => {
      const gone = await recordingUpstream();
      await gone.close();
      return { options: { upstream: `http://user:pass@127.0.0.1:${gone.port}/hidden-path` } };
    },
    late: true,
  },
  {
    reason: 'UPSTREAM_TIMEOUT',
    given: async () => {
      const { port } = await rawUpstream(() => undefined);
      return { options: { upstreamTimeoutMs: 50, upstream: `http://user:pass@127.0.0.1:${port}/hidden-path` } };
    },
    late: true,
  },
];

function brokenStore(): SettingsStore {
  return { get: () => Promise.reject(new Error('postgres://user:hunter2@db.internal is down')) };
}

export function silent(): Logger {
  return { info: () => undefined, warn: () => undefined, error: () => undefined };
}

export async function appFor({ given = {} }: Case, more: GuardedAppOptions['options'] = {}): Promise<GuardedApp> {
  const options = typeof given === 'function' ? await given() : given;
  return guardedApp({ ...options, options: { ...options.options, ...more } });
}

export function requestOf({ target = `/v3/${KEY}`, method = 'POST', headers = [], body = CALL }: Case): Buffer {
  return requestBytes({ target, method, headers, body });
}

export function caseTitle(index: number, { reason, target, method, headers = [], body }: Case): string {
  const told = [method, target, ...headers, body === undefined ? undefined : JSON.stringify(body)];
  const what = told.filter((part) => part !== undefined).join(' ');
  return `${String(index)} ${reason} ${what.slice(0, 100)}`;
}

export function postTo(app: { readonly port: number }, target: string, headers: readonly string[] = []) {
  return exchange(app.port, requestBytes({ target, headers, body: CALL }));
}
