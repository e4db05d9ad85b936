import { LRUCache } from 'lru-cache';
import { RpcGuardError } from '../errors';
import { compileKeySettings, parseKeySettings } from '../settings/key-settings';
import type { CompiledKey } from '../settings/key-settings';
import { describeError } from '../logger';
import type { Logger } from '../logger';
import { keyHint } from '../request/request-facts';
import type { SettingsStore } from './settings-store';

/** What is known of a key: its settings, that there is no such key, or that it cannot be told now. */
export type Lookup = CompiledKey | 'unknown' | 'unavailable';

export interface CachedStore {
  /** Never rejects. At once when the answer is fresh. */
  get(apiKey: string): Lookup | Promise<Lookup>;
  close(): Promise<void>;
}

export interface CachedStoreOptions {
  readonly logger: Logger;
  /** Milliseconds that settings go on serving when the store is down. */
  readonly staleIfErrorMs: number;
  /** Milliseconds that settings are trusted. Default 4 s where the store announces changes, else 0.5 s. */
  readonly ttlMs?: number;
  /** Milliseconds that a key is taken for unknown without asking again. Default `ttlMs`. */
  readonly negativeTtlMs?: number;
  /** Keys that are kept, and unknown keys besides. Default 10,000. */
  readonly max?: number;
}

interface Entry {
  readonly value: Lookup;
  /** When its read began, in milliseconds of the monotonic clock: a change after that is not in it. */
  readonly readAt: number;
  /** How many gaps in the announcements there had been. */
  readonly gap: number;
  /** Why settings do not parse. */
  readonly problem?: string;
}

/** One read of one key. `outdated` once the key has changed under it. */
interface Flight {
  readonly result: Promise<Lookup>;
  outdated: boolean;
  readonly beganAt: number;
  /** Reads of the key before this one that a change has made worthless. */
  readonly retries: number;
  /** Made to see whether a store that was down is back. */
  readonly isProbe: boolean;
}

/** A change is in force within 5 s where its message may be lost, within 1 s where there are no messages. */
const ANNOUNCED_TTL_MS = 4000;
const UNANNOUNCED_TTL_MS = 500;
const PROBE_INTERVAL_MS = 1000;
const READ_TIMEOUT_MS = 2000;
const MAX_RETRIES = 10;
const MAX_KEYS = 10_000;
/** Reads of keys not seen before that may be under way at once: a flood of made-up keys must not become the store's. */
const MAX_FIRST_READS = 100;
const MAX_WAITING_READS = 1000;

/**
 * Stands between the guard and a store: keeps what was read, compiled, for as long as it may be trusted; reads a key
 * once however many wait for it; lets a change in at once; and in an outage serves what was read before for
 * `staleIfErrorMs`, asks the store once a second, and opens nothing.
 */
export function cachedStore(
  store: SettingsStore,
  {
    logger,
    staleIfErrorMs,
    ttlMs = store.subscribe === undefined ? UNANNOUNCED_TTL_MS : ANNOUNCED_TTL_MS,
    negativeTtlMs = ttlMs,
    max = MAX_KEYS,
  }: CachedStoreOptions,
): CachedStore {
  const known = new LRUCache<string, Entry>({ max });
  const unknown = new LRUCache<string, Entry>({ max });
  const flights = new Map<string, Flight>();
  let started: Promise<void> | undefined;
  let unsubscribe: (() => void) | undefined;
  let closed = false;
  let down = false;
  let gaps = 0;
  let firstReads = 0;
  const waitingReads: (() => void)[] = [];
  let nextProbeAt = 0;

  function start(): Promise<void> {
    started ??= (async () => {
      await store.init?.();
      if (!closed) unsubscribe = store.subscribe?.(forget);
    })().catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    return started;
  }

  function forget(apiKey?: string): void {
    for (const [key, flight] of flights) {
      if (apiKey !== undefined && key !== apiKey) continue;
      flight.outdated = true;
      flights.delete(key);
    }
    if (apiKey === undefined) {
      // What is known may be old: it serves on only while the store is down, which is to be found out at once.
      gaps++;
      nextProbeAt = 0;
    } else {
      known.delete(apiKey);
      unknown.delete(apiKey);
    }
  }

  function get(apiKey: string, retries = 0): Lookup | Promise<Lookup> {
    const now = performance.now();
    const entry = known.get(apiKey) ?? unknown.get(apiKey);
    if (entry?.gap === gaps && now - entry.readAt < freshFor(entry)) return entry.value;
    const flight = flights.get(apiKey);
    // A change that came after a slow read began may not be in what it brings.
    if (flight !== undefined && now - flight.beganAt < ttlMs) return flight.result;
    if (entry === undefined && flights.size >= MAX_FIRST_READS + MAX_WAITING_READS) return 'unavailable';
    const isProbe = down;
    if (isProbe) {
      if (now < nextProbeAt) return stale(apiKey);
      nextProbeAt = now + PROBE_INTERVAL_MS;
    }
    const result = Promise.resolve().then(() => read(apiKey, started));
    const started: Flight = { outdated: false, retries, isProbe, beganAt: now, result };
    flights.set(apiKey, started);
    return started.result;
  }

  function freshFor({ value }: Entry): number {
    return value === 'unknown' ? negativeTtlMs : ttlMs;
  }

  async function read(apiKey: string, flight: Flight): Promise<Lookup> {
    const isFirst = !known.has(apiKey) && !unknown.has(apiKey);
    if (isFirst) await turn();
    // It may have gone down while this one waited.
    const lookup = down && !flight.isProbe ? stale(apiKey) : await ask(apiKey, flight);
    if (isFirst) turnEnded();
    if (flight.outdated) return again(apiKey, flight);
    if (flights.get(apiKey) === flight) flights.delete(apiKey);
    return lookup;
  }

  /** What the store says now, which is worth nothing when the flight has become outdated. */
  async function ask(apiKey: string, flight: Flight): Promise<Lookup> {
    const readAt = performance.now();
    try {
      const settings = await withinTime(async () => {
        await start();
        return store.get(apiKey);
      });
      recovered();
      return flight.outdated ? 'unavailable' : keep(apiKey, { value: compile(apiKey, settings), readAt, gap: gaps });
    } catch (error) {
      if (flight.outdated) return 'unavailable';
      if (error instanceof RpcGuardError && error.code === 'ERR_RPC_GUARD_SETTINGS') {
        return keep(apiKey, { value: 'unavailable', problem: describeError(error, apiKey), readAt, gap: gaps });
      }
      failed(error, apiKey);
      return stale(apiKey);
    }
  }

  async function turn(): Promise<void> {
    if (firstReads < MAX_FIRST_READS) firstReads++;
    else await new Promise<void>((resolve) => waitingReads.push(resolve));
  }

  function turnEnded(): void {
    const next = waitingReads.shift();
    if (next === undefined) firstReads--;
    else next();
  }

  /** A key that changes faster than it can be read is not served. */
  function again(apiKey: string, { retries }: Flight): Lookup | Promise<Lookup> {
    return retries < MAX_RETRIES ? get(apiKey, retries + 1) : 'unavailable';
  }

  function keep(apiKey: string, entry: Entry): Lookup {
    if (entry.problem !== undefined && known.peek(apiKey)?.problem !== entry.problem) {
      logger.error({ key: keyHint(apiKey), reason: entry.problem }, 'settings do not parse; the key is refused');
    }
    const newer = known.peek(apiKey) ?? unknown.peek(apiKey);
    if (newer !== undefined && newer.readAt > entry.readAt) return newer.value;
    known.delete(apiKey);
    unknown.delete(apiKey);
    (entry.value === 'unknown' ? unknown : known).set(apiKey, entry);
    return entry.value;
  }

  function stale(apiKey: string): Lookup {
    const entry = known.get(apiKey) ?? unknown.get(apiKey);
    return entry !== undefined && performance.now() - entry.readAt < staleIfErrorMs ? entry.value : 'unavailable';
  }

  function failed(error: unknown, apiKey?: string): void {
    nextProbeAt = performance.now() + PROBE_INTERVAL_MS;
    if (!down) logger.error({ reason: describeError(error, apiKey) }, 'the settings store is down');
    down = true;
  }

  function recovered(): void {
    if (down) logger.info({}, 'the settings store is back');
    down = false;
  }

  start().catch(failed);

  return {
    get: (apiKey) => get(apiKey),
    async close() {
      closed = true;
      unsubscribe?.();
      await store.close?.();
    },
  };
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
