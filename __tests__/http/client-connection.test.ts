import { request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { cutWhenIdle, endInSlices } from '../../lib/http/client-connection';
import { endAfterTest } from '../support/cleanup';
import { serve } from '../support/serve';
import { fake } from '../support/socket-session';
import { until } from '../support/until';

const IDLE_MS = 30_000;
const BODY = Buffer.alloc(32 * 1024 * 1024, 'x');

/** A long answer that its caller does not read yet. */
async function longAnswer(): Promise<{ readonly answer: IncomingMessage; readonly res: ServerResponse }> {
  let sent: ServerResponse | undefined;
  const { port } = await serve((_req: unknown, res: ServerResponse) => {
    sent = res;
    endInSlices(res, BODY, IDLE_MS);
    cutWhenIdle(res, IDLE_MS);
  });
  const client = request({ port, agent: false });
  endAfterTest(() => client.destroy());
  client.on('error', () => undefined).end();
  const [answer] = (await once(client, 'response')) as [IncomingMessage];
  return { answer: answer.on('error', () => undefined), res: sent! };
}

/** Takes so many bytes of it, and no more. */
async function take(answer: IncomingMessage, bytes: number): Promise<void> {
  let taken = 0;
  const onData = (chunk: Buffer) => (taken += chunk.length);
  answer.on('data', onData).resume();
  await until(() => taken >= bytes, 1);
  answer.off('data', onData).pause();
}

describe('a caller that takes a long answer', () => {
  beforeEach(() => {
    fake('setTimeout');
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('slowly gets all of it', async () => {
    const { answer, res } = await longAnswer();
    for (let n = 0; n < 4; n++) {
      await take(answer, 4 * 1024 * 1024);
      await jest.advanceTimersByTimeAsync(IDLE_MS - 1000);
    }
    expect(res.destroyed).toBe(false);
    const ended = once(answer, 'end');
    answer.resume();
    await ended;
    expect(answer.complete).toBe(true);
  });

  test('and stops is cut off', async () => {
    const { answer, res } = await longAnswer();
    await take(answer, 4 * 1024 * 1024);
    const closed = once(res, 'close');
    await jest.advanceTimersByTimeAsync(IDLE_MS + 1000);
    await closed;
    expect(res.writableFinished).toBe(false);
  });
});
