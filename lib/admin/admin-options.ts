import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditEvent } from '../stores/audit-store';
import { quiet } from '../logger';
import type { Logger } from '../logger';
import { LOGGER_RULE, checkOptions, isFunction } from '../option-rules';
import type { OptionRules } from '../option-rules';
import { WS_PATH_RULE, parseWsPath } from '../options/options';
import { REQUEST_RULES, prepareRequestOptions } from '../options/request-options';
import type { ParsedRequestOptions, RequestOptions } from '../options/request-options';
import { UPSTREAM_RULES, prepareUpstreamOptions } from '../options/upstream-options';
import type { UpstreamOptions } from '../options/upstream-options';
import type { KeyPath } from '../request/key-path';
import { WRITABLE_STORE_RULE } from '../stores/settings-store';
import type { WritableSettingsStore } from '../stores/settings-store';
import type { UpstreamClientOptions } from '../upstream/http-client';
import { actorOf, roleOf } from './actor';
import type { Role } from './actor';
import { isHost } from './own-host';

/** Written as a method, so that a `RequestHandler` of Express is one too. */
interface Handlers {
  authorize(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): unknown;
  actor(req: IncomingMessage): string;
  role(req: IncomingMessage): Role | undefined;
}

/** With the guard's `path`, `blockedMethods`, `addressParams`, `credits` and bounds, a tested request is decided on as the guard does. */
export interface RpcGuardAdminOptions extends RequestOptions, Partial<UpstreamOptions> {
  /** The store of the guard, or another on the same data. */
  readonly store: WritableSettingsStore;
  /**
   * Lets in who may manage keys, by `next()`, and answers the rest itself. It is called before anything is served.
   * `basicAuthAdmin({ users })` is one.
   */
  readonly authorize: Handlers['authorize'];
  /** Who makes a change, for `onAudit`. Default: the user of `basicAuthAdmin`, else `admin`. */
  readonly actor?: Handlers['actor'];
  /**
   * What a caller may do: an `editor` everything, a `viewer` reads. Whoever it gives neither for is a viewer. Default: the
   * role of the user of `basicAuthAdmin`; with an `authorize` of your own, everybody is an editor.
   */
  readonly role?: Handlers['role'];
  /**
   * What the ids are made with that viewers see in place of keys: a secret text of 32 characters or more, the same for all
   * instances. Default: a random one, so that viewers' links last until a restart, and on one instance.
   */
  readonly idSecret?: string;
  /** Called after every change. */
  readonly onAudit?: (event: AuditEvent) => unknown;
  /** Where callers reach the guard: its path is added to it in the lines to paste. Default: the dashboard's own host. */
  readonly publicUrl?: string;
  /**
   * With `publicUrl`: further host names that the dashboard is at, such as `admin.example.com`. A request to another name
   * is refused; `localhost` and IP addresses are always taken.
   */
  readonly hosts?: readonly string[];
  /** The guard's `wsPath`, for the lines to paste. */
  readonly wsPath?: string;
  /** Pino-shaped. Default: errors to stderr. */
  readonly logger?: Logger;
}

export interface ParsedAdminOptions extends ParsedRequestOptions {
  readonly store: WritableSettingsStore;
  readonly authorize: Handlers['authorize'];
  readonly actorOf: (req: IncomingMessage) => string;
  readonly roleOf: (req: IncomingMessage) => Role;
  readonly onAudit: ((event: AuditEvent) => unknown) | undefined;
  readonly idSecret: string | undefined;
  readonly publicUrl: string | undefined;
  readonly hosts: readonly string[];
  readonly wsPath: KeyPath;
  readonly logger: Logger;
  /** `undefined` where there is no upstream to send a tested request to. */
  readonly toUpstream: UpstreamClientOptions | undefined;
}

const MIN_SECRET = 32;
const PUBLIC_URL = /^https?:\/\/[^/?#@]+(?:\/[^?#]*[^/?#])?$/;

const ADMIN_RULES: OptionRules<RpcGuardAdminOptions> = {
  store: WRITABLE_STORE_RULE,
  authorize: {
    accepts: isFunction,
    takes: 'a function (req, res, next) that lets in who may manage keys, such as basicAuthAdmin({ users })',
    isRequired: true,
  },
  actor: { accepts: isFunction, takes: 'a function, such as (req) => req.user.name' },
  role: { accepts: isFunction, takes: 'a function, such as (req) => (req.user.isAdmin ? "editor" : "viewer")' },
  idSecret: {
    accepts: (value) => typeof value === 'string' && value.length >= MIN_SECRET,
    takes: `a text of ${String(MIN_SECRET)} characters or more that nobody can guess, such as process.env.ADMIN_ID_SECRET`,
    quote: (value) => (typeof value === 'string' ? `a text of ${String(value.length)} characters` : 'something else'),
  },
  onAudit: { accepts: isFunction, takes: 'a function, such as (event) => {}' },
  publicUrl: {
    accepts: (value) => typeof value === 'string' && PUBLIC_URL.test(value),
    takes: 'an http(s) URL without a slash at its end, such as "https://rpc.example.com"',
  },
  hosts: {
    accepts: (value) => Array.isArray(value) && value.every(isHost),
    takes: 'an array of host names, such as ["admin.example.com"]',
    default: [],
  },
  ...REQUEST_RULES,
  wsPath: WS_PATH_RULE,
  ...UPSTREAM_RULES,
  upstream: { ...UPSTREAM_RULES.upstream, isRequired: false },
  logger: LOGGER_RULE,
};

/** @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` with every problem. */
export function parseAdminOptions(options: RpcGuardAdminOptions): ParsedAdminOptions {
  const checked = checkOptions('rpcGuardAdmin(options)', ADMIN_RULES, options) as Required<RpcGuardAdminOptions>;
  const { store, authorize, actor, role, onAudit, idSecret, publicUrl } = checked as RpcGuardAdminOptions;
  const { upstream } = checked as Partial<UpstreamOptions>;
  const logger = quiet(checked.logger);
  return {
    ...prepareRequestOptions(checked),
    store,
    authorize,
    actorOf: (req) => actor?.(req) ?? actorOf(req) ?? 'admin',
    roleOf: (req) => {
      const given = role === undefined ? (roleOf(req) ?? 'editor') : role(req);
      return given === 'editor' ? 'editor' : 'viewer';
    },
    onAudit,
    idSecret,
    publicUrl,
    hosts: checked.hosts,
    wsPath: parseWsPath(checked.wsPath)!,
    logger,
    toUpstream: upstream === undefined ? undefined : prepareUpstreamOptions(checked, logger),
  };
}
