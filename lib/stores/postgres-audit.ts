import { idAt } from './audit-event';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

export interface PostgresAuditOptions {
  readonly pool: Queryable;
  /** Quoted, with its schema. */
  readonly table: string;
  /** Days that events are kept. */
  readonly days: number;
  /** Of the advisory lock under which tables are created. */
  readonly lockId: number;
  /** In milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const INDEXES = {
  by_key: 'api_key, id text_pattern_ops, actor, action',
  by_actor: 'actor, id text_pattern_ops, action, api_key',
  by_action: 'action, id text_pattern_ops, actor, api_key',
} as const;
const COLUMNS = 'id, api_key, actor, action, event';

/** Events in a table, a row each, which is created on first use. */
export class PostgresAudit implements AuditStore {
  readonly isKeptWithChange = true;
  readonly #options: PostgresAuditOptions;
  #created: Promise<unknown> | undefined;
  #sweptOn = 0;

  constructor(options: PostgresAuditOptions) {
    this.#options = options;
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    await this.isReady();
    const rows = events.map(valuesOf);
    const columns = [0, 1, 2, 3, 4].map((at) => rows.map((row) => row[at]));
    await this.#options.pool.query(
      `INSERT INTO ${this.#options.table} (${COLUMNS})
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT (id) DO NOTHING`,
      columns,
    );
  }

  async list({ apiKey, actor, action, before, limit }: AuditQuery): Promise<readonly AuditEvent[]> {
    await this.isReady();
    const values: unknown[] = [limit];
    const where: string[] = [];
    const ask = (column: string, operator: string, value: string | undefined): void => {
      if (value !== undefined) where.push(`${column} ${operator} $${String(values.push(storable(value)))}::text`);
    };
    ask('api_key', '=', apiKey);
    ask('actor', '=', actor);
    ask('action', '=', action);
    const isAll = where.length === 0;
    ask('id', isAll ? '<' : '~<~', before);
    const filter = where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`;
    // The same order, and one that the primary key does not offer: the planner would read all rows by it where half of
    // them are of an actor, half of an action, and none of both.
    const order = isAll ? 'DESC' : 'USING ~>~';
    const text = `SELECT event FROM ${this.#options.table} ${filter} ORDER BY id ${order} LIMIT $1`;
    const { rows } = await this.#options.pool.query(text, values);
    return rows.map(({ event }) => JSON.parse(String(event)) as AuditEvent);
  }

  /** Inserts an event for a row of `changed`, of parameters that begin behind so many; for a `WITH` of the change itself. */
  insertBehind(count: number): string {
    const parameters = [1, 2, 3, 4, 5].map((n) => `$${String(count + n)}::text`).join(', ');
    return `INSERT INTO ${this.#options.table} (${COLUMNS}) SELECT ${parameters} FROM changed`;
  }

  /** Resolves when the table is there. Once a day, what is too old goes. */
  async isReady(): Promise<void> {
    this.#created ??= this.#create().catch((error: unknown) => {
      this.#created = undefined;
      throw error;
    });
    await this.#created;
    const { pool, table, days, now = Date.now } = this.#options;
    const today = Math.floor(now() / DAY_MS);
    if (today <= this.#sweptOn) return;
    this.#sweptOn = today;
    pool.query(`DELETE FROM ${table} WHERE id < $1`, [idAt(now() - days * DAY_MS)]).catch(() => undefined);
  }

  async #create(): Promise<void> {
    const { pool, table, lockId } = this.#options;
    const { rows } = await pool.query('SELECT to_regclass($1) IS NOT NULL AS exists', [table]);
    if (rows[0]?.['exists'] === true) return;
    await pool.query(`
      SELECT pg_advisory_xact_lock(${String(lockId)});
      CREATE TABLE IF NOT EXISTS ${table} (
        id text COLLATE "C" PRIMARY KEY,
        api_key text COLLATE "C" NOT NULL,
        actor text COLLATE "C" NOT NULL,
        action text COLLATE "C" NOT NULL,
        event text NOT NULL
      );
      ${createIndexes(table)}`);
  }
}

/** Each has all that queries ask of: what does not match is passed over without reading its row. */
function createIndexes(table: string): string {
  const name = table.split('"').at(-2)!;
  return Object.entries(INDEXES)
    .map(([by, columns]) => `CREATE INDEX IF NOT EXISTS "${name}_${by}" ON ${table} (${columns});`)
    .join('\n');
}

/** In the order of the columns. */
export function valuesOf(event: AuditEvent): readonly string[] {
  const { id, apiKey, actor, action } = event;
  return [id, apiKey, storable(actor), action, JSON.stringify(event)];
}

/** PostgreSQL takes no NUL, and no half of a pair, in a text. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}
