import { KEEP } from './redis-audit';
import type { KeySettings } from '../settings/key-settings';
import { SORTED_BY, foldName, readCursor } from './key-query';
import type { ListedKey, Sort } from './key-query';
import type { KeyQuery } from './settings-store';
import { UNKNOWN_TIME } from './stored-record';

/** Each order has a sorted set of its own, `<prefix>by:<sort>`: what it compares, the key, `1` or `0` for its state, its name. */
export const SORTS = Object.keys(SORTED_BY) as readonly Sort[];

/** Keeps all orders of `record` in the place of those of `before`; as Lua, behind the members in ARGV. */
const REINDEX = `
local function reindex(apiKey, first)
  for n = 1, ${String(SORTS.length)} do
    local old, new = ARGV[first + n - 1], ARGV[first + ${String(SORTS.length)} + n - 1]
    if old ~= '' then redis.call('ZREM', KEYS[2 + n], old) end
    if new ~= '' then redis.call('ZADD', KEYS[2 + n], 0, new) end
  end
end`;

/**
 * KEYS: the record, all keys, each order, those of the audit. ARGV: the key, the record that the writer has read, the new one or `''`, the
 * channel, the members of the one and of the other. It announces first, because a user may lack the right to, and a
 * script that fails does not undo what it has done.
 */
export const REPLACE = `${REINDEX}${KEEP}
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('PUBLISH', ARGV[4], ARGV[1])
local event, audit = ${String(5 + 2 * SORTS.length)}, ${String(3 + SORTS.length)}
if ARGV[event] then keep(KEYS[audit], KEYS[audit + 1], unpack(ARGV, event)) end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
  redis.call('SET', KEYS[1], ARGV[3])
end
reindex(ARGV[1], 5)
return 1`;

/** KEYS: all keys, each order, and records. ARGV: of each record what was read, and its members; not of one that has changed. */
export const REBUILD = `
local orders = ${String(SORTS.length)}
for n = 1, #KEYS - 1 - orders do
  local first = (n - 1) * (orders + 1) + 1
  local now = redis.pcall('GET', KEYS[1 + orders + n]) or ''
  if type(now) == 'table' then now = '' end
  if now == ARGV[first] then
    for order = 1, orders do redis.call('ZADD', KEYS[1 + order], 0, ARGV[first + order]) end
  end
end`;

/**
 * KEYS: an order, all keys. ARGV: where to begin, `1` for descending, how many at most, the search as it is and folded,
 * the state or `''`, how long the end of a key may be to find it, `1` to do with an order that lacks keys.
 * Gives where to go on or `''`, and the members found; nothing where the order lacks keys.
 */
export const FIND = `
local from, descending, limit = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local wanted, folded, state, suffix = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
if ARGV[8] ~= '1' and redis.call('ZCARD', KEYS[1]) ~= redis.call('ZCARD', KEYS[2]) then return false end
local isFiltered = wanted ~= '' or state ~= ''
local size = isFiltered and 1000 or limit
local found, scanned = {}, 0
repeat
  local page = descending and redis.call('ZREVRANGEBYLEX', KEYS[1], from, '-', 'LIMIT', 0, size)
    or redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, size)
  for _, member in ipairs(page) do
    from = '(' .. member
    local matches = wanted == '' or string.find(member, folded, 1, true) or string.find(member, wanted, 1, true)
    if matches and isFiltered then
      local apiKey, enabled, name = string.match('\\n' .. member, '^.*\\n([^\\n]*)\\n([01])([^\\n]*)$')
      matches = (state == '' or state == enabled) and (wanted == ''
        or string.sub(apiKey, 1, #wanted) == wanted
        or (#wanted >= suffix and string.sub(apiKey, -#wanted) == wanted)
        or string.find(name, folded, 1, true) ~= nil)
    end
    if matches then found[#found + 1] = member end
    if #found == limit then return { from, found } end
  end
  scanned = scanned + #page
  if #page < size then return { '', found } end
until scanned >= 20000
return { from, found }`;

/** The members of a record, one an order; of what cannot be read too, so that no order lacks a key. */
export function membersOf(apiKey: string, record: string | undefined): readonly string[] {
  const key = { ...listedIn(record), apiKey };
  const state = key.enabled ? '1' : '0';
  return SORTS.map((sort) => `${SORTED_BY[sort].map((member) => key[member]).join('\n')}\n${state}${key.foldedName}`);
}

function listedIn(record: string | undefined): Omit<ListedKey, 'apiKey'> {
  const { name, enabled, createdAt, updatedAt } = membersIn(record);
  const text = (member: unknown, otherwise: string) =>
    typeof member === 'string' ? member.replaceAll('\n', ' ') : otherwise;
  const created = text(createdAt, UNKNOWN_TIME);
  const times = { createdAt: created, updatedAt: text(updatedAt, created) };
  return { foldedName: foldName(text(name, '')), enabled: enabled !== false, ...times };
}

function membersIn(record = ''): Partial<Record<keyof KeySettings, unknown>> {
  try {
    return (JSON.parse(record) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** Also works on the set of all keys, whose members are the keys. */
export function apiKeyOfMember(member: string): string {
  return member.split('\n').at(-2) ?? member;
}

/** Whether the set of all keys alone can answer a query. */
export function isPlain({ sort = 'key', search = '', state }: KeyQuery): boolean {
  return sort === 'key' && search.trim() === '' && state === undefined;
}

/** Where a query begins in its order, as ZRANGEBYLEX takes it. */
export function beginningOf(query: KeyQuery): string {
  const { sort = 'key', descending = false } = query;
  const place = readCursor(query);
  if (place === undefined) return descending ? '+' : '-';
  const cursor = SORTED_BY[sort].map((member) => place[member] ?? '').join('\n');
  if (isPlain(query)) return `(${cursor}`;
  return `(${cursor}\n${descending ? '' : '2'}`; // behind a place its states follow, 0 and 1
}
