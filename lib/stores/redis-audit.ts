import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

const MAX_EVENTS = 100_000;
/** Events that one script appends. */
const APPENDED_AT_ONCE = 100;
/** Events that one script looks at, so that others get their turn. */
const SCANNED_AT_ONCE = 20_000;

/**
 * Lua that appends an event to the stream, and its places to the order: one among all, one each among those of its key,
 * its actor and its action. A place is `<of what>\n<id>\n<tags of key, actor and action>\n<entry of the stream>`; a tag is
 * a letter and a part of a hash. What is over 100,000 goes, with its places.
 */
const TAG = `
local function tag(kind, value) return kind .. string.sub(redis.sha1hex(value), 1, 8) end`;
export const KEEP = `${TAG}
local function places(id, apiKey, actor, action, entry)
  local key, user, what = tag('k', apiKey), tag('u', actor), tag('x', action)
  local rest = '\\n' .. id .. '\\n' .. key .. user .. what .. '\\n' .. entry
  return rest, key .. rest, user .. rest, what .. rest
end
local function keep(stream, order, id, apiKey, actor, action, event)
  local first = '[\\n' .. id .. '\\n'
  if redis.call('ZLEXCOUNT', order, first, '(\\n' .. id .. '\\v') > 0 then return end
  local entry = redis.call('XADD', stream, '*', 'id', id, 'apiKey', apiKey, 'actor', actor, 'action', action, 'event', event)
  local all, key, user, what = places(id, apiKey, actor, action, entry)
  redis.call('ZADD', order, 0, all, 0, key, 0, user, 0, what)
  local over = redis.call('XLEN', stream) - ${String(MAX_EVENTS)}
  if over <= 0 then return end
  for _, old in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', over)) do
    redis.call('ZREM', order, places(old[2][2], old[2][4], old[2][6], old[2][8], old[1]))
    redis.call('XDEL', stream, old[1])
  end
end`;

/** KEYS: the stream, the order. ARGV: what `keptAs` gives, for each event. */
const APPEND = `${KEEP}
for n = 1, #ARGV, 5 do
  keep(KEYS[1], KEYS[2], ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3], ARGV[n + 4])
end`;

/**
 * KEYS: the stream, the order. ARGV: the id to begin behind or `''`, how many at most, and the key, the actor and the action or
 * `''`. Looks through the places of what has the fewest of the three.
 * Gives the id to go on behind or `''`, and the events found.
 */
const FIND = `${TAG}
local before, limit = ARGV[1], tonumber(ARGV[2])
local asked = { key = ARGV[3], actor = ARGV[4], action = ARGV[5] }
local of, fewest, tags = '', math.huge, {}
for kind, value in pairs({ k = ARGV[3], u = ARGV[4], x = ARGV[5] }) do
  if value ~= '' then
    local its = tag(kind, value)
    local count = redis.call('ZLEXCOUNT', KEYS[2], '[' .. its .. '\\n', '(' .. its .. '\\v')
    if count < fewest then of, fewest = its, count end
    tags[#tags + 1] = its
  end
end
local function isTagged(place)
  for _, its in ipairs(tags) do
    if its ~= of and not string.find(place, its, 1, true) then return false end
  end
  return true
end
local function isAskedFor(event)
  return (asked.key == '' or event[4] == asked.key) and (asked.actor == '' or event[6] == asked.actor)
    and (asked.action == '' or event[8] == asked.action)
end
local from = before == '' and '(' .. of .. '\\v' or '(' .. of .. '\\n' .. before
local found, scanned, size = {}, 0, limit
repeat
  local page = redis.call('ZREVRANGEBYLEX', KEYS[2], from, '(' .. of .. '\\n', 'LIMIT', 0, size)
  for _, place in ipairs(page) do
    if isTagged(place) then
      local entry = string.match(place, '[^\\n]*$')
      local it = redis.call('XRANGE', KEYS[1], entry, entry)[1]
      if it and isAskedFor(it[2]) then
        found[#found + 1] = it[2][10]
        if #found == limit then return { '', found } end
      end
    end
  end
  scanned = scanned + #page
  if #page < size then return { '', found } end
  from = '(' .. page[#page]
  size = 1000
until scanned >= ${String(SCANNED_AT_ONCE)}
return { string.match(from, '\\n([^\\n]*)\\n'), found }`;

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

  async list({ apiKey = '', actor = '', action, before = '', limit }: AuditQuery): Promise<readonly AuditEvent[]> {
    const found: string[] = [];
    let from = before;
    do {
      const args = [from, String(limit - found.length), apiKey, actor.toWellFormed(), action ?? ''];
      const answer = (await this.#eval(FIND, [...this.keys], args)) as readonly [string, readonly string[]];
      from = answer[0];
      found.push(...answer[1]);
    } while (from !== '' && found.length < limit);
    return found.map((event) => JSON.parse(event) as AuditEvent);
  }
}
