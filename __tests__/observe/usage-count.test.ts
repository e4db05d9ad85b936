import { MemoryStore } from '../../lib';
import { addressTable } from '../../lib/allowlists/address-table';
import { compileCredits } from '../../lib/limits/credits';
import { Occurrence } from '../../lib/observe/request-event';
import { Usage } from '../../lib/observe/usage';
import { admissionOf } from '../../lib/policy/authorize';
import type { Admission } from '../../lib/policy/authorize';
import { judgeBody } from '../../lib/policy/evaluate-body';
import type { JudgedCalls } from '../../lib/policy/evaluate-body';
import type { RequestFacts } from '../../lib/request/request-facts';
import { compileKeySettings } from '../../lib/settings/compile';
import { parseKeySettings } from '../../lib/settings/key-settings';
import { hashSecret } from '../../lib/settings/secret';
import { UsageRows } from '../../lib/stores/usage-rows';
import { hourOf } from '../../lib/stores/usage-store';
import type { UsageRow } from '../../lib/stores/usage-store';
import { fakeClock } from '../support/fake-clock';
import { call } from '../support/guarded-app';
import { recordingLogger } from '../support/pieces';
import { until } from '../support/until';

const COUNT = 10_000;
const CONTRACTS = Array.from({ length: 6 }, (_, n) => `0x${String(n).repeat(20)}${'aBcDe'.repeat(4)}`);

/** What headers are counted as: so few names that none makes room. */
const ORIGINS: readonly (readonly [sent: string | undefined, name: string])[] = [
  [undefined, '(none)'],
  ['', '(malformed)'],
  ['(none)', '(malformed)'],
  ['(malformed)', '(malformed)'],
  ['null', 'null'],
  ['https://a.example', 'https://a.example'],
  ['HTTPS://A.example:443', 'https://a.example'],
  ['https://a.example/', '(malformed)'],
  ['https://a.example:8443', 'https://a.example:8443'],
  ['http://a.example', 'http://a.example'],
  [`https://${'a.'.repeat(300)}example`, '(malformed)'],
];
const USER_AGENTS: readonly (readonly [sent: string | undefined, name: string])[] = [
  [undefined, '(none)'],
  ['', '(other)'],
  ['(none)', '(other)'],
  ['(other)/1', '(other)'],
  ['ethers/6', 'ethers'],
  ['ethers', 'ethers'],
  ['ethers6', 'ethers6'],
  ['ether/6', 'ether'],
  ['ethers é', 'ethers'],
  ['ethersé', '(other)'],
  ['x'.repeat(65), '(other)'],
  [`ethers/6 ${'x'.repeat(600)}`, 'ethers'],
  [`viem/2 ${'x'.repeat(602)}`, 'viem'],
];

/** Mulberry32: the same numbers for a seed each time. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const rules = {
  addressTable: addressTable({}),
  isBlocked: (method: string) => method === 'admin_peers',
  blockedMethods: [],
};
const prices = compileCredits({ eth_call: 10, net_version: 0 });

const BODIES: readonly unknown[] = [
  ...['eth_chainId', 'net_version', 'admin_peers', 'made_up', '(unknown)', '(other)'].map((method) => call(method)),
  ...CONTRACTS.flatMap((to) => [call('eth_call', [{ to }]), call('eth_call', [{ to: to.toLowerCase() }, 'latest'])]),
  call('eth_call', [{ to: 'no address' }]),
  call('eth_getBalance', [CONTRACTS[0], 'latest']),
  [call('eth_chainId')],
  [call('eth_chainId'), call('eth_call', [{ to: CONTRACTS[1] }], 2), call('admin_peers', [], 3)],
  [call('admin_peers'), call('eth_gasPrice', [], 2), 7],
  [call('admin_peers'), call('made_up', [], 2)],
  [call('eth_gasPrice'), call('eth_gasPrice', [], 2)],
];

/** Five keys, each without a secret, and with three: the last has lists of its own. The fifth key only reports. */
function admissions(): readonly Admission[] {
  return Array.from({ length: 5 }, (_, n) => {
    const secrets = ['s1', 's2', 's3'].map((id) => ({
      id,
      hash: hashSecret(`the secret ${id} of key ${String(n)}, long enough`),
      ...(id === 's3' && { allowlists: { methods: ['eth_*', 'made_*'] } }),
    }));
    const lists = { allowlists: { methods: ['eth_*', 'net_*'] } };
    const more = n === 3 ? lists : n === 4 ? { ...lists, reportOnly: ['methods' as const] } : {};
    const key = compileKeySettings(parseKeySettings({ apiKey: String(n).repeat(32), secrets, ...more }));
    return [undefined, ...key.secrets].map((secret) => admissionOf(key, secret));
  }).flat();
}

interface Sums {
  calls: number;
  credits: number;
  bytesIn: number;
  bytesOut: number;
  requests: number;
  timed: number;
}

/** What should be counted, the simplest way. */
class Model {
  readonly rows = new Map<string, Sums>();

  add(
    key: string,
    hour: string,
    of: readonly [kind: string, name: string, outcome: string],
    sums: Partial<Sums>,
  ): void {
    const id = [key, hour, ...of].join('|');
    let row = this.rows.get(id);
    if (row === undefined)
      this.rows.set(id, (row = { calls: 0, credits: 0, bytesIn: 0, bytesOut: 0, requests: 0, timed: 0 }));
    for (const [member, value] of Object.entries(sums)) row[member as keyof Sums] += value;
  }
}

interface Request {
  readonly occurrence: Occurrence;
  readonly origin: string;
  readonly userAgent: string;
}

const ERROR = Buffer.from('{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"reverted"}}');

/** Any request or message, of 50 callers. */
function requests(random: (below: number) => number): () => Request {
  const any = <T>(of: readonly T[]): T => of[random(of.length)]!;
  const callers = Array.from({ length: 50 }, () => [any(ORIGINS), any(USER_AGENTS)] as const);
  const admitted = admissions();
  let last = callers[0]!;
  return () => {
    // Often one header alone differs from the request before.
    const [origin, userAgent] = (last = any([
      last,
      [last[0], any(callers)[1]],
      [any(callers)[0], last[1]],
      any(callers),
    ]));
    const admission = any(admitted);
    const headers = { origin: origin[0], userAgent: userAgent[0], headers: {}, requestId: String(random(9)) };
    const facts = { ...headers, apiKey: admission.key.settings.apiKey } as unknown as RequestFacts;
    const wire = any(['http', 'webSocket'] as const);
    const occurrence = new Occurrence(facts, wire, performance.now() - random(50));
    const judged = judgeBody(JSON.stringify(any(BODIES)), 10, admission, rules) as JudgedCalls;
    const isGivenBack = random(10) === 0;
    Object.assign(occurrence, { bytesIn: random(100), bytesOut: random(100), admission, judged });
    occurrence.credits = isGivenBack ? 0 : prices.costOf(judged.allowed);
    const special = random(40);
    if (special === 0)
      Object.assign(occurrence, { admission: undefined, judged: { refused: 'KEY_UNKNOWN' }, credits: 0 });
    if (special === 1)
      Object.assign(occurrence, { admission: undefined, judged: { refused: 'SECRET_INVALID' }, credits: 0 });
    if (special === 2) Object.assign(occurrence, { judged: { refused: 'ORIGIN_NOT_ALLOWED' }, credits: 0 });
    if (special === 3) occurrence.answered = ERROR;
    return { occurrence, origin: origin[1], userAgent: userAgent[1] };
  };
}

/** Takes note of a request in the model. */
function note(model: Model, hour: string, { occurrence, origin, userAgent }: Request): void {
  const { admission, judged, wire, bytesIn, bytesOut, credits, answered } = occurrence;
  const secret = admission?.credential;
  const whole = 'refused' in judged! ? judged.refused : undefined;
  const key = whole === 'KEY_UNKNOWN' ? '(none)' : occurrence.facts.apiKey;
  const add = (kind: string, name: string, outcome: string, sums: Partial<Sums>): void =>
    model.add(key, hour, [kind, name, outcome], sums);
  const addWhole = (outcome: string, sums: Partial<Sums>): void => {
    add('total', '', outcome, sums);
    if (key === '(none)') return;
    const others = { ...sums, requests: 0, timed: 0 };
    for (const [kind, name] of [
      ['wire', wire],
      ['origin', origin],
      ['userAgent', userAgent],
      ['secret', secret?.id],
    ] as const) {
      if (name !== undefined) add(kind, name, outcome, others);
    }
  };
  const once = { bytesIn, bytesOut, requests: 1, timed: wire === 'http' ? 1 : 0 };
  if (whole !== undefined) {
    addWhole(whole, { calls: 1, ...once });
    return;
  }
  const { calls } = judged as JudgedCalls;
  const outcomes: string[] = [];
  for (const judgedCall of calls) {
    const { refusal, wouldRefuse } = judgedCall;
    const outcome = refusal?.refused ?? (wouldRefuse ? `wouldRefuse:${wouldRefuse.refused}` : 'allowed');
    outcomes.push(outcome);
    const { method, params = [] } = judgedCall.call as {
      readonly method?: string;
      readonly params?: readonly unknown[];
    };
    const cost = credits === 0 || refusal !== undefined || method === undefined ? 0 : prices.priceOf(method);
    addWhole(outcome, { calls: 1, credits: cost });
    if (method === undefined) continue;
    const name = /^(eth_(call|chainId|gasPrice|getBalance)|net_version)$/.test(method) ? method : '(unknown)';
    const timed = calls.length === 1 && outcome === 'allowed' ? { bytesIn, bytesOut, timed: once.timed } : {};
    add('method', name, outcome, { calls: 1, credits: cost, ...timed });
    const names = [`method ${name}`, `origin ${origin}`, `userAgent ${userAgent}`];
    if (params.length > 0) {
      const sent = typeof params[0] === 'string' ? params[0] : (params[0] as { readonly to: string }).to;
      const address = sent.startsWith('0x') ? sent.toLowerCase() : '(none)';
      add('address', address, outcome, { calls: 1, credits: cost });
      names.push(`address ${address}`);
    } else if (name === 'eth_call') names.push('address (none)');
    if (secret?.allowlists === undefined) continue;
    for (const named of names) add('ofSecret', `${named} ${secret.id}`, outcome, { calls: 1 });
  }
  addWhole(outcomes.includes('allowed') ? 'allowed' : outcomes[0]!, once);
  if (answered !== undefined) add('code', '-32000', 'allowed', { calls: 1 });
}

function sumsOf(rows: readonly UsageRow[]): Map<string, Sums> {
  const model = new Model();
  for (const row of rows) {
    if (row.kind === 'refusal') continue;
    const { apiKey, hour, kind, name, outcome, calls, credits, bytesIn, bytesOut, requests: of = 0 } = row;
    const timed = (row.milliseconds ?? []).reduce((sum, count) => sum + count, 0);
    model.add(apiKey, hour, [kind, name, outcome], { calls, credits, bytesIn, bytesOut, requests: of, timed });
  }
  return model.rows;
}

/** Answers late, and loses every third write or its answer. */
function shakyStore(random: (below: number) => number) {
  const store = new MemoryStore();
  const pending: (() => void)[] = [];
  let isShaky = true;
  jest.spyOn(store.usage, 'write').mockImplementation(async (rows, sequence) => {
    const fate = isShaky ? random(6) : 2;
    if (isShaky) await new Promise<void>((resolve) => pending.push(resolve));
    if (fate === 0) throw new Error('never arrived');
    await UsageRows.prototype.write.call(store.usage, rows, sequence);
    if (fate === 1) throw new Error('its answer was lost');
  });
  return {
    store,
    answer: () => pending.splice(0).forEach((resolve) => resolve()),
    mend: () => (isShaky = false),
  };
}

test.each([[1], [2], [3]])(
  'of requests in any order each is counted once, with its own caller, whatever the store does: seed %i',
  async (seed) => {
    const random = randomOf(seed);
    const { store, answer, mend } = shakyStore(random);
    const clock = fakeClock();
    const parts = { store, logger: recordingLogger(), prices, addressTable: rules.addressTable, clock };
    const usage = new Usage(parts, { origins: true, addresses: true, userAgents: true });
    const model = new Model();
    const next = requests(random);
    let flushed = Promise.resolve();
    for (let n = 0; n < COUNT; n++) {
      const request = next();
      note(model, hourOf(clock.wall()), request);
      usage.observe(request.occurrence);
      if (random(200) === 0) flushed = usage.flush();
      if (random(200) === 0) answer();
      if (random(50) === 0) await Promise.resolve();
      if (random(1000) === 0) clock.jump(random(600_000));
    }
    mend();
    let isDone = false;
    void flushed.then(() => (isDone = true));
    await until(() => {
      answer();
      return isDone;
    });
    await usage.flush();
    const found = sumsOf(await store.usage.read({ from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' }));
    const wrong = [...new Set([...found.keys(), ...model.rows.keys()])]
      .map((id) => ({ id, counted: found.get(id), is: model.rows.get(id) }))
      .filter(({ counted, is }) => JSON.stringify(counted) !== JSON.stringify(is));
    expect({ rows: found.size > 500, wrong: wrong.length, first: wrong.slice(0, 3) }).toEqual({
      rows: true,
      wrong: 0,
      first: [],
    });
    await usage.close();
  },
);
