import { loadDomainOf } from '../../lib/keys/domain-of';
import { proposalOf } from '../../lib/keys/propose';
import type { CountedRow, Proposal } from '../../lib/keys/proposal';
import type { Allowlists } from '../../lib/settings/key-settings';

const FROM = Date.parse('2030-01-01T00:00:00Z');
const HOUR = 3_600_000;
const ADDRESS = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed';
const CHECKSUMMED = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const NO_LISTS: Allowlists = { contractAddresses: [], userAgents: [], origins: [], methods: [] };

interface Traffic {
  readonly kind: string;
  readonly name: string;
  readonly calls: number;
  readonly outcome?: string;
  /** Hours after the beginning. */
  readonly at?: number;
}

function row({ kind, name, calls, outcome = 'allowed', at = 0 }: Traffic): CountedRow {
  return {
    kind,
    name,
    outcome,
    calls,
    hour: new Date(FROM + at * HOUR).toISOString(),
    lastAt: FROM + at * HOUR + 60_000,
  };
}

/** What is proposed after `days` with 100,000 allowed calls. */
function proposed(traffic: readonly Traffic[], { days = 8, allowlists = {}, calls = 100_000 } = {}): Proposal {
  const ends = [0, days * 24].map((at) => row({ kind: 'total', name: '', calls: calls / 2, at }));
  const rows = [...ends, ...traffic.map(row)];
  const lists = { ...NO_LISTS, ...allowlists };
  return proposalOf(rows, { allowlists: lists, minimumShare: 0.001, domainOf: loadDomainOf() });
}

const entries = (proposal: Proposal, type: keyof Allowlists) =>
  proposal.lists[type].entries.map(({ entry, isTicked }) => [entry, isTicked]);

test('what is used is proposed, the most used first, with exact shares', () => {
  const proposal = proposed([
    { kind: 'method', name: 'eth_chainId', calls: 30 },
    { kind: 'method', name: 'eth_call', calls: 60 },
    { kind: 'method', name: 'eth_call', calls: 10, outcome: 'wouldRefuse:ORIGIN_NOT_ALLOWED', at: 100 },
    { kind: 'address', name: ADDRESS, calls: 40 },
    { kind: 'origin', name: 'https://app.example.com', calls: 40 },
    { kind: 'userAgent', name: 'ethers', calls: 40 },
  ]);
  expect(proposal).toMatchObject({
    calls: 100_000,
    from: '2030-01-01T00:00:00.000Z',
    days: 8,
    togetherAtMost: 0,
    notes: [],
  });
  expect(proposal.lists.methods.entries).toEqual([
    { entry: 'eth_call', calls: 70, share: 0.7, lastAt: '2030-01-05T04:01:00.000Z', covers: [], isTicked: true },
    { entry: 'eth_chainId', calls: 30, share: 0.3, lastAt: '2030-01-01T00:01:00.000Z', covers: [], isTicked: true },
  ]);
  expect(entries(proposal, 'contractAddresses')).toEqual([[CHECKSUMMED, true]]);
  expect(entries(proposal, 'origins')).toEqual([['https://app.example.com', true]]);
  expect(entries(proposal, 'userAgents')).toEqual([['ethers', true]]);
});

test('nothing is proposed from fewer than 100 calls, or less than a day', () => {
  const traffic = [{ kind: 'method', name: 'eth_call', calls: 50 }];
  for (const proposal of [proposed(traffic, { calls: 98 }), proposed(traffic, { days: 0.9 })]) {
    expect(entries(proposal, 'methods')).toEqual([]);
    expect(proposal.notes).toEqual([expect.stringContaining('Too little was seen')]);
  }
  expect(proposed(traffic, { days: 6 }).notes).toEqual([expect.stringContaining('nothing that runs weekly')]);
});

test('an attacker of one day is shown with the share, and what is rare or new is not ticked', () => {
  const evil = 'https://evil.example.net';
  const good = { kind: 'origin', name: 'https://app.example.com', calls: 99_000 };
  const of = (calls: number, at: number) => proposed([good, { kind: 'origin', name: evil, calls, at }]).lists.origins;
  const [, lately] = of(1000, 7.5 * 24).entries;
  expect(lately).toMatchObject({ entry: evil, share: 0.01, isTicked: false });
  const [, rare] = of(90, 24).entries;
  expect(rare).toMatchObject({ entry: evil, isTicked: false });
  const [, early] = of(1000, 24).entries;
  expect(early).toMatchObject({ entry: evil, share: 0.01, isTicked: true });
  expect(of(1000, 7.5 * 24).uncovered).toEqual({ calls: 1000, share: 0.01 });
});

test('what was refused is shown apart and never proposed', () => {
  const proposal = proposed([
    { kind: 'method', name: 'eth_call', calls: 50 },
    { kind: 'method', name: 'eth_sign', calls: 5000, outcome: 'METHOD_NOT_ALLOWED' },
  ]);
  expect(entries(proposal, 'methods')).toEqual([['eth_call', true]]);
  expect(proposal.lists.methods.refused).toMatchObject([{ entry: 'eth_sign', calls: 5000 }]);
});

test('origins that anybody can have are not proposed', () => {
  const names = [
    'null',
    'http://localhost:3000',
    'http://app.localhost',
    'http://10.0.0.1',
    'http://[::1]:80',
    '(none)',
  ];
  names.push(
    '(other)',
    '(malformed)',
    'https://vercel.app',
    'https://github.io',
    'https://co.uk',
    'capacitor://localhost',
    'capacitor://10.0.0.1',
    'capacitor://[::1]',
  );
  const proposal = proposed([
    ...names.map((name) => ({ kind: 'origin', name, calls: 10 })),
    { kind: 'origin', name: 'https://mine.vercel.app', calls: 1600 },
    { kind: 'origin', name: 'chrome-extension://abcdefgh', calls: 200 },
  ]);
  expect(entries(proposal, 'origins')).toEqual([
    ['https://mine.vercel.app', true],
    ['chrome-extension://abcdefgh', true],
  ]);
  expect(proposal.lists.origins.uncovered.calls).toBe(10 * names.length);
  expect(proposal.lists.origins.others.map(({ name }) => name).sort()).toEqual([...names].sort().slice(0, 10));
  expect(proposal.notes).toContainEqual('10 calls had no Origin header: a list of origins refuses servers and apps.');
});

test('three hosts of one domain may become one entry, unticked beside them; never over a public suffix', () => {
  const of = (...hosts: string[]) =>
    proposed(hosts.map((host) => ({ kind: 'origin', name: `https://${host}`, calls: 10 }))).lists.origins.entries;
  const folded = of('a.example.com', 'b.example.com', 'x.y.example.com', 'example.com', 'a.other.org');
  expect(folded.at(-1)).toEqual({
    entry: 'https://*.example.com',
    calls: 30,
    share: 0.6,
    lastAt: expect.any(String) as unknown,
    covers: ['https://a.example.com', 'https://b.example.com', 'https://x.y.example.com'],
    isTicked: false,
  });
  expect(folded).toHaveLength(6);
  const extensions = ['a', 'b', 'c'].map((id) => ({ kind: 'origin', name: `chrome-extension://${id}`, calls: 10 }));
  expect(entries(proposed(extensions), 'origins')).toHaveLength(3);
  for (const suffix of ['vercel.app', 'github.io', 'co.uk', 'netlify.app', 'pages.dev']) {
    expect(of(`a.${suffix}`, `b.${suffix}`, `c.${suffix}`).filter(({ entry }) => entry.includes('*'))).toEqual([]);
  }
});

test('user agents are not proposed where most are browsers, nor those that occur in any header', () => {
  const of = (mozilla: number) =>
    proposed([
      { kind: 'userAgent', name: 'Mozilla', calls: mozilla },
      { kind: 'userAgent', name: 'ethers', calls: 50 },
      { kind: 'userAgent', name: 'e', calls: 5 },
    ]);
  expect(entries(of(90), 'userAgents')).toEqual([]);
  expect(of(90).notes).toEqual([expect.stringContaining('use origins')]);
  expect(entries(of(30), 'userAgents')).toEqual([
    ['ethers', true],
    ['Mozilla', true],
  ]);
});

test('a list has 30 entries at most, those it has included, which are not proposed again', () => {
  const traffic = Array.from({ length: 40 }, (_, n) => ({ kind: 'method', name: `eth_m${String(n)}`, calls: 100 - n }));
  const proposal = proposed(traffic, { allowlists: { methods: ['eth_m0', 'eth_m1*', 'acme_x'] } });
  const found = entries(proposal, 'methods').map(([entry]) => entry);
  expect(found).toHaveLength(27);
  expect(found.filter((entry) => /^eth_m(0|1\d*)$/.test(String(entry)))).toEqual([]);
  expect(proposal.lists.methods.uncovered.calls).toBe(61);
  expect(proposal.togetherAtMost).toBe(61 / 100_000);
});

test('unknown methods are not proposed, and a list of addresses would refuse them', () => {
  const proposal = proposed([
    { kind: 'method', name: '(unknown)', calls: 5 },
    { kind: 'address', name: ADDRESS, calls: 95 },
  ]);
  expect(entries(proposal, 'methods')).toEqual([]);
  expect(proposal.lists.contractAddresses).toMatchObject({
    calls: 100,
    uncovered: { calls: 5, share: 0.05 },
    others: [{ name: '(unknown)', calls: 5 }],
  });
  expect(proposal.notes).toContainEqual(
    expect.stringContaining('5 calls were of methods that the guard does not know'),
  );
});

test('an entry that is listed covers no name that stands for others', () => {
  const traffic = ['(other)', 'otherwise'].map((name) => ({ kind: 'userAgent', name, calls: 50 }));
  const { userAgents } = proposed(traffic, { allowlists: { userAgents: ['other'] } }).lists;
  expect(userAgents).toMatchObject({ entries: [], uncovered: { calls: 50 }, others: [{ name: '(other)', calls: 50 }] });
});

test('of a list that could not cover a tenth of the calls nothing is ticked', () => {
  const of = (calls: number) =>
    proposed([
      { kind: 'origin', name: 'https://app.example.com', calls: 1000 - calls },
      { kind: 'origin', name: '(none)', calls },
    ]);
  expect(entries(of(99), 'origins')).toEqual([['https://app.example.com', true]]);
  expect(of(100).lists.origins).toMatchObject({ entries: [{ isTicked: false }], uncovered: { calls: 1000 } });
  expect(of(100)).toMatchObject({ togetherAtMost: 0 });
  expect(of(100).notes.at(-1)).toMatch(/^Nothing of origins is ticked/);
});
