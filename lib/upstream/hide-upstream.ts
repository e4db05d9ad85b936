import type { Upstream } from './upstream-url';

const HIDDEN = '…';
const STRING = /"(?:[^"\\]|\\.)*"/g;
/** Anything shorter, such as `rpc` or a chain id, is no secret, and hiding it would blot out ordinary words. */
const MIN_PART = 6;

/**
 * Removes the upstream's own path, query and credentials from JSON text: error messages quote them, and providers put
 * their key there. Escaped spellings are found too; what has none of it stays as it is, digit for digit.
 */
export function hideUpstream(upstream: Upstream): (json: string) => string {
  const secrets = secretsOf(upstream);
  return (json) =>
    json.replace(STRING, (literal) => {
      const text = JSON.parse(literal) as string;
      const hidden = secrets.reduce((left, secret) => left.replaceAll(secret, HIDDEN), text);
      return hidden === text ? literal : JSON.stringify(hidden);
    });
}

/** Longest first, so that no part is left over. */
function secretsOf({ path, headers }: Upstream): readonly string[] {
  const [pathname = '', query = ''] = path.split(/\?(.*)/s);
  const parts = [...pathname.split('/'), ...query.split(/[&=]/), ...Object.values(headers).flatMap(credentialsOf)];
  const whole = [path, pathname, query].filter((text) => text.length > 1);
  const all = [...whole, ...parts.filter((part) => part.length >= MIN_PART)];
  const spellings = all.flatMap((text) => [text, decoded(text), encodeURIComponent(text)]);
  return [...new Set(spellings)].sort((a, b) => b.length - a.length);
}

/** A header's value, and what `Basic` and other schemes carry in it. */
function credentialsOf(value: string): readonly string[] {
  const [scheme = '', credentials = ''] = value.split(/ +(.*)/s);
  if (!/^basic$/i.test(scheme)) return [value, credentials];
  const text = Buffer.from(credentials, 'base64').toString();
  return [value, credentials, text, text.slice(text.indexOf(':') + 1)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
