import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import * as allowlists from '../allowlists';
import { queriedAddresses } from '../allowlists/address-table';
import { judgeBody, serialiseAll } from '../policy/evaluate-body';
import type { JudgedCalls } from '../policy/evaluate-body';
import { readBody } from '../http/request-body';
import { admissionOf, admit } from '../policy/authorize';
import type { Admission } from '../policy/authorize';
import type { RpcCall } from '../json-rpc/call';
import { stringifyJson } from '../json-rpc/strict-json';
import type { JsonValue } from '../json-rpc/strict-json';
import { PASSES_ALL, compileKeySettings } from '../settings/compile';
import type { AllowlistType, Allowlists, KeySettings } from '../settings/key-settings';
import type { CompiledAllowlists, CompiledKey, CompiledSecret } from '../settings/compile';
import type { ParsedOptions } from '../options/options';
import { REFUSALS, isRefusal, refuse } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { requestFacts } from '../request/request-facts';
import type { RequestFacts } from '../request/request-facts';
import { checkContracts } from '../policy/check-allowlists';
import { authenticate } from '../policy/authenticate';

export interface DryRunRequest {
  readonly apiKey: string;
  /** Names and values, as they would be sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

/** What one step says, and the entry or the secret's hint by which it says so. */
export interface DryRunStep {
  readonly step: AllowlistType | 'key' | 'secret' | 'body' | 'blockedMethods';
  readonly outcome: 'pass' | 'refuse' | 'skip';
  readonly reason: Reason | null;
  readonly entry: string | null;
  readonly why: string;
}

export interface DryRunCall {
  readonly method: string | null;
  /** JSON text; `null` for a notification. */
  readonly id: string | null;
  readonly allowed: boolean;
  readonly reason: Reason | null;
  readonly steps: readonly DryRunStep[];
}

/** What the guard would do with a request, and why. */
export interface DryRun {
  /** Whether all of it would be forwarded. */
  readonly allowed: boolean;
  readonly reason: Reason | null;
  /** The HTTP status of a refusal; 200 where the upstream is asked, or a batch gets its refusals one by one. */
  readonly status: number;
  readonly message: string;
  /** The steps that decide on the request as a whole. After a refusal they go on, as if it had not been. */
  readonly steps: readonly DryRunStep[];
  readonly calls: readonly DryRunCall[];
  /** What the upstream would receive; `null` where nothing. */
  readonly forwarded: string | null;
}

export type DryRunOptions = Pick<
  ParsedOptions,
  'path' | 'maxBodyBytes' | 'bodyTimeoutMs' | 'maxBatchSize' | 'isBlocked' | 'blockedMethods' | 'addressTable'
>;

type Outcome = Omit<DryRunStep, 'step'>;

/** Decides on a request as the guard does, by the same functions, and tells each step's verdict. Nothing is forwarded. */
export async function dryRun(
  request: DryRunRequest,
  settings: KeySettings | undefined,
  options: DryRunOptions,
): Promise<DryRun> {
  const facts = factsOf(request, options);
  const key = settings && compileKeySettings(settings);
  const admission = await admit(facts, { get: () => key ?? 'unknown' });
  if (key === undefined) return refusedWhole(admission as Refusal, [{ step: 'key', ...refused(admission as Refusal) }]);

  const secret = explainSecret(await authenticate(facts, key), key);
  const { lists, held } = secret;
  const judged = await judge(request, held, options);
  const steps: DryRunStep[] = [
    { step: 'key', ...explainKey(facts, key) },
    { step: 'secret', ...secret.outcome },
    { step: 'userAgents', ...explainHeader('userAgents', lists, facts) },
    { step: 'origins', ...explainHeader('origins', lists, facts) },
    { step: 'body', ...(isRefusal(judged) ? refused(judged) : passed(describeCalls(judged))) },
  ];
  if (isRefusal(judged)) return refusedWhole(isRefusal(admission) ? admission : judged, steps);

  const calls = judged.calls.map(({ call, refusal }) => ({
    method: 'method' in call ? call.method : null,
    id: call.id ?? null,
    allowed: refusal === undefined,
    reason: refusal?.refused ?? null,
    steps: 'invalid' in call ? [{ step: 'body' as const, ...refused(refusal!) }] : explainCall(call, secret, options),
  }));
  if (isRefusal(admission)) return { ...refusedWhole(admission, steps), calls };
  const [first] = judged.calls;
  if (!judged.batch && first?.refusal !== undefined) return { ...refusedWhole(first.refusal, steps), calls };
  const allowed = judged.allowed.length === judged.calls.length;
  const message = allowed
    ? 'allowed'
    : `${String(judged.allowed.length)} of ${String(judged.calls.length)} calls are allowed`;
  const reason = judged.calls.find(({ refusal }) => refusal !== undefined)?.refusal?.refused ?? null;
  const forwarded = judged.allowed.length > 0 ? serialiseAll(judged) : null;
  return { allowed, reason, status: 200, message, steps, calls, forwarded };
}

function factsOf({ apiKey, headers }: DryRunRequest, { path }: DryRunOptions): RequestFacts {
  const url = `${path.before}KEY${path.after}`;
  return { ...requestFacts({ url, headers: byName(headers), rawHeaders: headers.flat() }, path)!, apiKey };
}

/** The body is read by the guard's own reader, which looks at the headers that speak of it. */
async function judge(
  { headers, body }: DryRunRequest,
  held: Admission,
  options: DryRunOptions,
): Promise<Refusal | JudgedCalls> {
  const message = Object.assign(Readable.from([Buffer.from(body)]), { headers: byName(headers) });
  const bytes = await readBody(message as unknown as IncomingMessage, options);
  return isRefusal(bytes) ? bytes : judgeBody(bytes, options.maxBatchSize, held, options);
}

function byName(headers: DryRunRequest['headers']): IncomingHttpHeaders {
  return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
}

function explainKey(facts: RequestFacts, { settings }: CompiledKey): Outcome {
  if (facts.duplicateHeader !== undefined) {
    return refused(refuse('DUPLICATE_HEADER', { why: `${facts.duplicateHeader} was sent twice` }));
  }
  return settings.enabled ? passed('known and enabled') : refused(refuse('KEY_DISABLED', { why: 'disabled' }));
}

/** Which lists the request is held against depends on its secret. */
interface Secret {
  readonly outcome: Outcome;
  readonly lists: Allowlists | undefined;
  readonly held: Admission;
}

function explainSecret(secret: CompiledSecret | Refusal | undefined, key: CompiledKey): Secret {
  const { settings } = key;
  const own = { lists: settings.allowlists, held: admissionOf(key, undefined) };
  if (isRefusal(secret)) return { ...own, outcome: refused({ ...secret, why: whyNoSecret(secret) }) };
  if (secret === undefined) return { ...own, outcome: passed('none was sent, and none is required') };

  const { label, hint, allowlists: ownLists } = settings.secrets[key.secrets.indexOf(secret)]!;
  const held = admissionOf(key, secret);
  const named = label === '' ? 'valid' : `"${label}" is valid`;
  if (secret.allowlists !== undefined) {
    return { lists: ownLists, held, outcome: passed(`${named}; its own lists hold in place of the key's`, hint) };
  }
  if (held.allowlists !== PASSES_ALL) return { ...own, outcome: passed(named, hint) };
  return { lists: undefined, held, outcome: passed(`${named}, and overrides the lists`, hint) };
}

function whyNoSecret({ refused }: Refusal): string {
  if (refused === 'SECRET_REQUIRED') return 'a secret is required, and none was sent';
  return 'the credentials are malformed, or hold no active secret of this key';
}

function explainHeader(type: 'userAgents' | 'origins', lists: Allowlists | undefined, facts: RequestFacts): Outcome {
  const entries = lists?.[type] ?? [];
  if (entries.length === 0) return skipped(lists);
  const list = allowlists[type];
  const entry = entries.find((each) => list.compile([each])(facts));
  if (entry !== undefined) return passed('matches', entry);
  const header = { userAgents: 'User-Agent', origins: 'Origin' }[type];
  const isSent = (type === 'origins' ? facts.origin : facts.userAgent) !== undefined;
  return refused(refuse(list.refusal, { why: isSent ? 'no entry matches' : `there is no ${header} header` }));
}

function explainCall(call: RpcCall, { lists, held }: Secret, options: DryRunOptions): readonly DryRunStep[] {
  return [
    { step: 'contractAddresses', ...explainContracts(call, lists, held.allowlists, options) },
    { step: 'blockedMethods', ...explainBlocked(call, options) },
    { step: 'methods', ...explainMethod(call, lists) },
  ];
}

function explainContracts(
  call: RpcCall,
  lists: Allowlists | undefined,
  compiled: CompiledAllowlists,
  { addressTable }: DryRunOptions,
): Outcome {
  const listed = lists?.contractAddresses ?? [];
  if (listed.length === 0) return skipped(lists);
  const addresses = queriedAddresses(call, addressTable);
  const refusal = checkContracts(compiled, call, addressTable);
  const isListed = (address: unknown) => listed.some((entry) => isSameAddress(entry, address));
  if (refusal === undefined) {
    if (addresses?.length === 0) return passed('the method takes no address');
    return passed(
      'every address is listed',
      listed.filter((entry) => addresses?.some((it) => isSameAddress(entry, it))).join(' '),
    );
  }
  if (addresses === undefined) {
    const isKnown = addressTable.has(call.method);
    return refused({
      ...refusal,
      why: isKnown ? 'it does not say plainly which addresses it queries' : 'the method is not in the table',
    });
  }
  return refused({
    ...refusal,
    why: `not listed: ${describeAddress(addresses.find((address) => !isListed(address)))}`,
  });
}

/** The prefix is `0x` on the list and has to be in the call. */
function isSameAddress(entry: string, address: unknown): boolean {
  return typeof address === 'string' && address.startsWith('0x') && address.toLowerCase() === entry.toLowerCase();
}

/** Whatever stands where an address should. */
function describeAddress(address: unknown): string {
  return (typeof address === 'string' ? address : stringifyJson(address as JsonValue)).slice(0, 100);
}

function explainBlocked({ method }: RpcCall, { isBlocked, blockedMethods }: DryRunOptions): Outcome {
  if (!isBlocked(method)) return passed('not blocked');
  const entry = blockedMethods.find((each) => allowlists.methods.compile([each])(method)) ?? null;
  return { ...refused(refuse('METHOD_BLOCKED', { why: 'blocked for every key' })), entry };
}

function explainMethod({ method }: RpcCall, lists: Allowlists | undefined): Outcome {
  const entries = lists?.methods ?? [];
  if (entries.length === 0) return skipped(lists);
  const entry = entries.find((each) => allowlists.methods.compile([each])(method));
  if (entry !== undefined) return passed('matches', entry);
  return refused(refuse(allowlists.methods.refusal, { why: 'no entry matches' }));
}

function describeCalls({ batch, calls }: JudgedCalls): string {
  return batch ? `a batch of ${String(calls.length)}` : 'one call';
}

function passed(why: string, entry: string | null = null): Outcome {
  return { outcome: 'pass', reason: null, entry, why };
}

function skipped(lists: Allowlists | undefined): Outcome {
  return { outcome: 'skip', reason: null, entry: null, why: lists === undefined ? 'overridden' : 'no list' };
}

function refused(refusal: Refusal): Outcome {
  return { outcome: 'refuse', reason: refusal.refused, entry: null, why: refusal.why ?? messageOf(refusal) };
}

function refusedWhole(refusal: Refusal, steps: readonly DryRunStep[]): DryRun {
  const { status } = REFUSALS[refusal.refused];
  return {
    allowed: false,
    reason: refusal.refused,
    status,
    message: messageOf(refusal),
    steps,
    calls: [],
    forwarded: null,
  };
}

function messageOf({ refused, message }: Refusal): string {
  return message ?? REFUSALS[refused].message;
}
