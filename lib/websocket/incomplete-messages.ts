import { setImmediate } from 'node:timers';
import { refuse } from '../policy/refusals';
import type { Refusal } from '../policy/refusals';
import { FrameScanner } from './frame-scanner';
import type { SocketEnd } from './open-upstream';

/** Bytes of memory that incomplete messages may take in all. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Memory that a frame, and a received chunk, takes beside its bytes. */
const FRAME_COST = 160;
const PIECE_COST = 512;
/** Bytes of the smallest frames and pieces that a message of the greatest size may come in: go-ethereum sends 1 KiB. */
const SMALLEST_FRAME = 512;
const SMALLEST_PIECE = 256;
const LEAST_PARTS = 1024;
const TRY_AGAIN_LATER = 1013;

/** The bounds of one message, for `ws`: bytes, frames, and pieces as they are received. Beyond, it closes the socket. */
export function messageBounds(maxBodyBytes: number): {
  readonly maxPayload: number;
  readonly maxFragments: number;
  readonly maxBufferedChunks: number;
} {
  return {
    maxPayload: maxBodyBytes,
    maxFragments: Math.max(LEAST_PARTS, Math.ceil(maxBodyBytes / SMALLEST_FRAME)),
    maxBufferedChunks: Math.max(LEAST_PARTS, Math.ceil(maxBodyBytes / SMALLEST_PIECE)),
  };
}

/** Ends a socket. */
type End = (refusal: Refusal, code: number | undefined) => void;

/** The part of one caller's message that has arrived. */
interface Incomplete {
  readonly apiKey: string;
  readonly client: SocketEnd;
  readonly end: End;
  /** Bytes received, without the frames' overhead. */
  pieces: number;
  cost: number;
  timer: NodeJS.Timeout | undefined;
}

/** The incomplete messages of all callers: each has a deadline, and all together a bound. */
export class IncompleteMessages {
  private readonly all = new Set<Incomplete>();
  private cost = 0;

  constructor(
    private readonly timeoutMs: number,
    private readonly maxBytes = MAX_BYTES,
  ) {}

  /** Tracks what arrives on a caller's socket until it closes. */
  watch(apiKey: string, client: SocketEnd, end: End): void {
    const message: Incomplete = { apiKey, client, end, pieces: 0, cost: 0, timer: undefined };
    const frames = new FrameScanner();
    const onData = (piece: Buffer): void => {
      const { ended, isWithin } = frames;
      frames.read(piece);
      if (ended !== frames.ended || !isWithin) this.forget(message);
      if (!frames.isWithin) return;
      // A message that begins within a chunk keeps the whole chunk in memory.
      message.pieces += piece.length + PIECE_COST;
      this.hold(message, message.pieces + frames.fragments * FRAME_COST);
    };
    client.connection.on('data', onData).on('close', () => {
      client.connection.off('data', onData);
      this.forget(message);
    });
  }

  private hold(message: Incomplete, cost: number): void {
    this.cost += cost - message.cost;
    message.cost = cost;
    this.all.add(message);
    message.timer ??= this.startTimer(message);
    while (this.cost > this.maxBytes) this.cutOff(this.greatest());
  }

  private forget(message: Incomplete): void {
    if (!this.all.delete(message)) return;
    clearTimeout(message.timer);
    this.cost -= message.cost;
    message.timer = undefined;
    message.pieces = message.cost = 0;
  }

  private startTimer(message: Incomplete): NodeJS.Timeout {
    return setTimeout(() => {
      // A message cannot complete while its socket is not read from.
      if (message.client.socket.isPaused) message.timer = this.startTimer(message);
      else message.end(refuse('BODY_TIMEOUT', { why: 'a message did not come to its end in time' }), undefined);
    }, this.timeoutMs);
  }

  /** The largest message of the key that takes most: one caller's many must not end the others' few. */
  private greatest(): Incomplete {
    const byKey = new Map<string, number>();
    for (const { apiKey, cost } of this.all) byKey.set(apiKey, (byKey.get(apiKey) ?? 0) + cost);
    const rank = ({ apiKey, cost }: Incomplete) => [byKey.get(apiKey)!, cost] as const;
    return [...this.all].reduce((most, other) => {
      const [a, b] = [rank(most), rank(other)];
      return b[0] > a[0] || (b[0] === a[0] && b[1] > a[1]) ? other : most;
    });
  }

  /** At once, because the memory is freed only with the connection. */
  private cutOff(message: Incomplete): void {
    const why = 'incomplete messages take too much memory in all';
    message.end(refuse('BODY_TOO_LARGE', { why }), TRY_AGAIN_LATER);
    this.forget(message);
    setImmediate(() => message.client.connection.destroy());
  }
}
