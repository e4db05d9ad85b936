import { queriedAddresses } from './address-table';
import type { CallAllowlist } from './allowlist';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

/** An entry is `0x` and 40 hex digits, compared case-insensitively. Every address that a call queries must be listed. */
export const contractAddresses: CallAllowlist = {
  decides: 'call',
  refusal: 'CONTRACT_ADDRESS_NOT_ALLOWED',
  ignoresCase: true,

  problem(entry) {
    if (ADDRESS.test(entry)) return undefined;
    return 'is not 0x and 40 hex digits; write "0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b"';
  },

  compile(entries) {
    const listed = new Set(entries.map((entry) => entry.toLowerCase()));
    const isListed = (address: unknown) =>
      typeof address === 'string' && ADDRESS.test(address) && listed.has(address.toLowerCase());
    return (call, table) => queriedAddresses(call, table)?.every(isListed) ?? false;
  },
};
