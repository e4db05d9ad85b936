import { ExactNumber, hasFoldedTwin, isJsonArray, isJsonObject, isString, LongString } from '../json-rpc/strict-json';
import type { JsonObject, JsonValue } from '../json-rpc/strict-json';
import { ownText } from '../own-text';

/**
 * Addresses that are queried. `[]` means none; `undefined` means that the call does not say, or says it in a way that
 * some node could read differently, and is refused.
 */
export type Addresses = readonly JsonValue[] | undefined;

/** The addresses that a call with these params queries. */
export type AddressReader = (params: readonly JsonValue[]) => Addresses;

/** One position of `params`. How it is read may depend on another position. */
export type Kind = (value: JsonValue | undefined, params: readonly JsonValue[]) => Addresses;

/** What an operator's function may return. */
export type ToldAddresses = string | readonly string[] | undefined;

const NONE: readonly JsonValue[] = [];
const WORD = /^[A-Za-z0-9_-]*$/;
/** By character code. */
const IN_WORD = Uint8Array.from({ length: 128 }, (_, code) => (WORD.test(String.fromCharCode(code)) ? 1 : 0));
const SHORT_WORD = 12;
/** Longer text is data, such as a transaction of 256 KB, of which the expression would take a fifth of the request. */
const MAX_WORD = 1024;
const STRUCTURE = ['{', '[', '"'];
export const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const ADDRESS_LENGTH = 42;
const HEX = /^0x[0-9a-fA-F]*$/;
const QUANTITY = /^0x[0-9a-fA-F]{1,64}$/;
/** Members of an account that may be overridden: they let the call read nothing more. */
const HARMLESS = ['balance', 'nonce'];
/** The tracers built into nodes. Any other name is JavaScript that can read every contract's storage. */
const TRACERS = [
  'callTracer',
  'flatCallTracer',
  'prestateTracer',
  '4byteTracer',
  'noopTracer',
  'erc7562Tracer',
  'keccak256PreimageTracer',
  'muxTracer',
];
const SUBSCRIPTIONS = ['newHeads', 'newPendingTransactions', 'droppedPendingTransactions', 'syncing'];
const TELLS_NONCE = ['validation', 'returnFullTransactions'];
const SIMULATED_BLOCK = ['stateOverrides', 'blockOverrides', 'calls'];
const TRACE_CONFIG = ['stateOverrides', 'tracer', 'tracerConfig'];
const ALLOWANCE = ['contract', 'owner', 'spender'];
const RUN_BY_BUNDLER = ['factory', 'paymaster', 'initCode', 'paymasterAndData'];
const USER_AUTHORIZATION = ['eip7702Auth', 'authorization'];
const USER_OPERATION = ['sender', ...RUN_BY_BUNDLER, ...USER_AUTHORIZATION];
/**
 * The last three make a call run other code than that of its `to`: delegations (EIP-7702, and Tempo's own), and further
 * calls in one transaction (Tempo).
 */
const CALL_MEMBERS = ['to', 'eip712Meta', 'authorizationList', 'aaAuthorizationList', 'calls'];

/** Reads each position by its kind. More positions than kinds are refused. */
export function takes(kinds: readonly Kind[]): AddressReader {
  return (params) => {
    if (params.length > kinds.length) return undefined;
    let addresses: readonly JsonValue[] = NONE;
    for (let i = 0; i < kinds.length; i++) {
      const found = kinds[i]!(params[i], params);
      if (found === undefined) return undefined;
      if (found.length > 0) addresses = addresses.length === 0 ? found : addresses.concat(found);
    }
    return addresses;
  };
}

/**
 * Asks an operator's function. It must answer one address or more: nothing, `[]` (an empty list that the caller may have
 * sent), and an exception refuse the call. It cannot change the params.
 */
export function toldBy(tell: (params: readonly JsonValue[]) => ToldAddresses): AddressReader {
  return (params) => {
    try {
      const addresses: unknown = tell(deepFreeze(params));
      // A promise is not an answer.
      if (addresses instanceof Promise) addresses.catch(() => undefined);
      return oneOrMore(
        Array.isArray(addresses) ? Array.from(addresses as string[]) : (addresses as string | undefined),
      );
    } catch {
      return undefined;
    }
  };
}

/** What an operator's function may see and keep: nothing that it could change, and each string as one of its own. */
function deepFreeze<T extends JsonValue>(value: T): T {
  // A call that is refused may be read again.
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  const members = value as Record<string, JsonValue>;
  for (const [name, item] of Object.entries(members)) {
    if (isString(item)) members[name] = ownText(item.toString());
    else deepFreeze(item);
  }
  return Object.freeze(value);
}

// Kinds that query addresses.

export function account(value: JsonValue | undefined): Addresses {
  return isString(value) ? [value] : undefined;
}

export function optionalAccount(value: JsonValue | undefined): Addresses {
  return value === undefined || value === null ? NONE : account(value);
}

export function callTo(value: JsonValue | undefined): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, CALL_MEMBERS)) return undefined;
  // Named one by one: to look for the names of a list takes twice as long.
  const { authorizationList, aaAuthorizationList, calls, eip712Meta } = value;
  const runsOtherCode = authorizationList !== undefined || aaAuthorizationList !== undefined || calls !== undefined;
  if (runsOtherCode) return undefined;
  const to = account(value['to']);
  if (eip712Meta === undefined) return to;
  const paymaster = paymasterOf(eip712Meta);
  return to && paymaster && [...to, ...paymaster];
}

/** On ZKsync the paymaster that a call names runs its own code. */
function paymasterOf(meta: JsonValue): Addresses {
  if (meta === null) return NONE;
  if (!isJsonObject(meta) || hasFoldedTwin(meta, ['paymasterParams'])) return undefined;
  const paid = meta['paymasterParams'] ?? null;
  if (paid === null) return NONE;
  if (!isJsonObject(paid) || hasFoldedTwin(paid, ['paymaster'])) return undefined;
  return account(paid['paymaster']);
}

/** `from` counts too where the answer reveals its nonce. */
export function callAndSender(value: JsonValue | undefined): Addresses {
  const to = callTo(value);
  if (to === undefined || !isJsonObject(value) || hasFoldedTwin(value, ['from'])) return undefined;
  const from = account(value['from']);
  return from && [...to, ...from];
}

/** Every account that a call names, for methods whose answer reveals the state of all accounts it loaded. */
function callAndAccounts(value: JsonValue | undefined): Addresses {
  const parties = callAndSender(value);
  if (parties === undefined || !isJsonObject(value) || hasFoldedTwin(value, ['accessList'])) return undefined;
  const accessed = accessedAccounts(value['accessList'] ?? null);
  return accessed && [...parties, ...accessed];
}

function accessedAccounts(list: JsonValue): Addresses {
  if (list === null || (isJsonArray(list) && list.length === 0)) return NONE;
  return each(list, (item) =>
    isJsonObject(item) && !hasFoldedTwin(item, ['address']) ? account(item['address']) : undefined,
  );
}

/** The call of `trace_call`, with the trace types behind it: a `stateDiff` holds the accounts of its parties. */
export function tracedCall(value: JsonValue | undefined, params: readonly JsonValue[]): Addresses {
  return tellsStateDiff(params) ? callAndAccounts(value) : callTo(value);
}

/** The call of `debug_traceCall`, with its config in the third position: a prestate holds the accounts of its parties. */
export function debuggedCall(value: JsonValue | undefined, params: readonly JsonValue[]): Addresses {
  return tellsPrestate(params[2]) ? callAndAccounts(value) : callTo(value);
}

export function logFilter(value: JsonValue | undefined): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, ['address'])) return undefined;
  return oneOrMore(value['address']);
}

/** A block without calls reads nothing. Validated or returned in full, a call tells the nonce of its sender. */
export function simulation(value: JsonValue | undefined): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, TELLS_NONCE)) return undefined;
  const call = TELLS_NONCE.some((name) => value[name] ?? false) ? callAndSender : callTo;
  return eachOf(value, 'blockStateCalls', (blockCalls) => {
    if (!isJsonObject(blockCalls) || hasFoldedTwin(blockCalls, SIMULATED_BLOCK)) return undefined;
    if (stateOverride(blockCalls['stateOverrides']) === undefined) return undefined;
    const calls = blockCalls['calls'] ?? [];
    return isJsonArray(calls) && calls.length === 0 ? NONE : each(calls, call);
  });
}

export function bundles(value: JsonValue | undefined): Addresses {
  return each(value, (bundle) => eachOf(bundle, 'transactions', callTo));
}

export function tracedCalls(value: JsonValue | undefined): Addresses {
  return each(value, (pair) => (isJsonArray(pair) ? tracedPair(pair) : undefined));
}

const tracedPair = takes([tracedCall, list]);

export function accountsBySlots(value: JsonValue | undefined): Addresses {
  if (!isJsonObject(value) || !Object.values(value).every((slots) => list(slots))) return undefined;
  return oneOrMore(Object.keys(value));
}

export function traceFilter(value: JsonValue | undefined): Addresses {
  return someOf(value, ['fromAddress', 'toAddress']);
}

export function assetTransfers(value: JsonValue | undefined): Addresses {
  return someOf(value, ['fromAddress', 'toAddress', 'contractAddresses']);
}

export function tokenAllowance(value: JsonValue | undefined): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, ALLOWANCE)) return undefined;
  return each(
    ALLOWANCE.map((name) => value[name] ?? null),
    account,
  );
}

/** A word for all of an account's tokens (`erc20`), or an array of their contracts. */
export function tokens(value: JsonValue | undefined): Addresses {
  if (isJsonArray(value)) return oneOrMore(value);
  return isString(value) && value.startsWith('0x') ? [value] : scalar(value);
}

export function calls(value: JsonValue | undefined): Addresses {
  return each(value, callTo);
}

/** Expected storage of accounts: the answer reveals whether it is so. */
export function conditions(value: JsonValue | undefined): Addresses {
  if (value === undefined || value === null) return NONE;
  if (!isJsonObject(value) || hasFoldedTwin(value, ['knownAccounts'])) return undefined;
  const known = value['knownAccounts'] ?? null;
  if (known === null) return NONE;
  return isJsonObject(known) ? Object.keys(known) : undefined;
}

/** Whose code a bundler runs: the sender's, its factory's and its paymaster's, of EntryPoint 0.6 and later. */
export function userOperation(value: JsonValue | undefined): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, USER_OPERATION)) return undefined;
  // An authorization makes the sender run the code of any other account.
  if (USER_AUTHORIZATION.some((name) => value[name] !== undefined)) return undefined;
  const sender = account(value['sender']);
  const runs = each(
    RUN_BY_BUNDLER.map((name) => value[name] ?? '0x'),
    leadingAddress,
  );
  return sender && runs && [...sender, ...runs];
}

/** The address alone, or followed by data for its contract. */
function leadingAddress(value: JsonValue): Addresses {
  if (value === '0x') return NONE;
  const text = isString(value) ? value.toString() : '';
  return HEX.test(text) ? [text.slice(0, ADDRESS_LENGTH)] : undefined;
}

/** What `eth_subscribe` subscribes to; the options behind it say the addresses of logs. */
export function subscription(value: JsonValue | undefined): Addresses {
  return value === 'logs' || SUBSCRIPTIONS.includes(value as string) ? NONE : undefined;
}

export function subscriptionOptions(value: JsonValue | undefined, params: readonly JsonValue[]): Addresses {
  if (params[0] === 'logs') return logFilter(value);
  return isJsonObject(value) && Object.keys(value).length === 0 ? NONE : scalar(value);
}

// Kinds that query none.

/** Of `balance` and `nonce` alone: replaced code or storage makes a listed contract read any other. */
export function stateOverride(value: JsonValue | undefined): Addresses {
  if (value === undefined || value === null) return NONE;
  if (!isJsonObject(value)) return undefined;
  return Object.entries(value).every(([address, account]) => ADDRESS.test(address) && readsNothing(account))
    ? NONE
    : undefined;
}

function readsNothing(override: JsonValue): boolean {
  if (!isJsonObject(override)) return false;
  const members = Object.entries(override);
  return members.length > 0 && members.every(([name, value]) => HARMLESS.includes(name) && isQuantity(value));
}

export function traceConfig(value: JsonValue | undefined): Addresses {
  if (value === undefined || value === null) return NONE;
  if (!isJsonObject(value) || hasFoldedTwin(value, TRACE_CONFIG)) return undefined;
  const { tracer, tracerConfig, stateOverrides } = value;
  return tracer === undefined || isTracer(tracer, tracerConfig) ? stateOverride(stateOverrides) : undefined;
}

/** `muxTracer` runs each tracer that its config names. */
function isTracer(name: JsonValue, config: JsonValue | undefined): boolean {
  if (!TRACERS.includes(name as string)) return false;
  if (name !== 'muxTracer') return true;
  return isJsonObject(config) && Object.entries(config).every(([inner, its]) => isTracer(inner, its));
}

/** A prestate holds the account of the block's beneficiary: none may be named. */
export function debugConfig(value: JsonValue | undefined): Addresses {
  if (isJsonObject(value) && tellsPrestate(value)) {
    if (hasFoldedTwin(value, ['blockOverrides']) || value['blockOverrides'] !== undefined) return undefined;
  }
  return traceConfig(value);
}

/** Where each call may have another sender. */
export function statelessConfig(value: JsonValue | undefined): Addresses {
  return tellsPrestate(value) ? undefined : traceConfig(value);
}

function tellsPrestate(config: JsonValue | undefined): boolean {
  return isJsonObject(config) && isPrestate(config['tracer'], config['tracerConfig']);
}

function isPrestate(tracer: JsonValue | undefined, config: JsonValue | undefined): boolean {
  if (tracer !== 'muxTracer') return tracer === 'prestateTracer';
  return isJsonObject(config) && Object.entries(config).some(([inner, its]) => isPrestate(inner, its));
}

export function blockOverride(value: JsonValue | undefined): Addresses {
  return value === undefined || value === null || isJsonObject(value) ? NONE : undefined;
}

/** The `stateDiff` of a call holds the account of the block's beneficiary: none may be named. */
export function tracedBlockOverride(value: JsonValue | undefined, params: readonly JsonValue[]): Addresses {
  return value === undefined || value === null || !tellsStateDiff(params) ? blockOverride(value) : undefined;
}

function tellsStateDiff([, types]: readonly JsonValue[]): boolean {
  return isJsonArray(types) && types.includes('stateDiff');
}

export function block(value: JsonValue | undefined): Addresses {
  return isScalar(value) || isFlat(value) ? NONE : undefined;
}

export function fields(value: JsonValue | undefined): Addresses {
  return value === undefined || value === null || isFlat(value) ? NONE : undefined;
}

export function list(value: JsonValue | undefined): Addresses {
  return value === undefined || value === null || (isJsonArray(value) && value.every(isScalar)) ? NONE : undefined;
}

export function scalar(value: JsonValue | undefined): Addresses {
  return isScalar(value) ? NONE : undefined;
}

/** A string that could itself be JSON is no scalar: some node might parse it. */
export function isScalar(value: JsonValue | undefined): boolean {
  if (typeof value === 'string') return value.length > MAX_WORD ? isData(value) : isWord(value);
  if (value instanceof LongString) return isData(value);
  return value === null || typeof value !== 'object' || value instanceof ExactNumber;
}

/** Short ones by a loop, in half the time of the expression: `latest`, or the number of a block. */
function isWord(text: string): boolean {
  if (text.length > SHORT_WORD) return WORD.test(text);
  for (let n = 0; n < text.length; n++) if (IN_WORD[text.charCodeAt(n)] !== 1) return false;
  return true;
}

/** JSON does not begin with `0x`. */
function isData(text: string | LongString): boolean {
  return text.startsWith('0x') && STRUCTURE.every((character) => !text.includes(character));
}

function isQuantity(value: JsonValue): boolean {
  return typeof value === 'string' && QUANTITY.test(value);
}

function isFlat(value: JsonValue | undefined): value is JsonObject {
  return isJsonObject(value) && Object.values(value).every(isScalar);
}

function oneOrMore(value: JsonValue | undefined): Addresses {
  if (!isJsonArray(value)) return account(value);
  return value.length > 0 ? value : undefined;
}

/** The addresses that an object holds under these members. It must have at least one of them. */
function someOf(value: JsonValue | undefined, names: readonly string[]): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, names)) return undefined;
  const named = names.map((name) => value[name]).filter((side) => side !== undefined);
  return each(named, oneOrMore);
}

/** What `read` finds in the items of a non-empty array. */
function each(value: JsonValue | undefined, read: (item: JsonValue) => Addresses): Addresses {
  if (!isJsonArray(value) || value.length === 0) return undefined;
  const found = value.map(read);
  return found.includes(undefined) ? undefined : found.flatMap((addresses) => addresses ?? []);
}

/** `each`, over the array that an object holds under `name`. */
function eachOf(value: JsonValue | undefined, name: string, read: (item: JsonValue) => Addresses): Addresses {
  if (!isJsonObject(value) || hasFoldedTwin(value, [name])) return undefined;
  return each(value[name], read);
}
