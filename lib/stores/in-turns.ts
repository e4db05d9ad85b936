/** Milliseconds of one turn: other work of the event loop is served in between. */
const TURN_MS = 10;

/** Runs all steps at once. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Runs the steps of a long task in turns of 10 ms. */
export async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    for (const end = performance.now() + TURN_MS; performance.now() < end;) {
      const step = work.next();
      if (step.done === true) return step.value;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
