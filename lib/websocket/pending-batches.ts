import { splitAnswers } from '../json-rpc/call';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

/**
 * The batches that one socket has sent to the upstream and that are not answered yet. An array from the upstream is
 * told to belong to one of them by its ids, so no two with an id in common are under way at once.
 */
export interface BatchesUnderWay {
  /** Calls `send` as soon as the ids are free, and `done` with the answer, or with a refusal when none comes. */
  readonly exchange: (ids: ReadonlySet<string>, send: () => void, done: (answer: Buffer | Refusal) => void) => void;
  /** Whether `message`, an array from the upstream, answers one of them. */
  readonly take: (message: Buffer) => boolean;
  /** Forgets them: nobody is left to be answered. */
  readonly close: () => void;
}

interface Batch {
  readonly ids: ReadonlySet<string>;
  readonly timer: NodeJS.Timeout;
  readonly end: (answer: Buffer | Refusal) => void;
}

/** `onTimeout` is called when a batch gets no answer: a late one could be taken for another's, so the socket must end. */
export function batchesUnderWay(timeoutMs: number, onTimeout: () => void): BatchesUnderWay {
  const batches = new Set<Batch>();
  let waiting: (() => void)[] = [];

  function exchange(ids: ReadonlySet<string>, send: () => void, done: (answer: Buffer | Refusal) => void): void {
    if ([...batches].some((other) => haveCommon(other.ids, ids))) {
      waiting.push(() => {
        exchange(ids, send, done);
      });
      return;
    }
    const timer = setTimeout(() => {
      batch.end(refuse('UPSTREAM_TIMEOUT'));
      onTimeout();
    }, timeoutMs);
    const batch: Batch = {
      ids,
      timer,
      end(answer) {
        clearTimeout(timer);
        batches.delete(batch);
        done(answer);
        wake();
      },
    };
    batches.add(batch);
    send();
  }

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const again of woken) again();
  }

  function take(message: Buffer): boolean {
    const answers = splitAnswers(message);
    const batch = answers && [...batches].find(({ ids }) => [...answers.keys()].some((id) => ids.has(id)));
    batch?.end(message);
    return batch !== undefined;
  }

  function close(): void {
    for (const { timer } of batches) clearTimeout(timer);
    batches.clear();
    waiting = [];
  }

  return { exchange, take, close };
}

function haveCommon(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return [...some].some((id) => others.has(id));
}
