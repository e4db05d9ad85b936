import { isString, stringifyJson } from '../json-rpc/strict-json';
import { nearestTo } from '../spelling';
import { ADDRESS } from './address-readers';
import { queriedAddresses } from './address-table';
import type { CallAllowlist } from './allowlist';
import { fitsChecksum } from './eip-55';

const MAX_SHOWN = 100;

/** An entry is `0x` and 40 hex digits, compared case-insensitively. Every address that a call queries must be listed. */
export const contractAddresses: CallAllowlist<'CONTRACT_ADDRESS_NOT_ALLOWED'> = {
  phase: 'call',
  title: 'Contract addresses',
  one: 'address',
  many: 'addresses',
  field: 'Address',
  help: 'Calls may query these contracts and accounts only.',
  first:
    'From then on a call is refused if it queries another address, needs one and does not say it, or is of a method ' +
    'whose addresses the guard does not know. To send transactions, list the sender’s account too.',
  examples: ['0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b'],
  sample: { label: 'An address that a call queries', example: '0x…' },
  flag: '--contract <address>',
  aliases: ['contract', 'contracts', 'contract-address'],
  refusal: 'CONTRACT_ADDRESS_NOT_ALLOWED',
  ignoresCase: true,

  problem(entry) {
    if (ADDRESS.test(entry)) return undefined;
    return 'is not 0x and 40 hex digits; write "0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b"';
  },

  doubt(entry) {
    if (fitsChecksum(entry)) return undefined;
    return 'has upper and lower case that do not fit its digits (EIP-55): compare it; in lower case it is taken as it is';
  },

  compile(entries) {
    const listed = new Set(entries.map((entry) => entry.toLowerCase()));
    return (address) => ADDRESS.test(address) && listed.has(address.toLowerCase());
  },

  reads: queriedAddresses,

  explain: {
    passed: (addresses) => (addresses.length === 0 ? 'the method takes no address' : 'every address is listed'),
    unmatched: (address) =>
      `not listed: ${(isString(address) ? address.toString() : stringifyJson(address)).slice(0, MAX_SHOWN)}`,
    unread({ method }, table) {
      if (table.has(method)) return 'it does not say plainly which addresses it queries';
      const meant = nearestTo(method, table.keys());
      return `the method is not in the table${meant === undefined ? '' : `; did you mean ${meant}?`}`;
    },
  },
};
