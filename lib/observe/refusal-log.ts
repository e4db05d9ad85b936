import type { Logger } from '../logger';
import { KEY_NOT_LOOKED_UP } from '../policy/refusals';
import type { Reason, Refusal } from '../policy/refusals';
import { hintInPath } from '../settings/api-key';

/** A refused request or message, or the calls of a batch that were refused alike. */
export interface Refused {
  readonly apiKey: string;
  readonly requestId: string;
  readonly refusal: Refusal;
  readonly methods: readonly string[];
}

/** What a kind of lines says, and in which members. */
interface Kind {
  readonly message: string;
  readonly reason: string;
  readonly reasons: string;
}

export const REFUSED: Kind = { message: 'refused', reason: 'reason', reasons: 'reasons' };
export const WOULD_REFUSE: Kind = { message: 'would refuse', reason: 'wouldRefuse', reasons: 'wouldRefuse' };

/** Refusals of one key within a second. */
interface Second {
  lines: number;
  readonly summed: Map<Reason, number>;
}

const WINDOW_MS = 1000;
const LINES_PER_SECOND = 10;
/** A batch of 1000 calls would make a line of 129 KB. */
const MAX_METHODS = 20;

/** Logs refusals, or what would be refused: ten a second of each key in lines of their own, the rest in one line a second with their count. */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #kind: Kind;
  #seconds = new Map<string, Second>();
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger, kind: Kind) {
    this.#logger = logger;
    this.#kind = kind;
  }

  add({ apiKey, requestId, refusal, methods }: Refused): void {
    const { refused: reason, why } = refusal;
    const second = this.#secondOf(KEY_NOT_LOOKED_UP.has(reason) ? '' : apiKey);
    if (second.lines === LINES_PER_SECOND) {
      second.summed.set(reason, (second.summed.get(reason) ?? 0) + 1);
      return;
    }
    second.lines++;
    this.#logger[levelOf([reason])](
      { key: hintInPath(apiKey), requestId, [this.#kind.reason]: reason, why, methods: distinct(methods) },
      this.#kind.message,
    );
  }

  /** Logs what has been summed so far. */
  close(): void {
    clearTimeout(this.#timer);
    this.#end();
  }

  #secondOf(apiKey: string): Second {
    this.#timer ??= setTimeout(() => {
      this.#end();
    }, WINDOW_MS).unref();
    let second = this.#seconds.get(apiKey);
    if (second === undefined) this.#seconds.set(apiKey, (second = { lines: 0, summed: new Map() }));
    return second;
  }

  #end(): void {
    this.#timer = undefined;
    const seconds = this.#seconds;
    this.#seconds = new Map();
    for (const [apiKey, { summed }] of seconds) {
      if (summed.size === 0) continue;
      const count = [...summed.values()].reduce((sum, of) => sum + of, 0);
      this.#logger[levelOf([...summed.keys()])](
        { key: hintInPath(apiKey), count, [this.#kind.reasons]: Object.fromEntries(summed) },
        this.#kind.message,
      );
    }
  }
}

function distinct(methods: readonly string[]): readonly string[] {
  return [...new Set(methods)].slice(0, MAX_METHODS);
}

/** The guard is built wrongly, or a list that only reports failed. */
function levelOf(reasons: readonly Reason[]): 'info' | 'error' {
  return reasons.includes('CONFIGURATION_ERROR') || reasons.includes('INTERNAL_ERROR') ? 'error' : 'info';
}
