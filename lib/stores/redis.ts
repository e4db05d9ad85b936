import { RpcGuardError } from '../errors';
import { quiet } from '../logger';
import type { Logger } from '../logger';
import { LOGGER_RULE, checkOptions, isText } from '../option-rules';
import type { OptionRules } from '../option-rules';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import { MIN_SUFFIX, checkKeyQuery, foldName } from './key-query';
import { FIND, REBUILD, REPLACE, SORTS, apiKeyOfMember, beginningOf, isPlain, membersOf } from './redis-index';
import type { AuditEvent } from './audit-store';
import { RedisAudit, keptAs } from './redis-audit';
import type { KeyQuery, WritableSettingsStore } from './settings-store';
import type { LimitStore, SpentRow } from './limit-store';
import { whatOf } from './spent-rows';
import type { Spent } from './spent-rows';
import type { UsageStore } from './usage-store';
import { RedisUsage } from './redis-usage';
import { watchForLife } from './sign-of-life';
import { parseStored, readableRecord } from './stored-record';
import { MAX_ATTEMPTS, assertFresh, settingsToWrite, tooBusy } from './versioned-write';

/** A connected client of node-redis (`redis` 5 and later). */
export interface NodeRedisClient {
  readonly isOpen: boolean;
  readonly options?: NodeRedisOptions;
  get(key: string): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  duplicate(): NodeRedisSubscriber;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** Those that decide how long a dead connection is waited on. */
interface NodeRedisOptions {
  readonly pingInterval?: number | undefined;
  readonly socket?: { readonly path?: unknown; readonly socketTimeout?: number | undefined } | undefined;
}

interface NodeRedisSubscriber {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  ping(): Promise<unknown>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** A client of `ioredis`. */
export interface IoRedisClient {
  readonly status: string;
  readonly options?: { readonly path?: unknown; readonly socketTimeout?: number | undefined };
  get(key: string): Promise<string | null>;
  eval(script: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
  duplicate(): IoRedisSubscriber;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

interface IoRedisSubscriber {
  readonly status: string;
  connect(): Promise<unknown>;
  ping(): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

export interface RedisStoreOptions {
  /** A client that you made and connect: TLS, authentication, sentinel and its end are yours. */
  readonly client: NodeRedisClient | IoRedisClient;
  /** Begins every key and the channel. Default `{rpc-guard}:`, whose braces keep a cluster's keys on one node. */
  readonly prefix?: string;
  /** Logs when the client lacks an option that detects a dead connection, which else takes minutes. Default: stderr. */
  readonly logger?: Logger;
}

const RULES: OptionRules<RedisStoreOptions> = {
  client: {
    accepts: (value) =>
      isNodeRedis(value as NodeRedisClient) || isText((value as Partial<IoRedisClient> | null)?.status),
    takes: 'a client of redis or ioredis, such as createClient({ url })',
    isRequired: true,
  },
  prefix: { accepts: isText, takes: 'a string, such as "{rpc-guard}:"', default: '{rpc-guard}:' },
  logger: LOGGER_RULE,
};

/** Sets the caller's field of each hash, where there is a value, and returns the hashes. They go two days later. */
const EXCHANGE = `
local hashes = {}
for i = 1, #KEYS do
  if ARGV[i + 1] ~= '' then
    redis.call('HSET', KEYS[i], ARGV[1], ARGV[i + 1])
    redis.call('EXPIRE', KEYS[i], 259200)
  end
  hashes[i] = redis.call('HGETALL', KEYS[i])
end
return hashes`;

/** The keys after one, in order. */
const PAGE = `
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
return redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, ARGV[2])`;

const PAGE_SIZE = 1000;
/** Records that one script puts in the orders. */
const REBUILT_AT_ONCE = 100;
/** Attempts: another write or rebuild may come between. */
const MAX_REBUILDS = 2;
/** A command unanswered for so long has the next ones fail unsent: each write would put off node-redis' socketTimeout. */
const SILENT_MS = 2000;

/**
 * Settings in Redis: one JSON string a key (`<prefix>key:<apiKey>`), a sorted set of all keys (`<prefix>keys`) and one for
 * each order (`<prefix>by:name`, …), which are made anew where they lack keys, and a channel that announces changes
 * (`<prefix>changes`).
 */
export class RedisStore implements WritableSettingsStore {
  /** Counts limits together: a hash a key and day (`<prefix>spent:<day>:<apiKey>`), a field a process. */
  readonly limits: LimitStore = { intervalMs: 100, exchange: (rows) => this.#exchange(rows) };
  /** Usage is kept in a hash of each key, hour and process (`<prefix>usage:<apiKey>:<hour>:<instance>`). */
  readonly usage: UsageStore;
  /** The last 100,000 events: a stream (`<prefix>audit`), and a sorted set that finds them (`<prefix>audit:order`). */
  readonly audit: RedisAudit;
  readonly #client: NodeRedisClient | IoRedisClient;
  readonly #prefix: string;
  readonly #logger: Logger;
  /** When each command that has no answer yet was sent, the oldest first. */
  readonly #unanswered = new Set<{ readonly sentAt: number }>();

  /** @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` when `client` is of neither library, or an option is wrong. */
  constructor(options: RedisStoreOptions) {
    const checked = checkOptions('RedisStore(options)', RULES, options) as Required<RedisStoreOptions>;
    const { client, prefix, logger } = checked;
    this.#client = client;
    this.#prefix = prefix;
    this.usage = new RedisUsage((script, keys, args) => this.#eval(script, keys, args), prefix);
    this.#logger = quiet(logger);
    this.audit = new RedisAudit(prefix, (script, keys, args) => this.#eval(script, keys, args));
    // Without a listener a connection error would end the process; the commands that fail report it.
    client.on('error', () => undefined);
  }

  /** The options that the client lacks to detect a dead connection. */
  init(): void {
    const advice = isNodeRedis(this.#client) ? adviceForNodeRedis(this.#client) : adviceForIoRedis(this.#client);
    if (advice === undefined) return;
    this.#logger.error({ write: advice }, 'RedisStore: if packets get lost, this client waits for minutes');
  }

  async get(apiKey: string): Promise<KeySettings | undefined> {
    return parseStored(await this.#read(apiKey));
  }

  async set(settings: KeySettingsInput, expectedVersion?: number, event?: AuditEvent): Promise<KeySettings> {
    const { apiKey } = settings;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const before = await this.#read(apiKey);
      const written = settingsToWrite(readableRecord(before), settings, expectedVersion, event?.at);
      const kept = event && { ...event, version: written.version };
      if (await this.#replace(apiKey, before, JSON.stringify(written), kept)) return written;
    }
    throw tooBusy();
  }

  async delete(apiKey: string, expectedVersion?: number, event?: AuditEvent): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const before = await this.#read(apiKey);
      assertFresh(readableRecord(before), expectedVersion);
      if (before === undefined) return false;
      if (await this.#replace(apiKey, before, '', event)) return true;
    }
    throw tooBusy();
  }

  async list(query: KeyQuery = {}): Promise<readonly KeySettings[]> {
    checkKeyQuery(query);
    const { limit = Infinity } = query;
    const found: KeySettings[] = [];
    for (let from = beginningOf(query); from !== '' && found.length < limit;) {
      const [next, members] = await this.#find(query, from, Math.min(PAGE_SIZE, limit - found.length));
      const records = await this.#readAll(members.map(apiKeyOfMember));
      found.push(...records.map(readableRecord).filter((settings) => settings !== undefined));
      from = next;
    }
    return found;
  }

  /** Where to go on, `''` at the end, and the members of the order that were found so far. */
  async #find(query: KeyQuery, from: string, limit: number): Promise<readonly [next: string, members: string[]]> {
    const { sort = 'key', descending = false, search = '', state = '' } = query;
    const wanted = search.trim().toWellFormed();
    const flag = state === '' ? '' : state === 'enabled' ? '1' : '0';
    const args = [from, descending ? '1' : '0', String(limit), wanted, foldName(wanted), flag, String(MIN_SUFFIX)];
    for (let rebuilds = 0; ; rebuilds++) {
      const isLast = rebuilds === MAX_REBUILDS;
      const order = isPlain(query) ? 'keys' : `by:${sort}`;
      const keys = [this.#name(order), this.#name('keys')];
      const answer = await this.#eval(FIND, keys, [...args, isLast ? '1' : '0']);
      if (Array.isArray(answer)) return answer as unknown as readonly [string, string[]];
      await this.#rebuild();
    }
  }

  /** Puts all keys in order, where an order lacks keys: they were written by other means, or before there were any. */
  async #rebuild(): Promise<void> {
    const all = this.#name('keys');
    const orders = this.#orders();
    await this.#eval("return redis.call('DEL', unpack(KEYS))", orders, []);
    for (let last = ''; ;) {
      const page = (await this.#eval(PAGE, [all], [last, String(REBUILT_AT_ONCE)])) as string[];
      if (page.length === 0) return;
      const records = await this.#readAll(page);
      const names = page.map((apiKey) => this.#name(`key:${apiKey}`));
      const args = page.flatMap((apiKey, at) => [records[at] ?? '', ...membersOf(apiKey, records[at])]);
      await this.#eval(REBUILD, [all, ...orders, ...names], args);
      last = page.at(-1)!;
    }
  }

  #readAll(apiKeys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return Promise.all(
      apiKeys.map((apiKey) =>
        this.#read(apiKey).catch((error: unknown) => {
          if (error instanceof RpcGuardError && error.code === 'ERR_RPC_GUARD_SETTINGS') return undefined;
          throw error;
        }),
      ),
    );
  }

  #orders(): string[] {
    return SORTS.map((sort) => this.#name(`by:${sort}`));
  }

  /** Takes a connection of its own, a duplicate of the client. */
  subscribe(onChange: (apiKey?: string) => void): () => void {
    const channel = this.#name('changes');
    return isNodeRedis(this.#client)
      ? subscribeNodeRedis(this.#client, channel, onChange)
      : subscribeIoRedis(this.#client, channel, onChange);
  }

  async #read(apiKey: string): Promise<string | undefined> {
    try {
      const text = await this.#send(() => this.#client.get(this.#name(`key:${apiKey}`)));
      return typeof text === 'string' ? text : undefined;
    } catch (error) {
      if (!String(error).includes('WRONGTYPE')) throw error;
      throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'the stored record is not a string');
    }
  }

  async #replace(
    apiKey: string,
    before: string | undefined,
    after: string,
    event: AuditEvent | undefined,
  ): Promise<boolean> {
    const keys = [this.#name(`key:${apiKey}`), this.#name('keys'), ...this.#orders(), ...this.audit.keys];
    const [gone, come] = [membersOf(apiKey, before), after === '' ? SORTS.map(() => '') : membersOf(apiKey, after)];
    const args = [
      apiKey,
      before ?? '',
      after,
      this.#name('changes'),
      ...gone,
      ...come,
      ...(event === undefined ? [] : keptAs(event)),
    ];
    return (await this.#eval(REPLACE, keys, args)) === 1;
  }

  async #exchange(rows: readonly SpentRow[]): Promise<readonly SpentRow[]> {
    const instance = rows[0]?.instance ?? '';
    const keys = rows.map(({ day, apiKey, secretId }) =>
      this.#name(`spent:${day}:${apiKey}${secretId === undefined ? '' : `:${secretId}`}`),
    );
    const values = rows.map(({ credits, level, at }) =>
      instance === '' ? '' : JSON.stringify({ credits, level, at }),
    );
    const hashes = (await this.#eval(EXCHANGE, keys, [instance, ...values])) as readonly (readonly string[])[];
    return hashes.flatMap((hash, n) => othersIn(hash, rows[n]!));
  }

  #eval(script: string, keys: string[], args: string[]): Promise<unknown> {
    const client = this.#client;
    return this.#send(() =>
      isNodeRedis(client)
        ? client.eval(script, { keys, arguments: args })
        : client.eval(script, keys.length, ...keys, ...args),
    );
  }

  async #send<T>(command: () => Promise<T>): Promise<T> {
    const [oldest] = this.#unanswered;
    const now = performance.now();
    if (oldest !== undefined && now - oldest.sentAt > SILENT_MS) {
      throw new RpcGuardError('ERR_RPC_GUARD_STORE', `Redis has not answered for ${String(SILENT_MS)} ms`);
    }
    const sent = { sentAt: now };
    this.#unanswered.add(sent);
    try {
      return await command();
    } finally {
      this.#unanswered.delete(sent);
    }
  }

  #name(rest: string): string {
    return this.#prefix + rest;
  }
}

/** A hash as Redis returns it: fields and values by turns. */
function othersIn(hash: readonly string[], asked: SpentRow): readonly SpentRow[] {
  const rows: SpentRow[] = [];
  for (let n = 0; n + 1 < hash.length; n += 2) {
    const [instance, value] = [String(hash[n]), String(hash[n + 1])];
    if (instance !== asked.instance) rows.push({ ...whatOf(asked), instance, ...(JSON.parse(value) as Spent) });
  }
  return rows;
}

function isNodeRedis(client: NodeRedisClient | IoRedisClient): client is NodeRedisClient {
  return typeof (client as Partial<NodeRedisClient> | undefined)?.isOpen === 'boolean';
}

function adviceForNodeRedis({ options }: NodeRedisClient): string | undefined {
  if (options === undefined || options.socket?.path !== undefined) return undefined;
  if ((options.pingInterval ?? 0) > 0 && (options.socket?.socketTimeout ?? 0) > 0) return undefined;
  return 'createClient({ …, pingInterval: 1000, socket: { connectTimeout: 2000, socketTimeout: 2000, reconnectStrategy: 500 } })';
}

function adviceForIoRedis({ options }: IoRedisClient): string | undefined {
  // A path is null where there is none.
  if (options === undefined || typeof options.path === 'string' || (options.socketTimeout ?? 0) > 0) return undefined;
  return 'new Redis({ …, connectTimeout: 2000, socketTimeout: 2000 })';
}

/** Each connection, the first and every later one, may have missed changes: everything is to be looked at again. */
function subscribeNodeRedis(client: NodeRedisClient, channel: string, onChange: (apiKey?: string) => void): () => void {
  let subscriber = listenNodeRedis(client, channel, onChange);
  const endWatch = watchForLife(
    // A connection that hangs while connecting is as silent as a dead one.
    () => (subscriber.isReady ? subscriber.ping() : new Promise(() => undefined)),
    () => {
      destroy(subscriber);
      subscriber = listenNodeRedis(client, channel, onChange);
    },
  );
  return () => {
    endWatch();
    destroy(subscriber);
  };
}

function listenNodeRedis(
  client: NodeRedisClient,
  channel: string,
  onChange: (apiKey?: string) => void,
): NodeRedisSubscriber {
  const subscriber = client.duplicate();
  const announce = (apiKey: string): void => {
    onChange(apiKey);
  };
  subscriber.on('error', () => undefined);
  subscriber.on('ready', () => {
    subscriber.subscribe(channel, announce).then(
      () => {
        onChange();
      },
      () => undefined,
    );
  });
  subscriber.connect().catch(() => undefined);
  return subscriber;
}

function destroy(subscriber: NodeRedisSubscriber): void {
  // Destroying a closed client throws.
  if (subscriber.isOpen) subscriber.destroy();
}

function subscribeIoRedis(client: IoRedisClient, channel: string, onChange: (apiKey?: string) => void): () => void {
  const subscriber = client.duplicate();
  subscriber.on('error', () => undefined);
  subscriber.on('message', (_channel, apiKey) => {
    onChange(String(apiKey));
  });
  subscriber.on('ready', () => {
    subscriber.subscribe(channel).then(
      () => {
        onChange();
      },
      () => undefined,
    );
  });
  if (subscriber.status === 'wait') subscriber.connect().catch(() => undefined);
  const endWatch = watchForLife(
    () => (subscriber.status === 'ready' ? subscriber.ping() : Promise.resolve()),
    () => {
      if (subscriber.status === 'ready') subscriber.disconnect(true);
    },
  );
  return () => {
    endWatch();
    subscriber.disconnect();
  };
}
