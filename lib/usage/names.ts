import { originName } from '../allowlists/origins';
import { ownText } from '../own-text';
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
/** A power of two. */
const PLACES = 512;

/** What the texts that came last are read as. Unlike a map it does not grow and shrink where each is a new one. */
class LastRead {
  /** `undefined` where none came yet: `''` is a text like others. */
  readonly #texts = new Array<string | undefined>(PLACES).fill(undefined);
  readonly #names = new Array<string>(PLACES).fill('');
  readonly #read: (text: string) => string;

  constructor(read: (text: string) => string) {
    this.#read = read;
  }

  of(text: string): string {
    let hash = 0;
    for (let n = 0; n < text.length; n++) hash = (31 * hash + text.charCodeAt(n)) | 0;
    const place = hash & (PLACES - 1);
    if (this.#texts[place] !== text) {
      this.#names[place] = this.#read(text);
      this.#texts[place] = ownText(text);
    }
    return this.#names[place]!;
  }
}

/** Any product: `(none)` would be taken for one where a caller sends it. */
let lastProduct = 'Mozilla';

/** What a user agent is counted as: its product (`Mozilla`, `ethers`), never the whole of it. */
export function productOf(userAgent: string | undefined): string {
  if (userAgent === undefined) return NONE;
  // Most are of the product that the one before was of.
  if (userAgent.startsWith(lastProduct) && isProductEnd(userAgent, lastProduct.length)) return lastProduct;
  // A loop takes a quarter of the time of an expression.
  let end = 0;
  while (end <= MAX_PRODUCT && IN_PRODUCT[userAgent.charCodeAt(end)] === 1) end++;
  if (end === 0 || end > MAX_PRODUCT || !isProductEnd(userAgent, end)) return OTHER;
  return (lastProduct = ownText(userAgent.slice(0, end)));
}

function isProductEnd(userAgent: string, end: number): boolean {
  return end === userAgent.length || ENDS_PRODUCT.includes(userAgent.charCodeAt(end));
}

const origins = new LastRead((origin) => originName(origin) ?? MALFORMED);

/** What an `Origin` header is counted as: as the list of origins reads it. */
export function originOf(origin: string | undefined): string {
  if (origin === undefined) return NONE;
  return origin.length > MAX_LENGTH ? MALFORMED : origins.of(origin);
}

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const addresses = new LastRead((address) => (ADDRESS.test(address) ? ownText(address).toLowerCase() : ''));

/** An address in lower case; `''` for what is none. */
export function addressOf(address: string): string {
  return address.length === 42 ? addresses.of(address) : '';
}
