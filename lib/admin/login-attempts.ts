import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { growingTo } from '../growing-to';

const FIRST_DELAY_MS = 250;
export const MAX_DELAY_MS = 8000;
/** Failures of an address are forgotten after this long without another. */
const FORGET_MS = 15 * 60 * 1000;
const MAX_ADDRESSES = 10_000;
/** Tries of one address under way, and those of all addresses that can be pushed out. */
const MAX_OF_ADDRESS = 5;
const MAX_WAITING = 100;
/** Concurrent checks: Node's pool has four threads, and files and host names need some. */
const MAX_CHECKS = 2;

/** Whether the credentials are right, or `busy` where too many tries wait. */
export type Outcome = boolean | 'busy';

interface Line {
  length: number;
  last: Promise<unknown>;
}

/** A try that another one can push out. */
class Waiting {
  isPushedOut = false;
  pushOut!: () => void;
  readonly pushedOut: Promise<'busy'>;

  constructor(readonly address: string) {
    this.pushedOut = new Promise((resolve) => {
      this.pushOut = () => {
        this.isPushedOut = true;
        resolve('busy');
      };
    });
  }
}

/**
 * Lets the tries to log in of one address go one after the other, each after a failure later than the one before. The
 * first of an address that has not failed always gets its turn; of the others, those of the address that has failed most
 * make room.
 */
export class LoginAttempts {
  private readonly failures = new LRUCache<string, number>({ ...growingTo(MAX_ADDRESSES), ttl: FORGET_MS });
  private readonly lines = new Map<string, Line>();
  private readonly waiting = new Set<Waiting>();
  private readonly toCheck: (() => void)[] = [];
  private checks = 0;

  /** @param wait takes milliseconds. Default: the clock's. */
  constructor(private readonly wait: (ms: number) => Promise<unknown> = (ms) => sleep(ms, undefined, { ref: false })) {}

  /** @param isRight checks the credentials; `undefined` where it did not look, because nobody waits for the answer. */
  async inTurn(address: string, isRight: () => Promise<boolean | undefined>): Promise<Outcome> {
    const line = this.lines.get(address) ?? { length: 0, last: Promise.resolve() };
    if (line.length >= MAX_OF_ADDRESS) return 'busy';
    if (line.length === 0 && this.failed(address) === 0) {
      return this.follow(address, line, () => this.check(address, isRight));
    }
    if (!this.hasRoom(address)) return 'busy';
    const waiting = new Waiting(address);
    this.waiting.add(waiting);
    const mine = this.follow(address, line, async () => {
      if (!waiting.isPushedOut) await this.delay(address);
      return waiting.isPushedOut ? 'busy' : this.check(address, isRight);
    });
    try {
      return await Promise.race([mine, waiting.pushedOut]);
    } finally {
      this.waiting.delete(waiting);
    }
  }

  private failed(address: string): number {
    return this.failures.get(address) ?? 0;
  }

  /** Whether a try of this address can wait, where need be in place of one whose address has failed more often. */
  private hasRoom(address: string): boolean {
    if (this.waiting.size < MAX_WAITING) return true;
    const worst = [...this.waiting].reduce((a, b) => (this.failed(b.address) >= this.failed(a.address) ? b : a));
    if (this.failed(worst.address) <= this.failed(address)) return false;
    this.waiting.delete(worst);
    worst.pushOut();
    return true;
  }

  private follow(address: string, line: Line, work: () => Promise<Outcome>): Promise<Outcome> {
    this.lines.set(address, line);
    line.length++;
    const mine = line.last.then(work).finally(() => {
      line.length--;
      if (line.length === 0) this.lines.delete(address);
    });
    line.last = mine.catch(() => undefined);
    return mine;
  }

  private async delay(address: string): Promise<void> {
    const failed = this.failed(address);
    if (failed > 0) await this.wait(Math.min(FIRST_DELAY_MS * 2 ** (failed - 1), MAX_DELAY_MS));
  }

  private async check(address: string, isRight: () => Promise<boolean | undefined>): Promise<boolean> {
    if (this.checks >= MAX_CHECKS) await new Promise<void>((resolve) => this.toCheck.push(resolve));
    else this.checks++;
    try {
      const right = await isRight();
      if (right) this.failures.delete(address);
      else if (right === false) this.failures.set(address, this.failed(address) + 1);
      return right === true;
    } finally {
      const next = this.toCheck.shift(); // takes over this one's place
      if (next) next();
      else this.checks--;
    }
  }
}
