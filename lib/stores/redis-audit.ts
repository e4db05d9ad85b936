import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

const MAX_EVENTS = 100_000;
/** Events that one script appends. */
const APPENDED_AT_ONCE = 100;
/** Events that one script looks at, so that others get their turn. */
const SCANNED_AT_ONCE = 20_000;

/**
 * Lua that appends an event to the stream, and its place to the order: once for all keys and once for its own. What is
 * over 100,000 goes, with its places.
 */
export const KEEP = `
local function places(apiKey, id, entry)
  return '\\n' .. id .. '\\n' .. entry, apiKey .. '\\n' .. id .. '\\n' .. entry
end
local function keep(stream, order, id, apiKey, actor, action, event)
  local first = '[\\n' .. id .. '\\n'
  if redis.call('ZLEXCOUNT', order, first, '(\\n' .. id .. '\\v') > 0 then return end
  local entry = redis.call('XADD', stream, '*', 'id', id, 'apiKey', apiKey, 'actor', actor, 'action', action, 'event', event)
  local all, own = places(apiKey, id, entry)
  redis.call('ZADD', order, 0, all, 0, own)
  local over = redis.call('XLEN', stream) - ${String(MAX_EVENTS)}
  if over <= 0 then return end
  for _, old in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', over)) do
    redis.call('ZREM', order, places(old[2][4], old[2][2], old[1]))
    redis.call('XDEL', stream, old[1])
  end
end`;

/** KEYS: the stream, the order. ARGV: what `keptAs` gives, for each event. */
const APPEND = `${KEEP}
for n = 1, #ARGV, 5 do
  keep(KEYS[1], KEYS[2], ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3], ARGV[n + 4])
end`;

/**
 * KEYS: the stream, the order. ARGV: the key or `''`, where to begin, how many at most, the actor and the action or `''`.
 * Gives where to go on or `''`, and the events found.
 */
const FIND = `
local key, from, limit, actor, action = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local found, scanned = {}, 0
repeat
  local page = redis.call('ZREVRANGEBYLEX', KEYS[2], from, '(' .. key .. '\\n', 'LIMIT', 0, limit)
  for _, place in ipairs(page) do
    from = '(' .. place
    local entry = string.match(place, '[^\\n]*$')
    local it = redis.call('XRANGE', KEYS[1], entry, entry)[1]
    if it and (actor == '' or it[2][6] == actor) and (action == '' or it[2][8] == action) then
      found[#found + 1] = it[2][10]
      if #found == limit then return { '', found } end
    end
  end
  scanned = scanned + #page
  if #page < limit then return { '', found } end
until scanned >= ${String(SCANNED_AT_ONCE)}
return { from, found }`;

/** What a script takes of an event. */
export function keptAs(event: AuditEvent): readonly string[] {
  const { id, apiKey, actor, action } = event;
  return [id, apiKey, actor.toWellFormed(), action, JSON.stringify(event)];
}

type Eval = (script: string, keys: string[], args: string[]) => Promise<unknown>;

/** Events in a stream, and their places in a sorted set: `<prefix>audit` and `<prefix>audit:order`. */
export class RedisAudit implements AuditStore {
  readonly isKeptWithChange = true;
  readonly keys: readonly [stream: string, order: string];
  readonly #eval: Eval;

  constructor(prefix: string, evaluate: Eval) {
    this.keys = [`${prefix}audit`, `${prefix}audit:order`];
    this.#eval = evaluate;
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    for (let n = 0; n < events.length; n += APPENDED_AT_ONCE) {
      const args = events.slice(n, n + APPENDED_AT_ONCE).flatMap(keptAs);
      await this.#eval(APPEND, [...this.keys], args);
    }
  }

  async list({ apiKey = '', actor = '', action, before, limit }: AuditQuery): Promise<readonly AuditEvent[]> {
    const found: string[] = [];
    // \v is the character behind \n: behind all of the key's.
    let from = before === undefined ? `(${apiKey}\v` : `(${apiKey}\n${before}`;
    while (from !== '' && found.length < limit) {
      const args = [apiKey, from, String(limit - found.length), actor.toWellFormed(), action ?? ''];
      const answer = (await this.#eval(FIND, [...this.keys], args)) as readonly [string, readonly string[]];
      from = answer[0];
      found.push(...answer[1]);
    }
    return found.map((event) => JSON.parse(event) as AuditEvent);
  }
}
