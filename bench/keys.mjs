import { createHash } from 'node:crypto';

/** The keys that the guards serve. */
export const OPEN_KEY = 'open-key-of-the-bench';
export const LISTED_KEY = 'listed-key-of-the-bench';
export const SECRET = 'rgs_a-secret-of-the-bench-that-is-long-enough';

export const ORIGIN = 'https://app.example.com';
export const USER_AGENT =
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/131.0.0.0 Mobile Safari/537.36';
export const CONTRACT = '0xfe05a3e72235c9f92fd9f2282f41a8154d6d342b';

const address = (n) => `0x${n.toString(16).padStart(40, '0')}`;

/** Allowlists of `size` entries each. What the requests carry matches the last entry. */
export function listsOf(size) {
  const entries = (other, last) => [...Array.from({ length: size - 1 }, (_, n) => other(n)), last];
  return {
    userAgents: entries((n) => `agent-${n}/1`, 'Android'),
    origins: entries((n) => `https://*.app-${n}.example.com`, 'https://*.example.com'),
    contractAddresses: entries(address, CONTRACT),
    methods: entries((n) => `eth_method${n}`, 'eth_call'),
  };
}

export const SETTINGS = [
  { apiKey: OPEN_KEY },
  {
    apiKey: LISTED_KEY,
    requireSecret: true,
    secrets: [{ hash: createHash('sha256').update(SECRET).digest('hex') }],
    allowlists: listsOf(30),
  },
];

/** The key with lists of 30, with all that can be on for it: they only report, and limits that are never reached. */
export const SETTINGS_WITH_ALL = SETTINGS.map((settings) => ({
  ...settings,
  limits: { perSecond: 1_000_000, burst: 1_000_000, perDay: 1_000_000_000 },
  ...(settings.allowlists && { reportOnly: Object.keys(settings.allowlists) }),
}));
