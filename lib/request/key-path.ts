/** A path pattern, taken apart once. */
export interface KeyPath {
  readonly before: string;
  readonly after: string;
}

const PARAMETER = ':apiKey';
/** Scheme and authority of a target in absolute form. With a user, or without a host, the target is not the guard's. */
const SCHEME_AND_AUTHORITY = /^(?:http|ws)s?:\/\/[^/?#@\\]+/i;
const PATTERN = /^(?:\/[A-Za-z0-9._~-]+)*\/:apiKey(?:\/[A-Za-z0-9._~-]+)*$/;

/** Parses a pattern such as `/v3/:apiKey`; `undefined` if it is invalid. */
export function parseKeyPath(pattern: string): KeyPath | undefined {
  if (!PATTERN.test(pattern)) return undefined;
  const at = pattern.indexOf(PARAMETER);
  return { before: pattern.slice(0, at), after: pattern.slice(at + PARAMETER.length) };
}

/**
 * The key as it stands in a raw path, `''` if it is missing; `undefined` on any other path. Ignores the query, and the
 * scheme and authority of a target in absolute form (RFC 9112, section 3.2.2).
 */
export function keyInPath(target: string, { before, after }: KeyPath): string | undefined {
  const url = target.startsWith('/') ? target : target.replace(SCHEME_AND_AUTHORITY, '');
  const query = url.indexOf('?');
  let path = query === -1 ? url : url.slice(0, query);
  if (after === '' && path === before.slice(0, -1)) return '';
  if (path.endsWith('/') && path.length > before.length) path = path.slice(0, -1);
  if (!path.startsWith(before) || !path.endsWith(after)) return undefined;
  const apiKey = path.slice(before.length, path.length - after.length);
  return apiKey.includes('/') ? undefined : apiKey;
}
