import type { DocumentAnswer, KeysAnswer, Meta, ShownKey } from '../api';
import type { AuditAnswer } from '../audit-api';
import type { Preview } from '../preview';
import type { TestRequest, TestResult } from '../request-tester';
import type { KeyChanges, NewKey, NewSecret, RotateOptions, SecretChanges } from '../../keys/changes';
import type { LimitsInUse } from '../../keys/limits-in-use';
import type { UsageBy } from '../../keys/usage-report';
import type { RefusalsAnswer, UsageAnswer } from '../usage-api';
import type { MadeSecret } from '../../keys/key-manager';
import type { SettingsDocument } from '../../keys/settings-document';
import type { ApplyProposal, ProposalAnswer } from '../proposal-api';
import type { AllowlistType } from '../../settings/key-settings';

/** What the server, or the way there, answered instead of what was asked for. */
export class ApiError extends Error {
  constructor(
    /** As in the API's errors; `NETWORK`, `LOGGED_OUT` and `NOT_UNDERSTOOD` are this page's own. */
    readonly code: string,
    message: string,
    /** The key as it is now, of a `STALE_VERSION`. */
    readonly current?: ShownKey,
  ) {
    super(message);
  }
}

interface KeyAnswer {
  readonly key: ShownKey;
}

type SecretAnswer = Omit<MadeSecret, 'key'> & KeyAnswer;

interface ErrorAnswer {
  readonly error?: { readonly code?: string; readonly message?: string; readonly current?: ShownKey };
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
  const response = await fetchFrom(path, {
    method,
    cache: 'no-store',
    headers: { Accept: 'application/json', ...(body !== undefined && { 'Content-Type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  if (response.status === 401) throw new ApiError('LOGGED_OUT', '');
  if (response.status === 204) return undefined;
  const answer: unknown = await response.json().catch(() => undefined);
  // A login page instead of an answer, for one.
  if (typeof answer !== 'object' || answer === null) throw new ApiError('NOT_UNDERSTOOD', '');
  if (response.ok) return answer;
  const { code = 'INTERNAL', message = '', current } = (answer as ErrorAnswer).error ?? {};
  throw new ApiError(code, message, current);
}

async function fetchFrom(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(`api/${path}`, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError('NETWORK', '');
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

function query(members: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(members).filter(([, value]) => value !== undefined && value !== '');
  return given.length === 0
    ? ''
    : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()}`;
}

const keyPath = (apiKey: string) => `keys/${encodeURIComponent(apiKey)}`;
/** Of one key, or of all. */
const usagePath = (apiKey: string | undefined) => (apiKey === undefined ? '' : `${keyPath(apiKey)}/`);
const secretPath = (apiKey: string, id: string) => `${keyPath(apiKey)}/secrets/${encodeURIComponent(id)}`;

export interface KeySort {
  readonly sort: 'name' | 'created' | 'updated';
  readonly order: 'asc' | 'desc';
}

/** What to list; an empty text is none. */
export interface KeyFilter extends KeySort {
  readonly search: string;
  readonly state: string;
  readonly after?: string | undefined;
  readonly limit: number;
}

/** The JSON API beside this page, one function a route. Each rejects with an `ApiError`. */
export const api = {
  meta: () => send('GET', 'meta') as Promise<Meta>,
  listKeys: (filter: KeyFilter) => send('GET', `keys${query({ ...filter })}`) as Promise<KeysAnswer>,
  createKey: (key: NewKey) => send('POST', 'keys', key) as Promise<KeyAnswer & { readonly secret?: string }>,
  getKey: (apiKey: string) => send('GET', keyPath(apiKey)) as Promise<KeyAnswer>,
  audit: (
    apiKey: string | undefined,
    wanted: { readonly actor: string; readonly action: string; readonly before?: string | undefined },
  ) => send('GET', `${apiKey === undefined ? '' : `${keyPath(apiKey)}/`}audit${query(wanted)}`) as Promise<AuditAnswer>,
  limits: (apiKey: string, signal: AbortSignal) =>
    send('GET', `${keyPath(apiKey)}/limits`, undefined, signal) as Promise<{ readonly limits: LimitsInUse }>,
  usage: (
    apiKey: string | undefined,
    asked: { readonly since: string; readonly by?: UsageBy; readonly step?: 'hour' | 'day' },
    signal: AbortSignal,
  ) => send('GET', `${usagePath(apiKey)}usage${query(asked)}`, undefined, signal) as Promise<UsageAnswer>,
  refusals: (apiKey: string | undefined, asked: { readonly requestId?: string }, signal?: AbortSignal) =>
    send('GET', `${usagePath(apiKey)}refusals${query(asked)}`, undefined, signal) as Promise<RefusalsAnswer>,
  proposal: (apiKey: string, asked: { readonly since: string; readonly secretId: string }, signal: AbortSignal) =>
    send('GET', `${keyPath(apiKey)}/proposal${query(asked)}`, undefined, signal) as Promise<ProposalAnswer>,
  applyProposal: (apiKey: string, accepted: ApplyProposal) =>
    send('POST', `${keyPath(apiKey)}/proposal`, accepted) as Promise<KeyAnswer>,
  updateKey: (apiKey: string, changes: KeyChanges & { readonly version: number }) =>
    send('PATCH', keyPath(apiKey), changes) as Promise<KeyAnswer>,
  deleteKey: (apiKey: string, version: number) => send('DELETE', `${keyPath(apiKey)}${query({ version })}`),
  getDocument: (apiKey: string) => send('GET', `${keyPath(apiKey)}/document`) as Promise<SettingsDocument>,
  applyDocument: (
    apiKey: string,
    apply: { readonly document: unknown; readonly version: number; readonly dryRun?: boolean },
    signal?: AbortSignal,
  ) => send('POST', `${keyPath(apiKey)}/document`, apply, signal) as Promise<DocumentAnswer>,
  addSecret: (apiKey: string, secret: NewSecret) =>
    send('POST', `${keyPath(apiKey)}/secrets`, secret) as Promise<SecretAnswer>,
  updateSecret: (apiKey: string, id: string, changes: SecretChanges & { readonly version: number }) =>
    send('PATCH', secretPath(apiKey, id), changes) as Promise<KeyAnswer>,
  rotateSecret: (apiKey: string, id: string, how: RotateOptions) =>
    send('POST', `${secretPath(apiKey, id)}/rotate`, how) as Promise<SecretAnswer>,
  revokeSecret: (apiKey: string, id: string) => send('DELETE', secretPath(apiKey, id)) as Promise<KeyAnswer>,
  addEntries: (apiKey: string, type: AllowlistType, entries: readonly string[]) =>
    send('POST', `${keyPath(apiKey)}/allowlists/${type}`, { entries }) as Promise<KeyAnswer>,
  removeEntry: (apiKey: string, type: AllowlistType, entry: string) =>
    send('DELETE', `${keyPath(apiKey)}/allowlists/${type}${query({ entry })}`) as Promise<KeyAnswer>,
  checkEntries: (
    type: AllowlistType,
    entries: readonly string[],
    samples: readonly string[],
    signal: AbortSignal,
  ): Promise<Preview> => send('POST', `allowlists/${type}/check`, { entries, samples }, signal) as Promise<Preview>,
  testRequest: (apiKey: string, request: TestRequest) =>
    send('POST', `${keyPath(apiKey)}/test`, request) as Promise<TestResult>,
};
