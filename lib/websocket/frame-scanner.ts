const FIN = 0x80;
const OPCODE = 0x0f;
const FIRST_CONTROL_OPCODE = 8;
const MASKED = 0x80;
const LENGTH = 0x7f;
const LONGEST_HEAD = 14;

/**
 * Follows the frames of a connection (RFC 6455, section 5.2) as far as it takes to tell where messages end. What breaks
 * the protocol is left to `ws`, which closes the socket for it.
 */
export class FrameScanner {
  /** Messages that have ended, control frames outside of them included. */
  ended = 0;
  /** Whole frames of the message that has not ended. */
  fragments = 0;
  private readonly head = Buffer.alloc(LONGEST_HEAD);
  private headLength = 0;
  private payloadLeft = 0;
  private isWithinMessage = false;

  /** Whether a message or a frame is incomplete. */
  get isWithin(): boolean {
    return this.isWithinMessage || this.headLength > 0;
  }

  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.payloadLeft > 0) {
        const taken = Math.min(this.payloadLeft, bytes.length - at);
        this.payloadLeft -= taken;
        at += taken;
      } else {
        this.head[this.headLength++] = bytes[at++]!;
        if (this.headLength < headSize(this.head, this.headLength)) continue;
        this.payloadLeft = payloadSize(this.head);
      }
      if (this.payloadLeft === 0) this.endFrame();
    }
  }

  private endFrame(): void {
    this.headLength = 0;
    const first = this.head[0]!;
    const isData = (first & OPCODE) < FIRST_CONTROL_OPCODE;
    if (isData) this.isWithinMessage = (first & FIN) === 0;
    if (isData && this.isWithinMessage) this.fragments++;
    if (this.isWithinMessage) return;
    this.fragments = 0;
    this.ended++;
  }
}

function headSize(head: Buffer, known: number): number {
  if (known < 2) return 2;
  const second = head[1]!;
  const length = second & LENGTH;
  const extended = length === 126 ? 2 : length === 127 ? 8 : 0;
  return 2 + extended + (second & MASKED ? 4 : 0);
}

function payloadSize(head: Buffer): number {
  const length = head[1]! & LENGTH;
  if (length === 126) return head.readUInt16BE(2);
  return length === 127 ? Number(head.readBigUInt64BE(2)) : length;
}
