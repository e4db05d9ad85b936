import { createRequire } from 'node:module';

type Item = readonly [value: unknown, parameters: ReadonlyMap<string, unknown>];

/** A header that is a list of items (RFC 9651), as its values and their parameters; it throws where it is none. */
export function parseList(header: string): readonly (readonly [unknown, Record<string, unknown>])[] {
  const fields = createRequire(__filename)('structured-headers') as { parseList(text: string): Item[] };
  return fields.parseList(header).map(([value, parameters]) => [value, Object.fromEntries(parameters)]);
}
