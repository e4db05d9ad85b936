import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RpcGuardError } from '../errors';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { FileStore } from '../stores/file';
import { PostgresStore } from '../stores/postgres';
import type { PostgresPool } from '../stores/postgres';
import { RedisStore } from '../stores/redis';
import type { IoRedisClient, NodeRedisClient } from '../stores/redis';
import type { WritableSettingsStore } from '../stores/settings-store';
import { storeFailed, usage } from './exit';

export interface OpenStore {
  readonly store: WritableSettingsStore;
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  /** Logs what a person should know about the store. */
  readonly note: (line: string) => void;
  /** Whether a settings file may be missing, because the command makes it. */
  readonly makesFile: boolean;
}

export const DEFAULT_FILE = './rpc-guard.json';
const CONNECT_MS = 3000;
/** A server that takes longer to answer is down. */
const ANSWER_MS = 5000;
const WRITE_ONE =
  'write --store file:./rpc-guard.json, --store redis://host:6379 or --store postgres://host/database, or set RPC_GUARD_STORE';

/** Opens the store that `--store` or RPC_GUARD_STORE names. No message repeats it: it may hold a password. */
export async function openStore(named: string | undefined, options: OpenStoreOptions): Promise<OpenStore> {
  if (named === undefined || named === '') {
    if (!existsSync(DEFAULT_FILE)) throw usage(`there is no store: ${WRITE_ONE}`);
    options.note(`store: ${DEFAULT_FILE}`);
    return openFile(DEFAULT_FILE, options);
  }
  const kind = kindOfStore(named);
  if (kind === 'redis') return openRedis(named);
  if (kind === 'postgres') return openPostgres(named);
  return openFile(pathOf(named), options);
}

/** By its scheme, or as a path that ends in `.json`. */
export function kindOfStore(named: string): 'file' | 'redis' | 'postgres' {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(named)?.[1]?.toLowerCase();
  if (scheme === 'redis' || scheme === 'rediss') return 'redis';
  if (scheme === 'postgres' || scheme === 'postgresql') return 'postgres';
  if (scheme === 'file' || named.endsWith('.json')) return 'file';
  throw usage(
    `--store: ${scheme === undefined ? 'this is no store' : `there is no store for ${scheme}:`}; ${WRITE_ONE}`,
  );
}

function openFile(path: string, { note, makesFile }: OpenStoreOptions): OpenStore {
  if (!makesFile && !existsSync(path)) {
    throw storeFailed(`there is no file ${path}; "rpc-guard keys create" makes it`);
  }
  // A write waits for the file's lock, which cannot exist in a missing folder.
  if (!existsSync(dirname(path))) throw storeFailed(`there is no folder ${dirname(path)}`);
  // An error that matters to a command ends it. Others are for servers: `keys list` names the keys that do not parse.
  const warn = (fields: object, message: string) => note(`rpc-guard: ${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: () => undefined, warn, error: () => undefined };
  const store = new FileStore(path, { logger });
  return { store, close: () => store.close() };
}

/** `./here.json`, `file:./here.json`, `file:/there.json` and `file:///there.json`. */
export function pathOf(named: string): string {
  if (!/^file:/i.test(named)) return named;
  if (!/^file:\/\//i.test(named)) return named.slice('file:'.length);
  try {
    return fileURLToPath(named);
  } catch {
    throw usage('--store: this is no file; write file:./rpc-guard.json');
  }
}

interface RedisConnection {
  readonly client: NodeRedisClient | IoRedisClient;
  connect(): Promise<unknown>;
  close(): void;
}

export interface NodeRedis {
  createClient(options: object): NodeRedisClient & { connect(): Promise<unknown>; destroy(): void };
}

export interface IoRedis {
  Redis: new (url: string, options: object) => IoRedisClient & { connect(): Promise<unknown>; disconnect(): void };
}

async function openRedis(named: string): Promise<OpenStore> {
  const { url, name, password, taken } = serverOf(named, ['prefix']);
  if (!URL.canParse(url)) throw usage('--store: this is no URL; write redis://user:password@host:6379/0');
  const connection = nodeRedis(url) ?? ioRedis(url);
  if (connection === undefined) throw storeFailed(`${name} needs a client: npm install redis`);
  const { client } = connection;
  // ioredis says "Connection is closed" where its event says why.
  let reason: unknown;
  client.on('error', (error: unknown) => (reason = error));
  const { prefix } = taken;
  const store = new RedisStore({ client, ...(prefix !== undefined && { prefix }) });
  const connected = deadline(CONNECT_MS, name, password);
  const answer = deadline(ANSWER_MS, name, password);
  const close = (): Promise<void> => Promise.resolve(connection.close());
  try {
    await connected(() =>
      connection.connect().catch((error: unknown) => {
        throw (reason ?? error) as Error;
      }),
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { store: answering(store, answer), close };
}

function nodeRedis(url: string): RedisConnection | undefined {
  const redis = loadPackage('redis') as NodeRedis | undefined;
  const socket = { connectTimeout: CONNECT_MS, socketTimeout: ANSWER_MS, reconnectStrategy: false };
  const client = redis?.createClient({ url, disableOfflineQueue: true, pingInterval: 1000, socket });
  if (client === undefined) return undefined;
  const close = (): void => {
    // Destroying a closed client throws.
    if (client.isOpen) client.destroy();
  };
  return { client, connect: () => client.connect(), close };
}

function ioRedis(url: string): RedisConnection | undefined {
  const ioredis = loadPackage('ioredis') as IoRedis | undefined;
  if (ioredis === undefined) return undefined;
  const client = new ioredis.Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    socketTimeout: ANSWER_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  return { client, connect: () => client.connect(), close: () => client.disconnect() };
}

export interface Pg {
  Pool: new (options: object) => PostgresPool & { end(): Promise<void> };
}

function openPostgres(named: string): OpenStore {
  const { url, name, password, taken } = serverOf(named, ['table', 'schema']);
  const pg = loadPackage('pg') as Pg | undefined;
  if (pg === undefined) throw storeFailed(`${name} needs a client: npm install pg`);
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
  });
  const { table, schema } = taken;
  try {
    const store = new PostgresStore({
      pool,
      ...(table !== undefined && { table }),
      ...(schema !== undefined && { schema }),
    });
    return { store: answering(store, deadline(ANSWER_MS, name, password)), close: () => pool.end() };
  } catch (error) {
    throw usage(`--store: ${(error as RpcGuardError).message}`);
  }
}

interface Server<Name extends string> {
  /** For the client: without the members of the query that are the store's. */
  readonly url: string;
  /** For people: without credentials. */
  readonly name: string;
  readonly password: string | undefined;
  /** The members of the query that are the store's. */
  readonly taken: Partial<Readonly<Record<Name, string>>>;
}

export function serverOf<Name extends string>(named: string, ours: readonly Name[]): Server<Name> {
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
export function loadPackage(name: string): unknown {
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

type Answer = <T>(work: () => Promise<T>) => Promise<T>;

/** Bounds a server's work in time, and names the server if it fails. */
function deadline(milliseconds: number, name: string, password: string | undefined): Answer {
  return async (work) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${String(milliseconds / 1000)} s`)), milliseconds);
    });
    try {
      return await Promise.race([work(), late]);
    } catch (error) {
      if (error instanceof RpcGuardError) throw error;
      throw storeFailed(`${name} cannot be used: ${reasonOf(error, password)}`);
    } finally {
      clearTimeout(timer);
    }
  };
}

function reasonOf(error: unknown, password: string | undefined): string {
  const { message, code } = error as { message?: string; code?: string };
  const text = message !== undefined && message !== '' ? message : (code ?? 'it does not say why');
  return describeError(new Error(text), password).replace(/^Error: /, '');
}

function answering(store: WritableSettingsStore, answer: Answer): WritableSettingsStore {
  const { audit, limits, usage } = store;
  return {
    limits: limits && { exchange: (rows) => answer(() => limits.exchange(rows)) },
    usage,
    init: () => answer(async () => store.init?.()),
    get: (apiKey) => answer(() => store.get(apiKey)),
    set: (...write) => answer(() => store.set(...write)),
    delete: (...write) => answer(() => store.delete(...write)),
    list: (page) => answer(() => store.list(page)),
    audit: audit && {
      ...(audit.isKeptWithChange !== undefined && { isKeptWithChange: audit.isKeptWithChange }),
      append: (events) => answer(() => audit.append(events)),
      list: (query) => answer(() => audit.list(query)),
    },
  };
}
