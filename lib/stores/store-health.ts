import { describeError } from '../logger';
import type { Logger } from '../logger';

const PROBE_INTERVAL_MS = 1000;

/** Whether the store is down, and when one read may go and see whether it is back: once a second. */
export class StoreHealth {
  readonly #logger: Logger;
  #isDown = false;
  #nextProbeAt = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** Whether the caller is the one to probe the store now. */
  claimProbe(): boolean {
    const now = performance.now();
    if (now < this.#nextProbeAt) return false;
    this.#nextProbeAt = now + PROBE_INTERVAL_MS;
    return true;
  }

  /** The next read probes, without waiting for the second to end. */
  probeAtOnce(): void {
    this.#nextProbeAt = 0;
  }

  failed(error: unknown, apiKey?: string): void {
    this.#nextProbeAt = performance.now() + PROBE_INTERVAL_MS;
    if (!this.#isDown) this.#logger.error({ reason: describeError(error, apiKey) }, 'the settings store is down');
    this.#isDown = true;
  }

  recovered(): void {
    if (this.#isDown) this.#logger.info({}, 'the settings store is back');
    this.#isDown = false;
  }
}
