import { sumOfDay } from './usage-rows';
import { DAY_INSTANCE, firstDayKept } from './usage-store';
import type { UsageKind, UsageQuery, UsageRow, UsageStore } from './usage-store';

interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

interface Pool extends Queryable {
  connect(): Promise<Queryable & { release(destroy?: boolean): void }>;
}

export interface PostgresUsageOptions {
  readonly pool: Pool;
  /** As it stands in statements, with its quotes. */
  readonly table: string;
  /** Of the advisory lock under which tables are created. */
  readonly lockId: number;
}

const COLUMNS: readonly (readonly [name: string, type: string, of: (row: UsageRow) => unknown])[] = [
  ['api_key', 'text', ({ apiKey }) => apiKey],
  ['hour', 'text', ({ hour }) => hour],
  ['instance', 'text', ({ instance }) => instance],
  ['kind', 'text', ({ kind }) => kind],
  ['name', 'text', ({ name }) => name.replaceAll('\0', '\ufffd')],
  ['outcome', 'text', ({ outcome }) => outcome],
  ['calls', 'float8', ({ calls }) => calls],
  ['credits', 'float8', ({ credits }) => credits],
  ['bytes_in', 'float8', ({ bytesIn }) => bytesIn],
  ['bytes_out', 'float8', ({ bytesOut }) => bytesOut],
  ['upstream_errors', 'float8', ({ upstreamErrors }) => upstreamErrors],
  ['last_at', 'float8', ({ lastAt }) => lastAt],
  ['requests', 'float8', ({ requests }) => requests ?? null],
  ['peak', 'float8', ({ peak }) => peak ?? null],
  ['milliseconds', 'text', ({ milliseconds }) => milliseconds?.join(' ') ?? null],
  ['detail', 'text', ({ detail }) => (detail === undefined ? null : JSON.stringify(detail))],
];
const NAMES = COLUMNS.map(([name]) => name);
const ID = NAMES.slice(0, 6);
const GIVEN = `unnest(${COLUMNS.map(([, type], n) => `$${String(n + 1)}::${type}[]`).join(', ')}) AS given (${NAMES.join(', ')})`;
const MAX_ROWS = 5000;
const KEYS_AT_ONCE = 100;

type Range = Omit<UsageQuery, 'apiKey'>;

/** Rows in a table, and the number of each process's last write in another; both are created with the first rows. */
export class PostgresUsage implements UsageStore {
  readonly #options: PostgresUsageOptions;
  #isReady: Promise<unknown> | undefined;

  constructor(options: PostgresUsageOptions) {
    this.#options = options;
  }

  async write(rows: readonly UsageRow[], sequence = 0): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    await this.#start();
    await this.#inTransaction(async (client) => {
      // Of two writes of a process the later one waits here, and sees afterwards what the other has written.
      const { rows: turns } = await client.query(
        `INSERT INTO ${this.#writes} AS last (instance, sequence, hour) VALUES ($1, $2, $3)
         ON CONFLICT (instance) DO UPDATE SET sequence = EXCLUDED.sequence, hour = EXCLUDED.hour
         WHERE last.sequence <= EXCLUDED.sequence RETURNING 1`,
        [first.instance, sequence, first.hour],
      );
      if (turns.length > 0) await this.#put(client, rows);
    });
  }

  async read(query: UsageQuery): Promise<readonly UsageRow[]> {
    await this.#start();
    return this.#find(this.#options.pool, query, query.apiKey === undefined ? null : [query.apiKey]);
  }

  async roll(before: string): Promise<void> {
    await this.#start();
    const { pool, table } = this.#options;
    const { rows } = await pool.query(
      `SELECT DISTINCT left(hour, 10) AS day FROM ${table} WHERE hour < $1 AND instance <> $2 ORDER BY 1`,
      [before, DAY_INSTANCE],
    );
    for (const { day } of rows) if (!(await this.#rollDay(String(day)))) return;
    await pool.query(`DELETE FROM ${table} WHERE hour < $1`, [firstDayKept(before)]);
    await pool.query(`DELETE FROM ${this.#writes} WHERE hour < $1`, [before]);
  }

  /** One transaction a day. @returns whether this process has the lock. */
  async #rollDay(day: string): Promise<boolean> {
    const { table, lockId } = this.#options;
    return this.#inTransaction(async (client) => {
      const { rows } = await client.query('SELECT pg_try_advisory_xact_lock($1) AS held', [lockId + 1]);
      const isHeld = rows[0]?.['held'] === true;
      if (isHeld) {
        const [from, to] = [`${day}T00:00:00Z`, `${day}T99`];
        const values = [from, to, DAY_INSTANCE];
        const ofHours = `FROM ${table} WHERE hour >= $1 AND hour < $2 AND instance <> $3`;
        const { rows: due } = await client.query(`SELECT DISTINCT api_key ${ofHours}`, values);
        const apiKeys = due.map((row) => String(row['api_key']));
        for (let at = 0; at < apiKeys.length; at += KEYS_AT_ONCE) {
          await this.#sumUp(client, { from, to }, apiKeys.slice(at, at + KEYS_AT_ONCE));
        }
        await client.query(`DELETE ${ofHours}`, values);
      }
      return isHeld;
    });
  }

  /** A day of some keys: all of them may be more than fits into memory. What comes late for a day changes nothing. */
  async #sumUp(client: Queryable, range: Range, apiKeys: readonly string[]): Promise<void> {
    const all = await this.#find(client, range, apiKeys);
    const rolled = new Set(all.filter(({ instance }) => instance === DAY_INSTANCE).map(({ apiKey }) => apiKey));
    await this.#put(client, sumOfDay(all.filter(({ apiKey }) => !rolled.has(apiKey))));
  }

  async #inTransaction<T>(work: (client: Queryable) => Promise<T>): Promise<T> {
    const client = await this.#options.pool.connect();
    let hasFailed = true;
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      hasFailed = false;
      return result;
    } finally {
      // A connection that is given up rolls its transaction back.
      client.release(hasFailed);
    }
  }

  async #put(client: Queryable, rows: readonly UsageRow[]): Promise<void> {
    const { table } = this.#options;
    for (let at = 0; at < rows.length; at += MAX_ROWS) {
      const some = rows.slice(at, at + MAX_ROWS);
      const values = COLUMNS.map(([, , of]) => some.map(of));
      const counted = NAMES.slice(ID.length).map((name) => `${name} = EXCLUDED.${name}`);
      const removed = ID.map((name) => `old.${name} = given.${name}`).join(' AND ');
      if (some.some(({ calls }) => calls === 0)) {
        await client.query(`DELETE FROM ${table} AS old USING ${GIVEN} WHERE given.calls = 0 AND ${removed}`, values);
      }
      await client.query(
        `INSERT INTO ${table} (${NAMES.join(', ')}) SELECT * FROM ${GIVEN} WHERE calls > 0
         ON CONFLICT (${ID.join(', ')}) DO UPDATE SET ${counted.join(', ')}`,
        values,
      );
    }
  }

  /** `apiKeys`: `null` for all. */
  async #find(
    client: Queryable,
    { from, to, kinds }: Range,
    apiKeys: readonly string[] | null,
  ): Promise<readonly UsageRow[]> {
    const { rows } = await client.query(
      `SELECT ${NAMES.join(', ')} FROM ${this.#options.table}
       WHERE hour >= $1 AND hour < $2 AND ($3::text[] IS NULL OR api_key = ANY ($3)) AND ($4::text[] IS NULL OR kind = ANY ($4))`,
      [from, to, apiKeys, kinds ?? null],
    );
    return rows.map(rowOf);
  }

  /** The table with the number of each process's last write. */
  get #writes(): string {
    return this.#options.table.replace(/"$/, '_writes"');
  }

  #start(): Promise<unknown> {
    this.#isReady ??= this.#create().catch((error: unknown) => {
      this.#isReady = undefined;
      throw error;
    });
    return this.#isReady;
  }

  async #create(): Promise<void> {
    const { pool, table, lockId } = this.#options;
    const { rows } = await pool.query('SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL AS exists', [
      table,
      this.#writes,
    ]);
    if (rows[0]?.['exists'] === true) return;
    const columns = COLUMNS.map(([name, type], n) => {
      const isText = type === 'text' ? ' COLLATE "C"' : '';
      return `${name} ${type}${isText}${n < 12 ? ' NOT NULL' : ''}`;
    });
    const name = table.split('"').at(-2)!;
    await pool.query(`
      SELECT pg_advisory_xact_lock(${String(lockId)});
      CREATE TABLE IF NOT EXISTS ${table} (${columns.join(', ')}, PRIMARY KEY (${ID.join(', ')}));
      CREATE INDEX IF NOT EXISTS "${name}_by_hour" ON ${table} (hour, kind);
      CREATE TABLE IF NOT EXISTS ${this.#writes} (
        instance text PRIMARY KEY, sequence float8 NOT NULL, hour text COLLATE "C" NOT NULL
      );`);
  }
}

function rowOf(found: Record<string, unknown>): UsageRow {
  const text = (name: string): string => String(found[name]);
  const number = (name: string): number => Number(found[name]);
  const [requests, milliseconds, detail] = [found['requests'], found['milliseconds'], found['detail']];
  return {
    apiKey: text('api_key'),
    hour: text('hour'),
    instance: text('instance'),
    kind: text('kind') as UsageKind,
    name: text('name'),
    outcome: text('outcome'),
    calls: number('calls'),
    credits: number('credits'),
    bytesIn: number('bytes_in'),
    bytesOut: number('bytes_out'),
    upstreamErrors: number('upstream_errors'),
    lastAt: number('last_at'),
    ...(requests !== null && { requests: Number(requests), peak: number('peak') }),
    ...(milliseconds !== null && { milliseconds: text('milliseconds').split(' ').map(Number) }),
    ...(detail !== null && { detail: JSON.parse(text('detail')) as NonNullable<UsageRow['detail']> }),
  };
}
