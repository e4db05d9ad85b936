import type { MethodAllowlist } from './allowlist';

const ENTRY = /^[\x21-\x29\x2b-\x7e]{1,128}\*?$/;

/** An entry is an exact, case-sensitive method name, or a prefix that ends in `*` (`eth_get*`). */
export const methods: MethodAllowlist = {
  decides: 'method',
  refusal: 'METHOD_NOT_ALLOWED',
  ignoresCase: false,

  problem(entry) {
    if (ENTRY.test(entry)) return undefined;
    return 'is neither a method name nor a prefix with one * at its end; write "eth_call" or "eth_get*"';
  },

  compile(entries) {
    const names = new Set(entries.filter((entry) => !entry.endsWith('*')));
    const prefixes = entries.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1));
    return (method) => names.has(method) || prefixes.some((prefix) => method.startsWith(prefix));
  },
};
