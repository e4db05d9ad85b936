import { nearestTo } from '../spelling';
import { METHOD_ROWS } from './address-table';
import type { CallAllowlist } from './allowlist';
import { DEFAULT_BLOCKED_METHODS } from './default-blocked-methods';
import { compileMethods } from './method-entries';

const KNOWN = METHOD_ROWS.map(([method]) => method);
const ENTRY = /^[\x21-\x29\x2b-\x7e]{1,128}\*?$/;
const isBlocked = compileMethods(DEFAULT_BLOCKED_METHODS.map((entry) => entry.toLowerCase()));

/** An entry is an exact, case-sensitive method name, or a prefix that ends in `*` (`eth_get*`). */
export const methods: CallAllowlist<'METHOD_NOT_ALLOWED'> = {
  phase: 'call',
  title: 'API request methods',
  one: 'method',
  many: 'methods',
  field: 'Method or prefix',
  help: 'Only these methods may be called. A “*” at the end makes it a prefix.',
  first:
    'From then on every other method is refused, those too that client libraries call by themselves: eth_chainId, ' +
    'eth_blockNumber, net_version.',
  examples: ['eth_getBalance', 'eth_get*'],
  sample: { label: 'A method', example: 'eth_blockNumber' },
  flag: '--method <method>',
  aliases: ['method'],
  refusal: 'METHOD_NOT_ALLOWED',
  ignoresCase: false,

  problem(entry) {
    if (ENTRY.test(entry)) return undefined;
    return 'is neither a method name nor a prefix with one * at its end; write "eth_call" or "eth_get*"';
  },

  doubt(entry) {
    if (isBlocked(entry.toLowerCase()))
      return 'is blocked for every key, unless the guard’s blockedMethods says otherwise';
    if (entry.endsWith('_')) return `stands for a method of this very name: write "${entry}*" for all that begin so`;
    const meant = likelyMeant(entry);
    return meant && `allows no known method; did you mean "${meant}"?`;
  },

  compile: compileMethods,

  reads: ({ method }) => [method],

  explain: {
    passed: () => 'matches',
    unmatched(method) {
      const meant = typeof method === 'string' ? likelyMeant(method) : undefined;
      return meant === undefined ? 'no entry matches' : `no entry matches; did you mean ${meant}?`;
    },
    unread: () => 'no method',
  },
};

/**
 * The known method or prefix that a mistyped entry most likely means. `undefined` if the entry matches a known method,
 * or resembles none: it may be a method of the operator's own node.
 */
export function likelyMeant(entry: string): string | undefined {
  if (KNOWN.some(methods.compile([entry]))) return undefined;
  if (!entry.endsWith('*')) return nearestTo(entry, KNOWN);
  const prefix = entry.slice(0, -1);
  const nearest = nearestTo(prefix, new Set(KNOWN.map((method) => method.slice(0, prefix.length))));
  return nearest && `${nearest}*`;
}
