import { LRUCache } from 'lru-cache';
import { RpcGuardError } from '../errors';
import { growingTo } from '../growing-to';
import { compileKeySettings } from '../settings/compile';
import { parseKeySettings } from '../settings/key-settings';
import type { CompiledKey } from '../settings/compile';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { hasMethods } from '../option-rules';
import { ownText } from '../own-text';
import { keyHint } from '../settings/api-key';
import { ReadLimiter } from './read-limiter';
import type { SettingsStore } from './settings-store';
import { StoreHealth } from './store-health';

/** The result of a lookup: the key's settings, that there is no such key, or that the store cannot tell now. */
export type Lookup = CompiledKey | 'unknown' | 'unavailable';

export interface CachedStore {
  /** Never rejects. Synchronous if a fresh answer is cached. */
  get(apiKey: string): Lookup | Promise<Lookup>;
  /** Whether the store failed when it was last asked. */
  readonly isDown: boolean;
  close(): Promise<void>;
}

export interface SettingsCacheOptions {
  readonly logger: Logger;
  /** Milliseconds that settings go on serving when the store is down. */
  readonly staleIfErrorMs: number;
  /** Milliseconds that settings are trusted. Default 4 s where the store announces changes, else 0.5 s. */
  readonly ttlMs?: number;
  /** Milliseconds that a key stays unknown without asking again. Default `ttlMs`. */
  readonly negativeTtlMs?: number;
  /** Keys that are cached, and as many unknown ones besides. Default 10,000. */
  readonly max?: number;
}

interface Entry {
  readonly value: Lookup;
  /** When its read began, in milliseconds of the monotonic clock: a change after that is not in it. */
  readonly readAt: number;
  /** Gaps in the announcements so far. */
  readonly gap: number;
  /** Why settings do not parse. */
  readonly problem?: string;
}

/** One read of one key. `outdated` once the key has changed meanwhile. */
interface Flight {
  readonly result: Promise<Lookup>;
  outdated: boolean;
  readonly beganAt: number;
  /** Earlier reads of the key that a change has made worthless. */
  readonly retries: number;
  /** A probe, to see whether a store that was down is back. */
  readonly isProbe: boolean;
}

/** A change is in force within 5 s where its message may be lost, within 1 s where there are no messages. */
const ANNOUNCED_TTL_MS = 4000;
const UNANNOUNCED_TTL_MS = 500;
const READ_TIMEOUT_MS = 2000;
const MAX_RETRIES = 10;
const MAX_KEYS = 10_000;

/**
 * Stands between the guard and a store: keeps what was read, compiled, for as long as it may be trusted; reads a key
 * once however many wait for it; lets a change in at once; and in an outage serves what was read before for
 * `staleIfErrorMs`, asks the store once a second, and opens nothing.
 */
export class SettingsCache implements CachedStore {
  readonly #store: SettingsStore;
  readonly #logger: Logger;
  readonly #staleIfErrorMs: number;
  readonly #ttlMs: number;
  readonly #negativeTtlMs: number;
  readonly #known: LRUCache<string, Entry>;
  readonly #unknown: LRUCache<string, Entry>;
  readonly #flights = new Map<string, Flight>();
  readonly #firstReads = new ReadLimiter();
  readonly #health: StoreHealth;
  readonly #storeLogsProblems: boolean;
  #started: Promise<void> | undefined;
  #unsubscribe: (() => void) | undefined;
  #isClosed = false;
  #gaps = 0;

  constructor(store: SettingsStore, options: SettingsCacheOptions) {
    const { max = MAX_KEYS } = options;
    this.#store = store;
    this.#logger = options.logger;
    this.#staleIfErrorMs = options.staleIfErrorMs;
    this.#ttlMs = options.ttlMs ?? (store.subscribe === undefined ? UNANNOUNCED_TTL_MS : ANNOUNCED_TTL_MS);
    this.#negativeTtlMs = options.negativeTtlMs ?? this.#ttlMs;
    this.#known = new LRUCache(growingTo(max));
    this.#unknown = new LRUCache(growingTo(max));
    this.#health = new StoreHealth(options.logger);
    this.#storeLogsProblems = hasMethods(store, 'problems');
    this.#start().catch((error: unknown) => {
      this.#health.failed(error);
    });
  }

  get(apiKey: string): Lookup | Promise<Lookup> {
    return this.#get(apiKey, 0);
  }

  get isDown(): boolean {
    return this.#health.isDown;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe?.();
    await this.#store.close?.();
  }

  #start(): Promise<void> {
    this.#started ??= (async () => {
      await this.#store.init?.();
      if (this.#isClosed) return;
      this.#unsubscribe = this.#store.subscribe?.((apiKey) => {
        this.#forget(apiKey);
      });
    })().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  #forget(apiKey?: string): void {
    for (const [key, flight] of this.#flights) {
      if (apiKey !== undefined && key !== apiKey) continue;
      flight.outdated = true;
      this.#flights.delete(key);
    }
    if (apiKey === undefined) {
      // The cached settings may be old: they serve only while the store is down, which must be found out at once.
      this.#gaps++;
      this.#health.probeAtOnce();
    } else {
      this.#known.delete(apiKey);
      this.#unknown.delete(apiKey);
    }
  }

  #get(apiKey: string, retries: number): Lookup | Promise<Lookup> {
    const now = performance.now();
    const entry = this.#entry(apiKey);
    if (entry !== undefined && this.#isFresh(entry, now)) return entry.value;
    const flight = this.#flights.get(apiKey);
    // A slow read may miss a change that came after it began.
    if (flight !== undefined && now - flight.beganAt < this.#ttlMs) return flight.result;
    if (entry === undefined && this.#firstReads.isFull) return 'unavailable';
    const isProbe = this.#health.isDown;
    if (isProbe && !this.#health.claimProbe()) return this.#stale(apiKey);
    const turn = entry === undefined ? this.#firstReads.turn() : undefined;
    const result = Promise.resolve().then(() => this.#read(apiKey, started, turn));
    const started: Flight = { outdated: false, retries, isProbe, beganAt: now, result };
    this.#flights.set(apiKey, started);
    return result;
  }

  #entry(apiKey: string): Entry | undefined {
    return this.#known.get(apiKey) ?? this.#unknown.get(apiKey);
  }

  #isFresh({ gap, readAt, value }: Entry, now: number): boolean {
    return gap === this.#gaps && now - readAt < (value === 'unknown' ? this.#negativeTtlMs : this.#ttlMs);
  }

  async #read(apiKey: string, flight: Flight, turn: Promise<void> | undefined): Promise<Lookup> {
    await turn;
    // The store may have gone down while this read waited.
    const isLeftAlone = this.#health.isDown && !flight.isProbe;
    const lookup = isLeftAlone ? this.#stale(apiKey) : await this.#ask(apiKey, flight);
    if (turn !== undefined) this.#firstReads.ended();
    if (flight.outdated) return this.#again(apiKey, flight);
    if (this.#flights.get(apiKey) === flight) this.#flights.delete(apiKey);
    return lookup;
  }

  /** The store's answer now, which is worthless if the flight has become outdated. */
  async #ask(apiKey: string, flight: Flight): Promise<Lookup> {
    const readAt = performance.now();
    try {
      const settings = await withinTime(async () => {
        await this.#start();
        return this.#store.get(apiKey);
      });
      this.#health.recovered();
      if (flight.outdated) return 'unavailable';
      return this.#keep(apiKey, { value: compile(apiKey, settings), readAt, gap: this.#gaps });
    } catch (error) {
      if (flight.outdated) return 'unavailable';
      if (error instanceof RpcGuardError && error.code === 'ERR_RPC_GUARD_SETTINGS') {
        const problem = describeError(error, apiKey);
        return this.#keep(apiKey, { value: 'unavailable', problem, readAt, gap: this.#gaps });
      }
      this.#health.failed(error, apiKey);
      return this.#stale(apiKey);
    }
  }

  /** A key that changes faster than it can be read is not served. */
  #again(apiKey: string, { retries }: Flight): Lookup | Promise<Lookup> {
    return retries < MAX_RETRIES ? this.#get(apiKey, retries + 1) : 'unavailable';
  }

  #keep(apiKey: string, entry: Entry): Lookup {
    const isNew = entry.problem !== undefined && this.#known.peek(apiKey)?.problem !== entry.problem;
    if (isNew && !this.#storeLogsProblems) {
      const details = { key: keyHint(apiKey), reason: entry.problem };
      this.#logger.error(details, 'settings do not parse; the key is refused');
    }
    const newer = this.#known.peek(apiKey) ?? this.#unknown.peek(apiKey);
    if (newer !== undefined && newer.readAt > entry.readAt) return newer.value;
    this.#known.delete(apiKey);
    this.#unknown.delete(apiKey);
    (entry.value === 'unknown' ? this.#unknown : this.#known).set(ownText(apiKey), entry);
    return entry.value;
  }

  #stale(apiKey: string): Lookup {
    const entry = this.#entry(apiKey);
    return entry !== undefined && performance.now() - entry.readAt < this.#staleIfErrorMs ? entry.value : 'unavailable';
  }
}

function compile(apiKey: string, read: unknown): Lookup {
  if (read === undefined || read === null) return 'unknown';
  const settings = parseKeySettings(read);
  if (settings.apiKey !== apiKey) {
    throw new RpcGuardError('ERR_RPC_GUARD_SETTINGS', 'the store returned the settings of another key');
  }
  return compileKeySettings(settings);
}

async function withinTime<T>(work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new RpcGuardError('ERR_RPC_GUARD_STORE', `no answer within ${String(READ_TIMEOUT_MS)} ms`));
    }, READ_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
