import { originName } from '../allowlists/origins';
import { OTHER } from '../stores/usage-store';

const NONE = '(none)';
const MALFORMED = '(malformed)';
const MAX_PRODUCT = 64;
const ENDS_PRODUCT = Array.from('/ (\t', (character) => character.charCodeAt(0));
/** By character code: letters, digits and `._-`. */
const IN_PRODUCT = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9._-]/.test(String.fromCharCode(code)) ? 1 : 0,
);
/** A host has up to 253 characters. */
const MAX_LENGTH = 300;
const MAX_REMEMBERED = 1000;

/** What a user agent is counted as: its product (`Mozilla`, `ethers`), never the whole of it. */
export function productOf(userAgent: string | undefined): string {
  if (userAgent === undefined) return NONE;
  // A loop takes a quarter of the time of an expression.
  let end = 0;
  while (end <= MAX_PRODUCT && IN_PRODUCT[userAgent.charCodeAt(end)] === 1) end++;
  const isEnd = end === userAgent.length || ENDS_PRODUCT.includes(userAgent.charCodeAt(end));
  return isEnd && end > 0 && end <= MAX_PRODUCT ? userAgent.slice(0, end) : OTHER;
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

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const rememberedAddresses = new Map<string, string>();

/** An address in lower case; `''` for what is none. */
export function addressOf(address: string): string {
  if (address.length !== 42) return '';
  let name = rememberedAddresses.get(address);
  if (name === undefined) {
    if (rememberedAddresses.size >= MAX_REMEMBERED) rememberedAddresses.clear();
    // A copy: as a part of the text that it was read from, it would keep all of that in memory.
    const copy = Buffer.from(address, 'latin1').toString('latin1');
    rememberedAddresses.set(copy, (name = ADDRESS.test(address) ? copy.toLowerCase() : ''));
  }
  return name;
}
