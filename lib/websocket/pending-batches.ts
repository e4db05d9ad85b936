import { isErrorWithoutId, readBatchAnswer } from '../json-rpc/call';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

const OPEN_BRACKET = 0x5b;
const SPACE = 0x20;

interface PendingBatch {
  readonly ids: ReadonlySet<string>;
  readonly timer: NodeJS.Timeout;
  readonly done: (answer: Buffer | Refusal) => void;
}

/**
 * The batches that one socket has sent to the upstream and that are not answered yet. An array from the upstream is
 * matched to one of them by its ids, so no two with an id in common are under way at once.
 */
export class PendingBatches {
  private readonly batches = new Set<PendingBatch>();
  private waiting: (() => void)[] = [];

  /** `onTimeout` is called when a batch gets no answer: a late one could be taken for another's, so the socket must end. */
  constructor(
    private readonly timeoutMs: number,
    private readonly onTimeout: () => void,
  ) {}

  /** Calls `send` as soon as the ids are free, and `done` with the answer, or with a refusal when none comes. */
  exchange(ids: ReadonlySet<string>, send: () => void, done: (answer: Buffer | Refusal) => void): void {
    if ([...this.batches].some((other) => haveCommon(other.ids, ids))) {
      this.waiting.push(() => {
        this.exchange(ids, send, done);
      });
      return;
    }
    const timer = setTimeout(() => {
      this.end(batch, refuse('UPSTREAM_TIMEOUT'));
      this.onTimeout();
    }, this.timeoutMs);
    const batch: PendingBatch = { ids, timer, done };
    this.batches.add(batch);
    send();
  }

  /**
   * Whether `message` from the upstream answers one of them. An error without an id answers the oldest: a node that
   * refuses a batch as a whole, for its size, says so in one object, alone or in an array.
   */
  take(message: Buffer): boolean {
    if (this.batches.size === 0) return false;
    const batch = isArray(message) ? this.answeredBy(message) : this.failedBy(message);
    if (batch !== undefined) this.end(batch, message);
    return batch !== undefined;
  }

  /** Drops all of them: nobody is left to answer. */
  close(): void {
    for (const { timer } of this.batches) clearTimeout(timer);
    this.batches.clear();
    this.waiting = [];
  }

  private answeredBy(array: Buffer): PendingBatch | undefined {
    const answers = readBatchAnswer(array);
    // A broken array is no answer. If only one batch waits, it must be meant for that one.
    if (answers === undefined) return this.batches.size === 1 ? this.oldest() : undefined;
    const { byId, whole } = answers;
    const answered = [...this.batches].find(({ ids }) => [...byId.keys()].some((id) => ids.has(id)));
    return answered ?? (whole === undefined ? undefined : this.oldest());
  }

  private failedBy(message: Buffer): PendingBatch | undefined {
    return isErrorWithoutId(message) ? this.oldest() : undefined;
  }

  private oldest(): PendingBatch | undefined {
    const [oldest] = this.batches;
    return oldest;
  }

  private end(batch: PendingBatch, answer: Buffer | Refusal): void {
    clearTimeout(batch.timer);
    this.batches.delete(batch);
    batch.done(answer);
    const woken = this.waiting;
    this.waiting = [];
    for (const again of woken) again();
  }
}

function haveCommon(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return [...some].some((id) => others.has(id));
}

function isArray(data: Buffer): boolean {
  let at = 0;
  while (at < data.length && data[at]! <= SPACE) at++;
  return data[at] === OPEN_BRACKET;
}
