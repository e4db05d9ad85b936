import type { ServerResponse } from 'node:http';

/** How long requests that were cut may take to end. */
const CUT_MS = 1000;

/** The requests that are not answered yet. On closing they are waited for, and cut when they take too long. */
export class RequestsUnderWay {
  readonly #responses = new Set<ServerResponse>();
  #isClosing = false;
  #hasCut = false;
  #onLast = (): void => undefined;

  /** Whether new requests are refused. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Whether those that took too long have been cut. */
  get hasCut(): boolean {
    return this.#hasCut;
  }

  begin(res: ServerResponse): void {
    if (this.#isClosing) endConnectionWith(res);
    else this.#responses.add(res);
  }

  end(res: ServerResponse): void {
    if (this.#responses.delete(res) && this.#responses.size === 0) this.#onLast();
  }

  /** Resolves once all of them are over. After `graceMs` the connections of the rest are cut. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    this.#responses.forEach(endConnectionWith);
    await this.#untilLast(graceMs);
    if (this.#responses.size === 0) return;
    this.#hasCut = true;
    for (const { req } of this.#responses) req.socket.destroy();
    // What is noted of them is still to be counted.
    await this.#untilLast(CUT_MS);
  }

  async #untilLast(withinMs: number): Promise<void> {
    if (this.#responses.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onLast = resolve;
      timer = setTimeout(resolve, withinMs);
    });
    clearTimeout(timer);
  }
}

/** A kept-alive connection would keep the process from ending. */
function endConnectionWith(res: ServerResponse): void {
  res.shouldKeepAlive = false;
}
