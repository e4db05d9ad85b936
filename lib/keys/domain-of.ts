import { createRequire } from 'node:module';
import type { DomainOf } from './propose-origins';

/** The part of `tldts` that is used. */
interface Tldts {
  readonly getDomain: (host: string, options: { readonly allowPrivateDomains: boolean }) => string | null;
}

/** By the public suffix list, its private part included. Loaded here alone: it is large, and no request needs it. */
export function loadDomainOf(): DomainOf {
  const { getDomain } = createRequire(__filename)('tldts') as Tldts;
  return (host) => getDomain(host, { allowPrivateDomains: true });
}
