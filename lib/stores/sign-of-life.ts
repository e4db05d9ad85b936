const ASK_MS = 1000;
/** Less than what is left of the 5 s within which a change that nobody announced is in force. */
const ANSWER_MS = 2000;

/**
 * Asks a connection that only listens for a sign of life once a second: one whose packets are dropped on the way would
 * be silent for ever, and look like one on which nothing happens.
 * @param onSilence is called each time that no answer came in time, or the question failed.
 * @returns a function that ends it.
 */
export function watchForLife(ask: () => Promise<unknown>, onSilence: () => void): () => void {
  let waiting: NodeJS.Timeout | undefined;
  const timer = setInterval(() => {
    if (waiting !== undefined) return;
    const answered = (isAlive: boolean): void => {
      if (waiting !== deadline) return;
      clearTimeout(deadline);
      waiting = undefined;
      if (!isAlive) onSilence();
    };
    const deadline = setTimeout(() => answered(false), ANSWER_MS).unref();
    waiting = deadline;
    ask().then(
      () => answered(true),
      () => answered(false),
    );
  }, ASK_MS).unref();
  return () => {
    clearInterval(timer);
    clearTimeout(waiting);
    waiting = undefined;
  };
}
