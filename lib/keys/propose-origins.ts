import { isIP } from 'node:net';
import type { ProposedEntry } from './proposal';

/** The domain that one organisation registers; `null` for a public suffix, as `co.uk` and `vercel.app`, and for no domain. */
export type DomainOf = (host: string) => string | null;

const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/([^:/[\]]+|\[[^\]]*\])(:\d+)?$/;
const WEB = ['http', 'https', 'ws', 'wss'];
/** From so many subdomains on, one entry for all of them is offered. */
const MIN_FOLDED = 3;

/** Whether an origin is of one owner: not `null`, an IP address, localhost or a domain under which anybody gets a name. */
export function isOwnOrigin(origin: string, domainOf: DomainOf): boolean {
  const [, scheme = '', host = ''] = ORIGIN.exec(origin) ?? [];
  if (host === '' || host.startsWith('[') || isIP(host) !== 0) return false;
  if (host === 'localhost' || host.endsWith('.localhost')) return false;
  return !WEB.includes(scheme) || domainOf(host) !== null;
}

/** Entries with a `*.` that would take the place of several; never ticked, as they let in what was not seen. */
export function foldsOf(entries: readonly ProposedEntry[], all: number, domainOf: DomainOf): readonly ProposedEntry[] {
  const groups = new Map<string, ProposedEntry[]>();
  for (const it of entries) {
    const [, scheme = '', host = '', port = ''] = ORIGIN.exec(it.entry) ?? [];
    const domain = WEB.includes(scheme) ? domainOf(host) : null;
    if (domain === null || domain === host) continue;
    const wide = `${scheme}://*.${domain}${port}`;
    groups.set(wide, [...(groups.get(wide) ?? []), it]);
  }
  return [...groups]
    .filter(([, covered]) => covered.length >= MIN_FOLDED)
    .map(([entry, covered]) => ({ entry, covered, calls: covered.reduce((sum, { calls }) => sum + calls, 0) }))
    .map(({ entry, covered, calls }) => ({
      entry,
      calls,
      share: calls / all,
      lastAt: covered.reduce((last, { lastAt }) => (lastAt > last ? lastAt : last), ''),
      covers: covered.map((it) => it.entry),
      isTicked: false,
    }));
}
