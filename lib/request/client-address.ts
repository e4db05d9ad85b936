import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';
import type { RequestFacts } from './request-facts';

/** The values of Express' `trust proxy`: which hops behind the connection are proxies that are believed. */
export type TrustProxy = boolean | number | string | readonly string[] | ((address: string, hop: number) => boolean);

/** The caller's address, IPv4 or canonical IPv6; `undefined` where it cannot be told. */
export type ClientAddress = (facts: Pick<RequestFacts, 'remoteAddress' | 'headers'>) => string | undefined;

/** IPv4 written as IPv6, once expanded. */
const MAPPED = /^0:0:0:0:0:ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * The client address as Express would derive it from the connection and `X-Forwarded-For`, the same on both wires.
 * @throws TypeError if a range is invalid.
 */
export function clientAddress(trustProxy: TrustProxy): ClientAddress {
  if (trustProxy === false) return ({ remoteAddress }) => canonicalAddress(remoteAddress);
  const trust = compileTrust(trustProxy);
  return ({ remoteAddress, headers }) => canonicalAddress(proxyAddr({ headers, connection: { remoteAddress } }, trust));
}

function compileTrust(rule: Exclude<TrustProxy, false>): (address: string, hop: number) => boolean {
  if (typeof rule === 'function') return rule;
  if (rule === true) return () => true;
  if (typeof rule === 'number') return (_address, hop) => hop < rule;
  return proxyAddr.compile(typeof rule === 'string' ? rule.split(',').map((range) => range.trim()) : rule);
}

/** One spelling for each address: IPv4-mapped IPv6 is IPv4, IPv6 is eight groups without leading zeros. */
export function canonicalAddress(address: string | undefined): string | undefined {
  const bare = address?.replace(/%.*$/, '') ?? '';
  const kind = isIP(bare);
  if (kind === 4) return bare;
  if (kind === 0) return undefined;
  const groups = groupsOf(bare.toLowerCase());
  const mapped = MAPPED.exec(groups.join(':'));
  if (mapped === null) return groups.join(':');
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** What counts as one caller: an IPv4 address, or the /64 that a provider gives to one line. */
export function callerOf(address: string): string {
  return address.includes('.') ? address : `${address.split(':').slice(0, 4).join(':')}::/64`;
}

function groupsOf(address: string): readonly string[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16).toString(16));
}
