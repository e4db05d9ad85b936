/** A JSON value with the members of objects in order, repeated ones included. */
type Ordered = null | boolean | number | string | readonly Ordered[] | Members;

class Members {
  constructor(readonly pairs: readonly (readonly [string, Ordered])[]) {}
}

/** Fields that a struct of the reader has, by the name in its tag. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads objects as Go's encoding/json fills structs: member names match fields after case folding (U+017F is an s, the
 * Kelvin sign a k), and of several members for one field the last one counts. An array gives one struct an item.
 */
export function readLikeGo(text: string, fields: readonly string[]): Fields | readonly Fields[] {
  const value = parse(text);
  return Array.isArray(value) ? value.map((item) => struct(item as Ordered, fields)) : struct(value, fields);
}

/** The struct that an object within the value of `text` fills: the one at `path`. */
export function readLikeGoAt(text: string, path: readonly (string | number)[], fields: readonly string[]): Fields {
  let value: Ordered = parse(text);
  for (const step of path) {
    if (typeof step === 'number') value = (value as readonly Ordered[])[step] ?? null;
    else value = memberOf(value, step) ?? null;
  }
  return struct(value, fields);
}

function struct(value: Ordered, fields: readonly string[]): Fields {
  const filled: Record<string, unknown> = {};
  for (const field of fields) {
    const member = memberOf(value, field);
    if (member !== undefined) filled[field] = plain(member);
  }
  return filled;
}

function memberOf(value: Ordered, field: string): Ordered | undefined {
  if (!(value instanceof Members)) return undefined;
  return value.pairs.findLast(([name]) => fold(name) === fold(field))?.[1];
}

function plain(value: Ordered): unknown {
  if (value instanceof Members) return Object.fromEntries(value.pairs.map(([name, member]) => [name, plain(member)]));
  return Array.isArray(value) ? value.map((item) => plain(item as Ordered)) : value;
}

function fold(name: string): string {
  return name.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}

/** `text` must be JSON. */
function parse(text: string): Ordered {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{}]|[^\s,:[\]{}"]+/g) ?? [];
  let at = 0;
  function value(): Ordered {
    const token = tokens[at++] ?? 'null';
    if (token === '[') {
      const items: Ordered[] = [];
      while (tokens[at] !== ']') items.push(value());
      at++;
      return items;
    }
    if (token === '{') {
      const pairs: [string, Ordered][] = [];
      while (tokens[at] !== '}') pairs.push([JSON.parse(tokens[at++] ?? '""') as string, value()]);
      at++;
      return new Members(pairs);
    }
    return JSON.parse(token) as Ordered;
  }
  return value();
}
