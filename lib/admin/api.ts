import { Router, json } from 'express';
import type { Request } from 'express';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { RpcGuardError } from '../errors';
import type { ChangeOptions, KeyChanges, ListOptions, RotateOptions, SecretChanges } from '../keys/changes';
import type { LimitsInUse } from '../keys/limits-in-use';
import type { KeyManager, KeyPage, MadeSecret } from '../keys/key-manager';
import type { KeyView } from '../settings/key-view';
import { compare, readDocument, toDocument } from '../keys/settings-document';
import type { Difference, SettingsDocument } from '../keys/settings-document';
import { warningsOf } from '../keys/warnings';
import type { Warning } from '../keys/warnings';
import type { KeyPath } from '../request/key-path';
import { keyHint } from '../settings/api-key';
import { MAX_SECRETS } from '../settings/secret';
import { AUDIT_ACTIONS } from '../stores/audit-store';
import { cursorOf } from '../stores/key-query';
import type { KeyProblem } from '../stores/settings-store';
import { packageVersion } from '../version';
import { roleOf } from './actor';
import type { Role } from './actor';
import { sourceOf } from './admin-events';
import type { AdminEvents } from './admin-events';
import type { ParsedAdminOptions } from './admin-options';
import { getAudit } from './audit-api';
import { CsvAnswer, PartsAnswer } from './csv-answer';
import type { KeyIds } from './key-ids';
import { allowlistMeta } from './allowlist-meta';
import type { AllowlistMeta } from './allowlist-meta';
import { ApiError, invalidRequest, toApiError } from './api-error';
import { METHOD_GROUPS } from './method-groups';
import { preview } from './preview';
import type { Preview } from './preview';
import { TEST_MEMBERS } from './request-tester';
import type { RequestTester, TestRequest, TestResult } from './request-tester';
import { appliedProposal, getProposal } from './proposal-api';
import { getRefusals, getUsage } from './usage-api';
import { answer, apiKeyOf, body, jsonOnly, param, query, texts, typeOf } from './requests';

export interface ApiContext {
  readonly manager: KeyManager;
  readonly tester: RequestTester;
  readonly keyIds: KeyIds;
  readonly events: AdminEvents;
  readonly options: ParsedAdminOptions;
}

/** A key as the API shows it. */
export interface ShownKey extends KeyView {
  readonly warnings: readonly Warning[];
  /** The key's first characters, for a viewer, to whom `apiKey` is an id. */
  readonly keyHint?: string;
}

/** `GET /meta`: what the page needs to know before it shows a key. */
export interface Meta {
  /** With `YOUR-API-KEY` where the key stands. */
  readonly httpUrl: string;
  readonly wsUrl: string;
  /** Whether the URLs are derived from the request, because no `publicUrl` is set. */
  readonly isUrlGuessed: boolean;
  /** Whether a tested request can be sent to the upstream. */
  readonly canSend: boolean;
  readonly user: string;
  /** A viewer changes and sends nothing, and sees ids in place of keys. */
  readonly role: Role;
  /** Whether the store keeps a history. */
  readonly hasAudit: boolean;
  readonly auditActions: typeof AUDIT_ACTIONS;
  readonly maxEntries: number;
  readonly maxSecrets: number;
  /** The types of lists, in the order in which the page shows them. */
  readonly allowlists: readonly AllowlistMeta[];
  readonly methodGroups: typeof METHOD_GROUPS;
  readonly version: string;
}

/** `POST /keys/:apiKey/document` */
export interface DocumentAnswer extends KeyAnswer {
  readonly differences: readonly Difference[];
  /** Members of the document that change nothing. */
  readonly ignored: readonly string[];
  /** The key that the document says it is of. */
  readonly documentOf: string | null;
}

/** `GET /keys` */
export interface KeysAnswer {
  readonly keys: readonly ShownKey[];
  readonly next: string | null;
  /** Keys whose settings do not parse: they are refused, and on no page. 100 at most. */
  readonly problems: readonly KeyProblem[];
}

interface KeyAnswer {
  readonly key: ShownKey;
}

type Handler = (context: ApiContext, req: Request) => unknown;
type Route = readonly [
  method: 'get' | 'post' | 'patch' | 'delete',
  path: string,
  status: number,
  role: Role,
  handler: Handler,
];

const ROUTES: readonly Route[] = [
  ['get', '/meta', 200, 'viewer', meta],
  ['get', '/keys', 200, 'viewer', listKeys],
  ['post', '/keys', 201, 'editor', createKey],
  ['get', '/keys/:apiKey', 200, 'viewer', getKey],
  ['patch', '/keys/:apiKey', 200, 'editor', updateKey],
  ['delete', '/keys/:apiKey', 204, 'editor', deleteKey],
  ['get', '/keys/:apiKey/limits', 200, 'viewer', getLimits],
  ['get', '/audit', 200, 'viewer', getAudit],
  ['get', '/keys/:apiKey/audit', 200, 'viewer', getAudit],
  ['get', '/usage', 200, 'viewer', getUsage],
  ['get', '/refusals', 200, 'viewer', getRefusals],
  ['get', '/keys/:apiKey/usage', 200, 'viewer', getUsage],
  ['get', '/keys/:apiKey/refusals', 200, 'viewer', getRefusals],
  ['get', '/keys/:apiKey/proposal', 200, 'viewer', getProposal],
  ['post', '/keys/:apiKey/proposal', 200, 'editor', applyProposal],
  ['get', '/keys/:apiKey/document', 200, 'viewer', getDocument],
  ['post', '/keys/:apiKey/document', 200, 'editor', applyDocument],
  ['post', '/keys/:apiKey/secrets', 201, 'editor', addSecret],
  ['post', '/keys/:apiKey/secrets/:id/rotate', 201, 'editor', rotateSecret],
  ['patch', '/keys/:apiKey/secrets/:id', 200, 'editor', updateSecret],
  ['delete', '/keys/:apiKey/secrets/:id', 200, 'editor', revokeSecret],
  ['post', '/keys/:apiKey/allowlists/:type', 200, 'editor', addEntries],
  ['delete', '/keys/:apiKey/allowlists/:type', 200, 'editor', removeEntries],
  ['post', '/keys/:apiKey/test', 200, 'viewer', testRequest],
  ['post', '/allowlists/:type/check', 200, 'viewer', checkEntries],
];

/** The JSON API of the dashboard. Caller and origin have been checked before. */
export function createApi(context: ApiContext): Router {
  const api = Router({ caseSensitive: true });
  // The body of a request to test is text within JSON, where escapes make it longer.
  api.use(jsonOnly, json({ limit: 2 * context.options.maxBodyBytes + 65_536 }));
  for (const [method, path, status, role, handler] of ROUTES) {
    const work = async (req: Request): Promise<unknown> => {
      await putKey(context, req);
      if (role === 'editor') await editorOnly(context, req, `${method.toUpperCase()} ${path}`);
      const result = await handler(context, req);
      const isFile = result instanceof CsvAnswer || result instanceof PartsAnswer;
      return isViewer(req) && !isFile ? context.keyIds.hidden(result) : result;
    };
    api[method](path, answer(status, work));
  }
  return api;
}

function isViewer(req: Request): boolean {
  return roleOf(req) !== 'editor';
}

/** Puts a key in the place of its id. To a viewer, a key itself is none: whether one exists is not to be found out. */
async function putKey({ keyIds }: ApiContext, req: Request): Promise<void> {
  const named = apiKeyOf(req);
  if (named === '') return;
  const apiKey = await keyIds.keyOf(named);
  if (apiKey !== undefined) req.params['apiKey'] = apiKey;
  else if (isViewer(req)) throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', keyIds.whyUnknown);
}

async function editorOnly({ events, options }: ApiContext, req: Request, what: string): Promise<void> {
  if (!isViewer(req)) return;
  await events.denied(req, options.actorOf(req), apiKeyOf(req), what);
  throw new ApiError(403, 'EDITOR_ONLY', 'your role is viewer: you can read but not change anything');
}

/** The page asks this first. */
function meta({ options, tester }: ApiContext, req: Request): Meta {
  options.store.audit?.preload?.();
  const base = options.publicUrl ?? `${req.protocol === 'https' ? 'https' : 'http'}://${req.get('host') ?? ''}`;
  return {
    httpUrl: base + urlPath(options.path),
    wsUrl: new URL(base).origin.replace(/^http/, 'ws') + urlPath(options.wsPath),
    isUrlGuessed: options.publicUrl === undefined,
    canSend: tester.canSend && !isViewer(req),
    user: options.actorOf(req),
    role: isViewer(req) ? 'viewer' : 'editor',
    hasAudit: options.store.audit !== undefined,
    auditActions: AUDIT_ACTIONS,
    maxEntries: MAX_ENTRIES,
    maxSecrets: MAX_SECRETS,
    allowlists: allowlistMeta(),
    methodGroups: METHOD_GROUPS,
    version: packageVersion(),
  };
}

const SEARCHED_AT_ONCE = 1000;

async function listKeys(context: ApiContext, req: Request): Promise<KeysAnswer> {
  const { manager } = context;
  const { search, state, after, limit = '50', sort, order = 'asc' } = query(req);
  if (state !== undefined && state !== 'enabled' && state !== 'disabled') {
    throw invalidRequest('state: it takes enabled or disabled');
  }
  if (order !== 'asc' && order !== 'desc') throw invalidRequest('order: it takes asc or desc');
  const descending = order === 'desc';
  const by = sort as ListOptions['sort']; // the manager says what it may be
  const asked: ListOptions = { search, state, after, limit: Number(limit), sort: by, descending };
  const listed = isViewer(req) ? listForViewer(context, asked) : manager.list(asked);
  const [{ keys, next }, problems] = await Promise.all([listed, manager.problems()]);
  return { keys: keys.map((key) => shown(context, key)), next: next ?? null, problems };
}

/**
 * Neither where a page begins or ends nor a search tells of a key more than its hint does: the store, which searches
 * whole keys, is not asked to.
 */
async function listForViewer({ manager, keyIds }: ApiContext, asked: ListOptions): Promise<KeyPage> {
  const { after: id, search = '', sort = 'name' } = asked;
  let after: string | undefined;
  if (id !== undefined) {
    const last = await manager.get((await keyIds.keyOf(id)) ?? '');
    if (last === undefined)
      throw invalidRequest('after: it takes the `next` of the previous page; start again without it');
    after = cursorOf(last, sort);
  }
  const wanted = search.trim();
  const isFound = ({ apiKey, name }: KeyView): boolean =>
    name.toLowerCase().includes(wanted.toLowerCase()) || keyHint(apiKey).startsWith(wanted);
  const found: KeyView[] = [];
  let last: KeyView | undefined;
  let { limit } = asked;
  do {
    const page = await manager.list({ ...asked, search: undefined, after, limit });
    for (const key of page.keys) {
      if (found.length === asked.limit) return { keys: found, next: last && keyIds.idOf(last.apiKey) };
      if (isFound(key)) found.push(key);
      last = key;
    }
    after = page.next;
    limit = SEARCHED_AT_ONCE;
  } while (after !== undefined && found.length !== asked.limit);
  return { keys: found, next: after === undefined ? undefined : last && keyIds.idOf(last.apiKey) };
}

async function createKey(context: ApiContext, req: Request): Promise<KeyAnswer> {
  const made = await context.manager.create(body(req), by(context, req));
  return { ...made, key: shown(context, made.key) };
}

async function getKey(context: ApiContext, req: Request): Promise<KeyAnswer> {
  return { key: shown(context, await known(context, req)) };
}

async function updateKey(context: ApiContext, req: Request): Promise<KeyAnswer> {
  const { version, ...changes } = body(req) as KeyChanges & { readonly version?: unknown };
  return { key: await updated(context, req, version, changes) };
}

async function updated(context: ApiContext, req: Request, version: unknown, changes: KeyChanges): Promise<ShownKey> {
  if (!Number.isInteger(version))
    throw invalidRequest('version: it takes the version of the key that you read, such as 3');
  const change = { ...by(context, req), expectedVersion: Number(version) };
  return shown(context, await unlessStale(context, req, context.manager.update(apiKeyOf(req), changes, change)));
}

async function deleteKey(context: ApiContext, req: Request): Promise<void> {
  const { version } = query(req);
  const expectedVersion = version === undefined ? undefined : Number(version); // what is no number is never the version
  const change = { ...by(context, req), expectedVersion };
  await unlessStale(context, req, context.manager.delete(apiKeyOf(req), change));
}

async function getLimits({ manager }: ApiContext, req: Request): Promise<{ readonly limits: LimitsInUse }> {
  return { limits: await manager.limits(apiKeyOf(req)) };
}

async function getDocument(context: ApiContext, req: Request): Promise<SettingsDocument> {
  return toDocument(await known(context, req));
}

async function applyDocument(context: ApiContext, req: Request): Promise<DocumentAnswer> {
  const given = body(req, ['document', 'version', 'dryRun']) as Readonly<Record<string, unknown>>;
  const { document, version, dryRun = false } = given;
  if (typeof dryRun !== 'boolean') throw invalidRequest('dryRun: it takes true or false');
  const { apiKey = null, changes: wanted, ignored } = readDocument(document);
  const before = await known(context, req);
  const { differences, changes } = compare(before, wanted);
  const isWritten = !dryRun && differences.length > 0;
  const key = isWritten ? await updated(context, req, version, changes) : shown(context, before);
  return { key, differences, ignored, documentOf: apiKey };
}

async function applyProposal(context: ApiContext, req: Request): Promise<KeyAnswer> {
  const { expectedVersion, ...accepted } = appliedProposal(req);
  const change = { ...by(context, req), expectedVersion };
  const key = await unlessStale(context, req, context.manager.applyProposal(apiKeyOf(req), accepted, change));
  return { key: shown(context, key) };
}

async function addSecret(context: ApiContext, req: Request): Promise<MadeSecret & KeyAnswer> {
  const made = await context.manager.addSecret(apiKeyOf(req), body(req), by(context, req));
  return { ...made, key: shown(context, made.key) };
}

async function rotateSecret(context: ApiContext, req: Request): Promise<MadeSecret & KeyAnswer> {
  const options = body(req) as RotateOptions;
  const made = await context.manager.rotateSecret(apiKeyOf(req), param(req, 'id'), options, by(context, req));
  return { ...made, key: shown(context, made.key) };
}

async function updateSecret(context: ApiContext, req: Request): Promise<KeyAnswer> {
  const { version, ...changes } = body(req) as SecretChanges & { readonly version?: unknown };
  if (version !== undefined && !Number.isInteger(version)) {
    throw invalidRequest('version: it takes the version of the key that was read');
  }
  const change = { ...by(context, req), expectedVersion: version as number | undefined };
  const changed = context.manager.updateSecret(apiKeyOf(req), param(req, 'id'), changes, change);
  return { key: shown(context, await unlessStale(context, req, changed)) };
}

async function revokeSecret(context: ApiContext, req: Request): Promise<KeyAnswer> {
  return { key: shown(context, await context.manager.revokeSecret(apiKeyOf(req), param(req, 'id'), by(context, req))) };
}

async function addEntries(context: ApiContext, req: Request): Promise<KeyAnswer> {
  const { entries } = body(req, ['entries']) as { readonly entries?: unknown };
  const added = texts(entries, 'entries');
  return {
    key: shown(context, await context.manager.addToAllowlist(apiKeyOf(req), typeOf(req), added, by(context, req))),
  };
}

async function removeEntries(context: ApiContext, req: Request): Promise<KeyAnswer> {
  const removed = texts([req.query['entry'] ?? []].flat(), 'entry');
  const change = by(context, req);
  return {
    key: shown(context, await context.manager.removeFromAllowlist(apiKeyOf(req), typeOf(req), removed, change)),
  };
}

async function testRequest(context: ApiContext, req: Request): Promise<TestResult> {
  const request = body(req, TEST_MEMBERS) as TestRequest;
  if (request.send === true) await editorOnly(context, req, 'POST /keys/:apiKey/test send');
  return context.tester.test(apiKeyOf(req), request);
}

function checkEntries(_context: ApiContext, req: Request): Preview {
  const { entries, samples = [] } = body(req, ['entries', 'samples']) as {
    readonly entries?: unknown;
    readonly samples?: unknown;
  };
  return preview(typeOf(req), texts(entries, 'entries'), texts(samples, 'samples'));
}

function by({ options }: ApiContext, req: Request): ChangeOptions {
  return { actor: options.actorOf(req), ...sourceOf(req) };
}

async function known({ manager }: ApiContext, req: Request): Promise<KeyView> {
  const key = await manager.get(apiKeyOf(req));
  if (key === undefined) throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', 'there is no such key');
  return key;
}

/** Where another change came between, the answer holds the key as it is now. */
async function unlessStale<T>(context: ApiContext, req: Request, change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    const { status, code, message } = toApiError(error);
    if (code !== 'STALE_VERSION') throw error;
    throw new ApiError(status, code, message, shown(context, await known(context, req)));
  }
}

function shown({ options }: ApiContext, key: KeyView): ShownKey {
  return { ...key, warnings: warningsOf(key, options.prices) };
}

function urlPath({ before, after }: KeyPath): string {
  return `${before}YOUR-API-KEY${after}`;
}
