import { randomBytes } from 'node:crypto';
import { sumOfDay } from './usage-rows';
import { DAYS_KEPT, DAY_INSTANCE, beginningOfDay, firstDayKept } from './usage-store';
import type { UsageQuery, UsageRow, UsageStore } from './usage-store';
import { fieldOf, rowOf, valueOf } from './usage-values';

type Evaluate = (script: string, keys: string[], args: string[]) => Promise<unknown>;

/** A hash of one key, hour and process. */
interface Place {
  readonly apiKey: string;
  readonly hour: string;
  readonly instance: string;
}

/** The field with the number of the last write: one with a smaller number comes late. */
const SEQUENCE = '(sequence)';

/** Sets fields of a hash, removes those without a value, and keeps both indexes. */
const WRITE = `
if tonumber(redis.call('HGET', KEYS[1], '${SEQUENCE}') or 0) > tonumber(ARGV[4]) then return end
redis.call('HSET', KEYS[1], '${SEQUENCE}', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[1])
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
if redis.call('HLEN', KEYS[1]) > 1 then
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
  redis.call('ZADD', KEYS[3], 0, ARGV[3])
  redis.call('EXPIRE', KEYS[2], ${String((DAYS_KEPT + 1) * 86_400)})
else
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[3])
end`;

const RANGE = `return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', ARGV[3], ARGV[4])`;

/** The fields of hashes that are of the kinds asked for; all where none are named. */
const READ = `
local wanted = {}
for i = 1, #ARGV do wanted[ARGV[i]] = true end
local found = {}
for i = 1, #KEYS do
  local all = redis.call('HGETALL', KEYS[i])
  local some = {}
  for n = 1, #all, 2 do
    local kind = string.match(all[n], '^%a+')
    if kind and (#ARGV == 0 or wanted[kind]) then
      some[#some + 1] = all[n]
      some[#some + 1] = all[n + 1]
    end
  end
  found[i] = some
end
return found`;

/** Puts a day in the place of its hours, unless another has done so; all or nothing. */
const ROLL = `
local hours = tonumber(ARGV[3])
for i = 1, hours do
  if not redis.call('ZSCORE', KEYS[2], ARGV[3 + i]) then return 0 end
end
for i = 4 + 2 * hours, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('EXPIRE', KEYS[3], ${String((DAYS_KEPT + 1) * 86_400)})
  redis.call('ZADD', KEYS[1], 0, ARGV[2])
  redis.call('ZADD', KEYS[4], 0, ARGV[1])
end
for i = 1, hours do
  redis.call('ZREM', KEYS[2], ARGV[3 + i])
  redis.call('ZREM', KEYS[1], ARGV[3 + hours + i])
  redis.call('UNLINK', KEYS[4 + i])
end
return 1`;

const FORGET = `
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[3], ARGV[2])`;

const LOCK = `return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0`;
const UNLOCK = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end`;

const HOUR_SECONDS = 8 * 86_400;
const LOCK_MS = 10 * 60_000;
const READ_AT_ONCE = 200;
const PAGE = 5000;

/**
 * Rows in Redis: a hash of each key, hour and process (`<prefix>usage:<apiKey>:<hour>:<instance>`) with a field a row,
 * and indexes of them: of a key (`<prefix>usage:<apiKey>`), of all hours and of all days.
 */
export class RedisUsage implements UsageStore {
  readonly #eval: Evaluate;
  readonly #prefix: string;

  constructor(evaluate: Evaluate, prefix: string) {
    this.#eval = evaluate;
    this.#prefix = `${prefix}usage:`;
  }

  async write(rows: readonly UsageRow[], sequence = 0): Promise<void> {
    const hashes = new Map<string, UsageRow[]>();
    for (const row of rows) {
      const hash = hashes.get(memberOf(row));
      if (hash === undefined) hashes.set(memberOf(row), [row]);
      else hash.push(row);
    }
    await Promise.all(
      [...hashes.values()].map((hash) => {
        const [first] = hash;
        const keys = [this.#hash(first!), this.#ofKey(first!), this.#ofAll(first!)];
        const ttl = String(first!.instance === DAY_INSTANCE ? (DAYS_KEPT + 1) * 86_400 : HOUR_SECONDS);
        const args = [ttl, inKey(first!), memberOf(first!), String(sequence)];
        return this.#eval(WRITE, keys, [...args, ...hash.flatMap((row) => [fieldOf(row), valueOf(row)])]);
      }),
    );
  }

  async read({ apiKey, from, to, kinds = [] }: UsageQuery): Promise<readonly UsageRow[]> {
    if (apiKey === undefined) {
      const members = [...(await this.#members('(hours)', from, to)), ...(await this.#members('(days)', from, to))];
      return this.#readAll(members.map(placeOf), kinds);
    }
    const members = await this.#members(apiKey, from, to);
    return this.#readAll(
      members.map((member) => {
        const [hour = '', instance = ''] = member.split(' ');
        return { apiKey, hour, instance };
      }),
      kinds,
    );
  }

  async roll(before: string): Promise<void> {
    const token = randomBytes(8).toString('hex');
    const lock = `${this.#prefix}lock`;
    if ((await this.#eval(LOCK, [lock], [token, String(LOCK_MS)])) !== 1) return;
    try {
      const days = new Map<string, Place[]>();
      for (const member of await this.#members('(hours)', '', before)) {
        const place = placeOf(member);
        const id = `${place.apiKey} ${beginningOfDay(place.hour)}`;
        days.set(id, [...(days.get(id) ?? []), place]);
      }
      for (const places of days.values()) await this.#rollDay(places);
      for (const member of await this.#members('(days)', '', firstDayKept(before))) {
        const place = placeOf(member);
        await this.#eval(FORGET, [this.#hash(place), this.#ofKey(place), this.#ofAll(place)], [inKey(place), member]);
      }
    } finally {
      await this.#eval(UNLOCK, [lock], [token]);
    }
  }

  async #rollDay(places: readonly Place[]): Promise<void> {
    const { apiKey, hour } = places[0]!;
    const day: Place = { apiKey, hour: beginningOfDay(hour), instance: DAY_INSTANCE };
    const isRolled = (await this.#readPlaces([day], [])).length > 0;
    const rows = isRolled ? [] : sumOfDay(await this.#readAll(places));
    const keys = [this.#ofKey(day), `${this.#prefix}(hours)`, this.#hash(day), this.#ofAll(day)];
    const args = [memberOf(day), inKey(day), String(places.length), ...places.map(memberOf), ...places.map(inKey)];
    const fields = rows.flatMap((row) => [fieldOf(row), valueOf(row)]);
    await this.#eval(ROLL, [...keys, ...places.map((place) => this.#hash(place))], [...args, ...fields]);
  }

  async #readAll(places: readonly Place[], kinds: readonly string[] = []): Promise<readonly UsageRow[]> {
    const rows: UsageRow[] = [];
    for (let at = 0; at < places.length; at += READ_AT_ONCE) {
      rows.push(...(await this.#readPlaces(places.slice(at, at + READ_AT_ONCE), kinds)));
    }
    return rows;
  }

  async #readPlaces(places: readonly Place[], kinds: readonly string[]): Promise<readonly UsageRow[]> {
    const keys = places.map((place) => this.#hash(place));
    const hashes = (await this.#eval(READ, keys, [...kinds])) as readonly (readonly string[])[];
    return hashes.flatMap((hash, n) => {
      const rows: UsageRow[] = [];
      for (let at = 0; at + 1 < hash.length; at += 2) {
        rows.push(rowOf(places[n]!, String(hash[at]), String(hash[at + 1])));
      }
      return rows;
    });
  }

  /** Members of an index whose hour is in a range. */
  async #members(index: string, from: string, to: string): Promise<readonly string[]> {
    const members: string[] = [];
    for (;;) {
      const range = [from === '' ? '-' : `[${from}`, `(${to}`, String(members.length), String(PAGE)];
      const page = (await this.#eval(RANGE, [this.#prefix + index], range)) as readonly string[];
      members.push(...page);
      if (page.length < PAGE) return members;
    }
  }

  #hash({ apiKey, hour, instance }: Place): string {
    return `${this.#prefix}${apiKey}:${hour}:${instance}`;
  }

  #ofKey({ apiKey }: Place): string {
    return this.#prefix + apiKey;
  }

  #ofAll({ instance }: Place): string {
    return this.#prefix + (instance === DAY_INSTANCE ? '(days)' : '(hours)');
  }
}

/** Begins with the hour: that is what indexes are in the order of. */
function memberOf({ apiKey, hour, instance }: Place): string {
  return `${hour} ${apiKey} ${instance}`;
}

function inKey({ hour, instance }: Place): string {
  return `${hour} ${instance}`;
}

function placeOf(member: string): Place {
  const [hour = '', apiKey = '', instance = ''] = member.split(' ');
  return { hour, apiKey, instance };
}
