import { setTimeout as sleep } from 'node:timers/promises';

/** Below the time that a test has, so that nothing goes on waiting after it. */
const GIVE_UP_MS = 20_000;

/** Waits until `holds`, asked `everyMs`, and says how many milliseconds that took. */
export async function until(holds: () => boolean | Promise<boolean>, everyMs = 10): Promise<number> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > GIVE_UP_MS) throw new Error(`not within ${GIVE_UP_MS} ms: ${holds.toString()}`);
    await sleep(everyMs);
  }
  return performance.now() - began;
}
