import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { RpcGuardError } from '../errors';
import type { Logger } from '../logger';
import { PostgresStore } from '../stores/postgres';
import type { PostgresPool } from '../stores/postgres';
import { RedisStore } from '../stores/redis';
import type { IoRedisClient, NodeRedisClient } from '../stores/redis';
import type { WritableSettingsStore } from '../stores/settings-store';
import { storeFailed, usage } from './exit';

export type ServerKind = 'redis' | 'postgres';

/** A store on a server, with a client of its own. */
export interface StoreServer {
  readonly store: WritableSettingsStore;
  /** For people: without credentials. */
  readonly name: string;
  readonly password: string | undefined;
  readonly connect: () => Promise<unknown>;
  /** Ends the client. */
  readonly end: () => Promise<void>;
}

/** How a client waits. */
export interface ClientOptions {
  readonly connectMs: number;
  /** A server that takes longer to answer is down. */
  readonly answerMs: number;
  /** Milliseconds after which a lost connection is made anew. Without it, it is not. */
  readonly reconnectMs?: number;
  /** Connections of a PostgreSQL pool. Default `pg`'s own. */
  readonly poolSize?: number;
  /** Default stderr. */
  readonly logger?: Logger;
}

const PING_MS = 1000;

interface NodeRedis {
  createClient(options: object): NodeRedisClient & { connect(): Promise<unknown>; destroy(): void };
}

interface IoRedis {
  Redis: new (url: string, options: object) => IoRedisClient & { connect(): Promise<unknown>; disconnect(): void };
}

interface Pg {
  Pool: new (options: object) => PostgresPool & { end(): Promise<void> };
}

/** Makes the store that `named` names, without connecting. No message repeats `named`: it may hold a password. */
export function storeServer(kind: ServerKind, named: string, options: ClientOptions): StoreServer {
  return kind === 'redis' ? redisServer(named, options) : postgresServer(named, options);
}

function redisServer(named: string, options: ClientOptions): StoreServer {
  const { url, name, password, taken } = serverOf(named, ['prefix']);
  if (!URL.canParse(url)) throw usage('--store: not a URL; write redis://user:password@host:6379/0');
  const connection = nodeRedis(url, options) ?? ioRedis(url, options);
  if (connection === undefined) throw storeFailed(`${name} needs a client: npm install redis`);
  const { client } = connection;
  // ioredis says "Connection is closed" where its event says why.
  let reason: unknown;
  client.on('error', (error: unknown) => (reason = error));
  const { prefix } = taken;
  const store = new RedisStore({ client, ...loggerOf(options), ...(prefix !== undefined && { prefix }) });
  const connect = (): Promise<unknown> =>
    connection.connect().catch((error: unknown) => {
      throw (reason ?? error) as Error;
    });
  return { store, name, password, connect, end: connection.end };
}

function nodeRedis(url: string, { connectMs, answerMs, reconnectMs }: ClientOptions) {
  const redis = loadPackage('redis') as NodeRedis | undefined;
  const socket = { connectTimeout: connectMs, socketTimeout: answerMs, reconnectStrategy: reconnectMs ?? false };
  const client = redis?.createClient({ url, disableOfflineQueue: true, pingInterval: PING_MS, socket });
  if (client === undefined) return undefined;
  const end = async (): Promise<void> => {
    // Destroying a closed client throws.
    if (client.isOpen) await Promise.resolve(client.destroy());
  };
  return { client, connect: (): Promise<unknown> => client.connect(), end };
}

function ioRedis(url: string, { connectMs, answerMs, reconnectMs }: ClientOptions) {
  const ioredis = loadPackage('ioredis') as IoRedis | undefined;
  if (ioredis === undefined) return undefined;
  const client = new ioredis.Redis(url, {
    lazyConnect: true,
    connectTimeout: connectMs,
    socketTimeout: answerMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => reconnectMs ?? null,
  });
  const end = (): Promise<void> => Promise.resolve(client.disconnect());
  return { client, connect: (): Promise<unknown> => client.connect(), end };
}

function postgresServer(named: string, options: ClientOptions): StoreServer {
  const { url, name, password, taken } = serverOf(named, ['table', 'schema']);
  const pg = loadPackage('pg') as Pg | undefined;
  if (pg === undefined) throw storeFailed(`${name} needs a client: npm install pg`);
  const { connectMs, answerMs, poolSize } = options;
  const pool = new pg.Pool({
    connectionString: url,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    ...(poolSize !== undefined && { max: poolSize }),
  });
  const { table, schema } = taken;
  try {
    const names = { ...(table !== undefined && { table }), ...(schema !== undefined && { schema }) };
    const store = new PostgresStore({ pool, ...loggerOf(options), ...names });
    return { store, name, password, connect: () => Promise.resolve(), end: () => pool.end() };
  } catch (error) {
    throw usage(`--store: ${(error as RpcGuardError).message}`);
  }
}

function loggerOf({ logger }: ClientOptions): { logger?: Logger } {
  return logger === undefined ? {} : { logger };
}

interface NamedServer<Name extends string> {
  /** For the client: without the members of the query that are the store's. */
  readonly url: string;
  /** For people: without credentials. */
  readonly name: string;
  readonly password: string | undefined;
  /** The members of the query that are the store's. */
  readonly taken: Partial<Readonly<Record<Name, string>>>;
}

function serverOf<Name extends string>(named: string, ours: readonly Name[]): NamedServer<Name> {
  const [base = '', ...rest] = named.split('?');
  const query = new URLSearchParams(rest.join('?'));
  const taken: Partial<Record<Name, string>> = {};
  for (const name of ours) {
    const value = query.get(name);
    if (value !== null) taken[name] = value;
    query.delete(name);
  }
  const url = query.size > 0 ? `${base}?${query.toString()}` : base;
  const scheme = base.slice(0, base.indexOf(':'));
  const parsed = URL.canParse(base) ? new URL(base) : undefined;
  // With a bare / in it, a password stands in the path.
  const isTold = parsed !== undefined && !parsed.pathname.includes('@');
  const name = isTold ? `${scheme}://${parsed.host}${parsed.pathname}` : `the store at ${scheme}:`;
  // Clients decode it, and throw without a word on what.
  if (!isDecodable(base)) throw usage(`--store: ${name} has a % that encodes nothing; write %25 for a % itself`);
  return { url, name, password: parsed && decodeURIComponent(parsed.password), taken };
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** A package that is installed beside rpc-guard or in the project that it is run in. */
function loadPackage(name: string): unknown {
  for (const from of [__filename, join(process.cwd(), 'package.json')]) {
    const require = createRequire(from);
    let path: string;
    try {
      path = require.resolve(name);
    } catch {
      continue;
    }
    return require(path);
  }
  return undefined;
}
