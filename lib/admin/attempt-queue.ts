/** Attempts of one address that may wait for each other, and of all. */
const MAX_WAITING = 5;
const MAX_WAITING_IN_ALL = 100;

/** Lets the attempts of one address go one after the other, so that opening many connections gains nothing. */
export class AttemptQueue {
  private readonly queues = new Map<string, { waiting: number; last: Promise<unknown> }>();
  private waitingInAll = 0;

  async inTurn<T>(address: string, work: () => Promise<T>): Promise<T | 'busy'> {
    const queue = this.queues.get(address) ?? { waiting: 0, last: Promise.resolve() };
    if (queue.waiting >= MAX_WAITING || this.waitingInAll >= MAX_WAITING_IN_ALL) return 'busy';
    this.queues.set(address, queue);
    queue.waiting++;
    this.waitingInAll++;
    const mine = queue.last.then(work);
    queue.last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      queue.waiting--;
      this.waitingInAll--;
      if (queue.waiting === 0) this.queues.delete(address);
    }
  }
}
