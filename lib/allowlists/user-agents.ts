import type { RequestAllowlist } from './allowlist';

const ENTRY = /^(?=.*[\x21-\x7e])[\x20-\x7e]{1,512}$/;

/** An entry matches when it occurs in the `User-Agent` header, case-sensitively. No header matches nothing. */
export const userAgents: RequestAllowlist<'USER_AGENT_NOT_ALLOWED'> = {
  phase: 'request',
  title: 'User agents',
  one: 'user agent',
  many: 'user agents',
  field: 'Part of the User-Agent header',
  help: 'The User-Agent header has to contain one of these, in upper and lower case as written.',
  first: 'From then on requests without a User-Agent header are refused; ethers 6 and wscat, for two, send none.',
  examples: ['Android'],
  sample: { label: 'A User-Agent header', example: 'Mozilla/5.0 (Linux; Android 15) …' },
  flag: '--user-agent <part>',
  aliases: ['user-agent'],
  refusal: 'USER_AGENT_NOT_ALLOWED',
  ignoresCase: false,

  problem(entry) {
    if (ENTRY.test(entry)) return undefined;
    return 'is not 1 to 512 printable ASCII characters; write a part of the header such as "Android"';
  },

  doubt(entry) {
    if (!entry.includes('*')) return undefined;
    return 'stands for a header with a * in it: write a part of the header alone, such as "Android"';
  },

  compile(entries) {
    // The callers of one key are mostly alike: to look for thirty entries takes 4 µs.
    let last = entries[0];
    return (userAgent) => {
      if (last !== undefined && userAgent.includes(last)) return true;
      const found = entries.find((entry) => userAgent.includes(entry));
      last = found ?? last;
      return found !== undefined;
    };
  },

  reads: ({ userAgent }) => userAgent,
  header: 'User-Agent',
};
