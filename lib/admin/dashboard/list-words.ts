import type { AllowlistType } from '../../settings/key-settings';

/** What the page says about one type of list. */
export interface ListWords {
  readonly type: AllowlistType;
  readonly title: string;
  readonly one: string;
  readonly many: string;
  readonly does: string;
  readonly field: string;
  readonly example: string;
  readonly sample: string;
  readonly sampleExample: string;
  /** What the first entry brings about: from then on the list is in force. */
  readonly first: string;
}

export const LISTS: readonly ListWords[] = [
  {
    type: 'contractAddresses',
    title: 'Contract addresses',
    one: 'address',
    many: 'addresses',
    does: 'Calls may query these contracts and accounts only.',
    field: 'Address',
    example: '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b',
    sample: 'An address that a call queries',
    sampleExample: '0x…',
    first:
      'From then on a call is refused if it queries another address, needs one and does not say it, or is of a method ' +
      'whose addresses the guard does not know. To send transactions, list the sender’s account too.',
  },
  {
    type: 'userAgents',
    title: 'User agents',
    one: 'user agent',
    many: 'user agents',
    does: 'The User-Agent header has to contain one of these, in upper and lower case as written.',
    field: 'Part of the User-Agent header',
    example: 'Android',
    sample: 'A User-Agent header',
    sampleExample: 'Mozilla/5.0 (Linux; Android 15) …',
    first: 'From then on requests without a User-Agent header are refused; ethers 6 and wscat, for two, send none.',
  },
  {
    type: 'origins',
    title: 'Origins',
    one: 'origin',
    many: 'origins',
    does: 'The Origin header has to match one of these. “*.” stands for one or more subdomains.',
    field: 'Origin',
    example: 'https://*.example.com',
    sample: 'An Origin header',
    sampleExample: 'https://app.example.com',
    first:
      'From then on requests without an Origin header are refused. Browsers send one; servers, mobile apps and ' +
      'command lines do not.',
  },
  {
    type: 'methods',
    title: 'API request methods',
    one: 'method',
    many: 'methods',
    does: 'Only these methods may be called. A “*” at the end makes it a prefix.',
    field: 'Method or prefix',
    example: 'eth_getBalance or eth_get*',
    sample: 'A method',
    sampleExample: 'eth_blockNumber',
    first:
      'From then on every other method is refused, those too that client libraries call by themselves: eth_chainId, ' +
      'eth_blockNumber, net_version.',
  },
];
