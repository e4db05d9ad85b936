import { splitAnswers } from './json-rpc/call';
import { refuse } from './refusals';
import type { Refusal } from './refusals';

/**
 * The batches that one socket has sent to the upstream and that are not answered yet. An array from the upstream is
 * told to belong to one of them by its ids, so no two with an id in common are under way at once.
 */
export interface BatchesUnderWay {
  /** Waits until the ids are free, calls `send`, and resolves with the answer, or with a refusal when none comes. */
  readonly sent: (ids: ReadonlySet<string>, send: () => void) => Promise<Buffer | Refusal>;
  /** Whether `message`, an array from the upstream, answers one of them. */
  readonly answered: (message: Buffer) => boolean;
  readonly close: () => void;
}

interface Batch {
  readonly ids: ReadonlySet<string>;
  readonly end: (outcome: Buffer | Refusal) => void;
}

/** `onTimeout` is called when a batch gets no answer: a late one could be taken for another's, so the socket must end. */
export function batchesUnderWay(timeoutMs: number, onTimeout: () => void): BatchesUnderWay {
  const batches = new Set<Batch>();
  let waiting: (() => void)[] = [];
  let closed = false;

  async function sent(ids: ReadonlySet<string>, send: () => void): Promise<Buffer | Refusal> {
    while (!closed && [...batches].some((batch) => haveCommon(batch.ids, ids))) {
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    if (closed) return refuse('UPSTREAM_UNAVAILABLE');
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        batch.end(refuse('UPSTREAM_TIMEOUT'));
        onTimeout();
      }, timeoutMs);
      const batch: Batch = {
        ids,
        end(outcome) {
          clearTimeout(timer);
          batches.delete(batch);
          resolve(outcome);
          const woken = waiting;
          waiting = [];
          for (const wake of woken) wake();
        },
      };
      batches.add(batch);
      send();
    });
  }

  function answered(message: Buffer): boolean {
    const answers = splitAnswers(message);
    const batch = answers && [...batches].find(({ ids }) => [...answers.keys()].some((id) => ids.has(id)));
    batch?.end(message);
    return batch !== undefined;
  }

  function close(): void {
    closed = true;
    for (const batch of batches) batch.end(refuse('UPSTREAM_UNAVAILABLE'));
    for (const wake of waiting) wake();
  }

  return { sent, answered, close };
}

function haveCommon(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return [...some].some((id) => others.has(id));
}
