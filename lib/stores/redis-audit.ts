import { isAskedFor } from './audit-store';
import type { AuditEvent, AuditQuery, AuditStore } from './audit-store';

const MAX_EVENTS = 100_000;
/** Events that one script appends. */
const APPENDED_AT_ONCE = 100;

/**
 * Lua that appends an event to the stream, and its places to the order: one for each set of key, actor and action that a
 * query may ask for, so that no query passes over what it does not want. A place is `<tag><id>\n<entry of the stream>`; a
 * tag is a part of the set's hash, and sorts before `<tag>g` with every id. What is over 100,000 goes, with its places.
 */
const TAG = `
local function tag(apiKey, actor, action)
  return string.sub(redis.sha1hex(apiKey .. '\\n' .. action .. '\\n' .. actor), 1, 8)
end`;
export const KEEP = `${TAG}
local function places(id, apiKey, actor, action, entry)
  local all = {}
  for _, key in ipairs({ '', apiKey }) do
    for _, user in ipairs({ '', actor }) do
      for _, what in ipairs({ '', action }) do all[#all + 1] = tag(key, user, what) .. id .. '\\n' .. entry end
    end
  end
  return all
end
local function keep(stream, order, id, apiKey, actor, action, event)
  local first = tag('', '', '') .. id
  if redis.call('ZLEXCOUNT', order, '[' .. first .. '\\n', '(' .. first .. '\\v') > 0 then return end
  local entry = redis.call('XADD', stream, '*', 'id', id, 'apiKey', apiKey, 'actor', actor, 'action', action, 'event', event)
  for _, place in ipairs(places(id, apiKey, actor, action, entry)) do redis.call('ZADD', order, 0, place) end
  local over = redis.call('XLEN', stream) - ${String(MAX_EVENTS)}
  if over <= 0 then return end
  for _, old in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', over)) do
    redis.call('ZREM', order, unpack(places(old[2][2], old[2][4], old[2][6], old[2][8], old[1])))
    redis.call('XDEL', stream, old[1])
  end
end`;

/** KEYS: the stream, the order. ARGV: what `keptAs` gives, for each event. */
const APPEND = `${KEEP}
for n = 1, #ARGV, 5 do
  keep(KEYS[1], KEYS[2], ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3], ARGV[n + 4])
end`;

/**
 * KEYS: the stream, the order. ARGV: the key, the actor and the action or `''`, the id to begin behind or `''`, how many at
 * most. Gives the id to go on behind or `''`, and the events; among them may be some of another set with the same tag.
 */
const FIND = `${TAG}
local of, limit = tag(ARGV[1], ARGV[2], ARGV[3]), tonumber(ARGV[5])
local from = '(' .. of .. (ARGV[4] == '' and 'g' or ARGV[4])
local page, found = redis.call('ZREVRANGEBYLEX', KEYS[2], from, '[' .. of, 'LIMIT', 0, limit), {}
for _, place in ipairs(page) do
  local entry = string.match(place, '[^\\n]*$')
  local it = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  if it then found[#found + 1] = it[2][10] end
end
return { #page < limit and '' or string.match(page[limit], '^........([^\\n]*)'), found }`;

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

  async list(query: AuditQuery): Promise<readonly AuditEvent[]> {
    const { apiKey = '', actor = '', action = '', before = '', limit } = query;
    const found: AuditEvent[] = [];
    let from = before;
    do {
      const args = [apiKey, actor.toWellFormed(), action, from, String(limit - found.length)];
      const answer = (await this.#eval(FIND, [...this.keys], args)) as readonly [string, readonly string[]];
      from = answer[0];
      found.push(...answer[1].map((text) => JSON.parse(text) as AuditEvent).filter((it) => isAskedFor(it, query)));
    } while (from !== '' && found.length < limit);
    return found;
  }
}
