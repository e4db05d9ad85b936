import { Limiter } from '../../lib/limits/limiter';
import type { Payer } from '../../lib/limits/limiter';
import { SpendingExchange } from '../../lib/limits/spending-exchange';
import { compileLimits } from '../../lib/settings/compile';
import type { LimitStore } from '../../lib/stores/limit-store';
import { endAfterTest } from '../support/cleanup';
import { postgresShelf, redisShelf } from '../support/each-store';
import type { Shelf } from '../support/each-store';
import { fakeClock } from '../support/fake-clock';
import { guardProcess } from '../support/guard-process';
import type { GuardProcess, GuardProcessOptions } from '../support/guard-process';
import { recordingLogger } from '../support/pieces';
import { describePostgres, postgresServer } from '../support/postgres-server';
import { describeRedis, redisServer } from '../support/redis-server';
import { until } from '../support/until';
import { recordingUpstream } from '../support/upstream';

const RATE = { perSecond: 100, burst: 200 };
const KEY: Payer = { apiKey: 'first-key', limits: compileLimits(RATE), secret: undefined, caller: '' };
const STEP_MS = 5;
const APP_KEY = 'key-of-an-application';

/** Processes on one clock that stands still while the real store works: a round trip takes one step, on any machine. */
class Crowd {
  readonly clock = fakeClock();
  readonly limiters: Limiter[] = [];
  readonly stores: LimitStore[] = [];
  passed = 0;
  #underWay: Promise<unknown>[] = [];

  constructor(private readonly shelf: Shelf) {}

  async join(count: number): Promise<this> {
    for (let n = 0; n < count; n++) {
      const limits = (await this.shelf.open()).limits!;
      const { clock } = this;
      const watched: LimitStore = { ...limits, exchange: (rows) => this.#watch(limits.exchange(rows)) };
      const exchange = new SpendingExchange({ store: watched, logger: recordingLogger(), clock });
      this.stores.push(limits);
      this.limiters.push(new Limiter({ waitMs: 0, clock, exchange }));
    }
    return this;
  }

  /** Offers the processes, by turns, so much a second in all. @returns what passed. */
  async offer(perSecond: number, milliseconds: number): Promise<number> {
    const before = this.passed;
    let offered = 0;
    for (let at = STEP_MS; at <= milliseconds; at += STEP_MS) {
      for (; offered < (at * perSecond) / 1000; offered++) {
        if (this.limiters[offered % this.limiters.length]!.charge(KEY, 1, 0) === undefined) this.passed++;
      }
      await this.clock.pass(STEP_MS);
      await Promise.allSettled(this.#underWay.splice(0));
    }
    return this.passed - before;
  }

  #watch<T>(answer: Promise<T>): Promise<T> {
    this.#underWay.push(answer);
    return answer;
  }
}

/** What `milliseconds` may let through, and 5 %. */
const bound = (milliseconds: number) => 1.05 * (RATE.burst + (RATE.perSecond * milliseconds) / 1000);

function limitsHold(fresh: () => Shelf): void {
  test('four let through what one would when ten times as much is asked', async () => {
    const crowd = await new Crowd(fresh()).join(4);
    const passed = await crowd.offer(10 * RATE.perSecond, 12_000);
    expect(passed).toBeLessThanOrEqual(bound(12_000));
    expect(passed).toBeGreaterThanOrEqual(0.85 * bound(12_000));
  });

  test('spikes of two bursts at each of four within 100 ms are paid off', async () => {
    const crowd = await new Crowd(fresh()).join(4);
    for (let spike = 0; spike < 5; spike++) {
      await crowd.offer(4 * 20 * RATE.burst, 100);
      await crowd.offer(0, 1900);
    }
    expect(crowd.passed).toBeLessThanOrEqual(bound(10_000));
    expect(crowd.passed).toBeGreaterThanOrEqual(0.85 * bound(10_000));
  });

  test('one that joins three in the middle of a flood brings no burst of its own', async () => {
    const crowd = await new Crowd(fresh()).join(3);
    await crowd.offer(10 * RATE.perSecond, 6000);
    await crowd.join(1);
    const afterwards = await crowd.offer(10 * RATE.perSecond, 6000);
    expect(crowd.passed).toBeLessThanOrEqual(bound(12_000));
    expect(afterwards).toBeGreaterThanOrEqual(500);
  });

  test('a server that is killed opens nothing, and locks nobody when it is back', async () => {
    const shelf = fresh();
    const crowd = await new Crowd(shelf).join(4);
    await crowd.offer(10 * RATE.perSecond, 2000);
    const restore = await shelf.breakDown();
    const meanwhile = await crowd.offer(10 * RATE.perSecond, 4000);
    expect(meanwhile).toBeGreaterThanOrEqual(0.85 * 400);
    await restore();
    const isBack = (store: LimitStore) =>
      store.exchange([{ apiKey: 'other-key', day: '2027-01-31', instance: '', credits: 0, at: 0 }]).then(
        () => true,
        () => false,
      );
    for (const store of crowd.stores) await until(() => isBack(store));
    const afterwards = await crowd.offer(10 * RATE.perSecond, 4000);
    expect(crowd.passed).toBeLessThanOrEqual(bound(10_000));
    expect(afterwards).toBeGreaterThanOrEqual(0.8 * 400);
  });
}

/** Asks the guards by turns, one call after the other. @returns how many of so many calls passed. */
async function passedOf(calls: number, guards: readonly GuardProcess[]): Promise<number> {
  let passed = 0;
  for (let n = 0; n < calls; n++) if ((await guards[n % guards.length]!.ask(APP_KEY)) === 'passed') passed++;
  return passed;
}

function killHolds(options: () => Pick<GuardProcessOptions, 'kind' | 'connection'>): void {
  test('a guard that is killed -9 takes with it nothing of what it has spent, and locks nobody', async () => {
    const upstream = await recordingUpstream();
    const launch = async () => {
      const guard = await guardProcess({ ...options(), upstream: upstream.url, limitWaitMs: 0 });
      endAfterTest(() => guard.end());
      return guard;
    };
    const [killed, left] = await Promise.all([launch(), launch()]);
    // A first answer comes from a store that is ready.
    expect(await killed.ask('other-key')).toBe('KEY_UNKNOWN');
    expect(await killed.set({ apiKey: APP_KEY, limits: { perSecond: 4, burst: 60 } })).toBe(1);
    const began = performance.now();
    let passed = await passedOf(80, [killed, left]);
    await killed.end();
    passed += await passedOf(120, [left, await launch()]);
    const seconds = (performance.now() - began) / 1000;
    expect(passed).toBe(upstream.seen.length);
    // Half a burst is what each may let through before it hears of the others.
    expect(passed).toBeLessThanOrEqual(60 + 4 * seconds + 30);
    await until(async () => (await left.ask(APP_KEY)) === 'passed');
  });
}

describeRedis('over Redis:', () => {
  const server = redisServer({ keepsData: true });
  beforeAll(() => server.start());
  afterAll(() => server.remove());
  killHolds(() => ({ kind: 'node-redis', connection: { path: server.socket } }));
  let last = 0;
  limitsHold(() => redisShelf(server, `shelf-${String(++last)}:`));
});

describePostgres('over PostgreSQL:', () => {
  const server = postgresServer();
  beforeAll(() => server.start());
  afterAll(() => server.remove());
  killHolds(() => ({ kind: 'postgres', connection: server.connection }));
  let last = 0;
  limitsHold(() => postgresShelf(server, `shelf_${String(++last)}`));
});
