import { ADDRESS } from '../allowlists/address-readers';
import { originName } from '../allowlists/origins';
import type { JsonValue } from '../json-rpc/strict-json';
import { ownText } from '../own-text';
import { OTHER } from '../stores/usage-store';

const NONE = '(none)';
const MALFORMED = '(malformed)';
const MAX_PRODUCT = 64;
const IN_PRODUCT = 1;
const ENDS_PRODUCT = 2;
/** By character code: what a product consists of, and what ends it. */
const CHARACTERS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  return /[A-Za-z0-9._-]/.test(character) ? IN_PRODUCT : '/ (\t'.includes(character) ? ENDS_PRODUCT : 0;
});
/** A host has up to 253 characters. */
const MAX_LENGTH = 300;
/** A power of two. */
const PLACES = 512;

/** What the texts that came last are read as. Unlike a map it does not grow and shrink where each is a new one. */
class LastRead {
  /** `undefined` where none came yet: `''` is a text like others. */
  readonly #texts = new Array<string | undefined>(PLACES).fill(undefined);
  readonly #names = new Array<string>(PLACES).fill('');
  readonly #read: (text: string) => string;
  readonly #step: number;

  /** Its place is told by each `step`th character, from the last on. */
  constructor(read: (text: string) => string, step: number) {
    this.#read = read;
    this.#step = step;
  }

  of(text: string): string {
    let hash = 0;
    for (let n = text.length - 1; n >= 0; n -= this.#step) hash = (31 * hash + text.charCodeAt(n)) | 0;
    const place = hash & (PLACES - 1);
    if (this.#texts[place] !== text) {
      this.#names[place] = this.#read(text);
      this.#texts[place] = ownText(text);
    }
    return this.#names[place]!;
  }
}

const products = new LastRead(ownText, 1);

/** What a user agent is counted as: its product (`Mozilla`, `ethers`), never the whole of it. */
export function productOf(userAgent: string | undefined): string {
  if (userAgent === undefined) return NONE;
  let end = 0;
  // A loop takes a quarter of the time of an expression.
  while (end <= MAX_PRODUCT && CHARACTERS[userAgent.charCodeAt(end)] === IN_PRODUCT) end++;
  const isProduct = end > 0 && end <= MAX_PRODUCT && isProductEnd(userAgent, end);
  return isProduct ? products.of(userAgent.slice(0, end)) : OTHER;
}

function isProductEnd(userAgent: string, end: number): boolean {
  return end === userAgent.length || CHARACTERS[userAgent.charCodeAt(end)] === ENDS_PRODUCT;
}

const origins = new LastRead((origin) => originName(origin) ?? MALFORMED, 1);

/** What an `Origin` header is counted as: as the list of origins reads it. */
export function originOf(origin: string | undefined): string {
  if (origin === undefined) return NONE;
  return origin.length > MAX_LENGTH ? MALFORMED : origins.of(origin);
}

/** Each character takes 4 ns, and addresses that differ hardly ever have all of these alike. */
const ADDRESS_STEP = 14;
const addresses = new LastRead((text) => (ADDRESS.test(text) ? ownText(text).toLowerCase() : ''), ADDRESS_STEP);

/** An address in lower case; `''` for what is none. */
export function addressOf(address: JsonValue): string {
  return typeof address === 'string' && address.length === 42 ? addresses.of(address) : '';
}
