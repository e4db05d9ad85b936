import { existsSync, writeFileSync } from 'node:fs';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { FileStore } from '../stores/file';
import { PostgresStore } from '../stores/postgres';
import { RedisStore } from '../stores/redis';
import type { WritableSettingsStore } from '../stores/settings-store';
import { storeFailed, usage } from './exit';
import { kindOfStore, loadPackage, pathOf, serverOf } from './open-store';
import type { IoRedis, NodeRedis, Pg } from './open-store';

/** A store for as long as a server runs. */
export interface ServerStore {
  readonly store: WritableSettingsStore;
  /** For people, without credentials. */
  readonly name: string;
  /** Ends the client. The guard has closed the store before. */
  end(): Promise<void>;
}

/** As docs/stores.md has them: a dead connection is found out within seconds, and made anew. */
const CONNECT_MS = 2000;
const RECONNECT_MS = 500;
const PING_MS = 1000;
const NO_KEYS = '{\n  "keys": []\n}\n';

/** Opens what `named` names, and makes a settings file that is missing. A server that is away is waited for, not an error. */
export function openServerStore(named: string, logger: Logger): ServerStore {
  const kind = kindOfStore(named);
  if (kind === 'redis') return openRedis(named, logger);
  if (kind === 'postgres') return openPostgres(named, logger);
  return openFile(pathOf(named), logger);
}

function openFile(path: string, logger: Logger): ServerStore {
  try {
    if (!existsSync(path)) writeFileSync(path, NO_KEYS, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw storeFailed(`${path} cannot be made: ${describeError(error)}`);
  }
  return { store: new FileStore(path, { logger }), name: path, end: () => Promise.resolve() };
}

function openRedis(named: string, logger: Logger): ServerStore {
  const { url, name, taken } = serverOf(named, ['prefix']);
  if (!URL.canParse(url)) throw usage('--store: this is no URL; write redis://user:password@host:6379/0');
  const connection = nodeRedis(url) ?? ioRedis(url);
  if (connection === undefined) throw storeFailed(`${name} needs a client: npm install redis`);
  const { client } = connection;
  const { prefix } = taken;
  const store = new RedisStore({ client, logger, ...(prefix !== undefined && { prefix }) });
  connection.connect().catch((error: unknown) => {
    logger.error({ store: name, reason: describeError(error) }, 'the store cannot be reached yet');
  });
  return { store, name, end: connection.end };
}

function nodeRedis(url: string) {
  const redis = loadPackage('redis') as NodeRedis | undefined;
  const socket = { connectTimeout: CONNECT_MS, socketTimeout: CONNECT_MS, reconnectStrategy: RECONNECT_MS };
  const client = redis?.createClient({ url, disableOfflineQueue: true, pingInterval: PING_MS, socket });
  if (client === undefined) return undefined;
  const end = async (): Promise<void> => {
    // Destroying a closed client throws.
    if (client.isOpen) await Promise.resolve(client.destroy());
  };
  return { client, connect: (): Promise<unknown> => client.connect(), end };
}

function ioRedis(url: string) {
  const ioredis = loadPackage('ioredis') as IoRedis | undefined;
  if (ioredis === undefined) return undefined;
  const client = new ioredis.Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    socketTimeout: CONNECT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  });
  const end = (): Promise<void> => Promise.resolve(client.disconnect());
  return { client, connect: (): Promise<unknown> => client.connect(), end };
}

function openPostgres(named: string, logger: Logger): ServerStore {
  const { url, name, taken } = serverOf(named, ['table', 'schema']);
  const pg = loadPackage('pg') as Pg | undefined;
  if (pg === undefined) throw storeFailed(`${name} needs a client: npm install pg`);
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, query_timeout: CONNECT_MS });
  const { table, schema } = taken;
  const store = new PostgresStore({
    pool,
    logger,
    ...(table !== undefined && { table }),
    ...(schema !== undefined && { schema }),
  });
  return { store, name, end: () => pool.end() };
}
