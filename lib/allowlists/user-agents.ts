import type { HeaderAllowlist } from './allowlist';

const ENTRY = /^(?=.*[\x21-\x7e])[\x20-\x7e]{1,512}$/;

/** An entry matches when it occurs in the `User-Agent` header, case-sensitively. No header matches nothing. */
export const userAgents: HeaderAllowlist = {
  decides: 'headers',
  refusal: 'USER_AGENT_NOT_ALLOWED',
  ignoresCase: false,

  problem(entry) {
    if (ENTRY.test(entry)) return undefined;
    return 'is not 1 to 512 printable ASCII characters; write a part of the header such as "Android"';
  },

  compile(entries) {
    let likely: string | undefined; // the callers of one key are mostly alike
    return ({ userAgent }) => {
      if (userAgent === undefined) return false;
      if (likely !== undefined && userAgent.includes(likely)) return true;
      const found = entries.find((entry) => userAgent.includes(entry));
      likely = found ?? likely;
      return found !== undefined;
    };
  },
};
