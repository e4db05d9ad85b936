import { originName } from '../allowlists/origins';
import { OTHER } from '../stores/usage-store';

const NONE = '(none)';
const MALFORMED = '(malformed)';
const PRODUCT = /^[A-Za-z0-9._-]{1,64}(?=[/\s(]|$)/;
/** A host has up to 253 characters. */
const MAX_LENGTH = 300;
const MAX_REMEMBERED = 1000;

/** What a user agent is counted as: its product (`Mozilla`, `ethers`), never the whole of it. */
export function productOf(userAgent: string | undefined): string {
  if (userAgent === undefined) return NONE;
  return PRODUCT.exec(userAgent)?.[0] ?? OTHER;
}

const remembered = new Map<string, string>();

/** What an `Origin` header is counted as: as the list of origins reads it. To parse one takes longer than to count it. */
export function originOf(origin: string | undefined): string {
  if (origin === undefined) return NONE;
  if (origin.length > MAX_LENGTH) return MALFORMED;
  const known = remembered.get(origin);
  if (known !== undefined) return known;
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  const name = originName(origin) ?? MALFORMED;
  remembered.set(origin, name);
  return name;
}
