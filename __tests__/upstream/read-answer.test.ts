import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { CutOff, endWhenSilent } from '../../lib/upstream/read-answer';
import { fake } from '../support/socket-session';

describe('an answer that stays silent', () => {
  beforeEach(() => {
    fake('setTimeout', 'performance');
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test.each([
    { upstreamTimeoutMs: 50_000, callerIdleMs: 30_000 },
    { upstreamTimeoutMs: 20_000, callerIdleMs: 30_000 },
  ])('is cut off when upstream or caller has had its time: $upstreamTimeoutMs, $callerIdleMs ms', async (patience) => {
    for (const isHeldUp of [false, true]) {
      const answer = new PassThrough();
      const heard = endWhenSilent(
        answer as unknown as IncomingMessage,
        { ...patience, upstreamTotalMs: 0 },
        () => isHeldUp,
      );
      const limit = isHeldUp ? patience.callerIdleMs : patience.upstreamTimeoutMs;
      await jest.advanceTimersByTimeAsync(limit - 1);
      heard();
      await jest.advanceTimersByTimeAsync(limit - 1);
      expect(answer.destroyed).toBe(false);
      const failed = once(answer, 'error');
      await jest.advanceTimersByTimeAsync(1);
      const [error] = (await failed) as [CutOff];
      expect(error).toBeInstanceOf(CutOff);
      expect(error.isCallersFault).toBe(isHeldUp);
      expect(error.message).toContain(`${String(limit)} ms`);
    }
  });
});
