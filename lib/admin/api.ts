import { Router, json } from 'express';
import type { Request } from 'express';
import { MAX_ENTRIES } from '../allowlists/allowlist';
import { RpcGuardError } from '../errors';
import { MAX_SECRETS } from '../settings/key-settings';
import type { ChangeOptions, KeyChanges, KeyManager, KeyView, RotateOptions } from '../keys/key-manager';
import { warningsOf } from '../keys/warnings';
import type { Warning } from '../keys/warnings';
import type { ParsedOptions } from '../options/options';
import type { KeyPath } from '../request/key-path';
import { packageVersion } from '../version';
import { allowlistMeta } from './allowlist-meta';
import type { AllowlistMeta } from './allowlist-meta';
import { ApiError, invalidRequest, toApiError } from './api-error';
import { METHOD_GROUPS } from './method-groups';
import { preview } from './preview';
import { answer, apiKeyOf, body, jsonOnly, param, query, texts, typeOf } from './requests';
import { TEST_MEMBERS } from './request-tester';
import type { RequestTester } from './request-tester';

export interface ApiContext {
  readonly manager: KeyManager;
  readonly tester: RequestTester;
  readonly options: ParsedOptions;
  readonly publicUrl: string | undefined;
  readonly actorOf: (req: Request) => string;
}

/** A key as the API shows it. */
export interface ShownKey extends KeyView {
  readonly warnings: readonly Warning[];
}

/** `GET /meta`: what the page has to know before it shows a key. */
export interface Meta {
  /** With `YOUR-API-KEY` where the key stands. */
  readonly httpUrl: string;
  readonly wsUrl: string;
  /** Whether the URLs are told from the request, for want of a `publicUrl`. */
  readonly isUrlGuessed: boolean;
  /** Whether a tested request can be sent to the upstream. */
  readonly canSend: boolean;
  readonly user: string;
  readonly maxEntries: number;
  readonly maxSecrets: number;
  /** The types of lists, in the order in which the page shows them. */
  readonly allowlists: readonly AllowlistMeta[];
  readonly methodGroups: typeof METHOD_GROUPS;
  readonly version: string;
}

/** `GET /keys` */
export interface KeysAnswer {
  readonly keys: readonly ShownKey[];
  readonly next: string | null;
}

/** The JSON API of the dashboard. Who calls it, and from where, has been decided before. */
export function createApi({ manager, tester, options, publicUrl, actorOf }: ApiContext): Router {
  const version = packageVersion();
  const api = Router({ caseSensitive: true });
  // The body of a request to test is text within JSON, where escapes make it longer.
  api.use(jsonOnly, json({ limit: 2 * options.maxBodyBytes + 65_536 }));

  function on(
    method: 'get' | 'post' | 'patch' | 'delete',
    path: string,
    status: number,
    work: (req: Request) => unknown,
  ): void {
    api[method](path, answer(status, work));
  }

  on('get', '/meta', 200, (req): Meta => {
    const base = publicUrl ?? `${req.protocol}://${req.get('host') ?? ''}`;
    return {
      httpUrl: base + urlPath(options.path),
      wsUrl: new URL(base).origin.replace(/^http/, 'ws') + urlPath(options.wsPath),
      isUrlGuessed: publicUrl === undefined,
      canSend: tester.canSend,
      user: actorOf(req),
      maxEntries: MAX_ENTRIES,
      maxSecrets: MAX_SECRETS,
      allowlists: allowlistMeta(),
      methodGroups: METHOD_GROUPS,
      version,
    };
  });

  on('get', '/keys', 200, async (req): Promise<KeysAnswer> => {
    const { search, state, after, limit = '50' } = query(req);
    if (state !== undefined && state !== 'enabled' && state !== 'disabled') {
      throw invalidRequest('state: it takes enabled or disabled');
    }
    const { keys, next } = await manager.list({ search, state, after, limit: Number(limit) });
    return { keys: keys.map(shown), next: next ?? null };
  });

  on('post', '/keys', 201, async (req) => {
    const made = await manager.create(body(req), by(req));
    return { ...made, key: shown(made.key) };
  });

  on('get', '/keys/:apiKey', 200, async (req) => ({ key: shown(await known(apiKeyOf(req))) }));

  on('patch', '/keys/:apiKey', 200, async (req) => {
    const { version, ...changes } = body(req) as KeyChanges & { readonly version?: unknown };
    if (!Number.isInteger(version)) throw invalidRequest('version: it takes the version of the key that was read');
    const change = { ...by(req), expectedVersion: Number(version) };
    return { key: shown(await unlessStale(req, manager.update(apiKeyOf(req), changes, change))) };
  });

  on('delete', '/keys/:apiKey', 204, async (req) => {
    const { version } = query(req);
    const expectedVersion = version === undefined ? undefined : Number(version); // what is no number is never the version
    await unlessStale(req, manager.delete(apiKeyOf(req), { ...by(req), expectedVersion }));
  });

  on('post', '/keys/:apiKey/secrets', 201, async (req) => {
    const made = await manager.addSecret(apiKeyOf(req), body(req), by(req));
    return { ...made, key: shown(made.key) };
  });

  on('post', '/keys/:apiKey/secrets/:id/rotate', 201, async (req) => {
    const made = await manager.rotateSecret(apiKeyOf(req), param(req, 'id'), body(req) as RotateOptions, by(req));
    return { ...made, key: shown(made.key) };
  });

  on('patch', '/keys/:apiKey/secrets/:id', 200, async (req) => ({
    key: shown(await manager.updateSecret(apiKeyOf(req), param(req, 'id'), body(req), by(req))),
  }));

  on('delete', '/keys/:apiKey/secrets/:id', 200, async (req) => ({
    key: shown(await manager.revokeSecret(apiKeyOf(req), param(req, 'id'), by(req))),
  }));

  on('post', '/keys/:apiKey/allowlists/:type', 200, async (req) => {
    const entries = texts((body(req, ['entries']) as { readonly entries?: unknown }).entries, 'entries');
    return { key: shown(await manager.addToAllowlist(apiKeyOf(req), typeOf(req), entries, by(req))) };
  });

  on('delete', '/keys/:apiKey/allowlists/:type', 200, async (req) => {
    const entries = texts([req.query['entry'] ?? []].flat(), 'entry');
    return { key: shown(await manager.removeFromAllowlist(apiKeyOf(req), typeOf(req), entries, by(req))) };
  });

  on('post', '/allowlists/:type/check', 200, (req) => {
    const { entries, samples = [] } = body(req, ['entries', 'samples']) as {
      readonly entries?: unknown;
      readonly samples?: unknown;
    };
    return preview(typeOf(req), texts(entries, 'entries'), texts(samples, 'samples'));
  });

  on('post', '/keys/:apiKey/test', 200, (req) => tester.test(apiKeyOf(req), body(req, TEST_MEMBERS)));

  function by(req: Request): ChangeOptions {
    return { actor: actorOf(req) };
  }

  async function known(apiKey: string): Promise<KeyView> {
    const key = await manager.get(apiKey);
    if (key === undefined) throw new RpcGuardError('ERR_RPC_GUARD_KEY_UNKNOWN', 'there is no such key');
    return key;
  }

  /** Where another change came between, the key as it is now is told with the refusal. */
  async function unlessStale<T>(req: Request, change: Promise<T>): Promise<T> {
    try {
      return await change;
    } catch (error) {
      const { status, code, message } = toApiError(error);
      if (code !== 'STALE_VERSION') throw error;
      throw new ApiError(status, code, message, shown(await known(apiKeyOf(req))));
    }
  }

  return api;
}

function shown(key: KeyView): ShownKey {
  return { ...key, warnings: warningsOf(key) };
}

function urlPath({ before, after }: KeyPath): string {
  return `${before}YOUR-API-KEY${after}`;
}
