/** WebSocket frames, as far as counting them needs: whole text messages, none longer than 64 KiB. */

export function textFrame(text) {
  const payload = Buffer.from(text);
  return Buffer.concat([head(payload.length, 0), payload]);
}

/** As clients send it, with a mask of zeros. */
export function maskedFrame(text) {
  const payload = Buffer.from(text);
  return Buffer.concat([head(payload.length, 0x80), Buffer.alloc(4), payload]);
}

function head(length, mask) {
  if (length < 126) return Buffer.from([0x81, mask | length]);
  return Buffer.from([0x81, mask | 126, length >> 8, length & 0xff]);
}

/** Returns a function that takes the bytes of a connection and tells how many text messages have ended in them. */
export function frames() {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let count = 0;
    for (;;) {
      if (bytes.length < 4) break;
      const short = bytes[1] & 0x7f;
      const mask = bytes[1] & 0x80 ? 4 : 0;
      const size = (short === 126 ? 4 + bytes.readUInt16BE(2) : 2 + short) + mask;
      if (bytes.length < size) break;
      if ((bytes[0] & 0x0f) === 1) count++;
      bytes = bytes.subarray(size);
    }
    rest = bytes;
    return count;
  };
}
