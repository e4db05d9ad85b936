import type { WebSocket } from 'ws';
import type { ValueOrPromise } from '../policy/value-or-promise';

export interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** Bytes that may wait in one direction before its sender is no longer read from. */
export const MAX_WAITING_BYTES = 1024 * 1024;

/** How the messages of a queue are handled. */
export interface Taker {
  /** Whether there is room for the next message's result. */
  mayTake(): boolean;
  /** Handles one message. If it returns a promise, the next message waits for it. */
  take(message: Message): ValueOrPromise<void>;
  /** Called when `take` throws or rejects. */
  fail(): void;
}

/**
 * A caller's messages, taken one at a time and in order, because looking up the key may take a while. Where more than
 * `MAX_WAITING_BYTES` wait, the caller's socket is not read from.
 */
export class MessageQueue {
  private readonly waiting: Message[] = [];
  private waitingBytes = 0;
  private isTaking = false;

  constructor(
    private readonly sender: WebSocket,
    private readonly taker: Taker,
  ) {}

  push(message: Message): void {
    this.waiting.push(message);
    this.waitingBytes += costOf(message);
    if (this.waitingBytes > MAX_WAITING_BYTES) this.sender.pause();
    this.work();
  }

  /** Takes waiting messages while there is room. Call it when there is room again. */
  work(): void {
    if (this.isTaking) return;
    this.isTaking = true;
    try {
      while (this.waiting.length > 0 && this.taker.mayTake()) {
        const message = this.waiting.shift()!;
        this.waitingBytes -= costOf(message);
        const taken = this.taker.take(message);
        if (taken instanceof Promise) {
          taken.then(this.workOn, () => {
            this.taker.fail();
          });
          return;
        }
      }
    } catch {
      this.taker.fail();
    }
    this.isTaking = false;
    if (this.sender.isPaused && this.waitingBytes <= MAX_WAITING_BYTES) this.sender.resume();
  }

  private readonly workOn = (): void => {
    this.isTaking = false;
    this.work();
  };
}

/** Bytes that a waiting message takes, overhead included: many empty ones are not free. */
function costOf({ data }: Message): number {
  return data.length + 100;
}
