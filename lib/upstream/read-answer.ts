import type { IncomingMessage } from 'node:http';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';

/** How long a caller may take nothing of its answer. */
const CALLER_IDLE_MS = 120_000;

/** The whole of the upstream's answer, or a refusal where it is cut off or more than `maxBytes`. */
export async function readAnswer(answer: IncomingMessage, idleMs: number, maxBytes: number): Promise<Buffer | Refusal> {
  const heard = endWhenSilent(answer, idleMs, () => false);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      heard();
      size += chunk.length;
      if (size > maxBytes) return refuse('UPSTREAM_UNAVAILABLE', { why: 'its answer is too large' });
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } catch {
    return refuse('UPSTREAM_UNAVAILABLE', { why: 'its answer was cut off' });
  }
}

/** Ends an answer that stays silent, and one that its caller has stopped taking. Call the function it returns on each sign of life. */
export function endWhenSilent(answer: IncomingMessage, idleMs: number, isHeldUp: () => boolean): () => void {
  let heardAt = performance.now();
  const timer = setTimeout(() => {
    if (isHeldUp() && performance.now() - heardAt < CALLER_IDLE_MS) timer.refresh();
    else answer.destroy();
  }, idleMs);
  answer.on('error', () => undefined);
  answer.on('close', () => {
    clearTimeout(timer);
  });
  return () => {
    heardAt = performance.now();
    timer.refresh();
  };
}
