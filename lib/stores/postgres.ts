import { quiet } from '../logger';
import type { Logger } from '../logger';
import { LOGGER_RULE, checkOptions, hasMethods, isWhole } from '../option-rules';
import type { OptionRule, OptionRules } from '../option-rules';
import type { KeySettings, KeySettingsInput } from '../settings/key-settings';
import type { AuditEvent } from './audit-store';
import { PostgresAudit, valuesOf } from './postgres-audit';
import { MIN_SUFFIX, SORTED_BY, checkKeyQuery, cursorAt, foldName, readCursor } from './key-query';
import type { KeyQuery, WritableSettingsStore } from './settings-store';
import type { LimitStore, SpentRow } from './limit-store';
import { whatOf } from './spent-rows';
import { PostgresUsage } from './postgres-usage';
import { watchForLife } from './sign-of-life';
import type { UsageStore } from './usage-store';
import { UNKNOWN_TIME, parseStored, readableRecord } from './stored-record';
import { MAX_ATTEMPTS, assertFresh, settingsToWrite, tooBusy } from './versioned-write';

interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

interface PostgresClient extends Queryable {
  on(event: string, listener: (...args: never[]) => void): unknown;
  release(destroy?: boolean): void;
}

/** A `Pool` of `pg` 8. */
export interface PostgresPool extends Queryable {
  readonly options?: PostgresPoolOptions;
  connect(): Promise<PostgresClient>;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** Those that decide how long a dead connection is waited on. */
interface PostgresPoolOptions {
  readonly host?: string | undefined;
  readonly query_timeout?: number | false | undefined;
  readonly connectionTimeoutMillis?: number | undefined;
}

export interface PostgresStoreOptions {
  /** A pool that you made: TLS, authentication, size and its end are yours. One connection is kept for LISTEN. */
  readonly pool: PostgresPool;
  /** Default `rpc_guard_keys`. */
  readonly table?: string;
  /** Default: the first of the connection's `search_path`. */
  readonly schema?: string;
  /** Days that the history of changes is kept. Default 400. */
  readonly auditDays?: number;
  /** Logs when the pool lacks an option that detects a dead connection, which else takes minutes. Default: stderr. */
  readonly logger?: Logger;
}

interface Row {
  readonly version: number;
  readonly settings: unknown;
}

/** Two of them and a dot are the channel's name, which may have 63 bytes. */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,30}$/;
const NAME_RULE: OptionRule = {
  accepts: (value) => typeof value === 'string' && IDENTIFIER.test(value),
  takes: 'a plain name of up to 31 letters, digits and _, such as "rpc_guard_keys"',
};
const RULES: OptionRules<PostgresStoreOptions> = {
  pool: {
    accepts: (value) => hasMethods(value, 'query', 'connect', 'on'),
    takes: 'a pool of pg, such as new Pool()',
    isRequired: true,
  },
  table: { ...NAME_RULE, default: 'rpc_guard_keys' },
  schema: NAME_RULE,
  auditDays: { accepts: isWhole(1, 36_500), takes: 'whole days from 1 to 36500, such as 400', default: 400 },
  logger: LOGGER_RULE,
};
/** Of the transaction-level advisory lock under which instances that start at once create the table. */
const LOCK_ID = 7_241_337;
const RELISTEN_MS = 500;
const DAY_MS = 24 * 60 * 60 * 1000;
/** For a page in any order without reading all. */
const INDEXES = {
  by_name: 'name, created_at, api_key',
  by_created: 'created_at, api_key',
  by_updated: 'updated_at, api_key',
} as const;
/** What a write sets, beside the settings what lists search and sort by. */
const COLUMNS = 'version, settings, name, enabled, created_at, updated_at';
const VALUES = '$4::integer, $5::text, $6::text, $7::boolean, $8::text, $9::text';
const COLUMN_OF = { apiKey: 'api_key', foldedName: 'name', createdAt: 'created_at', updatedAt: 'updated_at' } as const;

/**
 * Settings in PostgreSQL: one row a key in a table that `init` creates where it is missing, and a channel of the
 * table's name that announces changes.
 */
export class PostgresStore implements WritableSettingsStore {
  /** Counts limits together, in the table `<table>_spent`. */
  readonly limits: LimitStore = { intervalMs: 500, exchange: (rows) => this.#exchange(rows) };
  /** Usage is kept in the table `rpc_guard_usage`: the name of `table` with `_usage` in place of `_keys`. */
  readonly usage: UsageStore;
  /** The history of changes, in the table `rpc_guard_audit`; of a `table` without `_keys` at its end, `<table>_audit`. */
  readonly audit: PostgresAudit;
  readonly #pool: PostgresPool;
  readonly #schema: string | undefined;
  readonly #table: string;
  readonly #spent: string;
  #spentIsReady: Promise<unknown> | undefined;
  #sweptOn = '';
  readonly #channel: string;
  readonly #logger: Logger;

  /** @throws RpcGuardError `ERR_RPC_GUARD_OPTIONS` when `pool` is none, or a name is not a plain identifier. */
  constructor(options: PostgresStoreOptions) {
    const checked = checkOptions('PostgresStore(options)', RULES, options) as Required<PostgresStoreOptions>;
    const { pool, table, logger, auditDays } = checked;
    const { schema } = options;
    this.#pool = pool;
    this.#logger = quiet(logger);
    this.#schema = schema;
    this.#table = schema === undefined ? `"${table}"` : `"${schema}"."${table}"`;
    this.#spent = schema === undefined ? `"${table}_spent"` : `"${schema}"."${table}_spent"`;
    const usage = `"${table.replace(/_keys$/, '')}_usage"`;
    const usageTable = schema === undefined ? usage : `"${schema}".${usage}`;
    this.usage = new PostgresUsage({ pool, table: usageTable, lockId: LOCK_ID });
    const auditTable = `${table.replace(/_keys$/, '')}_audit`;
    this.audit = new PostgresAudit({
      pool,
      table: schema === undefined ? `"${auditTable}"` : `"${schema}"."${auditTable}"`,
      days: auditDays,
      lockId: LOCK_ID,
    });
    this.#channel = schema === undefined ? table : `${schema}.${table}`;
    // Without a listener an error of an idle connection would end the process; the queries that fail report it.
    pool.on('error', () => undefined);
  }

  /** Creates the schema and the table where they are missing. Safe when several instances start at once. */
  async init(): Promise<void> {
    const advice = adviceFor(this.#pool);
    if (advice !== undefined) {
      this.#logger.error({ write: advice }, 'PostgresStore: if packets get lost, this pool waits for minutes');
    }
    const { rows } = await this.#pool.query('SELECT to_regclass($1) IS NOT NULL AS exists', [this.#table]);
    if (rows[0]?.['exists'] === true) return;
    const createSchema = await this.#createSchema();
    await this.#pool.query(`
      SELECT pg_advisory_xact_lock(${String(LOCK_ID)});
      ${createSchema}
      CREATE TABLE IF NOT EXISTS ${this.#table} (
        api_key text COLLATE "C" PRIMARY KEY,
        version integer NOT NULL,
        settings text NOT NULL,
        name text COLLATE "C" NOT NULL DEFAULT '',
        enabled boolean NOT NULL DEFAULT true,
        created_at text COLLATE "C" NOT NULL DEFAULT '${UNKNOWN_TIME}',
        updated_at text COLLATE "C" NOT NULL DEFAULT '${UNKNOWN_TIME}'
      );
      ${this.#createIndexes()}`);
  }

  #createIndexes(): string {
    const table = this.#table.split('"').at(-2)!;
    const create = ([name, columns]: readonly [string, string]) =>
      `CREATE INDEX IF NOT EXISTS "${table}_${name}" ON ${this.#table} (${columns});`;
    return Object.entries(INDEXES).map(create).join('\n');
  }

  /** Empty if the schema exists: the role may lack the right to create one. */
  async #createSchema(): Promise<string> {
    if (this.#schema === undefined) return '';
    const { rows } = await this.#pool.query('SELECT to_regnamespace($1) IS NOT NULL AS exists', [`"${this.#schema}"`]);
    return rows[0]?.['exists'] === true ? '' : `CREATE SCHEMA IF NOT EXISTS "${this.#schema}";`;
  }

  async get(apiKey: string): Promise<KeySettings | undefined> {
    return parseStored((await this.#read(apiKey))?.settings);
  }

  async set(settings: KeySettingsInput, expectedVersion?: number, event?: AuditEvent): Promise<KeySettings> {
    const { apiKey } = settings;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const before = await this.#read(apiKey);
      const written = settingsToWrite(readableRecord(before?.settings), settings, expectedVersion, event?.at);
      const statement =
        before === undefined
          ? `INSERT INTO ${this.#table} (api_key, ${COLUMNS})
             SELECT $1, ${VALUES} WHERE $3 = 0 ON CONFLICT (api_key) DO NOTHING`
          : `UPDATE ${this.#table} SET (${COLUMNS}) = ROW(${VALUES}) WHERE api_key = $1 AND version = $3`;
      const { version, name, enabled, createdAt, updatedAt } = written;
      const looked = [foldName(name), enabled, createdAt, updatedAt];
      const values = [apiKey, before?.version ?? 0, version, JSON.stringify(written), ...looked];
      const done = await this.#change(statement, values, event && { ...event, version });
      if (done) return written;
    }
    throw tooBusy();
  }

  async delete(apiKey: string, expectedVersion?: number, event?: AuditEvent): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const before = await this.#read(apiKey);
      assertFresh(readableRecord(before?.settings), expectedVersion);
      if (before === undefined) return false;
      const statement = `DELETE FROM ${this.#table} WHERE api_key = $1 AND version = $3`;
      const done = await this.#change(statement, [apiKey, before.version], event);
      if (done) return true;
    }
    throw tooBusy();
  }

  async list(query: KeyQuery = {}): Promise<readonly KeySettings[]> {
    checkKeyQuery(query);
    const { limit = Infinity } = query;
    const found: KeySettings[] = [];
    for (let { after } = query; found.length < limit;) {
      const size = limit === Infinity ? null : limit - found.length;
      const { text, values } = selection(this.#table, { ...query, after }, size);
      const { rows } = await this.#pool.query(text, values);
      found.push(...rows.map(({ settings }) => readableRecord(settings)).filter((settings) => settings !== undefined));
      const last = rows.at(-1);
      if (size === null || rows.length < size || last === undefined) break;
      after = cursorAt(last, query.sort); // what cannot be read is left out: there may be more
    }
    return found;
  }

  /** Keeps one connection of the pool for LISTEN, and takes another when it is lost. */
  subscribe(onChange: (apiKey?: string) => void): () => void {
    let ended = false;
    let timer: NodeJS.Timeout | undefined;
    let giveBack = (): void => undefined;

    const again = (): void => {
      if (!ended) timer = setTimeout(listen, RELISTEN_MS).unref();
    };
    const listen = (): void => {
      this.#listen(onChange, again).then((release) => {
        giveBack = release;
        if (ended) release();
        else onChange(); // changes may have been missed before it listened
      }, again);
    };

    listen();
    return () => {
      ended = true;
      clearTimeout(timer);
      giveBack();
    };
  }

  async #listen(onChange: (apiKey: string) => void, onLost: () => void): Promise<() => void> {
    const client = await this.#pool.connect();
    let released = false;
    const release = (): void => {
      endWatch();
      if (!released) client.release(true);
      released = true;
    };
    const lose = (): void => {
      if (released) return;
      release();
      onLost();
    };
    const endWatch = watchForLife(() => client.query('SELECT 1'), lose);
    client.on('error', lose);
    client.on('end', lose);
    client.on('notification', ({ payload }: { payload?: string }) => {
      if (payload !== undefined && !released) onChange(payload);
    });
    try {
      await client.query(`LISTEN "${this.#channel}"`);
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  async #exchange(rows: readonly SpentRow[]): Promise<readonly SpentRow[]> {
    this.#spentIsReady ??= this.#createSpent().catch((error: unknown) => {
      this.#spentIsReady = undefined;
      throw error;
    });
    await this.#spentIsReady;
    const instance = rows[0]?.instance ?? '';
    const columns = [
      rows.map(({ apiKey }) => apiKey),
      rows.map(({ secretId = '' }) => secretId.replaceAll('\0', '\ufffd')),
      rows.map(({ day }) => day),
      rows.map(({ credits }) => credits),
      rows.map(({ level }) => level ?? null),
      rows.map(({ at }) => at),
    ];
    const { rows: found } = await this.#pool.query(exchangeIn(this.#spent), [instance, ...columns]);
    // Not before: it would take the connection, and until another is open takes tens of milliseconds.
    this.#sweep(rows[0]?.day ?? '');
    return found.map(({ n, instance: other, credits, level, at }) => ({
      ...whatOf(rows[Number(n) - 1]!),
      instance: String(other),
      credits: Number(credits),
      ...(level !== null && { level: Number(level) }),
      at: Number(at),
    }));
  }

  async #createSpent(): Promise<void> {
    const { rows } = await this.#pool.query('SELECT to_regclass($1) IS NOT NULL AS exists', [this.#spent]);
    if (rows[0]?.['exists'] === true) return;
    await this.#pool.query(`
      SELECT pg_advisory_xact_lock(${String(LOCK_ID)});
      CREATE TABLE IF NOT EXISTS ${this.#spent} (
        api_key text COLLATE "C" NOT NULL,
        secret_id text COLLATE "C" NOT NULL,
        day text COLLATE "C" NOT NULL,
        instance text COLLATE "C" NOT NULL,
        credits double precision NOT NULL,
        level double precision,
        at double precision NOT NULL,
        PRIMARY KEY (api_key, secret_id, day, instance)
      );`);
  }

  /** Deletes rows that are two days old, once a day. */
  #sweep(day: string): void {
    if (day <= this.#sweptOn) return;
    this.#sweptOn = day;
    const old = new Date(Date.parse(day) - 2 * DAY_MS).toISOString().slice(0, 10);
    this.#pool.query(`DELETE FROM ${this.#spent} WHERE day < $1`, [old]).catch(() => undefined);
  }

  async #read(apiKey: string): Promise<Row | undefined> {
    const { rows } = await this.#pool.query(`SELECT version, settings FROM ${this.#table} WHERE api_key = $1`, [
      apiKey,
    ]);
    return rows[0] as Row | undefined;
  }

  /** Runs one change of the row `$1`, announces it, `$2` being the channel, and keeps its event, in one statement. */
  async #change(
    statement: string,
    [apiKey, ...values]: readonly unknown[],
    event: AuditEvent | undefined,
  ): Promise<boolean> {
    const given = [apiKey, this.#channel, ...values];
    if (event !== undefined) await this.audit.isReady();
    const kept = event === undefined ? '' : `, kept AS (${this.audit.insertBehind(given.length)})`;
    const { rows } = await this.#pool.query(
      `WITH changed AS (${statement} RETURNING api_key)${kept} SELECT pg_notify($2, api_key) FROM changed`,
      event === undefined ? given : [...given, ...valuesOf(event)],
    );
    return rows.length > 0;
  }
}

/**
 * Upserts the rows of `$1`, and finds those of the others; what `n` counts is the place among the rows. It does not wait
 * for the disk: what a crash of the server takes is written again with the next row.
 */
function exchangeIn(table: string): string {
  return `
    WITH given AS (
      SELECT t.* FROM set_config('synchronous_commit', 'off', true),
        unnest($2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[])
        WITH ORDINALITY AS t (api_key, secret_id, day, credits, level, at, n)
    ), written AS (
      INSERT INTO ${table} (api_key, secret_id, day, instance, credits, level, at)
      SELECT api_key, secret_id, day, $1, credits, level, at FROM given WHERE $1::text <> ''
      ON CONFLICT (api_key, secret_id, day, instance)
      DO UPDATE SET credits = EXCLUDED.credits, level = EXCLUDED.level, at = EXCLUDED.at
    )
    SELECT given.n, spent.instance, spent.credits, spent.level, spent.at
    FROM given JOIN ${table} AS spent USING (api_key, secret_id, day) WHERE spent.instance <> $1::text`;
}

function adviceFor({ options }: PostgresPool): string | undefined {
  if (options === undefined || options.host?.startsWith('/') === true) return undefined;
  if (Number(options.query_timeout ?? 0) > 0 && (options.connectionTimeoutMillis ?? 0) > 0) return undefined;
  return 'new Pool({ …, query_timeout: 2000, connectionTimeoutMillis: 2000 })';
}

function selection(
  table: string,
  query: KeyQuery,
  limit: number | null,
): { readonly text: string; readonly values: unknown[] } {
  const { search = '', state, descending = false } = query;
  const values: unknown[] = [limit];
  const parameter = (value: unknown): string => `$${String(values.push(value))}`;
  const where: string[] = [];
  const order = SORTED_BY[query.sort ?? 'key'];
  const columns = order.map((member) => COLUMN_OF[member]);
  const start = readCursor(query);
  if (start !== undefined) {
    const place = order.map((member) => `${parameter(start[member])}::text`);
    where.push(`(${columns.join(', ')}) ${descending ? '<' : '>'} (${place.join(', ')})`);
  }
  if (state !== undefined) where.push(`enabled = ${parameter(state === 'enabled')}::boolean`);
  const wanted = search.trim().replaceAll('\0', '\ufffd');
  if (wanted !== '') {
    const key = `${parameter(wanted)}::text`;
    const isEnd = wanted.length >= MIN_SUFFIX ? `OR right(api_key, length(${key})) = ${key}` : '';
    where.push(`(starts_with(api_key, ${key}) OR strpos(name, ${parameter(foldName(wanted))}::text) > 0 ${isEnd})`);
  }
  const filter = where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`;
  const by = columns.map((column) => `${column} ${descending ? 'DESC' : 'ASC'}`).join(', ');
  const place = order.map((member) => `${COLUMN_OF[member]} AS "${member}"`).join(', ');
  const text = `SELECT ${place}, settings FROM ${table} ${filter} ORDER BY ${by} LIMIT $1`;
  return { text, values };
}
