import { METHOD_NAMES, isKnownMethod, queriedAddresses } from '../allowlists/address-table';
import type { AddressTable } from '../allowlists/address-table';
import { nameInstance } from '../instance-name';
import type { RpcCall } from '../json-rpc/call';
import type { JsonValue } from '../json-rpc/strict-json';
import { systemClock } from '../limits/clock';
import type { Clock } from '../limits/clock';
import type { Prices } from '../limits/credits';
import type { Logger } from '../logger';
import type { UsageKinds } from '../options/usage-option';
import type { JudgedCalls } from '../policy/evaluate-body';
import { ownText } from '../own-text';
import { KEY_NOT_LOOKED_UP, isRefusal } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { usageOf } from '../stores/usage-rows';
import type { SettingsStore } from '../stores/settings-store';
import { ALLOWED, NAMES_KEPT, NO_KEY, OTHER, WOULD_REFUSE } from '../stores/usage-store';
import { classOf } from '../usage/counts';
import type { Counts } from '../usage/counts';
import { ADDRESS, CODE, METHOD, OF_SECRET } from '../usage/key-hour';
import type { Caller, KeyHour } from '../usage/key-hour';
import { addressOf, originOf, productOf } from '../usage/names';
import { UsageFlush } from '../usage/usage-flush';
import { UsageTable } from '../usage/usage-table';
import type { Observe, Occurrence } from './request-event';
import { upstreamCodeIn } from './upstream-code';

export interface UsageParts {
  readonly store: SettingsStore;
  readonly logger: Logger;
  readonly addressTable: AddressTable;
  readonly prices: Prices;
  /** For tests. */
  readonly instance?: () => string;
  readonly clock?: Clock;
}

type JudgedCall = JudgedCalls['calls'][number];

/** What was counted of one outcome of a request. */
interface Tally {
  readonly outcome: string;
  calls: number;
  credits: number;
}

const UNKNOWN_METHOD = '(unknown)';
/** A call that a list of addresses would refuse, whatever is on it. */
const NO_ADDRESS = '(none)';
const MAX_ADDRESSES = NAMES_KEPT.address!;
const MAX_HEADER_KEPT = 512;

/** Counts what keys do, and tells the store every 10 s. */
export class Usage {
  readonly #parts: UsageParts;
  readonly #kinds: UsageKinds;
  readonly #clock: Clock;
  readonly #table: UsageTable;
  readonly #flush: UsageFlush;

  constructor(parts: UsageParts, kinds: UsageKinds) {
    const { store, logger, instance = nameInstance, clock = systemClock } = parts;
    if (store.usage === undefined) {
      logger.warn({}, 'the store keeps no usage: it is counted in the memory of this process');
    }
    this.#parts = parts;
    this.#kinds = kinds;
    this.#clock = clock;
    this.#table = new UsageTable({ clock, instance });
    this.#flush = new UsageFlush({ table: this.#table, store: usageOf(store), logger, clock });
  }

  /** Tells the store now. */
  flush(): Promise<void> {
    return this.#flush.flush();
  }

  close(): Promise<void> {
    return this.#flush.close();
  }

  readonly observe: Observe = (occurrence) => {
    const ended = performance.now();
    const counted = this.#table.at(keyOf(occurrence), this.#clock.wallAt(ended));
    counted.caller = this.#callerOf(occurrence, counted.caller);
    const place = isTimed(occurrence) ? classOf(ended - occurrence.arrivedAt) : undefined;
    const { judged, failure } = occurrence;
    if (judged === undefined || isRefusal(judged)) {
      const outcome = judged?.refused ?? failure?.refused ?? 'INTERNAL_ERROR';
      if (judged !== undefined) this.#note(counted, occurrence, judged);
      countRequest(counted, occurrence, { outcome, calls: 1, credits: 0 }, place);
      return;
    }
    const { calls } = judged;
    const [first] = calls;
    if (first === undefined) return; // a handshake that is let in: its messages are counted
    if (calls.length === 1 && first.refusal === undefined && first.wouldRefuse === undefined) {
      this.#countSingle(counted, occurrence, first.call as RpcCall, place);
    } else this.#countCalls(counted, occurrence, calls, place);
  };

  /** Who calls; the one who called last, where it is the same. */
  #callerOf({ facts, admission, wire }: Occurrence, last: Caller): Caller {
    const { origin: sentOrigin, userAgent: sentUserAgent } = facts;
    const secretId = admission?.credential?.id ?? '';
    const isLike = wire === last.wire && secretId === last.secretId;
    if (isLike && sentUserAgent === last.sentUserAgent && sentOrigin === last.sentOrigin) return last;
    const origin = this.#kinds.origins ? originOf(sentOrigin) : '';
    const userAgent = this.#kinds.userAgents ? productOf(sentUserAgent) : '';
    const isLast = isLike && origin === last.origin && userAgent === last.userAgent;
    const caller = isLast ? last : { wire, origin, userAgent, secretId, sentOrigin: '', sentUserAgent: '' };
    caller.sentOrigin = kept(sentOrigin);
    caller.sentUserAgent = kept(sentUserAgent);
    return caller;
  }

  /** Most requests are of one call that is allowed: what is of the request as a whole is of its method too. */
  #countSingle(counted: KeyHour, occurrence: Occurrence, call: RpcCall, place: number | undefined): void {
    const { credits, bytesIn, bytesOut, failure } = occurrence;
    const method = this.#countCall(counted, occurrence, call, ALLOWED, credits);
    method.addBytes(bytesIn, bytesOut, failure === undefined ? 0 : 1);
    if (place !== undefined) method.addTime(place);
    countRequest(counted, occurrence, { outcome: ALLOWED, calls: 1, credits }, place);
  }

  #countCalls(counted: KeyHour, occurrence: Occurrence, calls: readonly JudgedCall[], place: number | undefined): void {
    const tallies: Tally[] = [];
    const isCharged = occurrence.credits > 0; // else it is free, or all was given back
    let tally: Tally | undefined;
    for (const judged of calls) {
      const { call, refusal } = judged;
      const outcome = outcomeOf(judged);
      if (tally?.outcome !== outcome) tally = tallyOf(outcome, tallies);
      tally.calls++;
      if ('method' in call) {
        const credits = isCharged && refusal === undefined ? this.#parts.prices.priceOf(call.method) : 0;
        tally.credits += credits;
        this.#countCall(counted, occurrence, call, outcome, credits);
      }
      const note = refusal ?? judged.wouldRefuse;
      if (note !== undefined) this.#note(counted, occurrence, note, judged);
    }
    const main = tallies.find(({ outcome }) => outcome === ALLOWED) ?? tallies[0]!;
    for (const tally of tallies) {
      if (tally === main) continue;
      for (const row of counted.rows(tally.outcome)) row.add(tally.calls, tally.credits, counted.now);
    }
    countRequest(counted, occurrence, main, place);
  }

  /** @returns the row of its method. */
  #countCall(counted: KeyHour, { admission }: Occurrence, call: RpcCall, outcome: string, credits: number): Counts {
    const { now } = counted;
    const { params = [] } = call;
    const methods = counted.of(METHOD);
    const method =
      (outcome === ALLOWED ? methods.known(call.method) : undefined) ??
      methods.of(this.#methodOf(call.method), outcome);
    method.add(1, credits, now);
    if (this.#kinds.addresses && params.length > 0) {
      for (const it of this.#addressesOf(call)) counted.of(ADDRESS).of(nameOf(it), outcome).add(1, credits, now);
    }
    if (admission?.credential?.allowlists !== undefined) this.#countOfSecret(counted, call, outcome);
    return method;
  }

  /**
   * What a list of addresses holds a call against: one that is none where it would refuse it whatever is listed. Each
   * takes 2 µs, and what is beyond the names kept could only push out others: of one call it counts once.
   */
  #addressesOf(call: RpcCall): readonly JsonValue[] {
    const table = this.#parts.addressTable;
    const addresses = queriedAddresses(call, table);
    if (addresses === undefined) return isKnownMethod(call.method, table) ? [NO_ADDRESS] : [];
    return addresses.length > MAX_ADDRESSES ? [...addresses.slice(0, MAX_ADDRESSES), OTHER] : addresses;
  }

  /** A list of a secret's own is proposed from what this secret does alone. */
  #countOfSecret(counted: KeyHour, call: RpcCall, outcome: string): void {
    const { origin, userAgent, secretId } = counted.caller;
    const names = [`method ${this.#methodOf(call.method)}`];
    if (origin !== '') names.push(`origin ${origin}`);
    if (userAgent !== '') names.push(`userAgent ${userAgent}`);
    if (this.#kinds.addresses) names.push(...this.#addressesOf(call).map((it) => `address ${nameOf(it)}`));
    for (const name of names) counted.of(OF_SECRET).of(`${name} ${secretId}`, outcome).add(1, 0, counted.now);
  }

  /** Methods that no table knows are one. Not as it stands in the body, which would stay in memory with it. */
  #methodOf(method: string): string {
    return (
      METHOD_NAMES.get(method) ?? (isKnownMethod(method, this.#parts.addressTable) ? ownText(method) : UNKNOWN_METHOD)
    );
  }

  /** Puts a refusal, or one that a list only reports, into its group. */
  #note(counted: KeyHour, occurrence: Occurrence, { refused, why }: Refusal, judged?: JudgedCall): void {
    const { facts, admission } = occurrence;
    const { origin, userAgent, wire, secretId } = counted.caller;
    const call = judged !== undefined && 'method' in judged.call ? judged.call : undefined;
    const isReported = judged !== undefined && judged.refusal === undefined;
    const isOfAddress = refused === 'CONTRACT_ADDRESS_NOT_ALLOWED' && this.#kinds.addresses;
    const group = {
      outcome: isReported ? WOULD_REFUSE + refused : refused,
      method: call === undefined ? '' : this.#methodOf(call.method),
      origin,
      userAgent,
      address: isOfAddress && call !== undefined ? this.#unlisted(call, admission) : '',
      wire,
      secretId,
    };
    counted.refusals.add(group, { why, requestId: facts.requestId, at: counted.now });
  }

  /** The first address that a call queries and that is not on the list. */
  #unlisted(call: RpcCall, admission: Occurrence['admission']): string {
    const list = admission?.allowlists.contractAddresses ?? admission?.reported?.contractAddresses;
    const addresses = queriedAddresses(call, this.#parts.addressTable) ?? [];
    const isUnlisted = (name: string): boolean => name !== '' && list?.matches(name) !== true;
    return addressOf(addresses.find((it) => isUnlisted(addressOf(it))) ?? '');
  }
}

/** A long header is not kept: in its place is what no header can be. */
function kept(header: string | undefined): string | undefined {
  return header !== undefined && header.length > MAX_HEADER_KEPT ? '\n' : header;
}

/** `(none)` where nobody knows the key: names that callers make up are not stored. */
function keyOf({ facts, admission, judged }: Occurrence): string {
  if (admission !== undefined) return admission.key.settings.apiKey;
  return isRefusal(judged) && !KEY_NOT_LOOKED_UP.has(judged.refused) ? facts.apiKey : NO_KEY;
}

function nameOf(address: JsonValue): string {
  return addressOf(address) || (address === OTHER ? OTHER : NO_ADDRESS);
}

function outcomeOf({ refusal, wouldRefuse }: JudgedCall): string {
  return refusal?.refused ?? (wouldRefuse === undefined ? ALLOWED : WOULD_REFUSE + wouldRefuse.refused);
}

function tallyOf(outcome: string, tallies: Tally[]): Tally {
  let tally = tallies.find((it) => it.outcome === outcome);
  if (tally === undefined) tallies.push((tally = { outcome, calls: 0, credits: 0 }));
  return tally;
}

/** How long the upstream takes for a single call on a WebSocket is not known. */
function isTimed({ wire, upstreamMs }: Occurrence): boolean {
  return wire === 'http' || upstreamMs !== undefined;
}

/** What is of the request as a whole: bytes and time stand with what was allowed of it. */
function countRequest(
  counted: KeyHour,
  { credits, bytesIn, bytesOut, failure, answered }: Occurrence,
  main: Tally,
  place: number | undefined,
): void {
  const { outcome, calls } = main;
  for (const row of counted.rows(outcome)) {
    row.add(calls, main.credits, counted.now);
    row.addBytes(bytesIn, bytesOut, failure === undefined ? 0 : calls);
  }
  const total = counted.total(outcome);
  total.requests++;
  if (place !== undefined) total.addTime(place);
  counted.spend(credits);
  const code = answered && upstreamCodeIn(answered);
  if (code !== undefined) counted.of(CODE).of(String(code), ALLOWED).add(1, 0, counted.now);
}
