import { isKnownMethod, queriedAddresses } from '../allowlists/address-table';
import type { AddressTable } from '../allowlists/address-table';
import { nameInstance } from '../instance-name';
import type { RpcCall } from '../json-rpc/call';
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
import { ALLOWED, NO_KEY, WOULD_REFUSE } from '../stores/usage-store';
import { classOf } from '../usage/counts';
import type { Counts } from '../usage/counts';
import { ADDRESS, CODE, METHOD, OF_SECRET, ORIGIN, SECRET, USER_AGENT, WIRE } from '../usage/key-hour';
import type { KeyHour } from '../usage/key-hour';
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
/** Counts what keys do, and tells the store every 10 s. */
export class Usage {
  readonly #parts: UsageParts;
  readonly #kinds: UsageKinds;
  readonly #clock: Clock;
  readonly #table: UsageTable;
  readonly #flush: UsageFlush;
  readonly #methods: ReadonlyMap<string, string>;

  constructor(parts: UsageParts, kinds: UsageKinds) {
    const { store, logger, instance = nameInstance, clock = systemClock } = parts;
    if (store.usage === undefined) {
      logger.warn({}, 'the store keeps no usage: it is counted in the memory of this process');
    }
    this.#parts = parts;
    this.#kinds = kinds;
    this.#clock = clock;
    this.#methods = new Map(Array.from(parts.addressTable.keys(), (method) => [method, method]));
    this.#table = new UsageTable({ clock, instance });
    this.#flush = new UsageFlush({ table: this.#table, store: usageOf(store), logger, clock });
  }

  /** Rows that were given up because the store was away. */
  get dropped(): number {
    return this.#flush.dropped;
  }

  /** Tells the store now. */
  flush(): Promise<void> {
    return this.#flush.flush();
  }

  close(): Promise<void> {
    return this.#flush.close();
  }

  readonly observe: Observe = (occurrence) => {
    const now = this.#clock.wall();
    const counted = this.#table.at(keyOf(occurrence), now);
    const { judged } = occurrence;
    if (judged === undefined || isRefusal(judged)) {
      const outcome = judged?.refused ?? occurrence.failure?.refused ?? 'INTERNAL_ERROR';
      if (judged !== undefined) this.#note(counted, occurrence, judged, now);
      this.#countRequest(counted, occurrence, [{ outcome, calls: 1, credits: 0 }], now);
      return;
    }
    const { calls } = judged;
    if (calls.length === 0) return; // a handshake that is let in: its messages are counted
    const [first] = calls;
    if (calls.length === 1 && first?.refusal === undefined && first?.wouldRefuse === undefined) {
      this.#countSingle(counted, occurrence, first!.call as RpcCall, now);
      return;
    }
    const tallies: Tally[] = [];
    for (const call of calls) {
      const tally = tallyOf(call, tallies);
      tally.calls++;
      tally.credits += this.#countCall(counted, call, tally.outcome, now);
      if (occurrence.admission?.credential?.allowlists !== undefined) {
        this.#countOfSecret(counted, occurrence, call.call, tally.outcome, now);
      }
      const note = call.refusal ?? call.wouldRefuse;
      if (note !== undefined) this.#note(counted, occurrence, note, now, call);
    }
    this.#countRequest(counted, occurrence, tallies, now);
  };

  /** Most requests are of one call that is allowed: no list is made of what is counted. */
  #countSingle(counted: KeyHour, occurrence: Occurrence, call: RpcCall, now: number): void {
    const { facts, admission, wire, credits, bytesIn, bytesOut, failure, answered } = occurrence;
    const { origins, addresses, userAgents } = this.#kinds;
    const errors = failure === undefined ? 0 : 1;
    const total = counted.total(ALLOWED);
    const method = counted.of(METHOD).known(call.method) ?? this.#method(counted, call.method, ALLOWED);
    const add = (row: Counts): void => {
      row.add(1, credits, now);
      row.addBytes(bytesIn, bytesOut, errors);
    };
    add(total);
    add(method);
    add(counted.of(WIRE).of(wire, ALLOWED));
    if (origins) add(counted.of(ORIGIN).of(originOf(facts.origin), ALLOWED));
    if (userAgents) add(counted.of(USER_AGENT).of(productOf(facts.userAgent), ALLOWED));
    if (admission?.credential !== undefined) {
      add(counted.of(SECRET).of(admission.credential.id, ALLOWED));
      if (admission.credential.allowlists !== undefined) this.#countOfSecret(counted, occurrence, call, ALLOWED, now);
    }
    if (addresses) this.#countAddresses(counted, call, ALLOWED, credits, now);
    total.requests++;
    counted.spend(credits, now);
    if (isTimed(occurrence)) {
      const place = classOf(performance.now() - occurrence.arrivedAt);
      total.addTime(place);
      method.addTime(place);
    }
    if (answered !== undefined) countCode(counted, answered, now);
  }

  /** @returns what it cost. */
  #countCall(counted: KeyHour, { call, refusal }: JudgedCall, outcome: string, now: number): number {
    if ('invalid' in call) return 0;
    const credits = refusal === undefined ? this.#parts.prices.priceOf(call.method) : 0;
    this.#method(counted, call.method, outcome).add(1, credits, now);
    if (this.#kinds.addresses) this.#countAddresses(counted, call, outcome, credits, now);
    return credits;
  }

  #countAddresses(counted: KeyHour, call: RpcCall, outcome: string, credits: number, now: number): void {
    if (call.params === undefined || call.params.length === 0) return;
    const names = counted.of(ADDRESS);
    const addresses = queriedAddresses(call, this.#parts.addressTable);
    // Most calls name one address, in lower case, as it is counted.
    const only = addresses?.length === 1 && outcome === ALLOWED ? addresses[0] : undefined;
    const known = typeof only === 'string' ? names.known(only) : undefined;
    if (known !== undefined) known.add(1, credits, now);
    else for (const address of this.#addressesOf(call)) names.of(address, outcome).add(1, credits, now);
  }

  /** What a list of addresses holds a call against: `(none)` where it would refuse it whatever is listed. */
  #addressesOf(call: RpcCall): readonly string[] {
    const table = this.#parts.addressTable;
    const addresses = queriedAddresses(call, table);
    if (addresses === undefined) return isKnownMethod(call.method, table) ? [NO_ADDRESS] : [];
    return addresses.map((it) => (typeof it === 'string' ? addressOf(it) : '') || NO_ADDRESS);
  }

  /** A list of a secret's own is proposed from what this secret does alone. */
  #countOfSecret(
    counted: KeyHour,
    { facts, admission }: Occurrence,
    call: JudgedCall['call'],
    outcome: string,
    now: number,
  ): void {
    if ('invalid' in call) return;
    const { origins, addresses, userAgents } = this.#kinds;
    const names = [`method ${this.#methodOf(call.method)}`];
    if (origins) names.push(`origin ${originOf(facts.origin)}`);
    if (userAgents) names.push(`userAgent ${productOf(facts.userAgent)}`);
    if (addresses) names.push(...this.#addressesOf(call).map((address) => `address ${address}`));
    const { id } = admission!.credential!;
    for (const name of names) counted.of(OF_SECRET).of(`${name} ${id}`, outcome).add(1, 0, now);
  }

  /** What is of the request as a whole: bytes and time stand with what was allowed of it. */
  #countRequest(counted: KeyHour, occurrence: Occurrence, tallies: readonly Tally[], now: number): void {
    const { credits, bytesIn, bytesOut, failure, answered } = occurrence;
    const main = tallies.find(({ outcome }) => outcome === ALLOWED) ?? tallies[0]!;
    counted.spend(credits, now);
    for (const tally of tallies) {
      const { outcome, calls } = tally;
      const rows = [counted.total(outcome)];
      if (counted.apiKey !== NO_KEY) rows.push(...this.#namesOf(counted, occurrence, outcome));
      for (const row of rows) {
        row.add(calls, tally.credits, now);
        if (tally === main) row.addBytes(bytesIn, bytesOut, failure === undefined ? 0 : calls);
      }
    }
    const total = counted.total(main.outcome);
    total.requests++;
    if (isTimed(occurrence)) total.addTime(classOf(performance.now() - occurrence.arrivedAt));
    if (answered !== undefined) countCode(counted, answered, now);
  }

  /** What a request as a whole is counted by. */
  #namesOf(counted: KeyHour, { facts, admission, wire }: Occurrence, outcome: string): readonly Counts[] {
    const rows = [counted.of(WIRE).of(wire, outcome)];
    if (this.#kinds.origins) rows.push(counted.of(ORIGIN).of(originOf(facts.origin), outcome));
    if (this.#kinds.userAgents) rows.push(counted.of(USER_AGENT).of(productOf(facts.userAgent), outcome));
    if (admission?.credential !== undefined) rows.push(counted.of(SECRET).of(admission.credential.id, outcome));
    return rows;
  }

  /** Methods that no table knows are one. */
  #method(counted: KeyHour, method: string, outcome: string): Counts {
    const names = counted.of(METHOD);
    const known = outcome === ALLOWED ? names.known(method) : undefined;
    return known ?? names.of(this.#methodOf(method), outcome);
  }

  /** Not as it stands in the body, which would stay in memory with it. */
  #methodOf(method: string): string {
    return (
      this.#methods.get(method) ?? (isKnownMethod(method, this.#parts.addressTable) ? ownText(method) : UNKNOWN_METHOD)
    );
  }

  /** Puts a refusal, or one that a list only reports, into its group. */
  #note(
    counted: KeyHour,
    { facts, wire, admission }: Occurrence,
    { refused, why }: Refusal,
    at: number,
    judged?: JudgedCall,
  ): void {
    const call = judged !== undefined && 'method' in judged.call ? judged.call : undefined;
    const isReported = judged !== undefined && judged.refusal === undefined;
    const isOfAddress = refused === 'CONTRACT_ADDRESS_NOT_ALLOWED' && this.#kinds.addresses;
    const group = {
      outcome: isReported ? WOULD_REFUSE + refused : refused,
      method: call === undefined ? '' : this.#methodOf(call.method),
      origin: this.#kinds.origins ? originOf(facts.origin) : '',
      userAgent: this.#kinds.userAgents ? productOf(facts.userAgent) : '',
      address: isOfAddress && call !== undefined ? this.#unlisted(call, admission) : '',
      wire,
      secretId: admission?.credential?.id ?? '',
    };
    counted.refusals.add(group, { why, requestId: facts.requestId, at });
  }

  /** The first address that a call queries and that is not on the list. */
  #unlisted(call: RpcCall, admission: Occurrence['admission']): string {
    const list = admission?.allowlists.contractAddresses ?? admission?.reported?.contractAddresses;
    const addresses = queriedAddresses(call, this.#parts.addressTable) ?? [];
    const names = addresses.map((it) => (typeof it === 'string' ? addressOf(it) : ''));
    return names.find((name) => name !== '' && list?.matches(name) !== true) ?? '';
  }
}

/** `(none)` where nobody knows the key: names that callers make up are not stored. */
function keyOf({ facts, admission, judged }: Occurrence): string {
  if (admission !== undefined) return admission.key.settings.apiKey;
  return isRefusal(judged) && !KEY_NOT_LOOKED_UP.has(judged.refused) ? facts.apiKey : NO_KEY;
}

function tallyOf({ refusal, wouldRefuse }: JudgedCall, tallies: Tally[]): Tally {
  const outcome = refusal?.refused ?? (wouldRefuse === undefined ? ALLOWED : WOULD_REFUSE + wouldRefuse.refused);
  let tally = tallies.find((it) => it.outcome === outcome);
  if (tally === undefined) tallies.push((tally = { outcome, calls: 0, credits: 0 }));
  return tally;
}

/** How long the upstream takes for a single call on a WebSocket is not known. */
function isTimed({ wire, upstreamMs }: Occurrence): boolean {
  return wire === 'http' || upstreamMs !== undefined;
}

function countCode(counted: KeyHour, answered: Buffer, now: number): void {
  const code = upstreamCodeIn(answered);
  if (code !== undefined) counted.of(CODE).of(String(code), ALLOWED).add(1, 0, now);
}
