const FIN = 0x80;
const OPCODE = 0x0f;
const FIRST_CONTROL_OPCODE = 8;
const MASKED = 0x80;
const LENGTH = 0x7f;
const HAS_TWO_BYTES = 126;
const HAS_EIGHT_BYTES = 127;

/**
 * Follows the frames of a connection (RFC 6455, section 5.2) as far as it takes to tell where messages end. What breaks
 * the protocol is left to `ws`, which closes the socket for it.
 */
export class FrameScanner {
  /** Messages that have ended, control frames outside of them included. */
  ended = 0;
  /** Whole frames of the message that has not ended. */
  fragments = 0;
  /** Of the frame that has begun; numbers, because most sockets are idle and a buffer takes 250 bytes. */
  private readonly head: number[] = [];
  private payloadLeft = 0;
  private isWithinMessage = false;

  /** Whether a message or a frame is incomplete. */
  get isWithin(): boolean {
    return this.isWithinMessage || this.head.length > 0;
  }

  read(bytes: Buffer): void {
    if (!this.isWithin && isOneMessage(bytes)) {
      this.ended++;
      return;
    }
    for (let at = 0; at < bytes.length;) {
      if (this.payloadLeft > 0) {
        const taken = Math.min(this.payloadLeft, bytes.length - at);
        this.payloadLeft -= taken;
        at += taken;
      } else {
        this.head.push(bytes[at++]!);
        if (this.head.length < headSize(this.head)) continue;
        this.payloadLeft = payloadSize(this.head);
      }
      if (this.payloadLeft === 0) this.endFrame();
    }
  }

  private endFrame(): void {
    const first = this.head[0]!;
    this.head.length = 0;
    const isData = (first & OPCODE) < FIRST_CONTROL_OPCODE;
    if (isData) this.isWithinMessage = (first & FIN) === 0;
    if (isData && this.isWithinMessage) this.fragments++;
    if (this.isWithinMessage) return;
    this.fragments = 0;
    this.ended++;
  }
}

/** As most chunks are. */
function isOneMessage(bytes: Buffer): boolean {
  if (bytes.length < 2 || (bytes[0]! & FIN) === 0) return false;
  const size = headSize(bytes);
  return bytes.length >= size && bytes.length === size + payloadSize(bytes);
}

/** The size of a head of which so much is known. */
function headSize(head: ArrayLike<number>): number {
  if (head.length < 2) return 2;
  const second = head[1]!;
  return 2 + bytesOfLength(second) + (second & MASKED ? 4 : 0);
}

function payloadSize(head: ArrayLike<number>): number {
  const second = head[1]!;
  const bytes = bytesOfLength(second);
  if (bytes === 0) return second & LENGTH;
  let size = 0;
  for (let i = 2; i < 2 + bytes; i++) size = size * 256 + head[i]!;
  return size;
}

/** How many bytes after the second hold the payload's length. */
function bytesOfLength(second: number): number {
  const length = second & LENGTH;
  if (length === HAS_TWO_BYTES) return 2;
  return length === HAS_EIGHT_BYTES ? 8 : 0;
}
